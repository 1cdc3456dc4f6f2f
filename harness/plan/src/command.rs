//! Any program as a workload, and what to read from its output.

use std::{collections::BTreeMap, path::PathBuf};

use measure::{Better, Definition, Unit, YieldedBy};
use serde::{Deserialize, Serialize};

use crate::Transport;

/// Any program in the guest, run as often as asked for within each boot.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Command {
    /// Program and arguments. `{server}`, `{port}` and `{files}` in them stand for the address of the server's side, the
    /// port of `server`, and the folder that `files` are in.
    pub run: Vec<String>,
    /// Where it runs.
    pub side: Side,
    /// What is started first, on the server's side, and ended last.
    pub server: Option<CommandServer>,
    /// Put into the guest, on both sides, before anything starts.
    pub files: Vec<GuestFile>,
    /// Added to the environment.
    pub env: BTreeMap<String, String>,
    /// Its standard input.
    pub stdin: String,
    /// Longest time that one run may take, in seconds.
    pub deadline_s: u32,
    /// Which exit statuses are a success.
    pub exit: AcceptedExit,
    /// Runs within one boot; each metric's median over them is the boot's value.
    pub repeat: u32,
    /// What to read from its output.
    pub metrics: Vec<CommandMetric>,
}

/// Where a command runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Side {
    /// On the client's side.
    Client,
    /// On the server's side.
    Server,
}

/// What a command talks to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CommandServer {
    /// Program and arguments, with the same placeholders as the command's.
    pub run: Vec<String>,
    /// The command starts once something listens there.
    pub port: u16,
    /// TCP or UDP.
    pub transport: Transport,
}

/// A file of the host in the guest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GuestFile {
    /// Absolute path on the host.
    pub path: PathBuf,
    /// Of its bytes, in hexadecimal: what was planned is what runs.
    pub sha256: String,
    /// Its name in the guest, below the workload's folder.
    pub name: String,
    /// Whether it may be executed.
    pub executable: bool,
}

/// Which exit statuses are a success.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AcceptedExit {
    /// These.
    OneOf(Vec<u8>),
    /// Every status; a signal is none.
    Any,
}

impl AcceptedExit {
    /// Whether `status` is a success.
    #[must_use]
    pub fn accepts(&self, status: i32) -> bool {
        match self {
            Self::OneOf(statuses) => statuses.iter().any(|accepted| i32::from(*accepted) == status),
            Self::Any => true,
        }
    }

    /// Whether only one status is, so that it tells nothing.
    #[must_use]
    pub fn is_single(&self) -> bool {
        matches!(self, Self::OneOf(statuses) if statuses.len() == 1)
    }
}

/// A metric that a scenario defines for a command's output.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CommandMetric {
    /// No name of a metric that Assay knows.
    pub name: String,
    /// Unit of its values, after `scale`.
    pub unit: Unit,
    /// Which way it is better.
    pub better: Better,
    /// Where the values stand.
    pub from: OutputOf,
    /// How they are found there.
    pub find: Find,
    /// Which of several values counts.
    pub which: Which,
    /// What each value is multiplied by.
    pub scale: f64,
}

/// Where a command's values stand.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OutputOf {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
    /// A file in the guest, read after each run.
    File(String),
}

/// How values are found in an output.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Find {
    /// The group `value` of every match of a regular expression, or its only group.
    Regex(String),
    /// The number, or the numbers of the array, at a JSON pointer (RFC 6901).
    Json(String),
}

/// Which of the values that one run yields counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Which {
    /// The first.
    First,
    /// The last.
    Last,
    /// The smallest.
    Min,
    /// The largest.
    Max,
    /// Their arithmetic mean.
    Mean,
    /// Their sum.
    Sum,
    /// Each for itself, told apart by the dimension `occurrence`, from 0.
    Each,
}

/// The dimension that tells the values of [`Which::Each`] apart.
pub const OCCURRENCE: &str = "occurrence";

impl CommandMetric {
    /// As other metrics are defined.
    #[must_use]
    pub fn definition(&self) -> Definition<'_> {
        Definition {
            name: &self.name,
            unit: self.unit,
            better: self.better,
            yielded_by: YieldedBy::Command,
            dims: if self.which == Which::Each { &[OCCURRENCE] } else { &[] },
            help: "as the scenario defines it",
        }
    }
}
