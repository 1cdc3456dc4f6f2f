//! Reading files and what is none, for `Read` and for the snapshots around a command.

use std::{
    fs::File,
    io::{self, Read},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use nix::fcntl::OFlag;

use crate::{pattern, source};

/// Most bytes that one request may hold in memory.
const MOST_IN_ALL: usize = 64 * 1024 * 1024;

/// Most bytes of one file of a snapshot.
const MOST_OF_SNAPSHOT: usize = 4 * 1024 * 1024;

/// Large enough for nearly every file under /proc and /sys, which then are read by one call and so are consistent.
const ONE_READ: usize = 64 * 1024;

/// A file as it was read.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Reading {
    /// The path that matched, or the pattern if none did.
    pub(crate) path: String,
    /// What was read, or why not.
    pub(crate) content: Result<Vec<u8>, String>,
}

/// Whose network namespace the files under /proc/net describe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Net {
    /// The agent's own.
    OfProcess,
    /// That of the calling thread, which has entered another one.
    OfThread,
}

/// Reads all files that match, each up to `limit` bytes, and sources, which have bounds of their own.
pub(crate) fn read_all(patterns: &[String], limit: usize, net: Net) -> Result<Vec<Reading>, String> {
    let mut readings = Vec::new();
    let mut left = MOST_IN_ALL;
    for pattern in patterns {
        if let Some(found) = source::read(pattern) {
            for mut reading in found {
                let length = reading.content.as_ref().map_or(0, Vec::len);
                if length > left {
                    reading.content = Err(format!("the files before it leave no room for {length} bytes"));
                }
                left -= reading.content.as_ref().map_or(0, Vec::len);
                readings.push(reading);
            }
            continue;
        }
        let paths = pattern::expand(&through(net, pattern))?;
        if paths.is_empty() {
            readings.push(Reading { path: pattern.clone(), content: Err("nothing matches".into()) });
        }
        for path in paths {
            let content = match left.min(limit) {
                0 if limit > 0 => Err(format!("the files before it have {MOST_IN_ALL} bytes already")),
                most => read_one(&path, most).map_err(|error| error.to_string()),
            };
            left -= content.as_ref().map_or(0, Vec::len);
            readings.push(Reading { path: as_asked(net, &path), content });
        }
    }
    Ok(readings)
}

/// Reads the files of a snapshot. A file that is larger than a snapshot may be is not cut, but refused: half a table
/// would be taken for a whole one.
pub(crate) fn snapshot(patterns: &[String], net: Net) -> Result<Vec<Reading>, String> {
    let mut readings = read_all(patterns, MOST_OF_SNAPSHOT + 1, net)?;
    for reading in &mut readings {
        if reading.content.as_ref().is_ok_and(|bytes| bytes.len() > MOST_OF_SNAPSHOT) {
            reading.content = Err(format!("larger than {MOST_OF_SNAPSHOT} bytes"));
        }
    }
    Ok(readings)
}

/// Never blocks on a pipe, nor on a stream such as trace_pipe: what is there is read.
fn read_one(path: &Path, limit: usize) -> io::Result<Vec<u8>> {
    let mut file = File::options().read(true).custom_flags(OFlag::O_NONBLOCK.bits()).open(path)?;
    let mut bytes = Vec::new();
    let mut buffer = vec![0; ONE_READ];
    while bytes.len() < limit {
        let most = (limit - bytes.len()).min(buffer.len());
        match file.read(&mut buffer[..most]) {
            Ok(0) => break,
            Ok(count) => bytes.extend_from_slice(&buffer[..count]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock && !bytes.is_empty() => break,
            Err(error) => return Err(error),
        }
    }
    Ok(bytes)
}

/// /proc/net and /proc/self name the process' first thread; another thread has its own view of the network.
const VIEWS: [(&str, &str); 2] =
    [("/proc/net/", "/proc/thread-self/net/"), ("/proc/self/net/", "/proc/thread-self/net/")];

fn through(net: Net, pattern: &str) -> String {
    if net == Net::OfThread {
        for (asked, own) in VIEWS {
            if let Some(rest) = pattern.strip_prefix(asked) {
                return format!("{own}{rest}");
            }
        }
    }
    pattern.to_owned()
}

fn as_asked(net: Net, path: &Path) -> String {
    let path = match path.strip_prefix("/proc/thread-self/net") {
        Ok(rest) if net == Net::OfThread => Path::new("/proc/net").join(rest),
        _ => PathBuf::from(path),
    };
    path.to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_pattern_without_a_match_is_said_and_does_not_vanish() {
        let folder = tempfile::tempdir().unwrap();
        let pattern = format!("{}/*", folder.path().display());
        let readings = read_all(std::slice::from_ref(&pattern), 10, Net::OfProcess).unwrap();
        assert_eq!(readings, [Reading { path: pattern, content: Err("nothing matches".into()) }]);
    }

    #[test]
    fn the_limit_holds_for_each_file() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("a"), "12345").unwrap();
        fs::write(folder.path().join("b"), "12").unwrap();
        let pattern = format!("{}/*", folder.path().display());
        let contents: Vec<_> =
            read_all(&[pattern], 3, Net::OfProcess).unwrap().into_iter().map(|r| r.content).collect();
        assert_eq!(contents, [Ok(b"123".to_vec()), Ok(b"12".to_vec())]);
    }

    #[test]
    fn folders_and_missing_files_are_unreadable() {
        let readings = read_all(&["/proc".into(), "/no/such".into()], 10, Net::OfProcess).unwrap();
        assert!(readings[0].content.as_ref().unwrap_err().contains("directory"));
        assert!(readings[1].content.as_ref().unwrap_err().contains("No such file"));
    }

    #[test]
    fn a_snapshot_refuses_what_it_would_have_to_cut() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("large");
        fs::write(&file, vec![0; MOST_OF_SNAPSHOT + 1]).unwrap();
        let readings = snapshot(&[file.display().to_string()], Net::OfProcess).unwrap();
        assert_eq!(readings[0].content, Err(format!("larger than {MOST_OF_SNAPSHOT} bytes")));
    }

    #[test]
    fn a_thread_reads_its_own_network_under_the_name_that_was_asked_for() {
        assert_eq!(through(Net::OfThread, "/proc/net/dev"), "/proc/thread-self/net/dev");
        assert_eq!(through(Net::OfProcess, "/proc/net/dev"), "/proc/net/dev");
        assert_eq!(as_asked(Net::OfThread, Path::new("/proc/thread-self/net/dev")), "/proc/net/dev");
        let readings = read_all(&["/proc/net/dev".into()], ONE_READ, Net::OfThread).unwrap();
        assert_eq!(readings[0].path, "/proc/net/dev");
        assert!(readings[0].content.is_ok());
    }

    #[test]
    fn a_pipe_without_a_writer_does_not_block() {
        let folder = tempfile::tempdir().unwrap();
        let fifo = folder.path().join("fifo");
        nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).unwrap();
        assert_eq!(read_one(&fifo, 10).unwrap(), b"");
    }
}
