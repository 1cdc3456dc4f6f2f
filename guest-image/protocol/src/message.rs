//! What can be asked of the agent, and what it answers.

use serde::{Deserialize, Serialize};

/// Version of the protocol. The agent says it in [`FromAgent::Ready`]; the host refuses another one. Both are built
/// from one tree, so this guards against a stale image, not against the past.
pub const VERSION: u32 = 7;

/// Most bytes of payload in one message.
pub const CHUNK: usize = 64 * 1024;

/// Most bytes of input that an [`Interact`] may be sent before it has taken any, and of output that it may send before
/// the host has. Either side says what it took (`Taken`), and the other may then send as much again: an end that stops
/// reading stops its own stream, and no other request.
pub const WINDOW: usize = 2 * CHUNK;

/// Names a request; chosen by the host, unique while it is open. Every answer carries the request's.
pub type Id = u32;

/// From the host to the agent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ToAgent {
    /// Run a command. Answered by `Started`, any number of `Output`, and `Ended`; or by `Failed`. It ends when its first
    /// process does: what is left of its process group is killed then, and what was written until then is its output.
    Exec(Id, Exec),
    /// Send a signal to the process group of a running `Exec` or `Interact`. Answered by `Done`, or `Failed` if it has
    /// ended.
    Kill(Id, KillTarget, i32),
    /// Write a part of a file. The first part creates or truncates it, the last part (`last`) publishes it under its
    /// name; every part is answered by `Done` or `Failed`. Files below /proc and /sys are written in place, in one part.
    Put {
        /// This request.
        id: Id,
        /// Absolute path in the guest.
        path: String,
        /// Permission bits.
        mode: u32,
        /// Byte at which this part starts; 0 for the first part.
        offset: u64,
        /// At most [`CHUNK`] bytes.
        bytes: Vec<u8>,
        /// Whether this is the last part.
        last: bool,
    },
    /// Read files. Each pattern is an absolute path in which `*` matches within one component, or a source, `KIND:NAME`,
    /// which is no file and is answered as one called so:
    ///
    /// - `clock:monotonic`: CLOCK_MONOTONIC in nanoseconds, a decimal number and a line end;
    /// - `netlink:FAMILY/COMMAND`: the dump of a generic netlink family by a command's number, as the kernel sends it, the
    ///   NLMSG_DONE at its end included;
    /// - `ethtool-stats:INTERFACE`: a driver's own counters as `ethtool -S` shows them, a line `NAME: VALUE` for each;
    ///   `ethtool-stats:*` is answered for each interface but the loopback device;
    /// - `trace:syscalls`: only in an [`Exec::snapshot`], and answered only after the command: a line `lost COUNT`, then one for
    ///   each system call that the command and its children made, seven decimal numbers: the call's number, calls, those that
    ///   returned an error, nanoseconds in all, of the shortest, of the longest, and the sum of their squares.
    ///
    /// Answered by one `File` after another, then `Done`.
    Read {
        /// This request.
        id: Id,
        /// Patterns.
        patterns: Vec<String>,
        /// Most bytes of each file.
        limit: u32,
    },
    /// The kernel's log from the start (`/dev/kmsg`). Answered by `Output` and `Done`.
    KernelLog(Id),
    /// Wait until something listens. Answered by `Done`, or `Failed` when the deadline passes.
    WaitListening(Id, Listen),
    /// Wait until a file reads as it should. Answered by `Done`, or `Failed` when the deadline passes.
    WaitFile(Id, WaitFile),
    /// Flush, unmount and power off. The machine's end is the answer.
    PowerOff(Id),
    /// Run a command that is fed while it runs, for as long as it likes. Answered by `Started`, `Output` and `Taken` as it
    /// goes on, and `Ended`; or by `Failed`. It ends as an `Exec` does; what it wrote last, at most [`CHUNK`] bytes of
    /// each stream, comes whatever the window says.
    Interact(Id, Interact),
    /// What an `Interact` reads next; it may have ended meanwhile. Not answered but by `Taken`.
    Input {
        /// The `Interact`.
        id: Id,
        /// 1 to [`CHUNK`] bytes, within the [`WINDOW`].
        bytes: Vec<u8>,
    },
    /// There is no more input for an `Interact`. Not answered. A terminal has no such end, but a character: 4, Ctrl-D.
    InputEnd(Id),
    /// The host took this many bytes of an `Interact`'s output. Not answered.
    Taken(Id, u32),
    /// The terminal of an `Interact` has another size. Not answered.
    Resize(Id, TerminalSize),
    /// Mount a folder of the host that the machine shares. Answered by `Done` or `Failed`.
    Mount(Id, Share),
    /// Shift what comes after: its moment, and the state of memory. Answered by `Done` or `Failed`.
    Perturb(Id, Perturb),
    /// Give a NIC's receive queues rings of another length. Answered by `Done`, once the driver has it so, or `Failed`.
    SetRing(Id, SetRing),
}

impl ToAgent {
    /// The request that it makes, or is about.
    #[must_use]
    pub fn id(&self) -> Id {
        match self {
            Self::Exec(id, _)
            | Self::Kill(id, ..)
            | Self::Put { id, .. }
            | Self::Read { id, .. }
            | Self::KernelLog(id)
            | Self::WaitListening(id, _)
            | Self::WaitFile(id, _)
            | Self::PowerOff(id)
            | Self::Interact(id, _)
            | Self::Input { id, .. }
            | Self::InputEnd(id)
            | Self::Taken(id, _)
            | Self::Resize(id, _)
            | Self::Mount(id, _)
            | Self::Perturb(id, _)
            | Self::SetRing(id, _) => *id,
        }
    }
}

/// Which `Exec` to signal.
pub type KillTarget = Id;

/// A command to run in the guest.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exec {
    /// Program and arguments; the program is looked up in the agent's `PATH`.
    pub argv: Vec<String>,
    /// Added to the agent's environment.
    pub env: Vec<(String, String)>,
    /// A network namespace by its name in `/run/netns`; the agent's own if none.
    pub netns: Option<String>,
    /// Cores that it may run on; all if empty.
    pub cpus: Vec<u32>,
    /// Given to the command as its standard input, which then ends. At most [`CHUNK`] bytes.
    pub stdin: Vec<u8>,
    /// Read immediately before the command starts and immediately after it has ended, within the namespace.
    /// Patterns as in [`ToAgent::Read`].
    pub snapshot: Vec<String>,
    /// The number of the window that begins immediately before the command starts and ends immediately after it has ended,
    /// between the snapshots: the marks of `guest-image/mark`.
    pub window: Option<u32>,
    /// The command's process group is killed when this has passed.
    pub deadline_ms: u64,
}

/// A command that is fed while it runs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Interact {
    /// Program and arguments; the program is looked up in `PATH`: that of `env`, or the agent's.
    pub argv: Vec<String>,
    /// Added to the agent's environment.
    pub env: Vec<(String, String)>,
    /// The folder that it runs in; the agent's own if none.
    pub directory: Option<String>,
    /// On a terminal of its own of this size: it leads a session, and all its output is standard output. Otherwise its
    /// three streams are pipes.
    pub terminal: Option<TerminalSize>,
}

/// The size of a terminal, in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TerminalSize {
    /// Lines.
    pub rows: u16,
    /// Characters in a line.
    pub columns: u16,
}

/// A folder of the host, over 9p.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Share {
    /// The mount tag of its virtio device.
    pub tag: String,
    /// An absolute path in the guest; folders that are missing on the way are made.
    pub target: String,
    /// Whether the guest may not write. The machine does not let it write either.
    pub read_only: bool,
}

/// What shifts whatever is done after it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Perturb {
    /// Pipes and pairs of sockets, with data in them, that are made. Every third is kept as long as the agent lives.
    pub held: u32,
    /// How long to wait then, in microseconds.
    pub wait_us: u32,
}

/// How long receive rings are to be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SetRing {
    /// A network namespace by its name in `/run/netns`; the agent's own if none.
    pub netns: Option<String>,
    /// The interface.
    pub interface: String,
    /// Descriptors of each receive queue.
    pub receive: u32,
}

/// Something that is to listen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listen {
    /// A network namespace by its name in `/run/netns`.
    pub netns: Option<String>,
    /// TCP in state LISTEN, or a bound UDP socket.
    pub transport: Transport,
    /// Port.
    pub port: u16,
    /// How long to wait.
    pub deadline_ms: u64,
}

/// A file that is to read as it should.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WaitFile {
    /// A network namespace by its name in `/run/netns`: its devices are then what /sys shows.
    pub netns: Option<String>,
    /// Absolute path.
    pub path: String,
    /// What it is to read as, white space at its end apart. A file that cannot be read is waited for as well.
    pub content: String,
    /// How long to wait.
    pub deadline_ms: u64,
}

/// A transport protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Transport {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
}

/// From the agent to the host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum FromAgent {
    /// The agent is up; sent once, unasked, as its first message. Where a script was played, all that was answered follows,
    /// and then `Played`.
    Ready {
        /// [`VERSION`].
        version: u32,
        /// CLOCK_BOOTTIME when it was sent, in nanoseconds.
        uptime_ns: u64,
        /// `uname -r`.
        release: String,
    },
    /// The command runs.
    Started {
        /// The request.
        id: Id,
        /// Its process id in the guest.
        pid: u32,
    },
    /// Something that the command, or the kernel's log, wrote.
    Output {
        /// The request.
        id: Id,
        /// Which stream.
        stream: Stream,
        /// At most [`CHUNK`] bytes.
        bytes: Vec<u8>,
    },
    /// The command has ended and its output is complete.
    Ended {
        /// The request.
        id: Id,
        /// How it ended.
        how: HowEnded,
        /// CLOCK_MONOTONIC between start and end, in nanoseconds.
        elapsed_ns: u64,
    },
    /// A file as it was read: for `Read`, or for a snapshot of an `Exec`.
    File {
        /// The request.
        id: Id,
        /// The path that matched.
        path: String,
        /// Which reading this is.
        moment: Moment,
        /// What was read, or why not.
        content: FileContent,
    },
    /// The request is done.
    Done(Id),
    /// The request could not be done.
    Failed(Id, String),
    /// This many bytes of an `Interact`'s input were taken.
    Taken(Id, u32),
    /// In the place of `Ready`: the kernel cannot be what the machine was made for, in words for the user. Nothing else
    /// is answered.
    Unfit(String),
    /// The answers to the script that was played have all been sent; from here on the agent answers as it is asked.
    Played,
}

impl FromAgent {
    /// The request that it answers; none for what the agent says unasked.
    #[must_use]
    pub fn id(&self) -> Option<Id> {
        match self {
            Self::Started { id, .. }
            | Self::Output { id, .. }
            | Self::Ended { id, .. }
            | Self::File { id, .. }
            | Self::Done(id)
            | Self::Taken(id, _)
            | Self::Failed(id, _) => Some(*id),
            Self::Ready { .. } | Self::Unfit(_) | Self::Played => None,
        }
    }
}

/// When a file was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Moment {
    /// On a `Read`.
    Now,
    /// Immediately before a command.
    Before,
    /// Immediately after a command.
    After,
}

/// What was read from a file, or why not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum FileContent {
    /// A part of it. A file larger than [`CHUNK`] comes in several messages; the last part is marked.
    Part {
        /// At most [`CHUNK`] bytes.
        bytes: Vec<u8>,
        /// Whether this is the end of it.
        last: bool,
    },
    /// It could not be read.
    Unreadable(String),
}

/// One of a command's streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Stream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum HowEnded {
    /// With this status.
    Exited(i32),
    /// By this signal.
    Signalled(i32),
    /// Killed by the agent because its deadline had passed.
    DeadlinePassed,
}
