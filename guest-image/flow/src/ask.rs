//! What a side is asked to do, with every knob.

use std::{net::IpAddr, ops::RangeInclusive, time::Duration};

use serde::{Deserialize, Serialize};

/// Sizes of one read in bytes that [`Receive::read_size`] takes: what the control messages of one page are not lost in,
/// up to the 64 MiB of the battle of the ZCs.
pub const READ_SIZE: RangeInclusive<u64> = 4096..=64 * 1024 * 1024;

/// Fragments that one `SO_DEVMEM_DONTNEED` may give back: `MAX_DONTNEED_FRAGS` of net/core/sock.c.
pub const TOKEN_BATCH: RangeInclusive<u32> = 1..=1024;

/// Entries of a refill ring, a power of two: `IO_RQ_MAX_ENTRIES` of io_uring/zcrx.c.
pub const REFILL_ENTRIES: RangeInclusive<u32> = 1..=32768;

/// One side of a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ask {
    /// The side that listens.
    Receive(Receive),
    /// The side that connects.
    Send(Send),
}

/// What a receiver is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receive {
    /// How the payload comes to the application.
    pub mode: ReceiveMode,
    /// The address to listen on.
    pub address: IpAddr,
    /// The first flow's port; the others have the next ones, and the one behind them is for what the sides tell each other.
    pub port: u16,
    /// How many connections carry the stream.
    pub flows: u16,
    /// Most bytes that one read asks for, in [`READ_SIZE`]. Neither zcrx mode reads: there it is what one multishot
    /// request takes before it is issued again, and 0 is a request without end.
    pub read_size: u64,
    /// Whether each byte is compared with what the sender put there. Both sides must be asked alike.
    pub verify: bool,
    /// The NIC that the flows come in through. Modes with a NIC's queue need it; others take it for its counters.
    pub nic: Option<Nic>,
    /// The CPU that the application runs on; any, if none.
    pub cpu: Option<u32>,
    /// The CPU that the NIC's queue is served on: its interrupt's, or its NAPI thread's where there is no interrupt.
    pub softirq_cpu: Option<u32>,
    /// The number of the window that its marks begin and end (`guest-image/mark`). Only one side can place them.
    pub mark: Option<u32>,
    /// After which the side gives up, from its start.
    pub deadline: Duration,
}

/// What a sender is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Send {
    /// How the payload leaves the application.
    pub mode: SendMode,
    /// The receiver's address.
    pub address: IpAddr,
    /// The first flow's port.
    pub port: u16,
    /// How many connections carry the stream.
    pub flows: u16,
    /// Bytes of one call to send.
    pub message_size: u64,
    /// How much is sent.
    pub amount: Amount,
    /// Whether every message is written anew with what the receiver expects at its position.
    pub verify: bool,
    /// The NIC that the flows leave through, for its counters; devmem binds its memory to it.
    pub interface: Option<String>,
    /// The CPU that the application runs on; any, if none.
    pub cpu: Option<u32>,
    /// The number of the window that its marks begin and end. Only one side can place them.
    pub mark: Option<u32>,
    /// After which the side gives up, from its start.
    pub deadline: Duration,
}

/// When a sender has sent enough.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Amount {
    /// So many bytes on each flow.
    Bytes(u64),
    /// What it takes to send for so long; the message that is being sent is ended.
    Duration(Duration),
}

/// How payload comes to a receiver.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "name")]
pub enum ReceiveMode {
    /// `recv`: every byte is copied.
    Plain,
    /// `TCP_ZEROCOPY_RECEIVE`: whole pages are mapped, the rest is copied.
    TcpZerocopy,
    /// Device memory TCP: payload lands in a udmabuf that is bound to the NIC's queue.
    Devmem {
        /// Size of the udmabuf in bytes.
        udmabuf: u64,
        /// How buffers are given back.
        tokens: Tokens,
    },
    /// io_uring zcrx: payload lands in memory that is registered with the NIC's queue.
    Zcrx(Ring),
    /// io_uring zcrx without a NIC (`ZCRX_REG_NODEV`): the same interface, and every byte is copied.
    ZcrxNodev(Ring),
}

/// How a receiver gives buffers back to a devmem binding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tokens {
    /// Most fragments that one `SO_DEVMEM_DONTNEED` returns, in [`TOKEN_BATCH`]. Neighbouring tokens go in one range, of
    /// which a call takes 128 at most (`MAX_DONTNEED_TOKENS`).
    pub batch: u32,
    /// Fragments that are collected over several reads before any is returned; 0 returns them after each read.
    pub accumulate: u32,
}

/// A ring of io_uring that receives, and its memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ring {
    /// Size of the memory that payload lands in, in bytes.
    pub area: u64,
    /// Entries of the refill ring, through which buffers go back: a power of two in [`REFILL_ENTRIES`].
    pub refill_entries: u32,
    /// Waits with `IORING_ENTER_NO_IOWAIT`, so that they are not booked as waiting for a disk.
    pub no_iowait: bool,
}

/// How payload leaves a sender.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "name")]
pub enum SendMode {
    /// `send`: every byte is copied.
    Plain,
    /// `send` with `MSG_ZEROCOPY`; completions come through the socket's error queue.
    Zerocopy,
    /// io_uring's `SEND_ZC`; completions come as notifications.
    UringZerocopy {
        /// Waits with `IORING_ENTER_NO_IOWAIT`.
        no_iowait: bool,
    },
    /// Device memory TCP: the NIC reads payload from a udmabuf that is bound to it.
    Devmem,
}

/// A NIC's queue, and the state that the NIC is put into for as long as the receiver runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Nic {
    /// The interface's name.
    pub interface: String,
    /// The queue that the flows are steered to, and that memory is bound to; the other queues share the rest of the traffic. None
    /// leaves steering as it is, which no mode with a queue can do.
    pub queue: Option<u32>,
    /// Whether a rule for each flow's port leads to the queue (`ethtool -N`). Without, flows go where RSS sends them, which is
    /// never the queue: a copy is then the only way, and shows whether it is noticed.
    pub steer: bool,
    /// Splits headers from payload (`tcp-data-split`). Modes with a queue set it if nothing is asked; asked for false, they
    /// bind nevertheless, and end with the kernel's refusal.
    pub header_split: Option<bool>,
    /// Payload up to so many bytes stays with its headers (`hds-thresh`); modes with a queue need 0, and set it if nothing is
    /// asked.
    pub header_split_threshold: Option<u32>,
    /// Coalesces segments in the NIC (`rx-gro-hw`); as it is, if none.
    pub hardware_gro: Option<bool>,
    /// Descriptors of each receive ring; as they are, if none.
    pub receive_ring: Option<u32>,
}

impl Default for Tokens {
    /// As many at once as the kernel takes, after each read.
    fn default() -> Self {
        Self { batch: *TOKEN_BATCH.end(), accumulate: 0 }
    }
}

impl ReceiveMode {
    /// Its name as an argument and in a report.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::TcpZerocopy => "tcp-zerocopy",
            Self::Devmem { .. } => "devmem",
            Self::Zcrx(_) => "zcrx",
            Self::ZcrxNodev(_) => "zcrx-nodev",
        }
    }

    /// Whether it binds memory to a NIC's queue.
    #[must_use]
    pub fn needs_queue(&self) -> bool {
        matches!(self, Self::Devmem { .. } | Self::Zcrx(_))
    }
}

impl SendMode {
    /// Its name as an argument and in a report.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Zerocopy => "zerocopy",
            Self::UringZerocopy { .. } => "uring-zerocopy",
            Self::Devmem => "devmem",
        }
    }
}
