//! make, in the sandbox, with its output in a log and its steps counted.

use std::{
    fs::{self, File},
    io::{Read as _, Seek as _, SeekFrom},
    path::{Path, PathBuf},
    time::Duration,
};

use subprocess::{Ended, Stdio, Stream, Supervisor, ToolError};

use crate::{
    KernelError,
    bounds::{Bounds, Excess, Guard},
    error::{io, tool},
    progress::{Listener, Progress},
    sandbox::{OBJECTS, SOURCE, Sandbox},
    warnings,
};

/// A cold build with two cores takes ten minutes, and a slow laptop ten times as long.
const DEADLINE: Duration = Duration::from_secs(3 * 3600);
/// How often the log is read for new steps while make runs.
const GLANCE: Duration = Duration::from_millis(250);
/// Blocks of 64 KiB that one look at the log reads at most.
const GLANCED_BLOCKS: usize = 1024;
/// Of a line, so much is looked at.
const LONGEST_LINE: usize = 1 << 16;
/// How much of the log's end is searched for the first errors.
const TAIL: u64 = 4 << 20;

/// What is to be made.
#[derive(Debug)]
pub(crate) struct Job<'a> {
    pub(crate) tree: &'a Path,
    pub(crate) objects: &'a Path,
    pub(crate) targets: &'a [&'a str],
    /// What `uname -v` will show after the `#`.
    pub(crate) build_version: &'a str,
    /// The whole output goes to the end of this file.
    pub(crate) log: &'a Path,
}

/// How make ended.
#[derive(Debug)]
pub(crate) enum MakeEnd {
    Made {
        /// How many files were compiled, linked or generated.
        steps: u64,
        /// What compilers and linkers warned of.
        warnings: Vec<String>,
    },
    /// The compiler, the linker or a Makefile failed.
    Failed {
        /// The first errors.
        errors: String,
        log: PathBuf,
    },
}

/// Runs make to its end.
pub(crate) fn make(
    supervisor: &Supervisor,
    job: &Job<'_>,
    listener: &mut Listener<'_>,
) -> Result<MakeEnd, KernelError> {
    let log = File::options().create(true).append(true).open(job.log).map_err(io("open", job.log))?;
    let from = log.metadata().map_err(io("examine", job.log))?.len();
    let mut watch = Watch::new(job.log, from)?;
    let jobs = std::thread::available_parallelism().map_or(1, usize::from);
    let words = [format!("O={OBJECTS}"), format!("-j{jobs}")];
    let child = Sandbox::new()
        .read(job.tree, SOURCE)
        .write(job.objects, OBJECTS)
        .env("KBUILD_BUILD_VERSION", job.build_version)
        .tool(
            SOURCE,
            ["make"].into_iter().chain(words.iter().map(String::as_str)).chain(job.targets.iter().copied()),
        )
        .deadline(DEADLINE)
        .start(
            supervisor,
            Stdio {
                stdin: Stream::Null,
                stdout: Stream::File(log.try_clone().map_err(io("open", job.log))?),
                stderr: Stream::File(log),
            },
        )
        .map_err(tool("start make"))?;
    let bounds = Bounds::default();
    let mut guard = Guard::new(bounds, job.objects)?;
    let mut excess = None;
    let ended = loop {
        let ended = child.wait(GLANCE);
        let before = watch.steps;
        watch.look()?;
        if excess.is_none()
            && let Some(found) = guard.look(length(job.log)?.saturating_sub(from))?
        {
            child.kill().map_err(tool("end make"))?;
            excess = Some(found);
        }
        if watch.steps != before {
            listener(Progress::Advance { done: watch.steps });
        }
        match ended {
            Ok(None) => {}
            Ok(Some(ended)) => break ended,
            Err(ToolError::DeadlinePassed { deadline, .. }) => {
                let reason = format!("it was not done within {} s", deadline.as_secs());
                return Err(KernelError::BuildInterrupted { reason, log: job.log.to_owned() });
            }
            Err(error) => return Err(tool("run make")(error)),
        }
    };
    if excess == Some(Excess::Log) {
        // What came between the last look and its end.
        let log = File::options().write(true).open(job.log).map_err(io("open", job.log))?;
        log.set_len(from + bounds.log).map_err(io("shorten", job.log))?;
    }
    if let Some(Excess::Disk { free }) = excess {
        let reason = format!("the disk is nearly full: {} MiB are left", free >> 20);
        return Err(KernelError::BuildInterrupted { reason, log: job.log.to_owned() });
    }
    if let Some(errors) = excess.and_then(|excess| excess.of_the_series(&bounds)) {
        return Ok(MakeEnd::Failed { errors, log: job.log.to_owned() });
    }
    if ended.is_success() {
        let warnings = warnings::in_output(&tail(job.log, from)?);
        return Ok(MakeEnd::Made { steps: watch.steps, warnings });
    }
    let output = tail(job.log, from)?;
    if let Some(reason) = host_failure(&output, ended) {
        return Err(KernelError::BuildInterrupted { reason, log: job.log.to_owned() });
    }
    Ok(MakeEnd::Failed { errors: first_errors(&output), log: job.log.to_owned() })
}

fn length(path: &Path) -> Result<u64, KernelError> {
    fs::metadata(path).map(|found| found.len()).map_err(io("examine", path))
}

/// Counts make's steps in a log that is being written.
struct Watch {
    path: PathBuf,
    file: File,
    /// The beginning of a line that is not there wholly yet.
    rest: Vec<u8>,
    steps: u64,
}

impl Watch {
    fn new(path: &Path, from: u64) -> Result<Self, KernelError> {
        let mut file = File::open(path).map_err(io("open", path))?;
        file.seek(SeekFrom::Start(from)).map_err(io("read", path))?;
        Ok(Self { path: path.to_owned(), file, rest: Vec::new(), steps: 0 })
    }

    fn look(&mut self) -> Result<(), KernelError> {
        let mut buffer = [0; 1 << 16];
        // Whoever writes as fast as this reads would keep it here for ever.
        for _ in 0..GLANCED_BLOCKS {
            let read = self.file.read(&mut buffer).map_err(io("read", &self.path))?;
            if read == 0 {
                break;
            }
            for piece in buffer[..read].split_inclusive(|byte| *byte == b'\n') {
                // A line that is longer is no step of make.
                if self.rest.len() < LONGEST_LINE {
                    self.rest.extend_from_slice(piece);
                }
                if piece.ends_with(b"\n") {
                    self.steps += u64::from(is_step(&self.rest));
                    self.rest.clear();
                }
            }
        }
        Ok(())
    }
}

/// Whether a line is one of kbuild's short commands: `  CC      net/socket.o`.
fn is_step(line: &[u8]) -> bool {
    let Some(rest) = line.strip_prefix(b"  ") else { return false };
    let word = rest.split(|byte| *byte == b' ').next().unwrap_or_default();
    word.len() >= 2 && word.iter().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit())
}

/// The output from `from` on, or its last part if that is very long.
fn tail(log: &Path, from: u64) -> Result<String, KernelError> {
    let length = fs::metadata(log).map_err(io("examine", log))?.len();
    let mut file = File::open(log).map_err(io("open", log))?;
    file.seek(SeekFrom::Start(from.max(length.saturating_sub(TAIL)))).map_err(io("read", log))?;
    let mut text = Vec::new();
    file.read_to_end(&mut text).map_err(io("read", log))?;
    Ok(String::from_utf8_lossy(&text).into_owned())
}

/// Says so if the host and not the series is to blame: a compiler that ran out of disk or memory, a sandbox that did
/// not come up.
pub(crate) fn host_failure(output: &str, ended: Ended) -> Option<String> {
    const SIGNS: &[&str] = &[
        "No space left on device",
        "Disk quota exceeded",
        "Cannot allocate memory",
        "virtual memory exhausted",
        "out of memory allocating",
        "Killed signal terminated program",
        // A process or a thread that may not be made: a control group's limit, RLIMIT_NPROC.
        "Resource temporarily unavailable",
        "Cannot fork",
    ];
    /// Beyond this, a status is 128 and the signal that ended the command in the sandbox (bwrap(1) and shells do so); make's own are 0 to 2.
    const BY_SIGNAL: i32 = 128;
    match ended {
        Ended::Signalled(_) => return Some(format!("make {ended}")),
        Ended::Exited(status) if status > BY_SIGNAL => {
            return Some(format!("make {}", Ended::Signalled(status - BY_SIGNAL)));
        }
        Ended::Exited(_) => {}
    }
    // GNU make, of a command that SIGKILL ended: `make: *** [Makefile:7: a.o] Killed`.
    let killed = |line: &str| line.contains("*** [") && line.trim_end().ends_with("] Killed");
    output
        .lines()
        .find(|line| {
            line.starts_with("bwrap: ") || killed(line) || SIGNS.iter().any(|sign| line.contains(sign))
        })
        .map(str::to_owned)
}

/// How many lines of errors are told; the log has the rest.
const SHOWN: usize = 20;

/// The first errors of compiler, linker and modpost, each with the lines that belong to it; make's own if there are
/// none.
pub(crate) fn first_errors(output: &str) -> String {
    let lines: Vec<&str> = output.lines().collect();
    let is_error = |line: &str| {
        line.contains(": error:")
            || line.contains(": fatal error:")
            || line.contains("undefined reference to")
            || line.contains("multiple definition of")
            || line.starts_with("ERROR: ")
            || line.starts_with("error: ")
    };
    let mut shown = Vec::new();
    // A quoted line may look like an error itself.
    let mut quoted_until = 0;
    for (at, line) in lines.iter().enumerate() {
        if at >= quoted_until && is_error(line) {
            shown.push(*line);
            // gcc quotes the source below: lines that begin with a number or a bar.
            let quoted = lines[at + 1..]
                .iter()
                .take(3)
                .take_while(|line| line.trim_start().starts_with(|c: char| c.is_ascii_digit() || c == '|'));
            let before = shown.len();
            shown.extend(quoted);
            quoted_until = at + 1 + shown.len() - before;
        }
        if shown.len() >= SHOWN {
            break;
        }
    }
    if shown.is_empty() {
        shown = lines.iter().copied().filter(|line| line.contains("*** ")).take(SHOWN).collect();
    }
    if shown.is_empty() {
        shown = lines[lines.len().saturating_sub(SHOWN)..].to_vec();
    }
    shown.truncate(SHOWN);
    // Paths as they are in the patches.
    let inside = format!("{SOURCE}/");
    let plain: Vec<&str> = shown.into_iter().map(|line| line.strip_prefix(&inside).unwrap_or(line)).collect();
    plain.join("\n")
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    #[test]
    fn counts_steps_across_reads() {
        let mut log = tempfile::NamedTempFile::new().unwrap();
        let mut watch = Watch::new(log.path(), 0).unwrap();
        log.write_all(b"  CC      a.o\nmake[1]: x\n  LD [M]  b.ko\n  O").unwrap();
        watch.look().unwrap();
        assert_eq!(watch.steps, 2);
        log.write_all(b"BJCOPY c\n  warning: not a step\n   12 | int x;\n").unwrap();
        watch.look().unwrap();
        assert_eq!(watch.steps, 3);
    }

    #[test]
    fn errors_come_with_the_source_that_the_compiler_quotes() {
        let output = "  CC      net/a.o\n/src/net/a.c: In function 'f':\n/src/net/a.c:3:1: error: unknown type name 'foo'\n    3 | foo x;\n      | ^~~\n\
            make[3]: *** [scripts/Makefile.build:229: net/a.o] Error 1\n  CC      net/b.o\n";
        assert_eq!(
            first_errors(output),
            "net/a.c:3:1: error: unknown type name 'foo'\n    3 | foo x;\n      | ^~~"
        );
        let linker = "ld: net/a.o: in function `f':\na.c:(.text+0x1): undefined reference to `g'\nmake: *** [x] Error 1\n";
        assert_eq!(first_errors(linker), "a.c:(.text+0x1): undefined reference to `g'");
        assert_eq!(
            first_errors("make: *** No rule to make target 'a.o'.  Stop.\n"),
            "make: *** No rule to make target 'a.o'.  Stop."
        );
        let quoting = "a.c:1:2: error: x\n    1 | b.c:1:2: error: y";
        assert_eq!(first_errors(quoting), quoting, "once");
        assert_eq!(first_errors("one\ntwo\n"), "one\ntwo");
    }

    #[test]
    fn the_hosts_failures_are_not_the_series() {
        let disk = "  CC a.o\nfatal error: error writing to /tmp/x.s: No space left on device\n";
        assert!(host_failure(disk, Ended::Exited(2)).is_some());
        assert!(
            host_failure("gcc: fatal error: Killed signal terminated program cc1\n", Ended::Exited(2))
                .is_some()
        );
        let fork = "make: /bin/sh: Resource temporarily unavailable\nmake: *** [Makefile:10: x] Error 127\n";
        assert!(host_failure(fork, Ended::Exited(2)).is_some());
        assert!(host_failure("bwrap: Creating new namespace failed: x\n", Ended::Exited(1)).is_some());
        assert!(host_failure("a.c:1:1: error: x\n", Ended::Exited(2)).is_none());
        assert!(host_failure("", Ended::Signalled(9)).is_some());
    }
}
