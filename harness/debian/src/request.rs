//! What is asked of the archive, and what it answers.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use subprocess::LockHolder;

use crate::DebianError;

/// Packages to resolve.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// The suites to take packages from, the preferred first: `trixie-backports`, `bookworm-security`. A package comes
    /// from the first suite that has it, whatever the others' versions.
    pub suites: Vec<String>,
    /// What is wanted.
    pub packages: Vec<Wanted>,
    /// Also everything they depend on, as if nothing were installed.
    pub with_dependencies: bool,
    /// Also what they recommend. Only with dependencies.
    pub recommends: bool,
    /// Packages to leave out, with what only they depend on: whoever depends on them has to do without.
    pub omit: Vec<String>,
}

/// One wanted package.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wanted {
    /// Its name.
    pub name: String,
    /// Exactly this version.
    pub version: Option<String>,
    /// From this suite, whatever the order of preference; it is one of the request's.
    pub suite: Option<String>,
}

/// One package, exactly.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Package {
    pub name: String,
    pub version: String,
    /// `amd64` or `all`.
    pub architecture: String,
    /// Where the archive serves it.
    pub uri: String,
    /// Of the `.deb`, in hexadecimal, from the signed list.
    pub sha256: String,
    /// Size of the `.deb`.
    pub bytes: u64,
}

/// A version that a suite serves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Served {
    pub version: String,
    pub suite: String,
}

/// What [`Packages`](crate::Packages) is doing, for a progress display.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// Packages are being fetched: so much of what was not yet in the pool.
    Fetching { packages: usize, of_packages: usize, bytes: u64, of_bytes: u64 },
    /// A package is being unpacked: how many were before it, and how many there are.
    Unpacking { package: String, before: usize, of: usize },
    /// Another process is at work in a folder, and is waited for.
    Waiting { path: PathBuf, holder: LockHolder },
    /// A root is not what it was: it was set aside, and is made anew.
    Damaged { path: PathBuf, reason: String, aside: PathBuf },
}

impl Wanted {
    /// A package in whatever version its suite has.
    pub fn new(name: impl Into<String>) -> Wanted {
        Wanted { name: name.into(), version: None, suite: None }
    }

    /// From a word as apt takes them: `ethtool`, or `ethtool/forky` for that suite's.
    pub fn from_word(word: &str) -> Wanted {
        match word.split_once('/') {
            Some((name, suite)) => Wanted { suite: Some(suite.to_owned()), ..Wanted::new(name) },
            None => Wanted::new(word),
        }
    }

    /// As apt takes it on its command line.
    pub(crate) fn argument(&self) -> String {
        match &self.version {
            Some(version) => format!("{}={version}", self.name),
            // The suite is a matter of priorities: `view::preferences`.
            None => self.name.clone(),
        }
    }
}

impl Request {
    /// Words as apt takes them, and all that they depend on, from `suite` and from the suites that words name.
    pub fn with_dependencies(suite: &str, words: &[&str], omitted: &[&str]) -> Request {
        let packages: Vec<Wanted> = words.iter().map(|word| Wanted::from_word(word)).collect();
        let mut suites = vec![suite.to_owned()];
        for named in packages.iter().filter_map(|wanted| wanted.suite.as_ref()) {
            if !suites.contains(named) {
                suites.push(named.clone());
            }
        }
        let omit = omitted.iter().map(|&name| name.to_owned()).collect();
        Request { suites, packages, with_dependencies: true, recommends: false, omit }
    }

    /// Refuses words that apt would take for something else: they come from files that people write.
    pub(crate) fn check(&self) -> Result<(), DebianError> {
        let suites =
            self.suites.iter().chain(self.packages.iter().filter_map(|wanted| wanted.suite.as_ref()));
        for suite in suites {
            check("suite", suite, "-._/")?;
        }
        for name in self.packages.iter().map(|wanted| &wanted.name).chain(&self.omit) {
            check("package", name, "+-.")?;
        }
        for version in self.packages.iter().filter_map(|wanted| wanted.version.as_ref()) {
            check("version", version, ".+-~:")?;
        }
        if self.suites.is_empty() || self.packages.is_empty() {
            return Err(DebianError::Nothing);
        }
        let foreign =
            |wanted: &&Wanted| wanted.suite.as_ref().is_some_and(|suite| !self.suites.contains(suite));
        match self.packages.iter().find(foreign) {
            None => Ok(()),
            Some(wanted) => Err(DebianError::ForeignSuite {
                package: wanted.name.clone(),
                suite: wanted.suite.clone().unwrap_or_default(),
                suites: self.suites.clone(),
            }),
        }
    }
}

/// Letters, digits and some punctuation, but not at the start.
fn check(what: &'static str, word: &str, punctuation: &str) -> Result<(), DebianError> {
    let starts = word.starts_with(|c: char| c.is_ascii_alphanumeric());
    if starts && word.chars().all(|c| c.is_ascii_alphanumeric() || punctuation.contains(c)) {
        return Ok(());
    }
    Err(DebianError::Word { what, word: word.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(package: Wanted) -> Request {
        Request {
            suites: vec!["trixie".into()],
            packages: vec![package],
            with_dependencies: true,
            recommends: false,
            omit: Vec::new(),
        }
    }

    #[test]
    fn arguments_name_versions_and_words_name_suites() {
        let mut wanted = Wanted::new("seabios");
        assert_eq!(wanted.argument(), "seabios");
        assert_eq!(Wanted::from_word("seabios"), wanted);
        wanted.suite = Some("trixie-backports".into());
        assert_eq!(Wanted::from_word("seabios/trixie-backports"), wanted);
        assert_eq!(wanted.argument(), "seabios");
        wanted.version = Some("1.17.0-2".into());
        assert_eq!(wanted.argument(), "seabios=1.17.0-2");
    }

    #[test]
    fn words_that_apt_would_take_for_options_are_refused() {
        for name in ["-oDir=/", "", "a b", "a=1", "a/b", "a;b"] {
            let error = request(Wanted::new(name)).check().unwrap_err();
            assert!(matches!(error, DebianError::Word { what: "package", .. }), "{name}");
        }
        request(Wanted::new("libstdc++6")).check().unwrap();
        let version = Some("1:10.0~rc1+dfsg-1".into());
        request(Wanted { name: "qemu".into(), version, suite: Some("trixie".into()) }).check().unwrap();
    }

    #[test]
    fn a_suite_that_is_not_asked_is_refused() {
        let wanted = Wanted { name: "qemu".into(), version: None, suite: Some("sid".into()) };
        let error = request(wanted).check().unwrap_err();
        assert_eq!(error.to_string(), "package qemu is wanted from suite sid, which is not among trixie");
    }
}
