//! A TCP stream that is sent and received in a chosen way, with or without copies, by `assay-bench`.

use serde::{Deserialize, Serialize};

use crate::Amount;

/// What a stream is asked. The server's side receives, the client's side sends.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stream {
    /// How the payload comes to the receiving application.
    pub receive: Receive,
    /// How it leaves the sending one.
    pub send: Send,
    /// Connections, 1 to 64.
    pub flows: u32,
    /// How much is sent; bytes are those of all flows, a multiple of their number.
    pub amount: Amount,
    /// Most bytes that one read asks for.
    pub read_bytes: u32,
    /// Bytes of one call to send.
    pub message_bytes: u32,
    /// Whether each byte is compared with what was sent.
    pub verify: bool,
    /// Where the two applications and the receiver's softirqs run.
    pub cores: Cores,
    /// What the receiver's NIC is put into while the stream runs.
    pub nic: StreamNic,
    /// BIG TCP: largest packets that GRO makes on the receiver, and that the sender's TCP hands to its NIC.
    pub big_tcp: BigTcp,
    /// Part of the payload that must have gone without a copy, from 0 to 1, or the cell is void.
    pub least_zero_copy: f64,
    /// Powers in the return on investment.
    pub roi: Roi,
}

/// How payload comes to a receiver.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "mode", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Receive {
    /// `recv`: every byte is copied.
    Plain,
    /// `TCP_ZEROCOPY_RECEIVE`: whole pages are mapped.
    TcpZerocopyReceive,
    /// Device memory TCP.
    Devmem {
        /// Size of the udmabuf that payload lands in.
        udmabuf_bytes: u64,
        /// Most fragments that one `SO_DEVMEM_DONTNEED` gives back, 1 to 1024.
        token_batch: u32,
        /// Fragments that are collected over several reads before any is given back; 0 is after each read.
        accumulate: u32,
    },
    /// io_uring zcrx, with a NIC's queue.
    Zcrx(Zcrx),
    /// io_uring zcrx without a NIC (`ZCRX_REG_NODEV`): every byte is copied, through the same interface.
    ZcrxNodev(Zcrx),
}

/// The memory and the ring of zcrx.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Zcrx {
    /// Size of the memory that payload lands in.
    pub area_bytes: u64,
    /// Entries of the refill ring, a power of two up to 32768.
    pub refill_entries: u32,
    /// Waits with `IORING_ENTER_NO_IOWAIT`.
    pub no_iowait: bool,
}

/// How payload leaves a sender.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "mode", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Send {
    /// `send`: every byte is copied.
    Plain,
    /// `send` with `MSG_ZEROCOPY`.
    MsgZerocopy,
    /// io_uring's `SEND_ZC`.
    SendZc {
        /// Waits with `IORING_ENTER_NO_IOWAIT`.
        no_iowait: bool,
    },
    /// Device memory TCP: the NIC reads from a udmabuf.
    Devmem,
}

/// Where applications and softirqs run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Cores {
    /// Wherever the kernel puts them.
    Any,
    /// The receiver's application and the softirqs of its queue on core 0, the sender on the last core.
    One,
    /// The softirqs of the receiver's queue on core 0, its application on core 1, the sender on the last core.
    Two,
}

/// What the receiver's NIC is put into while the stream runs; what is none stays, or is what the mode needs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StreamNic {
    /// `tcp-data-split`.
    pub header_split: Option<bool>,
    /// `hds-thresh` in bytes.
    pub header_split_threshold: Option<u32>,
    /// `rx-gro-hw`.
    pub hardware_gro: Option<bool>,
    /// Descriptors of each receive ring.
    pub receive_ring: Option<u32>,
    /// Whether rules lead the flows to the queue that memory is bound to.
    pub steer: bool,
}

/// Largest packets above the NIC, in bytes; none leaves what the device has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BigTcp {
    /// `gro_max_size` and `gro_ipv4_max_size` of the receiver's interface.
    pub gro_max_bytes: Option<u32>,
    /// `gso_max_size` and `gso_ipv4_max_size` of the sender's interface.
    pub gso_max_bytes: Option<u32>,
}

/// The powers of the return on investment: throughput^n over the sum of CPU, and throughput^n over power^m.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Roi {
    /// n.
    pub throughput: f64,
    /// m.
    pub power: f64,
}

impl Default for Roi {
    fn default() -> Self {
        Self { throughput: 2.0, power: 1.0 }
    }
}

impl Receive {
    /// Its name in scenarios and reports.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::TcpZerocopyReceive => "tcp-zerocopy-receive",
            Self::Devmem { .. } => "devmem",
            Self::Zcrx(_) => "zcrx",
            Self::ZcrxNodev(_) => "zcrx-nodev",
        }
    }

    /// Whether it binds memory to a NIC's queue, which only a driver with memory providers has.
    #[must_use]
    pub fn needs_queue(&self) -> bool {
        matches!(self, Self::Devmem { .. } | Self::Zcrx(_))
    }

    /// Whether payload is to come without a copy.
    #[must_use]
    pub fn is_zero_copy(&self) -> bool {
        self.needs_queue() || *self == Self::TcpZerocopyReceive
    }
}

impl Send {
    /// Its name in scenarios and reports.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::MsgZerocopy => "msg-zerocopy",
            Self::SendZc { .. } => "send-zc",
            Self::Devmem => "devmem",
        }
    }
}
