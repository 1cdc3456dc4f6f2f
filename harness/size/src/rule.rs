//! Each size with how it comes about, why, and who says so.

use serde::Serialize;

use crate::{
    MOST_BYTES_PER_READ, MOST_DESCRIPTORS, MOST_REFILL_ENTRIES, MOST_TOKENS, Need, Sizes,
    quantity::{bytes, duration, rate},
};

/// What a rule's value is counted in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Unit {
    /// Bytes.
    Bytes,
    /// Descriptors of a ring.
    Descriptors,
    /// Tokens of device memory, one for each buffer.
    Tokens,
    /// Entries of a ring of io_uring.
    Entries,
    /// Huge pages of 2 MiB.
    Pages,
}

/// One size.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Rule {
    /// What it is the size of.
    pub name: &'static str,
    /// The value.
    pub value: u64,
    /// Of what.
    pub unit: Unit,
    /// How the value comes about.
    pub how: String,
    /// What goes wrong with less.
    pub why: &'static str,
    /// Where the rule comes from.
    pub source: &'static str,
}

impl Rule {
    /// The value with its unit.
    #[must_use]
    pub fn shown(&self) -> String {
        match self.unit {
            Unit::Bytes => bytes(self.value),
            Unit::Descriptors => format!("{} descriptors", self.value),
            Unit::Tokens => format!("{} tokens", self.value),
            Unit::Entries => format!("{} entries", self.value),
            Unit::Pages => format!("{} pages of 2 MiB", self.value),
        }
    }
}

const SLIDES: &str = "The Battle of the ZCs (netdev conf)";

/// All sizes, in the order in which one follows from another.
pub(crate) fn rules(need: &Need, sizes: &Sizes) -> Vec<Rule> {
    let mut rules = wire(need, sizes);
    rules.extend(memory(need, sizes));
    rules.extend(application(sizes));
    rules.extend(sockets(need, sizes));
    rules
}

fn wire(need: &Need, sizes: &Sizes) -> Vec<Rule> {
    vec![
        Rule {
            name: "segment",
            value: sizes.segment_bytes.into(),
            unit: Unit::Bytes,
            how: format!(
                "MTU {} less {} of headers, in {} of {} each",
                need.mtu,
                need.header_bytes(),
                plural(sizes.buffers_per_segment.into(), "buffer"),
                bytes(need.buffer_bytes.into())
            ),
            why: "With split headers a segment's payload begins a buffer of its own, and what it does not fill is lost.",
            source: SLIDES,
        },
        Rule {
            name: "bandwidth-delay product",
            value: sizes.bdp_bytes,
            unit: Unit::Bytes,
            how: format!("{} x {}", rate(need.rate_bps), duration(need.rtt_ns)),
            why: "So much is under way before the first byte is acknowledged; with less the wire runs dry.",
            source: SLIDES,
        },
        Rule {
            name: "in flight",
            value: sizes.in_flight_bytes,
            unit: Unit::Bytes,
            how: "2 x bandwidth-delay product".to_owned(),
            why: "As much again is on its way from the kernel to the application.",
            source: SLIDES,
        },
    ]
}

fn memory(need: &Need, sizes: &Sizes) -> Vec<Rule> {
    let wished = sizes.wished_ring(need);
    let ring = match need.ring {
        Some(_) => format!("as given; the rule's would be {wished}"),
        None if wished > sizes.ring.into() => {
            format!("{wished} by the rule, but no ring is longer than this")
        }
        None => "2 x the buffers of what is in flight, as a power of two, 64 at least".to_owned(),
    };
    let lasts = |buffers| duration(sizes.fills_ns(need, buffers));
    let factor = match sizes.memory_bytes == 4 * sizes.ring_bytes {
        true => "4 x the bytes of the ring".to_owned(),
        false => "4 x the bytes of the ring, but the ring and 2 x what is in flight at least".to_owned(),
    };
    vec![
        Rule {
            name: "receive ring",
            value: sizes.ring.into(),
            unit: Unit::Descriptors,
            how: format!("{ring}; the stream fills it in {}", lasts(sizes.ring.into())),
            why: "A window may come in one burst while one half of the ring is with the driver. What finds no buffer is dropped.",
            source: "ours; The Battle of the ZCs has 4096, fixed",
        },
        Rule {
            name: "bytes of the ring",
            value: sizes.ring_bytes,
            unit: Unit::Bytes,
            how: format!("{} x {}", sizes.ring, bytes(need.buffer_bytes.into())),
            why: "These buffers are posted: nobody else has the use of them.",
            source: SLIDES,
        },
        Rule {
            name: "device memory",
            value: sizes.memory_bytes,
            unit: Unit::Bytes,
            how: format!(
                "{factor}, whole huge pages; the stream fills it in {}",
                lasts(sizes.memory_bytes / u64::from(need.buffer_bytes.max(1)))
            ),
            why: "The application sits on what it has accepted (three rings' worth). If the pool runs out, each buffer is fetched \
                  from the provider's allocator, and in the end packets are dropped.",
            source: SLIDES,
        },
        Rule {
            name: "huge pages",
            value: sizes.huge_pages,
            unit: Unit::Pages,
            how: format!("{} of device memory and a message", plural(need.queues.into(), "queue")),
            why: "A udmabuf or an area of huge pages has few long pieces: fewer entries to map, and large net_iovs are possible.",
            source: "ours; The Battle of the ZCs has 16384, which is 32 GiB",
        },
    ]
}

fn application(sizes: &Sizes) -> Vec<Rule> {
    let of_all =
        |capped: bool, most: String| if capped { format!(", {most} at most") } else { String::new() };
    vec![
        Rule {
            name: "read",
            value: sizes.read_bytes,
            unit: Unit::Bytes,
            how: format!(
                "device memory{}",
                of_all(sizes.memory_bytes > MOST_BYTES_PER_READ, bytes(MOST_BYTES_PER_READ))
            ),
            why: "A call returns what is there. Small reads give buffers back too slowly: 64 MiB instead of 512 KiB gained 30 %.",
            source: SLIDES,
        },
        Rule {
            name: "control buffer of a read",
            value: sizes.control_bytes,
            unit: Unit::Bytes,
            how: "40 for each buffer that a read may return".to_owned(),
            why: "Each buffer is told in a control message; a read ends where there is no room for the next.",
            source: "CMSG_SPACE(sizeof(struct dmabuf_cmsg)), include/uapi/linux/uio.h",
        },
        Rule {
            name: "token batch",
            value: sizes.token_batch.into(),
            unit: Unit::Tokens,
            how: format!(
                "half of what one call takes ({MOST_TOKENS}), a quarter of what the application may hold at most"
            ),
            why: "A system call for each few tokens costs more than the tokens. Gathered up to half, one more small read still \
                  fits into the call.",
            source: "512 in The Battle of the ZCs; MAX_DONTNEED_FRAGS, net/core/sock.c",
        },
        Rule {
            name: "refill ring of zcrx",
            value: sizes.refill_entries.into(),
            unit: Unit::Entries,
            how: format!(
                "what the application may hold, as a power of two{}",
                of_all(sizes.refill_entries == MOST_REFILL_ENTRIES, MOST_REFILL_ENTRIES.to_string())
            ),
            why: "Buffers go back through it, and what finds no room has to wait.",
            source: "ours; IO_RQ_MAX_ENTRIES, io_uring/zcrx.c",
        },
    ]
}

fn sockets(need: &Need, sizes: &Sizes) -> Vec<Rule> {
    let per_segment = u64::from(sizes.buffers_per_segment) * u64::from(need.buffer_bytes);
    let charged = if per_segment > 2 * u64::from(sizes.segment_bytes) {
        format!("in flight x {} charged for {}", bytes(per_segment), bytes(sizes.segment_bytes.into()))
    } else {
        "2 x in flight".to_owned()
    };
    vec![
        Rule {
            name: "receive buffer (tcp_rmem)",
            value: sizes.receive_buffer_bytes,
            unit: Unit::Bytes,
            how: format!("{charged}, as a power of two"),
            why: "Twice, since the kernel offers half of it as window until it has seen how much of a buffer is payload.",
            source: "TCP_DEFAULT_SCALING_RATIO, include/net/tcp.h",
        },
        Rule {
            name: "send buffer (tcp_wmem)",
            value: sizes.send_buffer_bytes,
            unit: Unit::Bytes,
            how: "2 x in flight, as a power of two".to_owned(),
            why: "Twice, since what is sent again is kept beside what is sent next: the kernel itself wants two windows.",
            source: "tcp_sndbuf_expand(), net/ipv4/tcp_input.c",
        },
        Rule {
            name: "option memory (optmem_max)",
            value: sizes.optmem_bytes,
            unit: Unit::Bytes,
            how: "576 for each message in the send buffer, the kernel's default at least".to_owned(),
            why: "Each send with MSG_ZEROCOPY is charged a notification; without room it fails with ENOBUFS.",
            source: "sock_omalloc(), net/core/sock.c; 4 MiB in The Battle of the ZCs",
        },
    ]
}

/// What does not fit, or could be had for less.
pub(crate) fn notes(need: &Need, sizes: &Sizes) -> Vec<String> {
    let mut notes = Vec::new();
    let room = u64::from(sizes.buffers_per_segment) * u64::from(need.buffer_bytes);
    let segment = u64::from(sizes.segment_bytes);
    if segment < room {
        let buffer = u64::from(need.buffer_bytes);
        let whole = (segment / buffer).max(1) * buffer;
        notes.push(format!(
            "Payload fills {} % of its buffers. With an MTU of {} it fills them all.",
            segment * 100 / room,
            whole + u64::from(need.header_bytes())
        ));
    }
    let wished = sizes.wished_ring(need);
    if need.ring.is_some_and(|ring| u64::from(ring) < wished) {
        notes.push(format!(
            "A burst of all that is in flight asks for {wished} descriptors; this ring has {}.",
            sizes.ring
        ));
    } else if need.ring.is_none() && wished > MOST_DESCRIPTORS.into() {
        notes.push(format!(
            "A burst of all that is in flight asks for {wished} descriptors, and NICs have {MOST_DESCRIPTORS} at most: spread flows \
             over more queues, or pace the sender."
        ));
    }
    if sizes.memory_bytes > 64 << 20 {
        notes.push(
            "6.12 makes no udmabuf of more than 64 MiB until /sys/module/udmabuf/parameters/size_limit_mb is raised; 7.3 has no such \
             limit."
                .to_owned(),
        );
    }
    notes
}

/// `1 queue`, `2 queues`.
fn plural(count: u64, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_size_has_a_rule_with_its_reason() {
        let need = Need::of_stream(200_000_000_000, 100_000, 4148);
        let sizes = Sizes::of(&need);
        let rules = rules(&need, &sizes);
        let value = |name: &str| rules.iter().find(|rule| rule.name == name).map(|rule| rule.value);
        assert_eq!(value("receive ring"), Some(4096));
        assert_eq!(value("device memory"), Some(64 << 20));
        assert_eq!(value("bandwidth-delay product"), Some(2_500_000));
        assert!(
            rules.iter().all(|rule| !rule.why.is_empty() && !rule.source.is_empty() && !rule.how.is_empty())
        );
        assert_eq!(rules[1].how, "200 Gbit/s x 100 us");
        // 4096 descriptors of 4096 bytes at 200 Gbit/s.
        assert!(rules[3].how.ends_with("fills it in 671 us"), "{}", rules[3].how);
        assert_eq!(notes(&need, &sizes), [""; 0]);
    }

    #[test]
    fn what_does_not_fit_is_said() {
        let need = Need { ring: Some(512), ..Need::of_stream(200_000_000_000, 100_000, 1500) };
        let notes_of = |need: &Need| notes(need, &Sizes::of(need)).join("\n");
        let notes_given = notes_of(&need);
        assert!(notes_given.contains("35 %") && notes_given.contains("MTU of 4148"), "{notes_given}");
        assert!(notes_given.contains("8192 descriptors; this ring has 512"), "{notes_given}");
        let long = notes_of(&Need::of_stream(100_000_000_000, 50_000_000, 4148));
        assert!(long.contains("more queues") && long.contains("size_limit_mb"), "{long}");
    }
}
