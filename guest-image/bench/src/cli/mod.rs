//! Arguments, as [`flow::Ask`] renders them and as people write them.

use std::{net::IpAddr, time::Duration};

use clap::{Args, Parser, Subcommand, ValueEnum};
use flow::{
    Amount, Ask, Nic, READ_SIZE, REFILL_ENTRIES, Receive, ReceiveMode, Ring, Send, SendMode, TOKEN_BATCH,
    Tokens,
};

use crate::error::Failure;

/// Sends or receives a TCP stream, with or without copies, and reports what it took.
///
/// The receiver sets up the NIC it is told, says `listening ADDRESS PORT` once it is ready, and puts the NIC back at its end, also
/// after SIGTERM, SIGINT and SIGHUP. Each side writes its report as one line of JSON on standard output.
///
/// Exit status: 0 all came, and was right if it was verified; 1 the stream came to no end; 2 the arguments make no sense; 65 the
/// payload that came is not what was sent; 69 the kernel, the NIC or the user's rights lack what the mode needs.
#[derive(Debug, Parser)]
#[command(name = "assay-bench", version)]
pub(crate) struct Cli {
    #[command(subcommand)]
    side: Side,
}

#[derive(Debug, Subcommand)]
enum Side {
    /// Listens, and takes a stream.
    Receive(Box<ReceiveArguments>),
    /// Connects, and sends a stream.
    Send(Box<SendArguments>),
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum ReceiveName {
    /// recv: every byte is copied.
    Plain,
    /// TCP_ZEROCOPY_RECEIVE: whole pages are mapped, the rest is copied.
    TcpZerocopy,
    /// Device memory TCP, into a udmabuf that is bound to a NIC's queue.
    Devmem,
    /// io_uring zcrx, into memory that is registered with a NIC's queue.
    Zcrx,
    /// io_uring zcrx without a NIC: every byte is copied.
    ZcrxNodev,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum SendName {
    /// send: every byte is copied.
    Plain,
    /// send with MSG_ZEROCOPY.
    Zerocopy,
    /// io_uring's SEND_ZC.
    UringZerocopy,
    /// Device memory TCP, from a udmabuf that is bound to a NIC.
    Devmem,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Switch {
    On,
    Off,
}

/// What both sides have.
#[derive(Args, Debug)]
struct Common {
    /// The receiver's address.
    #[arg(long)]
    address: IpAddr,
    /// The first flow's port; the others have the next ones, and the port behind them is used, too.
    #[arg(long, default_value_t = 5300)]
    port: u16,
    /// Connections that carry the stream.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=1024))]
    flows: u16,
    /// Compares each byte with what was sent; both sides have to be told.
    #[arg(long)]
    verify: bool,
    /// Waits in io_uring without being booked as waiting for a disk (IORING_ENTER_NO_IOWAIT).
    #[arg(long)]
    no_iowait: bool,
    /// The interface of the stream: for its counters, and for what the mode binds to it.
    #[arg(long, value_name = "NAME")]
    interface: Option<String>,
    /// The CPU that the program runs on.
    #[arg(long)]
    cpu: Option<u32>,
    /// Begins and ends the counted window of this number around the transfer; only one side can.
    #[arg(long, value_name = "WINDOW")]
    mark: Option<u32>,
    /// Gives up after so long.
    #[arg(long, value_name = "TIME", default_value = "120s", value_parser = time)]
    deadline: Duration,
}

#[derive(Args, Debug)]
struct ReceiveArguments {
    #[arg(long, value_enum)]
    mode: ReceiveName,
    #[command(flatten)]
    common: Common,
    /// Most bytes of one read, 4 KiB to 64 MiB (1 MiB if not told). For zcrx, what one request takes; 0, if not told, is no limit.
    #[arg(long, value_name = "SIZE", value_parser = size)]
    read_size: Option<u64>,
    /// devmem: size of the udmabuf (64 MiB).
    #[arg(long, value_name = "SIZE", value_parser = size)]
    udmabuf: Option<u64>,
    /// devmem: most fragments that one SO_DEVMEM_DONTNEED returns, 1 to 1024 (1024).
    #[arg(long, value_name = "FRAGMENTS")]
    token_batch: Option<u32>,
    /// devmem: fragments that are collected over several reads before any is returned (0: after each read).
    #[arg(long, value_name = "FRAGMENTS")]
    accumulate: Option<u32>,
    /// zcrx: size of the memory that payload lands in (64 MiB).
    #[arg(long, value_name = "SIZE", value_parser = size)]
    area: Option<u64>,
    /// zcrx: entries of the refill ring, a power of two up to 32768 (4096).
    #[arg(long, value_name = "ENTRIES")]
    refill_entries: Option<u32>,
    /// The interface's queue that flows are steered to and memory is bound to.
    #[arg(long)]
    queue: Option<u32>,
    /// Leaves the flows where RSS sends them: not to the queue.
    #[arg(long)]
    no_steer: bool,
    /// Splits headers from payload (tcp-data-split); modes with a queue do if nothing is told.
    #[arg(long, value_name = "STATE")]
    header_split: Option<Switch>,
    /// Payload of up to so many bytes stays with its headers (hds-thresh); 0 for modes with a queue.
    #[arg(long, value_name = "BYTES")]
    header_split_threshold: Option<u32>,
    /// Coalesces segments in the NIC (rx-gro-hw).
    #[arg(long, value_name = "STATE")]
    hardware_gro: Option<Switch>,
    /// Descriptors of each receive ring.
    #[arg(long, value_name = "ENTRIES")]
    receive_ring: Option<u32>,
    /// The CPU that the queue is served on.
    #[arg(long, value_name = "CPU")]
    softirq_cpu: Option<u32>,
}

#[derive(Args, Debug)]
struct SendArguments {
    #[arg(long, value_enum)]
    mode: SendName,
    #[command(flatten)]
    common: Common,
    /// Bytes of one call to send, up to 1 GiB.
    #[arg(long, value_name = "SIZE", default_value = "1MiB", value_parser = size)]
    message_size: u64,
    /// Bytes of each flow.
    #[arg(long, value_name = "SIZE", value_parser = size, conflicts_with = "duration", required_unless_present = "duration")]
    bytes: Option<u64>,
    /// Sends for so long.
    #[arg(long, value_name = "TIME", value_parser = time)]
    duration: Option<Duration>,
}

const MIB: u64 = 1024 * 1024;
const MOST_MESSAGE: u64 = 1024 * MIB;

impl Cli {
    /// What is asked, if it makes sense.
    pub(crate) fn ask(self) -> Result<Ask, Failure> {
        let ask = match self.side {
            Side::Receive(arguments) => Ask::Receive(arguments.ask()?),
            Side::Send(arguments) => Ask::Send(arguments.ask()?),
        };
        let beyond = match &ask {
            Ask::Receive(receive) => receive.port.checked_add(receive.flows).is_none(),
            Ask::Send(send) => send.port.checked_add(send.flows).is_none(),
        };
        if beyond {
            return Err(Failure::Misuse(
                "the ports of all flows, and one behind them, go beyond 65535".into(),
            ));
        }
        Ok(ask)
    }
}

impl ReceiveArguments {
    fn ask(self) -> Result<Receive, Failure> {
        let is_devmem = matches!(self.mode, ReceiveName::Devmem);
        let is_ring = matches!(self.mode, ReceiveName::Zcrx | ReceiveName::ZcrxNodev);
        for (set, name, belongs, whose) in [
            (self.udmabuf.is_some(), "udmabuf", is_devmem, "devmem"),
            (self.token_batch.is_some(), "token-batch", is_devmem, "devmem"),
            (self.accumulate.is_some(), "accumulate", is_devmem, "devmem"),
            (self.area.is_some(), "area", is_ring, "zcrx and zcrx-nodev"),
            (self.refill_entries.is_some(), "refill-entries", is_ring, "zcrx and zcrx-nodev"),
            (self.common.no_iowait, "no-iowait", is_ring, "zcrx and zcrx-nodev"),
        ] {
            if set && !belongs {
                return Err(Failure::Misuse(format!("--{name} is for {whose} only")));
            }
        }
        let read_size = self.read_size.unwrap_or(if is_ring { 0 } else { MIB });
        if !(READ_SIZE.contains(&read_size) || is_ring && read_size == 0) {
            return Err(Failure::Misuse(format!(
                "--read-size {read_size} is not {} to {} bytes",
                READ_SIZE.start(),
                READ_SIZE.end()
            )));
        }
        let mode = self.mode()?;
        let nic = self.nic()?;
        if mode.needs_queue() && nic.as_ref().is_none_or(|nic| nic.queue.is_none()) {
            return Err(Failure::Misuse(format!("{} needs --interface and --queue", mode.name())));
        }
        Ok(Receive {
            mode,
            address: self.common.address,
            port: self.common.port,
            flows: self.common.flows,
            read_size,
            verify: self.common.verify,
            nic,
            cpu: self.common.cpu,
            softirq_cpu: self.softirq_cpu,
            mark: self.common.mark,
            deadline: self.common.deadline,
        })
    }

    fn mode(&self) -> Result<ReceiveMode, Failure> {
        Ok(match self.mode {
            ReceiveName::Plain => ReceiveMode::Plain,
            ReceiveName::TcpZerocopy => ReceiveMode::TcpZerocopy,
            ReceiveName::Devmem => {
                let batch = self.token_batch.unwrap_or(*TOKEN_BATCH.end());
                if !TOKEN_BATCH.contains(&batch) {
                    return Err(Failure::Misuse(format!(
                        "--token-batch {batch} is not 1 to {}",
                        TOKEN_BATCH.end()
                    )));
                }
                let tokens = Tokens { batch, accumulate: self.accumulate.unwrap_or(0) };
                ReceiveMode::Devmem { udmabuf: memory("udmabuf", self.udmabuf)?, tokens }
            }
            ReceiveName::Zcrx => ReceiveMode::Zcrx(self.ring()?),
            ReceiveName::ZcrxNodev => ReceiveMode::ZcrxNodev(self.ring()?),
        })
    }

    fn ring(&self) -> Result<Ring, Failure> {
        let refill_entries = self.refill_entries.unwrap_or(4096);
        if !REFILL_ENTRIES.contains(&refill_entries) || !refill_entries.is_power_of_two() {
            return Err(Failure::Misuse(format!(
                "--refill-entries {refill_entries} is no power of two from {} to {}",
                REFILL_ENTRIES.start(),
                REFILL_ENTRIES.end()
            )));
        }
        Ok(Ring { area: memory("area", self.area)?, refill_entries, no_iowait: self.common.no_iowait })
    }

    fn nic(&self) -> Result<Option<Nic>, Failure> {
        let switch = |state: Option<Switch>| state.map(|state| state == Switch::On);
        let Some(interface) = self.common.interface.clone() else {
            let about_a_nic = self.queue.is_some()
                || self.no_steer
                || self.header_split.is_some()
                || self.header_split_threshold.is_some()
                || self.hardware_gro.is_some()
                || self.receive_ring.is_some()
                || self.softirq_cpu.is_some();
            return if about_a_nic {
                Err(Failure::Misuse("what is asked of a NIC needs its name: --interface".to_owned()))
            } else {
                Ok(None)
            };
        };
        Ok(Some(Nic {
            interface,
            queue: self.queue,
            steer: !self.no_steer,
            header_split: switch(self.header_split),
            header_split_threshold: self.header_split_threshold,
            hardware_gro: switch(self.hardware_gro),
            receive_ring: self.receive_ring,
        }))
    }
}

/// Memory for payload: 64 MiB if not told, as the battle of the ZCs has it.
fn memory(name: &str, size: Option<u64>) -> Result<u64, Failure> {
    let size = size.unwrap_or(64 * MIB);
    if !(64 * 1024..=MOST_MESSAGE).contains(&size) {
        return Err(Failure::Misuse(format!("--{name} {size} is not 64 KiB to 1 GiB")));
    }
    Ok(size)
}

impl SendArguments {
    fn ask(self) -> Result<Send, Failure> {
        let mode = match self.mode {
            SendName::Plain => SendMode::Plain,
            SendName::Zerocopy => SendMode::Zerocopy,
            SendName::UringZerocopy => SendMode::UringZerocopy { no_iowait: self.common.no_iowait },
            SendName::Devmem => SendMode::Devmem,
        };
        if self.common.no_iowait && !matches!(mode, SendMode::UringZerocopy { .. }) {
            return Err(Failure::Misuse("--no-iowait is for uring-zerocopy only".to_owned()));
        }
        if !(1..=MOST_MESSAGE).contains(&self.message_size) {
            return Err(Failure::Misuse(format!(
                "--message-size {} is not 1 byte to 1 GiB",
                self.message_size
            )));
        }
        if mode == SendMode::Devmem && self.common.interface.is_none() {
            return Err(Failure::Misuse("devmem needs --interface".to_owned()));
        }
        let amount = match (self.bytes, self.duration) {
            (Some(bytes), _) => Amount::Bytes(bytes),
            (None, Some(time)) => Amount::Duration(time),
            (None, None) => {
                return Err(Failure::Misuse("how much is sent: --bytes or --duration".to_owned()));
            }
        };
        Ok(Send {
            mode,
            address: self.common.address,
            port: self.common.port,
            flows: self.common.flows,
            message_size: self.message_size,
            amount,
            verify: self.common.verify,
            interface: self.common.interface,
            cpu: self.common.cpu,
            mark: self.common.mark,
            deadline: self.common.deadline,
        })
    }
}

/// `4096`, `64KiB`, `1MiB`, `1GiB`.
fn size(text: &str) -> Result<u64, String> {
    let units = [("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1_u64 << 30)];
    let (number, unit) =
        units.iter().find_map(|(name, unit)| Some((text.strip_suffix(name)?, *unit))).unwrap_or((text, 1));
    let number: u64 =
        number.parse().map_err(|_| format!("`{text}` is no size such as 4096, 64KiB or 1MiB"))?;
    number.checked_mul(unit).ok_or_else(|| format!("`{text}` is too large"))
}

/// `500ms`, `10s`.
fn time(text: &str) -> Result<Duration, String> {
    let told = || format!("`{text}` is no time such as 500ms or 10s");
    let (number, unit) = text
        .strip_suffix("ms")
        .map(|number| (number, 1))
        .or_else(|| text.strip_suffix('s').map(|number| (number, 1000)))
        .ok_or_else(told)?;
    let number: u64 = number.parse().map_err(|_| told())?;
    number.checked_mul(unit).map(Duration::from_millis).ok_or_else(told)
}

#[cfg(test)]
mod tests;
