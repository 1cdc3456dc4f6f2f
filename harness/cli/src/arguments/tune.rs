//! What `assay tune` is told.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

#[derive(Debug, Args)]
pub(crate) struct Tune {
    /// Change the settings (as root).
    #[arg(long, conflicts_with = "restore")]
    pub(crate) apply: bool,
    /// Put back what --apply has changed (as root).
    #[arg(long)]
    pub(crate) restore: bool,
    /// The frequency governor.
    #[arg(long, default_value = "performance", value_name = "NAME")]
    pub(crate) governor: String,
    /// Leave turbo as it is.
    #[arg(long)]
    pub(crate) keep_turbo: bool,
    /// Switch off idle states that take longer than this to wake from, in microseconds.
    #[arg(long, default_value_t = 5, value_name = "MICROSECONDS")]
    pub(crate) idle_us: u32,
    /// Leave idle states as they are.
    #[arg(long, conflicts_with = "idle_us")]
    pub(crate) keep_idle: bool,
    /// Whether every core runs one thread only.
    #[arg(long, value_enum, default_value_t = Smt::Keep)]
    pub(crate) smt: Smt,
    /// CPUs to keep free of interrupts, kernel threads and other processes, such as 2-5,8.
    #[arg(long, value_name = "LIST")]
    pub(crate) cores: Option<host::CpuSet>,
    /// How the scheduler treats these CPUs [default: root with a command on several CPUs, else isolated].
    #[arg(long, value_enum, requires = "cores")]
    pub(crate) partition: Option<Partition>,
    /// With --restore: also over what somebody else has written since.
    #[arg(long, requires = "restore", conflicts_with = "forget")]
    pub(crate) force: bool,
    /// With --restore: leave for good what somebody else has written since.
    #[arg(long, requires = "restore")]
    pub(crate) forget: bool,
    /// As JSON.
    #[arg(long, conflicts_with = "command")]
    pub(crate) json: bool,
    /// Another machine's tree in place of /, for tests.
    #[arg(long, hide = true, value_name = "DIR")]
    pub(crate) host_root: Option<PathBuf>,
    /// A command to run on the tuned machine; everything is put back when it ends.
    #[arg(requires = "apply", last = true)]
    pub(crate) command: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Smt {
    /// As it is.
    Keep,
    /// One thread a core.
    Off,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Partition {
    /// No load balancing: bind every thread to a CPU yourself.
    Isolated,
    /// A scheduling domain of its own.
    Root,
}
