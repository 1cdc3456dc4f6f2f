//! A command line for people to read.

use std::ffi::{OsStr, OsString};
use std::fmt;

/// A command line: the program and its arguments. Displayed so that a shell would read it back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Argv(pub Vec<OsString>);

impl Argv {
    /// The program: the first word.
    pub fn program(&self) -> &OsStr {
        self.0.first().map_or(OsStr::new(""), OsString::as_os_str)
    }
}

impl fmt::Display for Argv {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, word) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str(" ")?;
            }
            let word = word.to_string_lossy();
            if !word.is_empty() && word.chars().all(is_plain) {
                f.write_str(&word)?;
            } else {
                write!(f, "'{}'", word.replace('\'', r"'\''"))?;
            }
        }
        Ok(())
    }
}

/// Whether a shell takes `c` literally.
fn is_plain(c: char) -> bool {
    c.is_alphanumeric() || "-_./=:,+@%^".contains(c)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_what_a_shell_would_split_or_expand() {
        let argv = Argv(["make", "-j2", "CC=gcc -m64", "", "it's", "a*b"].map(OsString::from).to_vec());
        assert_eq!(argv.to_string(), r"make -j2 'CC=gcc -m64' '' 'it'\''s' 'a*b'");
    }
}
