//! A TCP stream with or without copies, by `assay-bench` on both sides: what is asked, what its reports say, and whether the
//! path that was asked for was taken.

mod drive;
mod parse;
mod path;
mod stat;
#[cfg(test)]
mod tests;

use std::time::Duration;

use flow::{Ask, Nic, ReceiveMode, Ring, SendMode, Tokens};
use machine::Endpoint;
use plan::{Amount, Cores, Receive, Send, Stream, Zcrx};

pub(crate) use drive::run;
pub use drive::{GUEST_PATH, furnish};
pub use parse::{Reports, parse};
pub use path::not_taken;

use crate::recipe::SLACK;

/// The first flow's port.
pub const PORT: u16 = 5300;

/// The queue that memory is bound to: the second, since the first takes all that is not steered.
const QUEUE: u32 = 1;

/// Slowest at which a fixed amount is waited for, in bytes per second: verified, counted by a plugin, on a busy host.
const SLOWEST: u64 = 256 * 1024;

/// Where both sides run, and what they are counted in.
#[derive(Clone, Copy, Debug)]
pub struct Placement {
    /// Cores of the receiver's guest and of the sender's.
    pub vcpus: u32,
    /// Whether the receiver's NIC can lead flows to a queue: then all modes have the same one.
    pub steers: bool,
    /// The number of the window that the receiver's marks begin and end, if instructions are counted.
    pub window: Option<u32>,
}

/// What the receiver is asked, on the server's side.
#[must_use]
pub fn receiver(params: &Stream, server: &Endpoint<'_>, placement: Placement) -> Ask {
    let ring = |zcrx: Zcrx| Ring {
        area: zcrx.area_bytes,
        refill_entries: zcrx.refill_entries,
        no_iowait: zcrx.no_iowait,
    };
    let mode = match params.receive {
        Receive::Plain => ReceiveMode::Plain,
        Receive::TcpZerocopyReceive => ReceiveMode::TcpZerocopy,
        Receive::Devmem { udmabuf_bytes, token_batch, accumulate } => {
            ReceiveMode::Devmem { udmabuf: udmabuf_bytes, tokens: Tokens { batch: token_batch, accumulate } }
        }
        Receive::Zcrx(zcrx) => ReceiveMode::Zcrx(ring(zcrx)),
        Receive::ZcrxNodev(zcrx) => ReceiveMode::ZcrxNodev(ring(zcrx)),
    };
    let queue = placement.steers || params.receive.needs_queue();
    let wired = !server.address.is_loopback();
    let (cpu, softirq_cpu) = match params.cores {
        Cores::Any => (None, None),
        Cores::One => (Some(0), Some(0)),
        Cores::Two => (Some(1), Some(0)),
    };
    Ask::Receive(flow::Receive {
        mode,
        address: server.address,
        port: PORT,
        flows: flows(params),
        read_size: params.read_bytes.into(),
        verify: params.verify,
        nic: wired.then(|| Nic {
            interface: server.interface.to_owned(),
            queue: queue.then_some(QUEUE),
            steer: params.nic.steer,
            header_split: params.nic.header_split,
            header_split_threshold: params.nic.header_split_threshold,
            hardware_gro: params.nic.hardware_gro,
            receive_ring: params.nic.receive_ring,
        }),
        cpu,
        softirq_cpu: if wired && queue { softirq_cpu } else { None },
        mark: placement.window,
        // It outlives the sender.
        deadline: deadline(params) + SLACK,
    })
}

/// What the sender is asked, on the client's side.
#[must_use]
pub fn sender(params: &Stream, server: &Endpoint<'_>, client: &Endpoint<'_>, placement: Placement) -> Ask {
    let mode = match params.send {
        Send::Plain => SendMode::Plain,
        Send::MsgZerocopy => SendMode::Zerocopy,
        Send::SendZc { no_iowait } => SendMode::UringZerocopy { no_iowait },
        Send::Devmem => SendMode::Devmem,
    };
    Ask::Send(flow::Send {
        mode,
        address: server.address,
        port: PORT,
        flows: flows(params),
        message_size: params.message_bytes.into(),
        amount: match params.amount {
            Amount::Seconds(seconds) => flow::Amount::Duration(Duration::from_secs(seconds.into())),
            Amount::Bytes(bytes) => flow::Amount::Bytes(bytes / u64::from(params.flows.max(1))),
        },
        verify: params.verify,
        interface: (!client.address.is_loopback()).then(|| client.interface.to_owned()),
        cpu: (params.cores != Cores::Any).then(|| placement.vcpus.saturating_sub(1)),
        mark: None,
        deadline: deadline(params),
    })
}

fn flows(params: &Stream) -> u16 {
    u16::try_from(params.flows).unwrap_or(u16::MAX)
}

/// After which the sender has given up.
fn deadline(params: &Stream) -> Duration {
    SLACK
        + match params.amount {
            Amount::Seconds(seconds) => Duration::from_secs(seconds.into()),
            Amount::Bytes(bytes) => Duration::from_secs(bytes / SLOWEST),
        }
}
