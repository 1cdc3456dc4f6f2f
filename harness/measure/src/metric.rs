//! Every metric that the project knows, with its unit and which way is better. A sample's metric must be one of these.

use serde::{Deserialize, Serialize};

/// Unit of a metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Unit {
    /// Bits in a second.
    BitsPerSecond,
    /// Microseconds.
    Microseconds,
    /// Messages in a second.
    MessagesPerSecond,
    /// Hundredths of the whole.
    Percent,
    /// A plain number of things.
    Count,
    /// Things for each 4 KiB page of payload.
    PerPage,
    /// Seconds.
    Seconds,
}

impl Unit {
    /// As it is printed after a number.
    #[must_use]
    pub fn symbol(self) -> &'static str {
        match self {
            Self::BitsPerSecond => "bit/s",
            Self::Microseconds => "us",
            Self::MessagesPerSecond => "msg/s",
            Self::Percent => "%",
            Self::Count => "",
            Self::PerPage => "/page",
            Self::Seconds => "s",
        }
    }
}

/// Which way a metric is better.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Better {
    /// More is better.
    Higher,
    /// Less is better.
    Lower,
    /// Neither: it explains, and cannot be gated.
    Neither,
}

/// A metric's definition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MetricDef {
    /// In scenarios, samples and reports.
    pub name: &'static str,
    /// Unit of its values.
    pub unit: Unit,
    /// Which way is better.
    pub better: Better,
    /// One line: what it is and how it is computed.
    pub help: &'static str,
}

macro_rules! metrics {
    ($($(#[doc = $help:literal])+ $ident:ident = $name:literal, $unit:ident, $better:ident;)+) => {
        $($(#[doc = $help])+
        pub const $ident: MetricDef = MetricDef {
            name: $name, unit: Unit::$unit, better: Better::$better, help: concat!($($help),+),
        };)+

        /// Every metric, in the order of reports.
        pub const ALL: &[MetricDef] = &[$($ident),+];
    };
}

metrics! {
    /// Payload received by the receiving side, over all flows.
    THROUGHPUT = "throughput", BitsPerSecond, Higher;
    /// Segments that the sender sent again, over all flows (iperf3).
    RETRANSMITS = "retransmits", Count, Lower;
    /// sockperf's latency, half the round trip; dimension `percentile` (25 to 99.999, `min`, `max`).
    LATENCY = "latency", Microseconds, Lower;
    /// sockperf's mean latency.
    LATENCY_MEAN = "latency-mean", Microseconds, Lower;
    /// Messages answered in a second.
    MESSAGE_RATE = "message-rate", MessagesPerSecond, Higher;
    /// Messages that were never answered, of those sent.
    MESSAGE_LOSS = "message-loss", Percent, Lower;
    /// user + nice time of a core, dimension `core` (`all` is the mean over cores).
    CPU_APP = "cpu-app", Percent, Lower;
    /// System time of a core without interrupts.
    CPU_SYSTEM = "cpu-system", Percent, Lower;
    /// Hard and soft interrupt time of a core.
    CPU_SOFTIRQ = "cpu-softirq", Percent, Lower;
    /// Time in which a core waited for I/O; counts as idle.
    CPU_IOWAIT = "cpu-iowait", Percent, Neither;
    /// Time that the hypervisor kept from a core.
    CPU_STEAL = "cpu-steal", Percent, Neither;
    /// All but idle, iowait and steal.
    CPU_BUSY = "cpu-busy", Percent, Lower;
    /// Segments retransmitted of segments sent, both from `/proc/net/snmp` of the sending side.
    DROP_RATE = "drop-rate", Percent, Lower;
    /// Segments that the sending side received for each 4 KiB page of payload that it sent.
    ACKS_PER_PAGE = "acks-per-page", PerPage, Lower;
    /// Packets dropped because a core's backlog was full, `/proc/net/softnet_stat`.
    SOFTNET_DROPS = "softnet-drops", Count, Lower;
    /// Packets that a NIC dropped on receive or transmit, `/proc/net/dev`.
    NIC_DROPS = "nic-drops", Count, Lower;
    /// IOTLB hits of the emulated IOMMU for each 4 KiB page (QEMU `vtd_iotlb_page_hit`).
    IOTLB_HITS = "iotlb-hits-per-page", PerPage, Neither;
    /// IOTLB misses that were filled, for each page (QEMU `vtd_iotlb_page_update`).
    IOTLB_FILLS = "iotlb-fills-per-page", PerPage, Lower;
    /// Invalidations by page range for each page (QEMU `vtd_inv_desc_iotlb_pages`).
    IOTLB_PAGE_INVALIDATIONS = "iotlb-page-invalidations-per-page", PerPage, Lower;
    /// Invalidations of a domain or of everything for each page.
    IOTLB_WIDE_INVALIDATIONS = "iotlb-wide-invalidations-per-page", PerPage, Lower;
    /// From power-on until the agent answered.
    BOOT_TIME = "boot-time", Seconds, Lower;
}

/// The metric called `name`.
#[must_use]
pub fn find(name: &str) -> Option<&'static MetricDef> {
    ALL.iter().find(|metric| metric.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_kebab_case() {
        let mut names: Vec<_> = ALL.iter().map(|metric| metric.name).collect();
        assert!(names.iter().all(|name| name.chars().all(|c| c.is_ascii_lowercase() || c == '-')));
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), ALL.len());
    }
}
