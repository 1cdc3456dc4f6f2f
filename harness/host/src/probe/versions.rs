//! Versions of programs, from what each says of itself.

use std::collections::BTreeMap;

use subprocess::{Supervisor, Tool, ToolError};

use super::DEADLINE;
use crate::packages::{PACKAGES, Sign};

/// How many programs are asked at a time: most of their time is spent on starting.
const AT_ONCE: usize = 4;

/// A program that is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Version {
    /// This is its version.
    Known(String),
    /// It is there, and its version was not asked for.
    NotAsked,
    /// It is there and does not run: why.
    Broken(String),
}

/// Programs of the table that are on the search path.
pub(super) fn of_all(supervisor: &Supervisor) -> BTreeMap<&'static str, Version> {
    let share = PACKAGES.len().div_ceil(AT_ONCE);
    std::thread::scope(|scope| {
        let askers: Vec<_> = PACKAGES
            .chunks(share)
            .map(|packages| {
                scope.spawn(move || {
                    let found = packages.iter().filter_map(|package| {
                        let version = match package.sign {
                            Sign::Program(arguments) => ask(package.name, arguments, supervisor)?,
                            Sign::Present => on_path(package.name)?,
                            Sign::File(_) => return None,
                        };
                        Some((package.name, version))
                    });
                    found.collect::<Vec<_>>()
                })
            })
            .collect();
        askers.into_iter().flat_map(|asker| asker.join().unwrap_or_default()).collect()
    })
}

fn ask(program: &str, arguments: &[&str], supervisor: &Supervisor) -> Option<Version> {
    match Tool::new(program).args(arguments).deadline(DEADLINE).run_unchecked(supervisor) {
        Err(ToolError::NotFound { .. }) => None,
        Err(error) => Some(Version::Broken(error.to_string())),
        Ok(output) => {
            // Some say it on standard error, and bc's licence is longer than anybody wants.
            let said = if output.stdout.is_empty() { output.stderr } else { output.stdout };
            let said = String::from_utf8_lossy(&said);
            Some(match number(&said) {
                Some(version) => Version::Known(version.to_owned()),
                None if output.ended.is_success() => Version::NotAsked,
                None => Version::Broken(format!("{program} {}", output.ended)),
            })
        }
    }
}

fn on_path(program: &str) -> Option<Version> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).any(|folder| folder.join(program).is_file()).then_some(Version::NotAsked)
}

/// The first word that looks like a version: digits and a dot, perhaps after a letter `v`; or any number after `version`.
pub(crate) fn number(said: &str) -> Option<&str> {
    let line = said.lines().find(|line| !line.trim().is_empty())?;
    // gcc and ld put the packager's version in brackets before their own.
    let mut depth = 0_usize;
    let bare: Vec<&str> = line
        .split_ascii_whitespace()
        .filter(|word| {
            let inside = depth > 0 || word.starts_with('(');
            depth = (depth + word.matches('(').count()).saturating_sub(word.matches(')').count());
            !inside
        })
        .collect();
    let mut before = "";
    bare.iter().find_map(|word| {
        let announced = std::mem::replace(&mut before, word) == "version";
        let word = word.trim_start_matches('v').trim_end_matches([',', ';']);
        let version = word.starts_with(|c: char| c.is_ascii_digit()) && (announced || word.contains('.'));
        version.then_some(word)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_found_in_what_tools_print() {
        // As printed by the tools of Debian 12.
        for (said, version) in [
            ("gcc (Debian 12.2.0-14+deb12u1) 12.2.0\nCopyright", "12.2.0"),
            ("GNU ld (GNU Binutils for Debian) 2.40\n", "2.40"),
            ("GNU Make 4.3\nBuilt for", "4.3"),
            ("flex 2.6.4\n", "2.6.4"),
            ("bison (GNU Bison) 3.8.2\n", "3.8.2"),
            ("v5.36.0", "5.36.0"),
            ("*** LZ4 command line interface 64-bits v1.9.4, by Yann Collet ***\n", "1.9.4"),
            ("xz (XZ Utils) 5.4.1\nliblzma 5.4.1\n", "5.4.1"),
            ("git version 2.39.5\n", "2.39.5"),
            ("bubblewrap 0.8.0\n", "0.8.0"),
            ("apt 2.6.1 (amd64)\n", "2.6.1"),
            ("Debian 'dpkg-deb' package archive backend version 1.21.22 (amd64).\n", "1.21.22"),
            ("kmod version 30\n+ZSTD +XZ", "30"),
            ("Debian clang version 14.0.6\n", "14.0.6"),
            ("v1.24\n", "1.24"),
            ("rsync  version 3.2.7  protocol version 31\n", "3.2.7"),
        ] {
            assert_eq!(number(said), Some(version), "{said}");
        }
        assert_eq!(number("no digits here"), None);
    }
}
