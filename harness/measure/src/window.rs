//! The window of one workload: what can be read on both sides around it, and what moved within it.
//!
//! Written by `workload` and the runner, read by `collect`.

use std::{collections::BTreeMap, time::Duration};

use crate::{LevelsWindow, Provenance};

/// Files by their path in the guest, each with its content or why it could not be read.
pub type Files = BTreeMap<String, Result<Vec<u8>, String>>;

/// The same files of one side, twice.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SideFiles {
    /// Read immediately before the window.
    pub before: Files,
    /// Read immediately after the window.
    pub after: Files,
}

/// What the server's and the client's files have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sides {
    /// Nothing: each side is a guest of its own.
    TwoGuests,
    /// One kernel, hence the same cores; counters of the network namespaces are each side's own.
    TwoNamespaces,
    /// Everything: both sides' traffic is in the same counters. Only the client's files are read.
    OneNamespace,
}

/// What a workload moves between its two sides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Traffic {
    /// A stream of payload; per-page figures make sense.
    Bulk(Payload),
    /// Small messages and their answers over TCP.
    TcpMessages,
    /// Small messages and their answers over UDP.
    UdpMessages,
    /// Whatever a command of the scenario does.
    Unknown,
}

/// Bytes of payload that receiving applications took within the whole window, warm-up and connection set-up included.
/// Zero where nothing was to be sent; nothing where the tool does not account for all of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Payload {
    /// Sent by the client.
    pub client_to_server: Option<u64>,
    /// Sent by the server.
    pub server_to_client: Option<u64>,
}

/// Everything that `collect` reduces to samples.
#[derive(Clone, Debug, PartialEq)]
pub struct Window {
    /// What both sides share.
    pub sides: Sides,
    /// The server's files; empty if [`Sides::OneNamespace`].
    pub server: SideFiles,
    /// The client's files.
    pub client: SideFiles,
    /// Files of guests that are no side and carry one, by the guest's name: the host of a nested machine.
    pub carriers: BTreeMap<String, SideFiles>,
    /// From the start of the client's command to its end, by the guest's monotonic clock.
    pub elapsed: Duration,
    /// What moved.
    pub traffic: Traffic,
    /// Counted trace events, in traced boots.
    pub trace: Option<TraceCounts>,
    /// What the host's KVM counted, if it was asked.
    pub kvm: Option<KvmCounts>,
    /// What the host's meters said, if they were asked.
    pub power: Option<PowerReadings>,
    /// What the host's processors counted of their IOMMUs, or why they did not, if they were asked.
    pub hardware: Option<Result<HardwareWindow, String>>,
    /// What was executed, in a closed world.
    pub instructions: Option<InstructionCounts>,
    /// The clocks of all levels, if what they do is put on one axis.
    pub levels: Option<LevelsWindow>,
}

impl Window {
    /// A window around which nothing was read.
    #[must_use]
    pub fn empty(sides: Sides) -> Self {
        Self {
            sides,
            carriers: BTreeMap::new(),
            server: SideFiles::default(),
            client: SideFiles::default(),
            elapsed: Duration::ZERO,
            traffic: Traffic::Unknown,
            trace: None,
            kvm: None,
            power: None,
            hardware: None,
            instructions: None,
            levels: None,
        }
    }
}

/// What a guest executed within a window, both ends of the workload together, as QEMU's TCG executes it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InstructionCounts {
    /// Instructions of the kernel by context (`task`, `softirq`, `hardirq`, `nmi`, `idle`), without string instructions.
    pub kernel: BTreeMap<String, u64>,
    /// Bytes that the kernel's string instructions handled, by context.
    pub string_bytes: BTreeMap<String, u64>,
    /// How often the kernel's repeated string instructions were executed, idle tasks apart: once each, whatever they handled.
    pub string_executions: u64,
    /// Of the kernel's, those that stand for a NIC's hardware, idle tasks apart; none without such a NIC.
    pub device: Option<u64>,
    /// Instructions of programs, without string instructions.
    pub user: u64,
    /// How often each of [`crate::metric::EVENTS`] occurred, idle tasks apart; or why that cannot be told.
    pub events: BTreeMap<String, Result<u64, String>>,
}

/// KVM's counters by the guest's name, as in [`TraceCounts`], or why a guest has none.
pub type KvmCounts = BTreeMap<String, Result<KvmWindow, String>>;

/// What the host's KVM had counted of one guest before and after a workload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KvmWindow {
    /// Between the two readings, by the host's clock: the workload, and its preparation.
    pub elapsed: Duration,
    /// Counters by their names in debugfs, before.
    pub before: BTreeMap<String, u64>,
    /// And after.
    pub after: BTreeMap<String, u64>,
}

/// What the host took within a window, by the name of the meter, or why a meter does not tell.
pub type PowerReadings = BTreeMap<String, Result<Metered, String>>;

/// A mean over a window: from before the server's start until after its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Metered {
    /// Never 0.
    pub milliwatts: u64,
    /// Which kind of meter it is.
    pub provenance: Provenance,
}

/// Performance counters of the host's I/O units and IOMMUs, over a window that begins before the server's start and ends after its end.
#[derive(Clone, Debug, PartialEq)]
pub struct HardwareWindow {
    /// By the host's clock.
    pub elapsed: Duration,
    /// One for each figure and kind of counter.
    pub counts: Vec<HardwareCount>,
}

/// One figure, summed over units.
#[derive(Clone, Debug, PartialEq)]
pub struct HardwareCount {
    /// Which kind of counter it is.
    pub provenance: Provenance,
    /// A word of the counting side's, such as `misses`.
    pub figure: String,
    /// The count, scaled up to the whole window where it was not counted all the time; or perf's reason for none.
    pub value: Result<f64, String>,
    /// Part of the time in which it was counted.
    pub counted_percent: f64,
}

/// Trace events of QEMU, by the guest's name: `server`, `client`, `host`, or `guest` when there is only one.
pub type TraceCounts = BTreeMap<String, GuestTrace>;

/// Trace events of the QEMU that one guest runs in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GuestTrace {
    /// Whether the guest has an emulated IOMMU; without one its events mean nothing.
    pub iommu: bool,
    /// How often each event occurred in the window; an event that was watched and did not occur is there with zero.
    pub events: BTreeMap<String, u64>,
}
