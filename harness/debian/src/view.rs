//! The archive as one request sees it: which suites, in which order, and what is left out. Written for apt as a
//! configuration of its own, so that the machine's has no say but in how to reach the mirror.

use std::fs;
use std::path::{Path, PathBuf};

use crate::error::At as _;
use crate::mirror::Mirrors;
use crate::{DebianError, Request, Wanted, digest};

/// apt's files for one combination of suites and omissions.
#[derive(Debug)]
pub(crate) struct View {
    /// The configuration file: `-c`.
    pub(crate) config: PathBuf,
    /// Where a note is left about when its lists were last updated.
    pub(crate) updated: PathBuf,
    pub(crate) suites: Vec<String>,
}

impl View {
    /// Writes the files below `home`, under a name made of their contents.
    pub(crate) fn write(home: &Path, mirrors: &Mirrors, request: &Request) -> Result<View, DebianError> {
        let suites = &request.suites;
        let sources = sources(mirrors, suites)?;
        let (preferences, status) = (preferences(suites, &request.packages), status(&request.omit));
        let key = &digest::of_text(&format!("{sources}\0{preferences}\0{status}"))[..16];
        let folder = home.join("views").join(key);
        let sources_folder = folder.join("sources.d");
        for below in [&sources_folder, &folder.join("state"), &folder.join("cache")] {
            fs::create_dir_all(below).at("creating", below)?;
        }
        let config = config(home, &folder)?;
        let view = View {
            config: folder.join("apt.conf"),
            updated: home.join("updated").join(&digest::of_text(&sources)[..16]),
            suites: suites.clone(),
        };
        for (path, text) in [
            (&view.config, &config),
            (&sources_folder.join("debian.sources"), &sources),
            (&folder.join("preferences"), &preferences),
            (&folder.join("status"), &status),
        ] {
            // A file that is as it should be keeps its time: apt rebuilds its cache when one is newer.
            if fs::read_to_string(path).is_ok_and(|written| written == *text) {
                continue;
            }
            fs::write(path, text).at("writing", path)?;
        }
        Ok(view)
    }
}

/// apt's settings. They are read after the machine's own, of which proxies, credentials and the like remain.
fn config(home: &Path, folder: &Path) -> Result<String, DebianError> {
    let quoted = |path: PathBuf| match path.to_str() {
        Some(text) if !text.contains(['"', '\n']) => Ok(format!("\"{text}\"")),
        _ => Err(DebianError::Unquotable { path }),
    };
    let lines = [
        // The machine's hooks belong to the machine's state.
        "#clear APT::Update;".to_owned(),
        // An update that got half of the lists has failed.
        "APT::Update::Error-Mode \"any\";".into(),
        "#clear APT::Architectures;".into(),
        "APT::Architecture \"amd64\";".into(),
        "APT::Architectures { \"amd64\"; };".into(),
        // Otherwise a root apt downloads as a user who cannot enter a private folder.
        "APT::Sandbox::User \"root\";".into(),
        // Views share the lists.
        "APT::Get::List-Cleanup \"false\";".into(),
        "Acquire::Languages \"none\";".into(),
        "Acquire::GzipIndexes \"false\";".into(),
        "Acquire::Retries \"3\";".into(),
        "Acquire::ForceHash \"sha256\";".into(),
        format!("Dir::State {};", quoted(folder.join("state"))?),
        format!("Dir::State::lists {};", quoted(home.join("lists"))?),
        format!("Dir::State::status {};", quoted(folder.join("status"))?),
        format!("Dir::Cache {};", quoted(folder.join("cache"))?),
        // The machine's configuration may have these turned off, which costs a second at each question.
        "Dir::Cache::pkgcache \"pkgcache.bin\";".into(),
        "Dir::Cache::srcpkgcache \"srcpkgcache.bin\";".into(),
        "Dir::Etc::sourcelist \"/dev/null\";".into(),
        format!("Dir::Etc::sourceparts {};", quoted(folder.join("sources.d"))?),
        format!("Dir::Etc::preferences {};", quoted(folder.join("preferences"))?),
        "Dir::Etc::preferencesparts \"/dev/null\";".into(),
    ];
    Ok(lines.join("\n") + "\n")
}

/// One stanza for each suite, in deb822 form, the only one that can hold a whole key.
fn sources(mirrors: &Mirrors, suites: &[String]) -> Result<String, DebianError> {
    let mut text = String::new();
    for suite in suites {
        let archive = mirrors.serving(suite)?;
        text += &format!(
            "Types: deb\nURIs: {}\nSuites: {suite}\nComponents: main\nArchitectures: amd64\nTargets: Packages\n",
            archive.uri
        );
        if let Some(keys) = &archive.signed_by {
            text += &format!("Signed-By: {keys}\n");
        }
        text += "\n";
    }
    Ok(text)
}

/// Priorities that make an earlier suite win over a later one whatever the versions (apt_preferences(5)): below 1000,
/// above all that apt gives by itself. A suite is matched by its code name and by its standing name. What is wanted from
/// a suite of its own wins over all; `NAME/SUITE` on apt's command line would take what that depends on from there, too.
fn preferences(suites: &[String], wanted: &[Wanted]) -> String {
    let mut text = String::new();
    let mut pin = |package: &str, suite: &str, priority: u32| {
        for field in ["n", "a"] {
            text +=
                &format!("Package: {package}\nPin: release {field}={suite}\nPin-Priority: {priority}\n\n");
        }
    };
    for (suite, priority) in suites.iter().zip((0..990).rev()) {
        pin("*", suite, priority);
    }
    for (package, suite) in wanted.iter().filter_map(|one| Some((&one.name, one.suite.as_ref()?))) {
        pin(package, suite, 990);
    }
    text
}

/// What apt takes for installed: what is to be left out, in a version that satisfies whoever asks for a newer one.
fn status(omit: &[String]) -> String {
    let stanza = |name: &String| {
        format!(
            "Package: {name}\nStatus: install ok installed\nArchitecture: amd64\nMulti-Arch: foreign\nVersion: 99:0\n\
             Maintainer: nobody <nobody@invalid>\nDescription: left out\n\n"
        )
    };
    omit.iter().map(stanza).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn earlier_suites_have_higher_priorities() {
        let text = preferences(&["trixie".into(), "trixie-backports".into()], &[]);
        assert!(text.contains("Pin: release n=trixie\nPin-Priority: 989\n"), "{text}");
        assert!(text.contains("Pin: release n=trixie-backports\nPin-Priority: 988\n"), "{text}");
    }

    #[test]
    fn what_is_wanted_from_a_suite_of_its_own_wins_and_nothing_else_of_that_suite_does() {
        let wanted = [Wanted::new("iproute2"), Wanted::from_word("ethtool/forky")];
        let text = preferences(&["trixie".into(), "forky".into()], &wanted);
        assert!(text.contains("Package: ethtool\nPin: release n=forky\nPin-Priority: 990\n"), "{text}");
        assert!(!text.contains("iproute2"), "{text}");
    }

    #[test]
    fn a_path_that_cannot_be_quoted_is_refused() {
        let folder = Path::new("/tmp/a\"b");
        assert!(matches!(config(folder, folder), Err(DebianError::Unquotable { .. })));
    }
}
