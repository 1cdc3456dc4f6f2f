//! What `assay size` is told.

use std::ops::RangeInclusive;

use clap::Args;

/// The smallest MTU that every IPv4 host accepts (RFC 791), and the largest that a packet's length has room for.
const MTU: RangeInclusive<i64> = 576..=65_535;

#[derive(Debug, Args)]
pub(crate) struct Size {
    /// What the stream is to reach, in bits in a second: 200G, 2.5G, 94.5M.
    #[arg(long, value_name = "RATE", value_parser = size::rate_of)]
    pub(crate) rate: u64,
    /// The round trip while nothing queues: 0.1ms, 50us.
    #[arg(long, value_name = "TIME", value_parser = size::duration_of)]
    pub(crate) rtt: u64,
    /// Bytes of an IP packet.
    #[arg(long, value_name = "BYTES", default_value_t = 1500, value_parser = clap::value_parser!(u32).range(MTU))]
    pub(crate) mtu: u32,
    /// IPv6, whose header is 20 bytes longer.
    #[arg(long)]
    pub(crate) ipv6: bool,
    /// Receive queues that the stream's flows are spread over. A single flow is in one.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1024))]
    pub(crate) queues: u32,
    /// Bytes of a receive buffer, a power of two from 4K to 2M.
    #[arg(long, value_name = "SIZE", default_value = "4K", value_parser = buffer)]
    pub(crate) buffer: u32,
    /// Descriptors of the receive ring, if it cannot be chosen: what follows from it is sized by it.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=65_536))]
    pub(crate) ring: Option<u32>,
    /// Bytes of one message that the application sends.
    #[arg(long, value_name = "SIZE", default_value = "64M", value_parser = size::bytes_of)]
    pub(crate) message: u64,
    /// As JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

fn buffer(text: &str) -> Result<u32, String> {
    let bytes = size::bytes_of(text)?;
    match u32::try_from(bytes) {
        Ok(bytes) if bytes.is_power_of_two() && (4096..=2 << 20).contains(&bytes) => Ok(bytes),
        _ => Err(format!("`{text}` is no size of a buffer: a power of two from 4K to 2M")),
    }
}
