//! Bytes to single mails: mboxes, gzip, maildirs.

use std::{
    borrow::Cow,
    io::Read,
    path::{Path, PathBuf},
};

use crate::{
    error::{SeriesError, read},
    limits,
};

/// What bytes look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Looks {
    /// `From ` at its beginning.
    Mbox,
    /// Header fields.
    Mail,
    /// A diff without a mail around it.
    Diff,
}

/// What `bytes` are, if they are anything that could be a patch.
pub(crate) fn look(bytes: &[u8]) -> Option<Looks> {
    let text = bytes.trim_ascii_start();
    if is_separator(text.split(|byte| *byte == b'\n').next().unwrap_or_default()) {
        return Some(Looks::Mbox);
    }
    if begins_with_headers(text) {
        return Some(Looks::Mail);
    }
    crate::diff::start(bytes).map(|_| Looks::Diff)
}

/// Whether there are at least two header fields, one of which every mail has.
fn begins_with_headers(text: &[u8]) -> bool {
    let mut fields = 0;
    let mut known = false;
    for line in text.split(|byte| *byte == b'\n').take(500) {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.is_empty() {
            break;
        }
        if matches!(line.first(), Some(b' ' | b'\t')) {
            continue;
        }
        let Some(colon) = line.iter().position(|byte| *byte == b':') else { return false };
        let name = line[..colon].to_ascii_lowercase();
        if name.is_empty() || !name.iter().all(|byte| byte.is_ascii_graphic()) {
            return false;
        }
        fields += 1;
        known |= matches!(name.as_slice(), b"from" | b"subject" | b"date" | b"message-id" | b"received");
    }
    known && fields >= 2
}

/// The contents of a file, decompressed if it is gzip, bounded.
pub(crate) fn contents(path: &Path, input: &str) -> Result<Vec<u8>, SeriesError> {
    let file = std::fs::File::open(path).map_err(read(path))?;
    let bytes = bounded(file, input).map_err(|problem| match problem {
        TooLong::Limit(error) => error,
        TooLong::Read(error) => read(path)(error),
    })?;
    decompressed(bytes, input)
}

/// Standard input, decompressed if it is gzip, bounded.
pub(crate) fn standard_input() -> Result<Vec<u8>, SeriesError> {
    let bytes = bounded(std::io::stdin().lock(), "-").map_err(|problem| match problem {
        TooLong::Limit(error) => error,
        TooLong::Read(error) => read(Path::new("standard input"))(error),
    })?;
    decompressed(bytes, "-")
}

pub(crate) fn decompressed(bytes: Vec<u8>, input: &str) -> Result<Vec<u8>, SeriesError> {
    // RFC 1952, 2.3.1.
    if !bytes.starts_with(&[0x1f, 0x8b]) {
        return Ok(bytes);
    }
    bounded(flate2::bufread::MultiGzDecoder::new(bytes.as_slice()), input).map_err(|problem| match problem {
        TooLong::Limit(error) => error,
        TooLong::Read(error) => SeriesError::unusable(input, format!("is damaged gzip: {error}")),
    })
}

enum TooLong {
    Limit(SeriesError),
    Read(std::io::Error),
}

fn bounded(from: impl Read, input: &str) -> Result<Vec<u8>, TooLong> {
    let mut bytes = Vec::new();
    from.take(limits::INPUT + 1).read_to_end(&mut bytes).map_err(TooLong::Read)?;
    if bytes.len() as u64 > limits::INPUT {
        let problem = format!("is longer than {} MiB", limits::INPUT >> 20);
        return Err(TooLong::Limit(SeriesError::unusable(input, problem)));
    }
    Ok(bytes)
}

/// The mails of an mbox, without `From ` lines and with the quoting of such lines in the text undone.
pub(crate) fn split(bytes: &[u8]) -> Vec<Cow<'_, [u8]>> {
    let mut mails = Vec::new();
    let mut begin: Option<usize> = None;
    let mut at = 0;
    for line in bytes.split_inclusive(|byte| *byte == b'\n') {
        if is_separator(line) {
            if let Some(begin) = begin {
                mails.push(&bytes[begin..at]);
            }
            begin = Some(at + line.len());
        }
        at += line.len();
    }
    if let Some(begin) = begin {
        mails.push(&bytes[begin..]);
    }
    mails.into_iter().map(unquoted).collect()
}

/// The line, from 1, on which the first mail of an mbox begins.
pub(crate) fn first_mail(bytes: &[u8]) -> Option<usize> {
    bytes.split(|byte| *byte == b'\n').position(is_separator).map(|index| index + 1)
}

/// `>From ` in mboxo, and `>>From ` in mboxrd, lose one `>`. No line of a diff begins with `>`, so that only a commit message
/// could tell the two forms apart.
fn unquoted(mail: &[u8]) -> Cow<'_, [u8]> {
    let quoted = |line: &[u8]| {
        let depth = line.iter().take_while(|byte| **byte == b'>').count();
        depth > 0 && line[depth..].starts_with(b"From ")
    };
    let lines = || mail.split_inclusive(|byte| *byte == b'\n');
    if !lines().any(quoted) {
        return Cow::Borrowed(mail);
    }
    Cow::Owned(lines().flat_map(|line| if quoted(line) { &line[1..] } else { line }).copied().collect())
}

/// Whether a line separates mails: `From `, a word, and a date with a time and a year. A sentence that begins with `From` has none.
fn is_separator(line: &[u8]) -> bool {
    let Some(rest) = line.strip_prefix(b"From ") else { return false };
    let text = String::from_utf8_lossy(&rest[..rest.len().min(200)]);
    let is_time = |word: &str| {
        let parts: Vec<&str> = word.split(':').collect();
        (2..=3).contains(&parts.len())
            && parts
                .iter()
                .all(|part| (1..=2).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_digit()))
    };
    let is_year = |word: &str| word.parse::<u32>().is_ok_and(|year| (1970..=9999).contains(&year));
    let words: Vec<&str> = text.split_whitespace().collect();
    let time = words.iter().position(|word| is_time(word));
    time.is_some_and(|time| words[time..].iter().any(|word| is_year(word)))
}

/// The mails of a maildir, in the order of their names: by delivery.
pub(crate) fn maildir(folder: &Path) -> Result<Vec<PathBuf>, SeriesError> {
    let mut paths = Vec::new();
    for name in ["cur", "new"] {
        let folder = folder.join(name);
        if !folder.is_dir() {
            continue;
        }
        for entry in std::fs::read_dir(&folder).map_err(read(&folder))? {
            let path = entry.map_err(read(&folder))?.path();
            let hidden = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'));
            if path.is_file() && !hidden {
                paths.push(path);
            }
        }
    }
    paths.sort_by(|a, b| a.file_name().cmp(&b.file_name()));
    Ok(paths)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn looking_tells_mails_from_diffs() {
        assert_eq!(look(b"From 0123abc Mon Sep 17 00:00:00 2001\nFrom: a\n"), Some(Looks::Mbox));
        assert_eq!(look(b"From mboxrd@z Thu Jan  1 00:00:00 1970\n"), Some(Looks::Mbox));
        assert_eq!(look(b"Return-Path: <x>\nX-Y: \n\tz\nSubject: s\r\n\nbody"), Some(Looks::Mail));
        assert_eq!(look(b"some words\n\ndiff --git a/x b/x\n"), Some(Looks::Diff));
        assert_eq!(look(b"# a scenario\nschema: 1\nsubject: x\n"), None);
        assert_eq!(look(b"\x7fELF"), None);
        assert_eq!(look(b""), None);
    }

    #[test]
    fn sentences_that_begin_with_from_separate_nothing() {
        let text = b"From a@b Thu Jan  1 00:00:00 1970\nSubject: 1\n\nFrom the year 2026 on, at 10:\n>From here\n>>From there\n\nFrom c Fri Nov 20 10:00 2026\nSubject: 2\n";
        let mails = split(text);
        assert_eq!(mails.len(), 2);
        assert_eq!(&*mails[0], b"Subject: 1\n\nFrom the year 2026 on, at 10:\nFrom here\n>From there\n\n");
        assert_eq!(&*mails[1], b"Subject: 2\n");
    }
}
