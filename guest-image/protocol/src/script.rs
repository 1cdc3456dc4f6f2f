//! A conversation that was decided before the guest's power-on: what is asked of the agent, and what has to have come
//! back before it is asked the next thing.
//!
//! An agent that finds one in its initramfs plays it as if a host were asking, keeps every answer, and only then opens
//! its port: nothing travels between host and guest while it plays. A script is written down while a host holds the
//! same conversation with a guest that is booted for it, so that whatever can be driven can be played.

use serde::{Deserialize, Serialize};

use crate::{Id, ToAgent};

/// Where a script stands in an initramfs. A script is frames of [`Step`], one after the other, to the end of the file.
pub const SCRIPT_FILE: &str = "assay.script";

/// Most bytes that the answers to a script may have, frames and all.
pub const MOST_PLAYED: usize = 128 * 1024 * 1024;

/// One step of a script.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Step {
    /// This is asked.
    Ask(ToAgent),
    /// Nothing more is asked until so much of the answer has come.
    Await(Id, Awaited),
}

/// How much of an answer is awaited.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Awaited {
    /// The command runs, or the request is over.
    Started,
    /// The request is over.
    Ended,
}
