//! What is asked.

use serde::Serialize;

/// The version of IP, for the length of its header.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ip {
    /// 20 bytes.
    #[default]
    V4,
    /// 40 bytes.
    V6,
}

/// A stream, and what it is received with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Need {
    /// Bits in a second, above 0.
    pub rate_bps: u64,
    /// Round trip without queueing, in nanoseconds, above 0.
    pub rtt_ns: u64,
    /// Bytes of an IP packet, from 576.
    pub mtu: u32,
    /// Which IP.
    pub ip: Ip,
    /// Receive queues that the stream's flows are spread over evenly, above 0. A single flow is in one.
    pub queues: u32,
    /// Bytes of one receive buffer (a page, or a net_iov), above 0.
    pub buffer_bytes: u32,
    /// Descriptors of a ring, if they are given and not to be found.
    pub ring: Option<u32>,
    /// Bytes of one message that the application sends, above 0.
    pub message_bytes: u64,
}

impl Need {
    /// A stream over one queue into pages, by 64 MiB a message, as the slides have it.
    #[must_use]
    pub fn of_stream(rate_bps: u64, rtt_ns: u64, mtu: u32) -> Self {
        Self {
            rate_bps,
            rtt_ns,
            mtu,
            ip: Ip::V4,
            queues: 1,
            buffer_bytes: 4096,
            ring: None,
            message_bytes: 64 << 20,
        }
    }

    /// Headers of IP and TCP with timestamps in each packet, in bytes.
    #[must_use]
    pub fn header_bytes(&self) -> u32 {
        let ip = match self.ip {
            Ip::V4 => 20,
            Ip::V6 => 40,
        };
        // TCP's own 20, and timestamps' 10 padded to 12 (RFC 7323).
        ip + 32
    }
}
