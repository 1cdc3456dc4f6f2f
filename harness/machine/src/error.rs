//! Errors of machines and of sessions. None of them is the kernel's fault: those are values.

use std::{path::PathBuf, time::Duration};

use subprocess::{Ended, ToolError};

/// Why a machine could not be made to do its part: the host's or the harness's fault.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MachineError {
    /// A plan asks for QEMU on a host that was probed without it.
    #[error("the plan's machine is a guest of QEMU, and no QEMU was set up")]
    NoQemu,
    /// QEMU does not run.
    #[error("running `{program}`")]
    Qemu {
        /// The program.
        program: PathBuf,
        /// Why.
        #[source]
        source: Box<ToolError>,
    },
    /// QEMU runs, and says something that is no version.
    #[error("`{program}` does not say its version: {said}")]
    QemuVersion {
        /// The program.
        program: PathBuf,
        /// What it said instead.
        said: String,
    },
    /// QEMU lacks what every machine needs.
    #[error(
        "`{program}` is QEMU {found}; {needed} or newer is needed (the `igb` device and `-netdev stream`)"
    )]
    QemuTooOld {
        /// The program.
        program: PathBuf,
        /// Its version.
        found: String,
        /// The oldest that will do.
        needed: &'static str,
    },
    /// `accel: kvm` on a host where no guest runs with KVM.
    #[error("the plan asks for KVM, which is of no use here: {why}")]
    NoKvm {
        /// What the probe found.
        why: String,
    },
    /// `cpu: host` needs KVM, and TCG was chosen.
    #[error("the plan asks for the host's CPU model, which TCG cannot give (KVM is of no use here: {why})")]
    HostCpuWithoutKvm {
        /// What the probe found.
        why: String,
    },
    /// The process of a guest could not be started, or the supervisor lost it.
    #[error("the process of guest `{guest}`")]
    Start {
        /// `server`, `client` or `guest`.
        guest: String,
        /// Why.
        #[source]
        source: Box<ToolError>,
    },
    /// The guest's process ended by itself for a reason that is not the guest's.
    #[error("the process of guest `{guest}` {how}{}", said(.stderr))]
    ProcessEnded {
        /// `server`, `client` or `guest`.
        guest: String,
        /// How.
        how: Ended,
        /// The last lines that it wrote to its standard error.
        stderr: String,
    },
    /// The guest's process did not end when it had to.
    #[error("the supervisor did not report the end of guest `{guest}` within {} s", .after.as_secs_f64())]
    DoesNotEnd {
        /// `server`, `client` or `guest`.
        guest: String,
        /// How long was waited.
        after: Duration,
    },
    /// Something that the host was to do for the machine.
    #[error("{action} `{path}`")]
    Io {
        /// What was done, as in `creating the folder`.
        action: &'static str,
        /// To what.
        path: PathBuf,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// A unix socket's path may have 107 bytes.
    #[error("the socket path `{path}` is longer than 107 bytes; choose a shorter runtime folder")]
    SocketPath {
        /// The path.
        path: PathBuf,
    },
    /// QEMU's monitor refused a command, or broke.
    #[error("QEMU's monitor of guest `{guest}`: `{command}`: {message}")]
    Monitor {
        /// `server`, `client` or `guest`.
        guest: String,
        /// The QMP command.
        command: String,
        /// What QEMU said, or how the connection broke.
        message: String,
    },
    /// QEMU itself hangs, or is stopped: no guest can make its monitor fall silent.
    #[error("QEMU of guest `{guest}` does not answer its monitor: nothing came of `{command}` within {} s", after.as_secs())]
    SilentMonitor {
        /// `server`, `client` or `guest`.
        guest: String,
        /// The QMP command.
        command: String,
        /// How long was waited.
        after: Duration,
    },
    /// The agent could not be talked to while the machine was brought up.
    #[error("talking to the agent of guest `{guest}`")]
    Session {
        /// `server`, `client` or `guest`.
        guest: String,
        /// Why.
        #[source]
        source: SessionError,
    },
    /// An error that several waiters share.
    #[error(transparent)]
    Shared(std::sync::Arc<MachineError>),
    /// The script of a fake machine cannot be used.
    #[error("the fake machine's script `{path}`: {message}")]
    Script {
        /// The script.
        path: PathBuf,
        /// What is wrong with it.
        message: String,
    },
    /// A fake machine needs a program to run as, and the host was probed without one.
    #[error("there is no program to serve a fake machine with")]
    NoHelper,
    /// Whether the guests' user can reach a folder could not be tried.
    #[error("trying whether guests can reach `{folder}`")]
    Access {
        /// The folder.
        folder: PathBuf,
        /// Why not.
        #[source]
        source: Box<ToolError>,
    },
    /// The helper that tries it gave no answer.
    #[error("trying whether guests can reach `{folder}`: the helper {how}{}", said(.stderr))]
    AccessProbe {
        /// The folder.
        folder: PathBuf,
        /// How it ended.
        how: Ended,
        /// What it wrote to its standard error.
        stderr: String,
    },
    /// A guest within a guest is not heard of any more, and the outer one lives.
    #[error("the agent that carries the streams of a guest within its own fell silent: {message}")]
    Relay {
        /// How.
        message: String,
    },
    /// A nested machine was given nothing that its host could run guests with.
    #[error("a nested machine was booted without the disk that has QEMU for its host")]
    NoInnerQemu,
    /// A trace window was asked of a machine that was not booted for it.
    #[error("the machine was not booted with tracing")]
    NotTraced,
    /// A trace window did not end: the pipe was not drained in time.
    #[error("{awaited} did not happen within {} s", .after.as_secs_f64())]
    Deadline {
        /// What was awaited.
        awaited: String,
        /// How long.
        after: Duration,
    },
}

fn said(stderr: &str) -> String {
    let stderr = stderr.trim();
    if stderr.is_empty() { String::new() } else { format!(": {stderr}") }
}

/// Why a request to the agent has no answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SessionError {
    /// The guest has played a script, and what is asked of it now is not what comes next in that.
    #[error(
        "what the guest played differs from its rehearsal: {asked} is asked now, and the script has {scripted}"
    )]
    Diverged {
        /// What is asked now.
        asked: String,
        /// The script's next request.
        scripted: String,
    },
    /// The connection to the agent is gone: the guest stopped, or the machine was ended.
    #[error("the connection to the agent ended ({how}) while {awaited} was awaited")]
    Closed {
        /// What was awaited.
        awaited: String,
        /// How it ended.
        how: String,
    },
    /// The agent said something that it must not.
    #[error("the agent broke the protocol: {message}")]
    Protocol {
        /// What it did.
        message: String,
    },
    /// The agent is not the one that this program was built with.
    #[error(
        "the agent in the guest speaks version {theirs} and not {ours}: it is another build's (`cargo xtask setup` makes the one that fits)"
    )]
    OtherBuild {
        /// The version of its protocol.
        theirs: u32,
        /// Ours.
        ours: u32,
    },
    /// The agent could not do it.
    #[error("{request}: {message}")]
    Guest {
        /// What was asked.
        request: String,
        /// What the agent said.
        message: String,
    },
    /// No answer in time.
    #[error("{awaited} did not come within {} s", .after.as_secs_f64())]
    Deadline {
        /// What was awaited.
        awaited: String,
        /// How long.
        after: Duration,
    },
    /// More came than was allowed; what came first was dropped with it.
    #[error("{request}: more than {limit} bytes came back")]
    TooMuch {
        /// What was asked.
        request: String,
        /// The bound.
        limit: usize,
    },
    /// The request does not fit the protocol.
    #[error("{request}: cannot be asked: {message}")]
    Request {
        /// What was to be asked.
        request: String,
        /// Why not.
        message: String,
    },
}
