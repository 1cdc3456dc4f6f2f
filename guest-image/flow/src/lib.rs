//! The vocabulary of a TCP stream that is sent and received in a chosen way, with or without copies: what a side is asked
//! ([`Ask`]), and what it reports ([`Report`]). `assay-bench` (`guest-image/bench`) is the program that does it.
//!
//! A conversation goes like this. The receiver sets up the NIC, binds its memory, listens on one port for each flow and on the
//! one behind them, and writes [`LISTENING`] as its first line. The sender connects all. The receiver reads the counters, begins the
//! window and says so on the last connection. The sender sends, ends its half of each flow, and says how much went; the receiver
//! ends the window at the last byte, compares, says whether all came and was right, and puts the NIC back. Each side writes its
//! [`Report`] as one line of JSON, its last.
//!
//! All that is counted is of the window, if its description does not say otherwise. Sizes are in bytes, times in
//! nanoseconds.
//!
//! Invariant: pure. Knows neither how a program is started nor how anything is done.

#![deny(missing_docs)]

mod arguments;
mod ask;
mod counters;
mod distribution;
mod report;

pub use ask::{
    Amount, Ask, Nic, READ_SIZE, REFILL_ENTRIES, Receive, ReceiveMode, Ring, Send, SendMode, TOKEN_BATCH,
    Tokens,
};
pub use counters::{Counters, PagePool, Provider, QueueCounters, QueueKind};
pub use distribution::Distribution;
pub use report::{Completions, Copies, Cpu, NicState, Report, Side};

/// The program's name in a guest.
pub const PROGRAM: &str = "assay-bench";

/// How a receiver's first line begins; the address and the first port follow, as in `listening 192.0.2.1 5300`.
pub const LISTENING: &str = "listening";

/// The program's exit statuses. Each but [`exit::OK`] comes with one sentence on standard error.
pub mod exit {
    /// All bytes arrived; if asked to be verified, they were right.
    pub const OK: i32 = 0;
    /// The transfer came to no end: the peer died, a deadline passed, a call failed, a signal came.
    pub const FAILED: i32 = 1;
    /// What was asked makes no sense.
    pub const MISUSE: i32 = 2;
    /// The payload that arrived is not the one that was sent.
    pub const CORRUPT: i32 = 65;
    /// The kernel, the NIC or the user's rights lack what the mode needs.
    pub const UNAVAILABLE: i32 = 69;
}
