//! The keys of streams with and without copies.

use super::{Kind, Section, default, optional, required, scenario::TOOL};

const KIB: u64 = 1024;
const MIB: u64 = 1024 * KIB;
const GIB: u64 = 1024 * MIB;

/// Largest packet of BIG TCP: `GSO_MAX_SIZE` of include/linux/netdevice.h.
const BIG_TCP_MAX: u64 = 8 * 65_535;

/// A TCP stream, sent and received in a chosen way.
pub(crate) static STREAM: Section = Section {
    title: "stream",
    intro: "`tool: stream`: one sender (the client's side) and one receiver (the server's side) of a TCP stream, with or without \
            copies, by `assay-bench`. What goes without a copy counts only if it really did: a cell whose path was not taken is *void*, \
            with the reason, and is never compared. `devmem` and `zcrx` need `nic: zcsim`.",
    keys: &[
        required("tool", TOOL, "`stream`."),
        default(
            "receive",
            Kind::Choice(&["plain", "tcp-zerocopy-receive", "devmem", "zcrx", "zcrx-nodev"]),
            "plain",
            "How payload comes to the application: `recv`; `TCP_ZEROCOPY_RECEIVE`; device memory TCP into a udmabuf; io_uring zcrx with a \
             NIC's queue; io_uring zcrx without a NIC, which copies every byte through the same interface.",
        ),
        default(
            "send",
            Kind::Choice(&["plain", "msg-zerocopy", "send-zc", "devmem"]),
            "plain",
            "How it leaves the application: `send`; `MSG_ZEROCOPY`; io_uring's `SEND_ZC`; device memory TCP from a udmabuf.",
        ),
        default("flows", Kind::Integer { min: 1, max: 64 }, "1", "Connections."),
        optional("duration", Kind::Duration { min: 1, max: 3600 }, "10s, or `bytes`", "How long is sent."),
        optional(
            "bytes",
            Kind::Size { min: MIB, max: 1024 * GIB },
            "`duration`",
            "How much is sent, all flows.",
        ),
        default(
            "read",
            Kind::Size { min: 4 * KIB, max: 64 * MIB },
            "512K",
            "Most bytes that one read asks for; with `zcrx`, that one multishot request takes.",
        ),
        default("message", Kind::Size { min: 1, max: 64 * MIB }, "1M", "Bytes of one call to send."),
        optional(
            "udmabuf",
            Kind::Size { min: MIB, max: 4 * GIB },
            "64M with `receive: devmem` (what `assay size` says of 200 Gbit/s over 0.1 ms)",
            "Memory that payload lands in.",
        ),
        optional(
            "token-batch",
            Kind::Integer { min: 1, max: 1024 },
            "512 with `receive: devmem`",
            "Most fragments that one `SO_DEVMEM_DONTNEED` gives back.",
        ),
        optional(
            "accumulate",
            Kind::Integer { min: 0, max: 1_000_000 },
            "0 with `receive: devmem`",
            "Fragments that are collected over several reads before any is given back; 0 is after each read.",
        ),
        optional(
            "area",
            Kind::Size { min: MIB, max: 4 * GIB },
            "64M with `receive: zcrx` or `zcrx-nodev`",
            "Memory that payload lands in.",
        ),
        optional(
            "refill-ring",
            Kind::Integer { min: 1, max: 32_768 },
            "16384 with `receive: zcrx` or `zcrx-nodev`",
            "Entries of the ring through which buffers go back, a power of two.",
        ),
        optional(
            "no-iowait",
            Kind::Flag,
            "false where io_uring is used",
            "Waits with `IORING_ENTER_NO_IOWAIT`, so that waiting is not booked as waiting for a disk.",
        ),
        default(
            "verify",
            Kind::Flag,
            "false",
            "Whether each byte is compared with what was sent; costs time in both applications.",
        ),
        default(
            "cores",
            Kind::Choice(&["any", "one", "two"]),
            "any",
            "`one`: the receiver's application and the softirqs of its queue on core 0; `two`: the softirqs on core 0, the application on \
             core 1. The sender is on the last core.",
        ),
        optional(
            "header-split",
            Kind::Flag,
            "as the NIC has it; `true` with `devmem` and `zcrx`",
            "`tcp-data-split` of the receiver's NIC. `false` with `devmem` or `zcrx` needs `break-path`.",
        ),
        optional(
            "header-split-threshold",
            Kind::Size { min: 0, max: 64 * KIB },
            "as the NIC has it; 0 with `devmem` and `zcrx`",
            "`hds-thresh`: payload up to so many bytes stays with its headers. Above 0 with `devmem` or `zcrx` needs `break-path`.",
        ),
        optional("hardware-gro", Kind::Flag, "as the NIC has it", "`rx-gro-hw` of the receiver's NIC."),
        optional(
            "receive-ring",
            Kind::Integer { min: 32, max: 8192 },
            "as the NIC has it",
            "Descriptors of each receive ring.",
        ),
        optional(
            "gro-max",
            Kind::Size { min: 4 * KIB, max: BIG_TCP_MAX },
            "as the interface has it",
            "Largest packet that the receiver's GRO makes (`gro_max_size`, `gro_ipv4_max_size`); above 64K it is BIG TCP.",
        ),
        optional(
            "gso-max",
            Kind::Size { min: 4 * KIB, max: BIG_TCP_MAX },
            "as the interface has it",
            "Largest packet that the sender's TCP hands to its NIC (`gso_max_size`, `gso_ipv4_max_size`); above 64K it is BIG TCP.",
        ),
        default(
            "steer",
            Kind::Flag,
            "true",
            "Whether rules lead the flows to the queue that memory is bound to. `false` needs `break-path`.",
        ),
        default(
            "break-path",
            Kind::Flag,
            "false",
            "Allows what keeps `devmem` and `zcrx` from their path, to see that the cell is void.",
        ),
        default(
            "least-zero-copy",
            Kind::Percent { max: 100.0 },
            "90%",
            "Payload that must have gone without a copy, where the modes say so; with less the cell is void.",
        ),
        default("roi-throughput", Kind::Fraction { max: 10.0 }, "2", "n in `roi-cpu` and `roi-power`."),
        default("roi-power", Kind::Fraction { max: 10.0 }, "1", "m in `roi-power`."),
    ],
};
