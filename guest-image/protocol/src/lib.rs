//! Messages between the host and the guest agent, and their framing.
//!
//! A frame is a little-endian `u32` length and that many bytes of postcard. Any byte stream carries it: virtio-serial
//! under QEMU today. Either side treats the other as hostile: lengths are bounded before anything is allocated, and a
//! frame that does not decode ends the conversation.
//!
//! Invariant: knows neither end, and no workload.

#![deny(missing_docs)]

mod frame;
mod message;
mod script;

pub use frame::{FrameError, MAX_FRAME, decode, encode, read_frame, write_frame};
pub use message::{
    CHUNK, Exec, FileContent, FromAgent, HowEnded, Id, Interact, KillTarget, Listen, Moment, Perturb,
    SetRing, Share, Stream, TerminalSize, ToAgent, Transport, VERSION, WINDOW, WaitFile,
};
pub use script::{Awaited, MOST_PLAYED, SCRIPT_FILE, Step};

/// Name of the virtio-serial port that carries the frames: `/dev/virtio-ports/<name>` in the guest.
pub const PORT_NAME: &str = "org.assay.agent.0";

/// The prefix of the lines that the agent itself writes to the console, so that a reader can tell them from the
/// kernel's.
pub const CONSOLE_PREFIX: &str = "assay-agent: ";
