//! Which events tell what, by the processor's model. The same event number and unit mask mean different things on different models, and
//! perf's own names for one thing count different things, so both are spelled out.
//!
//! Sources: `tools/perf/pmu-events/arch/x86/{icelakex,sapphirerapids,emeraldrapids,graniterapids}/uncore-io.json` of Linux 6.12;
//! where these have no event, the event files of intel/pcm (`src/opCode-6-{106,143,207}.txt`). `drivers/iommu/intel/perfmon.c` for
//! the PMU of the IOMMU itself.

/// What is counted, whatever counts it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Figure {
    /// First lookups of a transaction in the IOTLB.
    FirstLookups,
    /// All lookups.
    AllLookups,
    /// Lookups that hit.
    Hits,
    /// Lookups that missed, each a page walk.
    Misses,
    /// Reads of memory by the IOMMU, the part that pcm-iio's event files name `IOMMU Mem Access (LO)`.
    MemoryAccessesLow,
    /// All of them, low and high part; of a model whose counter has no parts, the same as the low one.
    MemoryAccesses,
    /// IOTLB invalidations of everything.
    GlobalInvalidations,
    /// Of a domain.
    DomainInvalidations,
    /// Of pages.
    PageInvalidations,
    /// Of either kind, where the model does not tell them apart.
    Invalidations,
    /// Page walks in flight, summed over clocks; where it has a ninth bit, the lower eight.
    Occupancy,
    /// The ninth bit of it, which counts for 256.
    OccupancyNinthBit,
}

impl Figure {
    /// As it is named in what perf is asked for, and in what it answers.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::FirstLookups => "first_lookups",
            Self::AllLookups => "all_lookups",
            Self::Hits => "hits",
            Self::Misses => "misses",
            Self::MemoryAccessesLow => "memory_accesses_low",
            Self::MemoryAccesses => "memory_accesses",
            Self::GlobalInvalidations => "global_invalidations",
            Self::DomainInvalidations => "domain_invalidations",
            Self::PageInvalidations => "page_invalidations",
            Self::Invalidations => "invalidations",
            Self::Occupancy => "occupancy",
            Self::OccupancyNinthBit => "occupancy_ninth_bit",
        }
    }

    const ALL: [Self; 12] = [
        Self::FirstLookups,
        Self::AllLookups,
        Self::Hits,
        Self::Misses,
        Self::MemoryAccessesLow,
        Self::MemoryAccesses,
        Self::GlobalInvalidations,
        Self::DomainInvalidations,
        Self::PageInvalidations,
        Self::Invalidations,
        Self::Occupancy,
        Self::OccupancyNinthBit,
    ];

    /// The figure called `word`.
    #[must_use]
    pub fn of_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|figure| figure.word() == word)
    }
}

/// An event of `uncore_iio`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event {
    /// What it counts.
    pub figure: Figure,
    /// Number.
    pub event: u8,
    /// Unit mask.
    pub umask: u8,
}

const fn event(figure: Figure, event: u8, umask: u8) -> Event {
    Event { figure, event, umask }
}

/// Ice Lake servers: the counter of memory reads has one part, and 0x80 beside it is another event (`CYC_PWT_FULL`). pcm's file for
/// this model counts global invalidations only.
const ICE_LAKE: &[Event] = &[
    event(Figure::FirstLookups, 0x40, 0x01),
    event(Figure::AllLookups, 0x40, 0x02),
    event(Figure::Misses, 0x40, 0x20),
    event(Figure::MemoryAccesses, 0x41, 0x40),
    event(Figure::Occupancy, 0x42, 0x00),
    event(Figure::GlobalInvalidations, 0x43, 0x01),
    event(Figure::DomainInvalidations, 0x43, 0x02),
    event(Figure::PageInvalidations, 0x43, 0x04),
];

/// Sapphire and Emerald Rapids. perf has no name for all lookups and for invalidations; its `NUM_MEM_ACCESSES` is both parts, and what
/// pcm-iio's scripts print is the low one.
const SAPPHIRE_RAPIDS: &[Event] = &[
    event(Figure::FirstLookups, 0x40, 0x01),
    event(Figure::AllLookups, 0x40, 0x02),
    event(Figure::Misses, 0x40, 0x20),
    event(Figure::MemoryAccessesLow, 0x41, 0x40),
    event(Figure::MemoryAccesses, 0x41, 0xc0),
    event(Figure::Occupancy, 0x42, 0xff),
    event(Figure::OccupancyNinthBit, 0x43, 0x01),
    event(Figure::Invalidations, 0x43, 0x04),
];

/// Granite Rapids, as before but for the occupancy, which has all its bits in one event.
const GRANITE_RAPIDS: &[Event] = &[
    event(Figure::FirstLookups, 0x40, 0x01),
    event(Figure::AllLookups, 0x40, 0x02),
    event(Figure::Misses, 0x40, 0x20),
    event(Figure::MemoryAccessesLow, 0x41, 0x40),
    event(Figure::MemoryAccesses, 0x41, 0xc0),
    event(Figure::Occupancy, 0x42, 0x00),
    event(Figure::Invalidations, 0x43, 0x04),
];

/// The processor that the counters belong to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cpu {
    /// `vendor_id` of `/proc/cpuinfo`.
    pub vendor: String,
    /// `cpu family`.
    pub family: u32,
    /// `model`.
    pub model: u32,
}

impl Cpu {
    /// That of the first processor in `/proc/cpuinfo`.
    #[must_use]
    pub fn of(cpuinfo: &str) -> Option<Self> {
        let field = |name: &str| {
            let named = |line: &&str| line.split(':').next().is_some_and(|key| key.trim() == name);
            Some(cpuinfo.lines().find(named)?.split_once(':')?.1.trim())
        };
        Some(Self {
            vendor: field("vendor_id")?.to_owned(),
            family: field("cpu family")?.parse().ok()?,
            model: field("model")?.parse().ok()?,
        })
    }

    /// The events of its I/O units, and what the family of its model is called; none if its tables are not known.
    #[must_use]
    pub fn events(&self) -> Option<(&'static str, &'static [Event])> {
        match (self.vendor.as_str(), self.family, self.model) {
            ("GenuineIntel", 6, 106 | 108) => Some(("Ice Lake", ICE_LAKE)),
            ("GenuineIntel", 6, 143) => Some(("Sapphire Rapids", SAPPHIRE_RAPIDS)),
            ("GenuineIntel", 6, 207) => Some(("Emerald Rapids", SAPPHIRE_RAPIDS)),
            ("GenuineIntel", 6, 173 | 174) => Some(("Granite Rapids", GRANITE_RAPIDS)),
            _ => None,
        }
    }
}

/// Events of the PMU that an IOMMU of VT-d may have itself (`dmar0`), by the names that the kernel gives them.
pub const DMAR: &[(Figure, &str)] = &[
    (Figure::AllLookups, "iotlb_lookup"),
    (Figure::Hits, "iotlb_hit"),
    (Figure::MemoryAccesses, "iommu_mrds"),
    (Figure::Occupancy, "pw_occupancy"),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn cpu(model: u32) -> Cpu {
        Cpu { vendor: "GenuineIntel".into(), family: 6, model }
    }

    fn of(model: u32, figure: Figure) -> Vec<(u8, u8)> {
        let (_, events) = cpu(model).events().unwrap();
        let matching = events.iter().filter(|event| event.figure == figure);
        matching.map(|event| (event.event, event.umask)).collect()
    }

    #[test]
    fn one_name_is_another_event_on_another_model() {
        // What pcm-iio's scripts print is the low part; where there are no parts, 0x80 would be something else.
        assert_eq!(of(207, Figure::MemoryAccessesLow), [(0x41, 0x40)]);
        assert_eq!(of(207, Figure::MemoryAccesses), [(0x41, 0xc0)]);
        assert_eq!(of(106, Figure::MemoryAccesses), [(0x41, 0x40)]);
        assert_eq!(of(106, Figure::MemoryAccessesLow), []);
        // Page invalidations there, all of them here.
        assert_eq!(of(106, Figure::PageInvalidations), of(173, Figure::Invalidations));
        assert_eq!(of(143, Figure::OccupancyNinthBit), [(0x43, 0x01)]);
        assert_eq!(of(106, Figure::GlobalInvalidations), of(143, Figure::OccupancyNinthBit));
    }

    #[test]
    fn a_processor_is_what_cpuinfo_says() {
        let cpuinfo = "processor\t: 0\nvendor_id\t: GenuineIntel\ncpu family\t: 6\nmodel\t\t: 207\nmodel name\t: Intel(R) Xeon(R)\n";
        assert_eq!(Cpu::of(cpuinfo), Some(cpu(207)));
        assert_eq!(Cpu::of("processor\t: 0\n"), None);
        assert_eq!(cpu(85).events(), None);
        assert_eq!(Cpu { vendor: "AuthenticAMD".into(), ..cpu(207) }.events(), None);
    }

    #[test]
    fn figures_are_found_by_their_words() {
        assert!(Figure::ALL.iter().all(|figure| Figure::of_word(figure.word()) == Some(*figure)));
        assert_eq!(Figure::of_word("cycles"), None);
    }
}
