//! Lines of a large file, a piece of it at a time.
//!
//! The file is read and not mapped: another process may be writing to it, and a mapped file that is cut short ends its
//! readers with SIGBUS.

use std::{fs::File, io, os::unix::fs::FileExt, path::Path};

use crate::StoreError;

/// Files up to this size are read by one thread.
const SMALL: u64 = 4 << 20;
/// So much is read at once. A line is a few hundred bytes.
const BUFFER: usize = 1 << 20;
/// No line of ours is longer.
const LONGEST_LINE: usize = 16 << 20;

/// Why reading stopped.
#[derive(Debug)]
pub(super) enum Stopped {
    /// The file system refused.
    Io(io::Error),
    /// The line that begins at this byte is not what Assay writes.
    Damaged { at: u64, source: serde_json::Error },
}

impl Stopped {
    /// With the line's number, which only counting tells.
    pub(super) fn error(self, path: &Path, file: &File) -> StoreError {
        match self {
            Self::Io(error) => StoreError::io("reading", path)(error),
            Self::Damaged { at, source } => match newlines(file, at) {
                Ok(before) => StoreError::Damaged { path: path.to_owned(), line: before + 1, source },
                Err(error) => StoreError::io("reading", path)(error),
            },
        }
    }
}

fn newlines(file: &File, before: u64) -> io::Result<usize> {
    let (mut at, mut found) = (0, 0);
    let mut buffer = vec![0; BUFFER];
    while at < before {
        let wanted = buffer.len().min(usize::try_from(before - at).unwrap_or(usize::MAX));
        let read = file.read_at(&mut buffer[..wanted], at)?;
        if read == 0 {
            break;
        }
        found += memchr::memchr_iter(b'\n', &buffer[..read]).count();
        at += read as u64;
    }
    Ok(found)
}

/// From one byte to before another.
pub(super) type Piece = (u64, u64);

/// As many pieces as there are processors, each of whole lines, in order. What the file holds now; it may grow.
pub(super) fn cut(file: &File) -> io::Result<Vec<Piece>> {
    let end = file.metadata()?.len();
    let threads = std::thread::available_parallelism().map_or(1, |threads| threads.get().min(8)) as u64;
    let pieces = if end <= SMALL { 1 } else { threads };
    cut_into(file, end, pieces)
}

fn cut_into(file: &File, end: u64, pieces: u64) -> io::Result<Vec<Piece>> {
    let mut all = Vec::new();
    let mut from = 0;
    for piece in 1..=pieces {
        let to =
            if piece == pieces { end } else { after_newline(file, (end / pieces * piece).max(from), end)? };
        all.push((from, to));
        from = to;
    }
    Ok(all)
}

/// The first byte after the first newline at or behind `at`; `end` if there is none.
fn after_newline(file: &File, mut at: u64, end: u64) -> io::Result<u64> {
    let mut buffer = vec![0; 64 << 10];
    while at < end {
        let read = file.read_at(&mut buffer, at)?;
        if read == 0 {
            break;
        }
        if let Some(newline) = memchr::memchr(b'\n', &buffer[..read]) {
            return Ok((at + newline as u64 + 1).min(end));
        }
        at += read as u64;
    }
    Ok(end)
}

/// Gives every complete line of a piece, without its newline.
pub(super) fn each_line(
    file: &File,
    (from, to): Piece,
    mut line: impl FnMut(&[u8]) -> Result<(), serde_json::Error>,
) -> Result<(), Stopped> {
    let mut buffer = vec![0; BUFFER];
    // `buffer[..filled]` is what the file holds from `start` on.
    let (mut start, mut filled) = (from, 0);
    loop {
        let left = usize::try_from(to - start).unwrap_or(usize::MAX) - filled;
        let room = left.min(buffer.len() - filled);
        let read =
            file.read_at(&mut buffer[filled..filled + room], start + filled as u64).map_err(Stopped::Io)?;
        if read == 0 {
            return Ok(());
        }
        filled += read;
        let mut done = 0;
        for newline in memchr::memchr_iter(b'\n', &buffer[..filled]) {
            line(&buffer[done..newline])
                .map_err(|source| Stopped::Damaged { at: start + done as u64, source })?;
            done = newline + 1;
        }
        if done == 0 && filled == buffer.len() {
            if buffer.len() >= LONGEST_LINE {
                let source = serde::de::Error::custom("a line of many megabytes");
                return Err(Stopped::Damaged { at: start, source });
            }
            buffer.resize(buffer.len() * 2, 0);
        }
        buffer.copy_within(done..filled, 0);
        (start, filled) = (start + done as u64, filled - done);
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn file(text: &[u8]) -> File {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(text).unwrap();
        file
    }

    fn lines(file: &File, pieces: u64) -> Vec<Vec<u8>> {
        let end = file.metadata().unwrap().len();
        let mut all = Vec::new();
        for piece in cut_into(file, end, pieces).unwrap() {
            each_line(file, piece, |line| {
                all.push(line.to_vec());
                Ok(())
            })
            .unwrap();
        }
        all
    }

    #[test]
    fn every_line_is_in_one_piece_however_many_there_are() {
        let text = b"one\n\nthree and a half\n4\nfive\nwithout an end";
        let expected: Vec<&[u8]> = vec![b"one", b"", b"three and a half", b"4", b"five"];
        for pieces in 1..60 {
            assert_eq!(lines(&file(text), pieces), expected, "{pieces} pieces");
        }
        assert_eq!(lines(&file(b""), 3), Vec::<Vec<u8>>::new());
        assert_eq!(lines(&file(b"no end"), 3), Vec::<Vec<u8>>::new());
    }

    #[test]
    fn lines_across_the_ends_of_buffers_are_whole() {
        let long = vec![b'x'; BUFFER + 17];
        let mut text = Vec::new();
        let mut expected = Vec::new();
        for length in [BUFFER - 3, 5, BUFFER, BUFFER + 17, 0, 7] {
            expected.push(long[..length].to_vec());
            text.extend_from_slice(&long[..length]);
            text.push(b'\n');
        }
        for pieces in [1, 2, 3] {
            assert!(lines(&file(&text), pieces) == expected, "{pieces} pieces");
        }
    }

    #[test]
    fn a_line_without_an_end_in_sight_is_damage_and_not_memory() {
        let file = file(&vec![b'x'; 2 * LONGEST_LINE]);
        let stopped = each_line(&file, (0, 2 * LONGEST_LINE as u64), |_| Ok(())).unwrap_err();
        assert!(matches!(stopped, Stopped::Damaged { at: 0, .. }), "{stopped:?}");
    }

    #[test]
    fn damage_is_counted_in_lines() {
        let file = file(b"a\nb\nc\n");
        let piece = cut_into(&file, 6, 1).unwrap()[0];
        let stopped = each_line(&file, piece, |line| match line {
            b"c" => Err(serde::de::Error::custom("no")),
            _ => Ok(()),
        });
        let error = stopped.unwrap_err().error(Path::new("samples.jsonl"), &file);
        assert_eq!(error.to_string(), "samples.jsonl:3: not what Assay writes");
    }
}
