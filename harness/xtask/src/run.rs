//! Commands that chores run. Each dies with us: `setpriv --pdeathsig` gives it a parent-death signal.
#![expect(
    clippy::disallowed_methods,
    reason = "chores run without assay's supervisor, which they are there to build"
)]

use std::{
    ffi::OsStr,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};

/// A command line, run in the project's top folder.
#[derive(Debug)]
pub(crate) struct Run {
    command: Command,
    shown: String,
}

/// How a command ended, and how long it took.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) took: Duration,
}

/// How a command ended, how long it took, and how much memory it had at most.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Peak {
    /// Exit status.
    pub(crate) code: u64,
    pub(crate) took: Duration,
    /// Peak resident set size in KiB (getrusage(2), `ru_maxrss`).
    pub(crate) kib: u64,
}

/// The child side of [`Run::peak`]: runs a command and prints exit status, microseconds and KiB.
pub(crate) fn peak(argv: &[std::ffi::OsString]) -> Result<()> {
    let (program, arguments) = argv.split_first().context("no command")?;
    let started = Instant::now();
    let status = Command::new(program)
        .args(arguments)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .with_context(|| format!("starting {}", program.to_string_lossy()))?;
    let took = started.elapsed();
    let usage = nix::sys::resource::getrusage(nix::sys::resource::UsageWho::RUSAGE_CHILDREN)
        .context("reading the peak memory")?;
    let code = status.code().context("the command was killed")?;
    println!("{code} {} {}", took.as_micros(), usage.max_rss());
    Ok(())
}

impl Run {
    pub(crate) fn new(program: impl AsRef<OsStr>) -> Self {
        let program = program.as_ref();
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL", "--"]).arg(program).current_dir(top()).stdin(Stdio::null());
        Self { command, shown: program.to_string_lossy().into_owned() }
    }

    pub(crate) fn args(mut self, arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Self {
        for argument in arguments {
            self.shown.push(' ');
            self.shown.push_str(&argument.as_ref().to_string_lossy());
            self.command.arg(argument);
        }
        self
    }

    pub(crate) fn env(mut self, key: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(key, value);
        self
    }

    /// Without what it writes.
    pub(crate) fn quiet(mut self) -> Self {
        self.command.stdout(Stdio::null()).stderr(Stdio::null());
        self
    }

    /// What it writes to its standard error goes to this file.
    pub(crate) fn errors_to(mut self, file: std::fs::File) -> Self {
        self.command.stderr(file);
        self
    }

    /// Time until a line of its standard error contains `text`; then it is asked to end, and waited for.
    pub(crate) fn time_to_line(mut self, text: &str) -> Result<Duration> {
        let started = Instant::now();
        let mut child = self
            .command
            .stderr(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .with_context(|| format!("starting {}", self.shown))?;
        let lines = BufReader::new(child.stderr.take().expect("standard error is a pipe")).lines();
        let mut seen = None;
        for line in lines {
            let line = line.with_context(|| format!("reading {}", self.shown))?;
            if seen.is_none() && line.contains(text) {
                seen = Some(started.elapsed());
                let pid = nix::unistd::Pid::from_raw(child.id().cast_signed());
                nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGINT).context("asking it to end")?;
            }
        }
        child.wait().with_context(|| format!("waiting for {}", self.shown))?;
        seen.with_context(|| format!("{} never said {text:?}", self.shown))
    }

    /// Runs to its end, whatever that is; output goes where ours goes.
    pub(crate) fn ended(mut self) -> Result<Ended> {
        let started = Instant::now();
        let status = self.command.status().with_context(|| format!("starting {}", self.shown))?;
        Ok(Ended { code: status.code(), took: started.elapsed() })
    }

    /// Runs to its end, silently, and gives its peak memory as well. The kernel keeps one peak for all children of a process,
    /// so each such command is the only child of another instance of ours (see [`peak`]).
    pub(crate) fn peak(self) -> Result<Peak> {
        let command = std::iter::once(self.command.get_program()).chain(self.command.get_args());
        let xtask = std::env::current_exe().context("finding this program")?;
        let text = Self::new(xtask).args(["__peak", "--"]).args(command).output()?;
        let fields: Vec<&str> = text.split_whitespace().collect();
        let [code, microseconds, kib] = fields.as_slice() else {
            bail!("{} gave no figures: {text}", self.shown)
        };
        let number = |field: &str| field.parse().with_context(|| format!("{field:?} is no figure"));
        Ok(Peak {
            code: number(code)?,
            took: Duration::from_micros(number(microseconds)?),
            kib: number(kib)?,
        })
    }

    /// Runs to a good end.
    pub(crate) fn ok(self) -> Result<Duration> {
        let shown = self.shown.clone();
        let ended = self.ended()?;
        match ended.code {
            Some(0) => Ok(ended.took),
            Some(code) => bail!("{shown} ended with {code}"),
            None => bail!("{shown} was killed"),
        }
    }

    /// Runs to its end, whatever that is, and gives its exit status and what it wrote to its standard output.
    pub(crate) fn told(mut self) -> Result<(Option<i32>, String)> {
        let output = self
            .command
            .stderr(Stdio::inherit())
            .output()
            .with_context(|| format!("starting {}", self.shown))?;
        let text =
            String::from_utf8(output.stdout).with_context(|| format!("{} wrote no UTF-8", self.shown))?;
        Ok((output.status.code(), text))
    }

    /// Runs to a good end and gives what it wrote to its standard output.
    pub(crate) fn output(mut self) -> Result<String> {
        let output = self
            .command
            .stderr(Stdio::inherit())
            .output()
            .with_context(|| format!("starting {}", self.shown))?;
        if !output.status.success() {
            bail!("{} ended with {}", self.shown, output.status);
        }
        String::from_utf8(output.stdout).with_context(|| format!("{} wrote no UTF-8", self.shown))
    }
}

/// The project's top folder.
pub(crate) fn top() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .canonicalize()
        .expect("the sources this was built from are there")
}

/// The cargo that runs us.
pub(crate) fn cargo() -> Run {
    Run::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}

/// The built `assay`.
pub(crate) fn assay() -> PathBuf {
    target().join("release/assay")
}

/// Where cargo builds.
pub(crate) fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| top().join("target"), PathBuf::from)
}
