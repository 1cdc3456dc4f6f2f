//! A guest's console: kept in a file, and watched for the kernel's last words.

mod detect;

pub(crate) use crash::plain;
pub(crate) use detect::{Detector, Found};

use std::{
    fs::File,
    io::Write,
    os::fd::OwnedFd,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use tokio::{io::AsyncReadExt, net::unix::pipe, sync::watch};

use crate::MachineError;

/// Most bytes of console that are kept. A guest that writes more is stuck in a loop, and the disk is the host's.
const MOST: u64 = 64 * 1024 * 1024;

/// After the first word of a crash, how long the console may go on: a register dump and a few call traces under
/// emulation take less than a second, of a kernel with KASAN on a busy host many.
const CRASH_TIME: Duration = Duration::from_secs(30);

/// After the first word of a crash, silence for this long means that it is complete, unless a call trace has begun and not ended.
/// A panic does not wait for it: it ends the machine, and so the console.
const CRASH_QUIET: Duration = Duration::from_secs(4);

/// The same while one processor waits for another's stack: as long as the kernel itself does (10 s, lib/nmi_backtrace.c), and more.
const ANOTHERS_QUIET: Duration = Duration::from_secs(14);

/// What the console has shown so far.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seen {
    /// A crash, once its text is complete.
    pub(crate) crash: Option<Found>,
    /// Titles of warnings (`WARNING: ...`), the first few.
    pub(crate) warnings: Vec<String>,
    /// The last lines.
    pub(crate) tail: String,
    /// Whether the guest's process has closed its end.
    pub(crate) ended: bool,
}

/// The reading end of a guest's console.
#[derive(Debug)]
pub(crate) struct Console {
    reader: pipe::Receiver,
    file: File,
    path: PathBuf,
}

impl Console {
    /// A console that is kept in `path`, and the end that the guest's process writes to.
    ///
    /// A pipe rather than the file itself: what is written is an event here, the file can be bounded, and the process
    /// needs no right to any folder.
    pub(crate) fn create(path: &Path) -> Result<(Self, OwnedFd), MachineError> {
        let failed = |action| {
            let path = path.to_owned();
            move |source| MachineError::Io { action, path, source }
        };
        let (reader, writer) = large_pipe().map_err(failed("making a pipe for the console"))?;
        let file = File::create(path).map_err(failed("creating the console log"))?;
        let reader =
            pipe::Receiver::from_owned_fd(reader).map_err(failed("watching the pipe of the console"))?;
        Ok((Self { reader, file, path: path.to_owned() }, writer))
    }

    /// Reads until the process has closed its end. What was seen is published as it changes.
    pub(crate) async fn follow(mut self, seen: watch::Sender<Seen>) -> Result<(), MachineError> {
        let mut detector = Detector::default();
        let mut crash_began: Option<Instant> = None;
        let mut kept = 0_u64;
        let mut buffer = vec![0; 64 * 1024];
        loop {
            let read = match crash_began {
                Some(began) => {
                    let rest = CRASH_TIME.saturating_sub(began.elapsed());
                    let patience = match () {
                        () if detector.is_in_a_trace() => rest,
                        () if detector.awaits_another() => ANOTHERS_QUIET.min(rest),
                        () => CRASH_QUIET.min(rest),
                    };
                    match tokio::time::timeout(patience, self.reader.read(&mut buffer)).await {
                        Ok(read) => read,
                        Err(_quiet) => {
                            seen.send_modify(|seen| seen.crash = detector.found());
                            crash_began = None;
                            continue;
                        }
                    }
                }
                None => self.reader.read(&mut buffer).await,
            };
            let count = match read {
                Ok(0) => break,
                Ok(count) => count,
                Err(source) => {
                    return Err(MachineError::Io {
                        action: "reading the console for",
                        path: self.path,
                        source,
                    });
                }
            };
            kept += count as u64;
            if kept > MOST {
                seen.send_modify(|seen| {
                    seen.crash.get_or_insert_with(|| detector.flood(MOST));
                });
                // The machine is ended because of it, which closes the pipe; until then nothing more is kept.
                continue;
            }
            // A few hundred bytes to the page cache: not worth a thread.
            self.file.write_all(&buffer[..count]).map_err(|source| MachineError::Io {
                action: "writing the console log",
                path: self.path.clone(),
                source,
            })?;
            let before = detector.has_found();
            detector.feed(&buffer[..count]);
            if detector.has_found() && !before {
                crash_began = Some(Instant::now());
            }
            let complete = detector.is_complete();
            if complete {
                crash_began = None;
            }
            seen.send_modify(|seen| {
                seen.tail = detector.tail();
                seen.warnings = detector.warnings().to_vec();
                if complete && seen.crash.is_none() {
                    seen.crash = detector.found();
                }
            });
        }
        seen.send_modify(|seen| {
            detector.finish();
            seen.tail = detector.tail();
            if seen.crash.is_none() {
                seen.crash = detector.found();
            }
            seen.ended = true;
        });
        Ok(())
    }
}

/// A pipe that holds a whole crash: QEMU drops serial output that it cannot write, after a few tries.
pub(crate) fn large_pipe() -> std::io::Result<(OwnedFd, OwnedFd)> {
    use nix::fcntl::{FcntlArg, OFlag, fcntl};
    let (reader, writer) = nix::unistd::pipe2(OFlag::O_CLOEXEC)?;
    // The most that an unprivileged user gets; a host that grants less leaves the pipe as it is.
    if fcntl(&writer, FcntlArg::F_SETPIPE_SZ(1024 * 1024)).is_err() {
        fcntl(&writer, FcntlArg::F_SETPIPE_SZ(64 * 1024))?;
    }
    Ok((reader, writer))
}

#[cfg(test)]
mod tests {
    use measure::CrashKind;

    use super::*;

    struct Followed {
        writer: File,
        seen: watch::Receiver<Seen>,
        folder: tempfile::TempDir,
    }

    fn followed() -> Followed {
        let folder = tempfile::tempdir().unwrap();
        let (console, writer) = Console::create(&folder.path().join("console.log")).unwrap();
        let (sender, seen) = watch::channel(Seen::default());
        tokio::spawn(console.follow(sender));
        Followed { writer: File::from(writer), seen, folder }
    }

    #[tokio::test]
    async fn a_crash_counts_when_the_console_ends_and_every_byte_is_kept() {
        let Followed { mut writer, mut seen, folder } = followed();
        writer.write_all(b"hello\r\n\x1b[0mKernel panic - not syncing: x").unwrap();
        drop(writer);
        let seen = seen.wait_for(|seen| seen.ended).await.unwrap();
        assert_eq!(seen.crash.as_ref().unwrap().title, "Kernel panic - not syncing: x");
        let kept = std::fs::read(folder.path().join("console.log")).unwrap();
        assert_eq!(kept, b"hello\r\n\x1b[0mKernel panic - not syncing: x");
    }

    #[tokio::test(start_paused = true)]
    async fn a_crash_counts_when_the_console_falls_silent() {
        let Followed { mut writer, mut seen, folder: _folder } = followed();
        writer.write_all(b"BUG: workqueue lockup - pool cpus=0\nShowing busy workqueues\n").unwrap();
        let seen = seen.wait_for(|seen| seen.crash.is_some()).await.unwrap();
        let crash = seen.crash.as_ref().unwrap();
        assert_eq!(crash.kind, CrashKind::Stall);
        assert!(crash.excerpt.ends_with("busy workqueues"), "{crash:?}");
        assert!(!seen.ended);
    }

    #[tokio::test]
    async fn a_flooded_console_is_a_crash_and_its_file_is_bounded() {
        let Followed { mut writer, mut seen, folder } = followed();
        let writing = std::thread::spawn(move || {
            let lines = b"printk: the same again and again\n".repeat(1 << 14);
            while writer.write_all(&lines).is_ok() {}
        });
        let title = seen.wait_for(|seen| seen.crash.is_some()).await.unwrap().crash.clone().unwrap().title;
        assert_eq!(title, "the console was flooded: more than 64 MiB");
        assert!(std::fs::metadata(folder.path().join("console.log")).unwrap().len() <= MOST);
        drop(writing);
    }
}
