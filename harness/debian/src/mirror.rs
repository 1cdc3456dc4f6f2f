//! Which archives to use: those of the machine's own configuration, or those that the user names.

use std::env;
use std::path::{Path, PathBuf};

use crate::DebianError;
use crate::sources::{self, Entry};

/// Names the archive where the machine's configuration does not.
const MIRROR_VARIABLE: &str = "ASSAY_DEBIAN_MIRROR";
/// Names the security archive where the machine's configuration does not.
const SECURITY_VARIABLE: &str = "ASSAY_DEBIAN_SECURITY_MIRROR";
/// Names the file with the keys of both.
pub(crate) const KEYRING_VARIABLE: &str = "ASSAY_DEBIAN_KEYRING";
/// Where the package debian-archive-keyring, which other distributions have as well, puts Debian's keys.
pub(crate) const DEFAULT_KEYRINGS: [&str; 2] =
    ["/usr/share/keyrings/debian-archive-keyring.gpg", "/usr/share/keyrings/debian-archive-keyring.pgp"];

/// Releases of Debian and their standing names. A machine's archive is recognised by serving one of them.
const RELEASES: [&str; 13] = [
    "bullseye",
    "bookworm",
    "trixie",
    "forky",
    "duke",
    "sid",
    "oldoldstable",
    "oldstable",
    "stable",
    "testing",
    "unstable",
    "experimental",
    "rc-buggy",
];

/// The addresses of the archives, and who signs them.
#[derive(Debug, Clone)]
pub(crate) struct Mirrors {
    main: Option<Archive>,
    security: Option<Archive>,
    /// Where the configuration was looked for, for messages.
    searched: PathBuf,
}

/// One archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Archive {
    pub(crate) uri: String,
    pub(crate) signed_by: Option<String>,
}

/// What the user's environment names.
#[derive(Debug, Default)]
struct Overrides {
    main: Option<String>,
    security: Option<String>,
    keyring: Option<String>,
}

impl Mirrors {
    /// Those of this machine: `/etc/apt`, and the environment before it.
    pub(crate) fn of_this_machine() -> Result<Mirrors, DebianError> {
        let etc = Path::new("/etc/apt");
        let variable = |name| env::var(name).ok().filter(|value| !value.is_empty());
        let overrides = Overrides {
            main: variable(MIRROR_VARIABLE),
            security: variable(SECURITY_VARIABLE),
            keyring: variable(KEYRING_VARIABLE).or_else(default_keyring),
        };
        Ok(Mirrors::choose(&sources::read(etc)?, overrides, etc))
    }

    fn choose(entries: &[Entry], overrides: Overrides, searched: &Path) -> Mirrors {
        let named = |uri| Archive { uri, signed_by: overrides.keyring.clone() };
        let configured = |serves: fn(&str) -> bool| {
            let entry = entries
                .iter()
                .find(|entry| is_debian(entry) && entry.suites.iter().any(|suite| serves(suite)))?;
            Some(Archive { uri: entry.uri.clone(), signed_by: entry.signed_by.clone() })
        };
        Mirrors {
            main: overrides.main.map(named).or_else(|| configured(|suite| !is_security(suite))),
            security: overrides.security.map(named).or_else(|| configured(is_security)),
            searched: searched.to_owned(),
        }
    }

    /// The archive that serves `suite`.
    pub(crate) fn serving(&self, suite: &str) -> Result<&Archive, DebianError> {
        let (archive, name, variable) = if is_security(suite) {
            (&self.security, "security archive", SECURITY_VARIABLE)
        } else {
            (&self.main, "archive", MIRROR_VARIABLE)
        };
        archive.as_ref().ok_or_else(|| DebianError::NoMirror {
            archive: name,
            searched: self.searched.clone(),
            variable,
        })
    }
}

fn default_keyring() -> Option<String> {
    DEFAULT_KEYRINGS.into_iter().find(|path| Path::new(path).exists()).map(str::to_owned)
}

/// Security updates have an archive of their own.
fn is_security(suite: &str) -> bool {
    suite.ends_with("-security") || suite.ends_with("/updates")
}

/// Whether an entry is Debian's own archive. Others offer packages under Debian's suite names too, but bring a key of
/// their own; only Debian's are in the keyring of that name, or trusted without being named.
fn is_debian(entry: &Entry) -> bool {
    let release = |suite: &String| {
        let release = suite.split(['-', '/']).next().unwrap_or_default();
        RELEASES.contains(&release)
    };
    let signed = entry.signed_by.as_ref().is_none_or(|keys| keys.contains("debian-archive"));
    signed && entry.components.iter().any(|component| component == "main") && entry.suites.iter().any(release)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(uri: &str, suite: &str, signed_by: Option<&str>) -> Entry {
        Entry {
            uri: uri.into(),
            suites: vec![suite.into()],
            components: vec!["main".into()],
            signed_by: signed_by.map(str::to_owned),
        }
    }

    const DEBIAN: Option<&str> = Some("/usr/share/keyrings/debian-archive-keyring.gpg");

    fn choose(entries: &[Entry], overrides: Overrides) -> Mirrors {
        Mirrors::choose(entries, overrides, Path::new("/etc/apt"))
    }

    #[test]
    fn debians_archives_are_told_from_others_with_its_suite_names() {
        let entries = [
            entry("http://runner.example/debian", "bookworm", Some("/etc/apt/keyrings/runner.gpg")),
            entry("http://s.example/debian-security", "bookworm-security", DEBIAN),
            entry("http://m.example/debian", "bookworm-updates", DEBIAN),
        ];
        let mirrors = choose(&entries, Overrides::default());
        assert_eq!(mirrors.serving("trixie-backports").unwrap().uri, "http://m.example/debian");
        assert_eq!(mirrors.serving("trixie-security").unwrap().uri, "http://s.example/debian-security");
    }

    #[test]
    fn without_a_debian_archive_the_message_says_what_to_set() {
        let mirrors = choose(&[entry("http://u.example/ubuntu", "noble", None)], Overrides::default());
        let error = mirrors.serving("trixie").unwrap_err().to_string();
        assert!(
            error.starts_with("this machine's apt configuration (/etc/apt) names no Debian archive"),
            "{error}"
        );
        assert!(error.contains("set ASSAY_DEBIAN_MIRROR to"), "{error}");
        let error = mirrors.serving("trixie-security").unwrap_err().to_string();
        assert!(error.contains("no Debian security archive; set ASSAY_DEBIAN_SECURITY_MIRROR"), "{error}");
    }

    #[test]
    fn what_the_user_names_comes_first() {
        let overrides = Overrides {
            main: Some("http://o.example/debian".into()),
            security: None,
            keyring: Some("/keys.gpg".into()),
        };
        let mirrors = choose(&[entry("http://m.example/debian", "bookworm", None)], overrides);
        let archive = mirrors.serving("trixie").unwrap();
        assert_eq!(
            *archive,
            Archive { uri: "http://o.example/debian".into(), signed_by: Some("/keys.gpg".into()) }
        );
    }
}
