//! A series as it was understood.

use std::fmt;

use serde::Serialize;

/// A checked series: its patches in the order in which they apply.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Series {
    /// For file names and reports: from the cover letter's subject, else the only patch's, else the input's
    /// name, which is a branch's for a range, else the first patch's subject.
    pub name: String,
    /// What was given: `mailbox`, `mail`, `maildir`, `folder`, `diff` or `range`.
    pub kind: &'static str,
    /// `[PATCH v2 ...]` is 2.
    pub version: u32,
    /// The cover letter.
    pub cover: Option<Cover>,
    /// In the order in which they apply; never empty.
    pub patches: Vec<Patch>,
    /// What was added, reordered, converted or left out, each in a sentence without a full stop.
    pub notes: Vec<String>,
}

/// `[PATCH 0/N]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Cover {
    /// Who wrote it.
    pub author: Option<Person>,
    /// RFC 5322.
    pub date: Option<String>,
    /// Without `[...]`.
    pub subject: String,
    /// As it was written.
    pub body: String,
}

/// One patch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Patch {
    /// From 1.
    pub number: usize,
    /// Its file in the series' folder: `0001-net-frob-the-foo.patch`.
    pub file: String,
    /// Who wrote it; a bare diff does not say.
    pub author: Option<Person>,
    /// RFC 5322.
    pub date: Option<String>,
    /// Without `[...]`; a bare diff's is its file's name.
    pub subject: String,
    /// The commit message without subject and trailers.
    pub body: String,
    /// The last lines of the commit message: those that it came with, then those that were added.
    pub trailers: Vec<Trailer>,
    /// What it changes.
    pub diffstat: Vec<FileStat>,
    /// What `git am` and `git apply` take. Its diff is untouched to the byte.
    #[serde(skip)]
    pub text: Vec<u8>,
}

/// `Reviewed-by: A Reviewer <a@example.org>`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Trailer {
    /// `Reviewed-by`.
    pub name: String,
    /// What follows the colon.
    pub value: String,
    /// The Message-ID of the reply that it was given in, if it was added.
    pub added_from: Option<String>,
}

/// Lines that a patch adds to and removes from a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FileStat {
    /// Its path after the patch, or before it if it is removed.
    pub path: String,
    /// Lines.
    pub added: usize,
    /// Lines.
    pub removed: usize,
    /// Not text: no lines were counted.
    pub binary: bool,
}

/// A name and an address.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Person {
    /// May be empty.
    pub name: String,
    /// `a@example.org`.
    pub email: String,
}

impl fmt::Display for Person {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.name.is_empty() {
            f.write_str(&self.email)
        } else {
            write!(f, "{} <{}>", self.name, self.email)
        }
    }
}

impl fmt::Display for Trailer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.name, self.value)
    }
}

/// `text` on one line, without what a terminal would obey, and bounded.
pub(crate) fn plain(text: &str) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    let line = words.join(" ");
    line.chars().filter(|c| !c.is_control()).take(crate::limits::HEADER).collect()
}

/// A name for a folder or a file: words of ASCII letters, digits and `_` joined by `-`, of at most `limit` bytes, cut between words.
pub(crate) fn slug(text: &str, limit: usize) -> String {
    let mut slug = String::new();
    for word in text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).filter(|word| !word.is_empty())
    {
        let separator = usize::from(!slug.is_empty());
        if slug.len() + separator + word.len() > limit {
            if slug.is_empty() {
                slug = word[..limit].to_owned();
            }
            break;
        }
        if separator == 1 {
            slug.push('-');
        }
        slug.push_str(word);
    }
    slug
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slugs_are_safe_and_cut_between_words() {
        assert_eq!(slug("net: Frob the `foo` in ../bar()", 40), "net-Frob-the-foo-in-bar");
        assert_eq!(slug("one two three", 8), "one-two");
        assert_eq!(slug("incomprehensibilities", 5), "incom");
        assert_eq!(slug("čęř", 10), "");
    }

    #[test]
    fn terminals_obey_nothing_of_a_subject() {
        assert_eq!(plain("a\u{1b}[31m red\r\n \tline\u{7}"), "a[31m red line");
    }
}
