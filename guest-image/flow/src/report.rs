//! What a side reports at its end.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{Counters, Distribution, ReceiveMode, SendMode};

/// One side's account of a stream that came to its end.
///
/// The window of a receiver is from all flows being there to the last byte's being with the application, verified if asked,
/// and its buffer given back; of a sender, from the receiver's first byte to its last: all payload has arrived.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Report {
    /// Which side, and its mode with what belongs to it.
    pub side: Side,
    /// Connections.
    pub flows: u16,
    /// Payload of all flows.
    pub bytes: u64,
    /// Length of the window.
    pub nanoseconds: u64,
    /// Payload per time, in bits per second.
    pub bits_per_second: f64,
    /// Payload that went without a copy between the application and the NIC's buffers, as the interface itself told: by
    /// fragments in the bound memory, by pages mapped, by completions that do not say `copied`.
    pub zero_copy_bytes: u64,
    /// Payload that was copied: the rest of `bytes`.
    pub copied_bytes: u64,
    /// Payload that was compared and found right; none if not asked.
    pub verified_bytes: Option<u64>,
    /// Fragments, mapped ranges or completions of payload that each receive brought: of one `recvmsg`, of one
    /// `TCP_ZEROCOPY_RECEIVE`, of one wait for completions. None for sides and modes without.
    pub fragments: Option<Distribution>,
    /// Bytes that each call took or gave: `recv`, `recvmsg`, `send`, a completion of `SEND_ZC` or of a zcrx buffer.
    pub call_bytes: Distribution,
    /// Buffers given back at a time: by one `SO_DEVMEM_DONTNEED`, or between two publications of the refill ring's tail. None
    /// for sides and modes without.
    pub returns: Option<Distribution>,
    /// Completions of sends without a copy. None for sides and modes without.
    pub completions: Option<Completions>,
    /// Completions that the ring had no room for: how many times it was found overflown (`IORING_SQ_CQ_OVERFLOW`), and lost
    /// ones (the ring's own count). None without a ring.
    pub ring_overflows: Option<u64>,
    /// Copies that io_uring made since payload was not in the area (`struct zcrx_stats`): how many, and their bytes. None without
    /// zcrx. 7.3 does not count what it copies from the linear part of a packet (`io_zcrx_recv_skb`): whether payload came by the
    /// queue's memory, only the NIC's counters can tell.
    pub zcrx_copies: Option<Copies>,
    /// Time that the side's threads slept in the kernel for something to happen: for payload, room or completions. Neither on
    /// a CPU nor waiting for one, by /proc/thread-self/schedstat; none if the kernel has no `CONFIG_SCHED_INFO`.
    pub blocked_nanoseconds: Option<u64>,
    /// System calls that the side made for the stream in the window, by name.
    pub system_calls: BTreeMap<String, u64>,
    /// The process's own time in the window.
    pub cpu: Cpu,
    /// The NIC as it was in the window; none if no interface was named.
    pub nic: Option<NicState>,
    /// Counters when the window began, with all set up and bound.
    pub before: Counters,
    /// Counters when it had ended, with all still bound.
    pub after: Counters,
}

/// Which side reports, and the mode that it was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Side {
    /// The receiver.
    Receive(ReceiveMode),
    /// The sender.
    Send(SendMode),
}

/// What came back for sends that were to go without a copy.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Completions {
    /// Sends that were completed.
    pub total: u64,
    /// Those that the kernel copied after all: `SO_EE_CODE_ZEROCOPY_COPIED`, `IORING_NOTIF_USAGE_ZC_COPIED`.
    pub copied: u64,
}

/// Copies of payload: how many, of how many bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Copies {
    /// How many.
    pub count: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// CPU time of a process (`getrusage`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cpu {
    /// In its own code.
    pub user_nanoseconds: u64,
    /// In the kernel for it, softirqs not booked elsewhere among it.
    pub system_nanoseconds: u64,
    /// Times that it waited and gave its CPU away.
    pub voluntary_switches: u64,
    /// Times that its CPU was taken.
    pub involuntary_switches: u64,
}

/// A NIC's state, read back after it was set. What the driver does not tell is none.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NicState {
    /// The interface's name.
    pub interface: String,
    /// Its driver.
    pub driver: Option<String>,
    /// In bytes.
    pub mtu: u32,
    /// Largest packet that GRO makes, over IPv6, in bytes: above 65,536 with BIG TCP.
    pub gro_max_size: Option<u32>,
    /// As `gro_max_size`, over IPv4.
    pub gro_ipv4_max_size: Option<u32>,
    /// Largest packet that TCP hands to the NIC, over IPv6, in bytes.
    pub gso_max_size: Option<u32>,
    /// As `gso_max_size`, over IPv4.
    pub gso_ipv4_max_size: Option<u32>,
    /// `tcp-data-split`.
    pub header_split: Option<bool>,
    /// `hds-thresh`, in bytes.
    pub header_split_threshold: Option<u32>,
    /// `rx-gro-hw`.
    pub hardware_gro: Option<bool>,
    /// `rx-gro`, the software's.
    pub software_gro: Option<bool>,
    /// `tx-tcp-segmentation`.
    pub segmentation: Option<bool>,
    /// Descriptors of each receive ring.
    pub receive_ring: Option<u32>,
    /// The queue that the flows are steered to.
    pub queue: Option<u32>,
    /// The CPU that the queue is served on, if it was set.
    pub softirq_cpu: Option<u32>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Ring, Tokens};

    #[test]
    fn a_report_reads_as_it_was_written() {
        let mut fragments = Distribution::default();
        fragments.add(875);
        let report = Report {
            side: Side::Receive(ReceiveMode::Devmem {
                udmabuf: 64 << 20,
                tokens: Tokens { batch: 128, accumulate: 512 },
            }),
            flows: 1,
            bytes: 1 << 30,
            nanoseconds: 10_000_000_000,
            bits_per_second: 858_993_459.2,
            zero_copy_bytes: 1 << 30,
            copied_bytes: 0,
            verified_bytes: Some(1 << 30),
            fragments: Some(fragments.clone()),
            call_bytes: fragments,
            returns: None,
            completions: None,
            ring_overflows: None,
            zcrx_copies: None,
            blocked_nanoseconds: Some(7),
            system_calls: BTreeMap::from([("recvmsg".to_owned(), 12)]),
            cpu: Cpu::default(),
            nic: Some(NicState { interface: "zs0".to_owned(), mtu: 4148, ..NicState::default() }),
            before: Counters::default(),
            after: Counters {
                page_pools: Some(vec![]),
                unavailable: BTreeMap::from([("driver".to_owned(), "no such device".to_owned())]),
                ..Counters::default()
            },
        };
        let text = serde_json::to_string(&report).unwrap();
        assert!(!text.contains('\n'));
        assert!(text.contains(r#""side":{"receive":{"name":"devmem","udmabuf":67108864,"#), "{text}");
        assert_eq!(serde_json::from_str::<Report>(&text).unwrap(), report);
    }

    #[test]
    fn modes_are_named_in_a_report_as_they_are_asked() {
        let ring = Ring { area: 1 << 20, refill_entries: 64, no_iowait: false };
        for mode in [
            ReceiveMode::Plain,
            ReceiveMode::TcpZerocopy,
            ReceiveMode::Zcrx(ring),
            ReceiveMode::ZcrxNodev(ring),
        ] {
            assert_eq!(serde_json::to_value(mode).unwrap()["name"], mode.name());
        }
        for mode in [
            SendMode::Plain,
            SendMode::Zerocopy,
            SendMode::UringZerocopy { no_iowait: true },
            SendMode::Devmem,
        ] {
            assert_eq!(serde_json::to_value(mode).unwrap()["name"], mode.name());
        }
    }
}
