//! The arithmetic.

use serde::Serialize;

use crate::Need;

/// Descriptors that a receive ring of the faster NICs has at most; some have half of it.
pub const MOST_DESCRIPTORS: u32 = 8192;

/// Fragments that one `SO_DEVMEM_DONTNEED` takes: `MAX_DONTNEED_FRAGS`, net/core/sock.c.
pub const MOST_TOKENS: u32 = 1024;

/// Entries of a refill ring: `IO_RQ_MAX_ENTRIES`, io_uring/zcrx.c.
pub const MOST_REFILL_ENTRIES: u32 = 32_768;

/// The largest read of the slides; nobody has shown what a larger one does.
pub const MOST_BYTES_PER_READ: u64 = 64 << 20;

/// A huge page of x86-64.
pub(crate) const HUGE_PAGE: u64 = 2 << 20;

/// `CMSG_SPACE(sizeof(struct dmabuf_cmsg))`: 16 and 24 bytes, include/uapi/linux/uio.h.
pub(crate) const CONTROL_BYTES_PER_TOKEN: u64 = 40;

/// `net.core.optmem_max` as the kernel has it since 6.7 (net/core/sock.c).
pub(crate) const OPTMEM_DEFAULT: u64 = 128 << 10;

/// What a notification of `MSG_ZEROCOPY` is charged with: `SKB_TRUESIZE(0)` on x86-64, 256 and 320 bytes.
pub(crate) const NOTIFICATION_BYTES: u64 = 576;

/// How much of everything. Sizes of rings, memory and batches are those of one queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Sizes {
    /// Payload of a full segment in bytes.
    pub segment_bytes: u32,
    /// Receive buffers that its payload takes.
    pub buffers_per_segment: u32,
    /// Bandwidth-delay product of all queues in bytes.
    pub bdp_bytes: u64,
    /// Bytes in flight that are provided for, over all queues: on the wire, and on their way into the application.
    pub in_flight_bytes: u64,
    /// Descriptors of a receive ring.
    pub ring: u32,
    /// Bytes of the buffers that are posted in it.
    pub ring_bytes: u64,
    /// Bytes of device memory (udmabuf, zcrx area) of a queue.
    pub memory_bytes: u64,
    /// Most bytes of one read.
    pub read_bytes: u64,
    /// Bytes for the control messages of one read.
    pub control_bytes: u64,
    /// Tokens that are gathered before they are given back.
    pub token_batch: u32,
    /// Entries of a refill ring of io_uring.
    pub refill_entries: u32,
    /// The third of `tcp_rmem`, in bytes.
    pub receive_buffer_bytes: u64,
    /// The third of `tcp_wmem`, in bytes.
    pub send_buffer_bytes: u64,
    /// `net.core.optmem_max` in bytes.
    pub optmem_bytes: u64,
    /// Huge pages of 2 MiB, over all queues.
    pub huge_pages: u64,
}

impl Sizes {
    /// What `need` comes to.
    #[must_use]
    pub fn of(need: &Need) -> Self {
        let buffer = u64::from(need.buffer_bytes.max(1));
        let queues = u64::from(need.queues.max(1));
        let segment = u64::from(need.mtu.saturating_sub(need.header_bytes()).max(1));
        let buffers_per_segment = segment.div_ceil(buffer);

        let bdp_bytes = bdp(need.rate_bps, need.rtt_ns);
        let in_flight_bytes = 2 * bdp_bytes;
        // Of one queue, in buffers: the last segment of a window need not be full.
        let window = in_flight_bytes.div_ceil(queues).div_ceil(segment) * buffers_per_segment;

        let ring = need.ring.unwrap_or_else(|| ring(window));
        let ring_bytes = u64::from(ring) * buffer;
        let memory_bytes = (4 * ring_bytes).max(ring_bytes + 2 * window * buffer).next_multiple_of(HUGE_PAGE);
        let held = memory_bytes / buffer - u64::from(ring);
        let read_bytes = memory_bytes.min(MOST_BYTES_PER_READ);

        // What a segment is charged with against what it carries, but never below the factor that the kernel begins with.
        let charged = (buffers_per_segment * buffer).max(2 * segment);
        let socket = scaled(in_flight_bytes, charged, segment).next_power_of_two();
        let sends = socket.div_ceil(need.message_bytes.max(1)) + 1;

        Self {
            segment_bytes: narrow(segment),
            buffers_per_segment: narrow(buffers_per_segment),
            bdp_bytes,
            in_flight_bytes,
            ring,
            ring_bytes,
            memory_bytes,
            read_bytes,
            control_bytes: read_bytes.div_ceil(segment) * buffers_per_segment * CONTROL_BYTES_PER_TOKEN,
            token_batch: narrow((held / 4).clamp(1, u64::from(MOST_TOKENS / 2))),
            refill_entries: narrow(held.next_power_of_two().min(u64::from(MOST_REFILL_ENTRIES))),
            receive_buffer_bytes: socket,
            send_buffer_bytes: (2 * in_flight_bytes).next_power_of_two(),
            optmem_bytes: (sends * NOTIFICATION_BYTES).next_power_of_two().max(OPTMEM_DEFAULT),
            huge_pages: queues * (memory_bytes / HUGE_PAGE) + need.message_bytes.div_ceil(HUGE_PAGE),
        }
    }

    /// Descriptors that a window asks for, though no ring may have them.
    pub(crate) fn wished_ring(&self, need: &Need) -> u64 {
        let segments = self.in_flight_bytes.div_ceil(u64::from(need.queues.max(1)));
        wished(segments.div_ceil(u64::from(self.segment_bytes)) * u64::from(self.buffers_per_segment))
    }

    /// Nanoseconds in which the stream fills so many buffers of one queue.
    pub(crate) fn fills_ns(&self, need: &Need, buffers: u64) -> u64 {
        let segments = u128::from(buffers / u64::from(self.buffers_per_segment));
        let bits =
            segments * u128::from(self.segment_bytes) * 8 * u128::from(need.queues.max(1)) * 1_000_000_000;
        u64::try_from(bits / u128::from(need.rate_bps.max(1))).unwrap_or(u64::MAX)
    }
}

/// Bytes that are under way in a round trip, rounded up.
fn bdp(rate_bps: u64, rtt_ns: u64) -> u64 {
    let bits = u128::from(rate_bps) * u128::from(rtt_ns);
    u64::try_from(bits.div_ceil(8 * 1_000_000_000)).unwrap_or(u64::MAX / 64)
}

/// `value * numerator / denominator`, rounded up; far below 2^63 for what [`Need`] may hold.
fn scaled(value: u64, numerator: u64, denominator: u64) -> u64 {
    let product = u128::from(value) * u128::from(numerator);
    u64::try_from(product.div_ceil(u128::from(denominator))).unwrap_or(u64::MAX / 4)
}

fn ring(window: u64) -> u32 {
    narrow(wished(window).min(u64::from(MOST_DESCRIPTORS)))
}

/// Twice the window, since half of a ring is with the driver; drivers want powers of two, and none has fewer than 64.
fn wished(window: u64) -> u64 {
    (2 * window).max(64).next_power_of_two()
}

/// Of values that a `min` or a small input keeps small.
fn narrow(value: u64) -> u32 {
    u32::try_from(value).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Ip;

    const MIB: u64 = 1 << 20;

    /// 200 Gbit/s, 0.1 ms, 4096 bytes a segment.
    fn slides() -> Need {
        Need::of_stream(200_000_000_000, 100_000, 4148)
    }

    #[test]
    fn the_slides_numbers_come_out() {
        let sizes = Sizes::of(&slides());
        assert_eq!((sizes.segment_bytes, sizes.buffers_per_segment), (4096, 1));
        // "~2MB"; they go on with twice 2 MB, which is 4 MB.
        assert_eq!(sizes.bdp_bytes, 2_500_000);
        assert_eq!(sizes.in_flight_bytes, 5_000_000);
        assert_eq!(sizes.ring, 4096);
        assert_eq!(sizes.ring_bytes, 16 * MIB);
        // "Compensate for app sitting on accepted data (48MB): overprovision to 64MB per qp for udmabuf".
        assert_eq!(sizes.memory_bytes, 64 * MIB);
        assert_eq!(sizes.memory_bytes - sizes.ring_bytes, 48 * MIB);
        assert_eq!(sizes.read_bytes, 64 * MIB);
        // "accumulate small recvmsgs up to 512 tokens".
        assert_eq!(sizes.token_batch, 512);
        // net.core.rmem_default and wmem_default; their tcp_rmem of 512 MiB is not a rule's, and neither are their 16384 huge pages.
        assert_eq!(sizes.receive_buffer_bytes, 16 * MIB);
        assert_eq!(sizes.send_buffer_bytes, 16 * MIB);
        assert_eq!(sizes.huge_pages, 64);
    }

    #[test]
    fn a_read_has_room_for_the_control_messages_of_all_its_tokens() {
        let sizes = Sizes::of(&slides());
        assert_eq!(sizes.control_bytes, 16_384 * 40);
        let odd = Sizes::of(&Need { mtu: 1500, ..slides() });
        assert_eq!(odd.control_bytes, odd.read_bytes.div_ceil(1448) * 40);
    }

    #[test]
    fn half_empty_buffers_cost_memory() {
        let full = Sizes::of(&slides());
        let part = Sizes::of(&Need { mtu: 1500, ..slides() });
        assert_eq!((part.segment_bytes, part.buffers_per_segment), (1448, 1));
        assert_eq!(part.ring, MOST_DESCRIPTORS);
        assert_eq!(part.memory_bytes, 2 * full.memory_bytes);
        // 4096 bytes are charged for 1448, more than the kernel's first guess of twice.
        let socket = |mtu| Sizes::of(&Need::of_stream(160_000_000_000, 100_000, mtu)).receive_buffer_bytes;
        assert_eq!((socket(4148), socket(1500)), (8 * MIB, 16 * MIB));
        let three = Sizes::of(&Need { mtu: 9000, ..slides() });
        assert_eq!((three.segment_bytes, three.buffers_per_segment), (8948, 3));
    }

    #[test]
    fn nothing_is_below_what_there_is_at_least() {
        let sizes = Sizes::of(&Need::of_stream(1_000_000, 10_000, 1500));
        assert_eq!(sizes.ring, 64);
        assert_eq!(sizes.memory_bytes, 2 * MIB);
        assert_eq!(sizes.optmem_bytes, OPTMEM_DEFAULT);
        assert_eq!(sizes.token_batch, 112);
        let tiny = Sizes::of(&Need { message_bytes: 1, ..Need::of_stream(1, 1, 576) });
        assert!(tiny.bdp_bytes == 1 && tiny.receive_buffer_bytes >= 4);
    }

    #[test]
    fn a_long_way_is_for_the_socket_not_for_the_ring() {
        let sizes = Sizes::of(&Need::of_stream(100_000_000_000, 50_000_000, 4148));
        assert_eq!(sizes.ring, MOST_DESCRIPTORS);
        assert!(sizes.memory_bytes > 2 * sizes.in_flight_bytes);
        assert_eq!(sizes.refill_entries, MOST_REFILL_ENTRIES);
        assert!(sizes.receive_buffer_bytes >= 2 * sizes.in_flight_bytes);
    }

    #[test]
    fn queues_share_the_stream() {
        let one = Sizes::of(&slides());
        let four = Sizes::of(&Need { queues: 4, ..slides() });
        assert_eq!(four.bdp_bytes, one.bdp_bytes);
        assert_eq!(four.ring, one.ring / 4);
        assert_eq!(four.huge_pages, one.huge_pages);
    }

    #[test]
    fn a_given_ring_is_kept_and_paid_for() {
        let sizes = Sizes::of(&Need { ring: Some(512), ..slides() });
        assert_eq!(sizes.ring, 512);
        // 2 MiB posted, and a window of 5 MB twice.
        assert_eq!(sizes.memory_bytes, 12 * MIB);
        assert_eq!(sizes.wished_ring(&slides()), 4096);
    }

    #[test]
    fn extremes_do_not_overflow() {
        let most = Need {
            ip: Ip::V6,
            buffer_bytes: 2 << 20,
            message_bytes: 1 << 30,
            ..Need::of_stream(10_000_000_000_000, 10_000_000_000, 576)
        };
        let sizes = Sizes::of(&most);
        assert_eq!(sizes.segment_bytes, 504);
        assert!(sizes.memory_bytes > sizes.bdp_bytes);
    }
}
