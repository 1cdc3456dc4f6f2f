//! Sets of CPUs in the kernel's two notations: lists (`0-3,8`) and masks (`ff,00000000`).

use std::{collections::BTreeSet, fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// A larger number is a mistake: the kernel's own limit (`CONFIG_NR_CPUS`) is 8192.
const MAX_CPU: u32 = 8191;

/// A set of CPUs. Displayed as a list.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct CpuSet(BTreeSet<u32>);

/// Text that is no set of CPUs.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is no list of CPUs such as 2-5,8 (at most {MAX_CPU})")]
pub struct NotCpus {
    text: String,
}

impl CpuSet {
    /// These CPUs.
    pub fn of(cpus: impl IntoIterator<Item = u32>) -> Self {
        Self(cpus.into_iter().collect())
    }

    /// From a mask of hexadecimal words of 32 bits, the highest first.
    #[must_use]
    pub fn from_mask(text: &str) -> Option<Self> {
        let mut cpus = BTreeSet::new();
        for (word, digits) in text.trim().rsplit(',').enumerate() {
            let bits = u32::from_str_radix(digits, 16).ok()?;
            let first = u32::try_from(word).ok()?.checked_mul(32)?;
            cpus.extend((0..32).filter(|bit| bits & (1 << bit) != 0).map(|bit| first + bit));
        }
        Some(Self(cpus))
    }

    /// As a mask of hexadecimal words, the highest without leading zeros.
    #[must_use]
    pub fn to_mask(&self) -> String {
        let highest = self.0.last().map_or(0, |last| last / 32);
        let word = |index: u32| {
            let bits =
                self.0.range(index * 32..(index + 1) * 32).fold(0_u32, |bits, cpu| bits | 1 << (cpu % 32));
            if index == highest { format!("{bits:x}") } else { format!("{bits:08x}") }
        };
        (0..=highest).rev().map(word).collect::<Vec<_>>().join(",")
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether this CPU is among them.
    #[must_use]
    pub fn contains(&self, cpu: u32) -> bool {
        self.0.contains(&cpu)
    }

    /// The lowest first.
    pub fn iter(&self) -> impl Iterator<Item = u32> + '_ {
        self.0.iter().copied()
    }

    /// Those that are not in `other`.
    #[must_use]
    pub fn without(&self, other: &Self) -> Self {
        Self(self.0.difference(&other.0).copied().collect())
    }

    /// Whether all of these are in `other`.
    #[must_use]
    pub fn is_subset(&self, other: &Self) -> bool {
        self.0.is_subset(&other.0)
    }
}

impl FromStr for CpuSet {
    type Err = NotCpus;

    fn from_str(text: &str) -> Result<Self, NotCpus> {
        let wrong = || NotCpus { text: text.trim().to_owned() };
        let number = |text: &str| text.parse().ok().filter(|cpu| *cpu <= MAX_CPU).ok_or_else(wrong);
        let mut cpus = BTreeSet::new();
        for range in text.trim().split(',').filter(|range| !range.is_empty()) {
            let (first, last) = range.split_once('-').unwrap_or((range, range));
            let (first, last): (u32, u32) = (number(first)?, number(last)?);
            if first > last {
                return Err(wrong());
            }
            cpus.extend(first..=last);
        }
        Ok(Self(cpus))
    }
}

impl TryFrom<String> for CpuSet {
    type Error = NotCpus;

    fn try_from(text: String) -> Result<Self, NotCpus> {
        text.parse()
    }
}

impl From<CpuSet> for String {
    fn from(cpus: CpuSet) -> Self {
        cpus.to_string()
    }
}

impl fmt::Display for CpuSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let cpus: Vec<u32> = self.iter().collect();
        for (index, range) in cpus.chunk_by(|a, b| a + 1 == *b).enumerate() {
            let separator = if index == 0 { "" } else { "," };
            match range {
                [one] => write!(f, "{separator}{one}")?,
                many => write!(f, "{separator}{}-{}", many[0], many[many.len() - 1])?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn reads_what_the_kernel_writes() {
        assert_eq!("0-3,8".parse::<CpuSet>().unwrap(), CpuSet::of([0, 1, 2, 3, 8]));
        assert!("\n".parse::<CpuSet>().unwrap().is_empty());
        assert_eq!(CpuSet::from_mask("1,00000003\n").unwrap(), CpuSet::of([0, 1, 32]));
        assert_eq!(CpuSet::from_mask("00000000").unwrap().to_mask(), "0");
        assert_eq!(CpuSet::of([0, 33]).to_mask(), "2,00000001");
        assert_eq!(CpuSet::from_mask("zz"), None);
    }

    #[test]
    fn refuses_what_is_no_list() {
        for text in ["3-1", "a", "0-", "1--2", "99999", "-1"] {
            assert!(text.parse::<CpuSet>().is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn both_notations_give_back_the_set(cpus in proptest::collection::btree_set(0_u32..300, 0..40)) {
            let set = CpuSet::of(cpus);
            prop_assert_eq!(&set.to_string().parse::<CpuSet>().unwrap(), &set);
            prop_assert_eq!(&CpuSet::from_mask(&set.to_mask()).unwrap(), &set);
        }
    }
}
