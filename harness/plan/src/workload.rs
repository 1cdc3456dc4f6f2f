//! What runs on the machines, and what is collected around it.

use measure::Definition;
use serde::{Deserialize, Serialize};

use crate::{Cell, Command, CommandMetric, ImportedWorkload, Ktap, Stream};

/// A workload by its name in the plan.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Workload {
    /// Unique within the plan, and fit for a file's name, as an arm's.
    pub name: String,
    /// Its place in the matrix, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cell: Option<Cell>,
    /// The tool and its parameters.
    pub kind: WorkloadKind,
}

/// The tool and its parameters.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "tool", rename_all = "kebab-case", deny_unknown_fields)]
pub enum WorkloadKind {
    /// Bulk throughput.
    Iperf3(Iperf3),
    /// Latency.
    Sockperf(Sockperf),
    /// Any program.
    Command(Command),
    /// The kernel's own tests.
    Ktap(Ktap),
    /// Bulk throughput with and without copies.
    Stream(Stream),
    /// Whatever somebody ran elsewhere.
    Imported(ImportedWorkload),
}

impl Workload {
    /// The metrics that the plan defines for this workload's output.
    pub fn own_metrics(&self) -> impl Iterator<Item = Definition<'_>> {
        let metrics: &[CommandMetric] = match &self.kind {
            WorkloadKind::Command(command) => &command.metrics,
            WorkloadKind::Iperf3(_)
            | WorkloadKind::Sockperf(_)
            | WorkloadKind::Ktap(_)
            | WorkloadKind::Stream(_)
            | WorkloadKind::Imported(_) => &[],
        };
        metrics.iter().map(CommandMetric::definition)
    }
}

/// `iperf3 -c`, JSON output, TCP.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Iperf3 {
    /// Parallel streams, `-P`, 1 to 128.
    pub flows: u32,
    /// Who sends.
    pub direction: Iperf3Direction,
    /// How much is measured, after `warmup_s`.
    pub amount: Amount,
    /// Seconds that are run first and left out, `-O`.
    pub warmup_s: u32,
    /// Bytes per write, `-l`.
    pub message_bytes: u32,
    /// `-C`, such as `cubic`; the guest's default if none.
    pub congestion: Option<String>,
}

/// Who sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Iperf3Direction {
    /// The client sends, the server receives.
    ClientToServer,
    /// The server sends, `-R`.
    ServerToClient,
    /// Both at once, `--bidir`.
    Both,
}

/// How much is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Amount {
    /// For so many seconds, `-t`.
    Seconds(u32),
    /// So many bytes over all flows, `-n`.
    Bytes(u64),
}

/// `sockperf ping-pong` or `under-load`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sockperf {
    /// Which of sockperf's tests.
    pub mode: SockperfMode,
    /// TCP or UDP.
    pub transport: Transport,
    /// Bytes per message, `-m`, 14 to 65507.
    pub message_bytes: u32,
    /// Seconds, `-t`.
    pub seconds: u32,
}

/// Which of sockperf's tests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SockperfMode {
    /// One message in flight.
    PingPong,
    /// A fixed rate of messages in a second, `--mps`, answered one in a hundred.
    UnderLoad {
        /// Messages in a second.
        messages_per_second: u32,
    },
}

/// Transport of a socket workload.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Transport {
    /// `--tcp`.
    Tcp,
    /// sockperf's default.
    Udp,
}
