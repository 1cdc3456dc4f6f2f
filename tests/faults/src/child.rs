//! An `assay` that runs, and what it said.
#![expect(
    clippy::disallowed_methods,
    reason = "faults are injected from outside: the supervisor is one of the things that break"
)]

use std::{
    fs,
    path::PathBuf,
    process::Child,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use crate::fault::Ending;

/// No command of the matrix takes longer, with a kernel of seconds or with few boots.
pub(crate) const DEADLINE: Duration = Duration::from_secs(300);
/// How often a condition is looked at.
const POLL: Duration = Duration::from_millis(1);

/// Between texts of which one will do.
const OR: char = '|';

/// A command that was started, with both streams in files.
#[derive(Debug)]
pub(crate) struct Started {
    pub(crate) child: Child,
    pub(crate) stdout: PathBuf,
    pub(crate) stderr: PathBuf,
}

/// How a command ended, and all that it said.
#[derive(Clone, Debug)]
pub(crate) struct Said {
    pub(crate) ending: Ending,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Started {
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn signal(&self, signal: Signal) -> Result<()> {
        send(self.id(), signal)
    }

    /// Whether it has ended.
    pub(crate) fn ended(&mut self) -> Result<bool> {
        Ok(self.child.try_wait().context("looking at assay")?.is_some())
    }

    /// Waits for its end.
    pub(crate) fn wait(mut self) -> Result<Said> {
        let ended = until(DEADLINE, || self.ended());
        if ended.is_err() {
            self.child.kill().context("ending an assay that does not end")?;
        }
        let status = self.child.wait().context("waiting for assay")?;
        let read = |path: &PathBuf| {
            let bytes = fs::read(path).with_context(|| format!("reading {}", path.display()))?;
            anyhow::Ok(String::from_utf8_lossy(&bytes).into_owned())
        };
        let (stdout, stderr) = (read(&self.stdout)?, read(&self.stderr)?);
        ended.with_context(|| format!("waiting for assay to end; it said:\n{stderr}"))?;
        let ending = match (status.code(), std::os::unix::process::ExitStatusExt::signal(&status)) {
            (Some(code), _) => Ending::Exit(code),
            (None, Some(signal)) if signal == Signal::SIGKILL as i32 => Ending::Killed,
            _ => bail!("assay ended with {status}; it said:\n{stderr}"),
        };
        Ok(Said { ending, stdout, stderr })
    }
}

impl Said {
    /// The first line of either stream that holds `text`, or one of the texts between `|` in it; errors come first.
    pub(crate) fn line(&self, text: &str) -> Option<&str> {
        self.stderr
            .lines()
            .chain(self.stdout.lines())
            .find(|line| text.split(OR).any(|one| line.contains(one)))
    }

    /// For a message.
    pub(crate) fn all(&self) -> String {
        format!("{}\n{}\n{}", self.ending, self.stdout, self.stderr)
    }
}

/// Sends a signal to a process of this world.
pub(crate) fn send(id: u32, signal: Signal) -> Result<()> {
    let id = i32::try_from(id).context("a process id")?;
    kill(Pid::from_raw(id), signal).with_context(|| format!("sending {signal}"))
}

/// Waits until a condition holds.
pub(crate) fn until(deadline: Duration, mut holds: impl FnMut() -> Result<bool>) -> Result<()> {
    let begin = Instant::now();
    while !holds()? {
        if begin.elapsed() > deadline {
            bail!("it did not happen within {} s", deadline.as_secs());
        }
        thread::sleep(POLL);
    }
    Ok(())
}
