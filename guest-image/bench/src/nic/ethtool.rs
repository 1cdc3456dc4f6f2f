//! A NIC's rings, features and indirection table, over ethtool's netlink (include/uapi/linux/ethtool_netlink_generated.h).

use std::collections::BTreeSet;

use netlink::{
    Attributes, Family, Refusal,
    attributes::{find, number_of, parse, text},
};

const FEATURES_GET: u8 = 11;
const FEATURES_SET: u8 = 12;
const RINGS_GET: u8 = 15;
const RINGS_SET: u8 = 16;
const RSS_GET: u8 = 38;
const RSS_SET: u8 = 48;

/// Every request's first attribute, and in it the interface's number.
const HEADER: u16 = 1;
const HEADER_DEV_INDEX: u16 = 1;

const RINGS_RX: u16 = 6;
const RINGS_TCP_DATA_SPLIT: u16 = 11;
const RINGS_HDS_THRESH: u16 = 17;
const FEATURES_WANTED: u16 = 3;
const FEATURES_ACTIVE: u16 = 4;
const BITSET_BITS: u16 = 3;
const BITSET_BITS_BIT: u16 = 1;
const BIT_NAME: u16 = 2;
const BIT_VALUE: u16 = 3;
const RSS_INDIR: u16 = 4;

/// `tcp-data-split`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HeaderSplit {
    /// As the driver likes.
    Unknown,
    Off,
    On,
}

/// What of a NIC's rings concerns us. What is none is not there, or not to be changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Rings {
    pub(crate) receive: Option<u32>,
    pub(crate) header_split: Option<HeaderSplit>,
    pub(crate) threshold: Option<u32>,
}

/// A NIC, over ethtool's netlink.
#[derive(Debug)]
pub(crate) struct Ethtool {
    family: Family,
    index: u32,
}

impl Ethtool {
    pub(crate) fn open(index: u32) -> Result<Self, Refusal> {
        Ok(Self { family: Family::open("ethtool")?, index })
    }

    fn header(&self) -> Attributes {
        Attributes::default().nest(HEADER, Attributes::default().u32(HEADER_DEV_INDEX, self.index))
    }

    fn get(&self, command: u8) -> Result<Vec<u8>, Refusal> {
        self.family.ask(command, &self.header())?.into_iter().next().ok_or_else(Refusal::bad)
    }

    pub(crate) fn rings(&self) -> Result<Rings, Refusal> {
        let answer = self.get(RINGS_GET)?;
        Ok(Rings {
            receive: number_of(&answer, RINGS_RX),
            header_split: number_of::<u8>(&answer, RINGS_TCP_DATA_SPLIT).map(|split| match split {
                1 => HeaderSplit::Off,
                2 => HeaderSplit::On,
                _ => HeaderSplit::Unknown,
            }),
            threshold: number_of(&answer, RINGS_HDS_THRESH),
        })
    }

    pub(crate) fn set_rings(&self, rings: Rings) -> Result<(), Refusal> {
        let mut request = self.header();
        if let Some(entries) = rings.receive {
            request = request.u32(RINGS_RX, entries);
        }
        if let Some(split) = rings.header_split {
            request = request.u8(RINGS_TCP_DATA_SPLIT, split as u8);
        }
        if let Some(threshold) = rings.threshold {
            request = request.u32(RINGS_HDS_THRESH, threshold);
        }
        self.family.ask(RINGS_SET, &request).map(drop)
    }

    /// The names of the features that are on.
    pub(crate) fn features(&self) -> Result<BTreeSet<String>, Refusal> {
        let answer = self.get(FEATURES_GET)?;
        Ok(find(&answer, FEATURES_ACTIVE).map(names).unwrap_or_default())
    }

    /// Asks for a feature. The kernel answers well also if it stays as it was: read it back.
    pub(crate) fn set_feature(&self, name: &str, on: bool) -> Result<(), Refusal> {
        self.family.ask(FEATURES_SET, &feature_request(self.header(), name, on)).map(drop)
    }

    /// Which queue each entry of the indirection table leads to.
    pub(crate) fn indirection(&self) -> Result<Vec<u32>, Refusal> {
        let answer = self.get(RSS_GET)?;
        let table = find(&answer, RSS_INDIR).unwrap_or_default();
        Ok(table
            .chunks_exact(4)
            .map(|entry| u32::from_ne_bytes([entry[0], entry[1], entry[2], entry[3]]))
            .collect())
    }

    /// An empty table is the driver's own.
    pub(crate) fn set_indirection(&self, table: &[u32]) -> Result<(), Refusal> {
        let bytes: Vec<u8> = table.iter().flat_map(|queue| queue.to_ne_bytes()).collect();
        self.family.ask(RSS_SET, &self.header().bytes(RSS_INDIR, &bytes)).map(drop)
    }
}

fn feature_request(header: Attributes, name: &str, on: bool) -> Attributes {
    let bit = Attributes::default().string(BIT_NAME, name);
    let bit = if on { bit.flag(BIT_VALUE) } else { bit };
    let bits = Attributes::default().nest(BITSET_BITS_BIT, bit);
    header.nest(FEATURES_WANTED, Attributes::default().nest(BITSET_BITS, bits))
}

/// The names of the bits that a bitset lists.
fn names(bitset: &[u8]) -> BTreeSet<String> {
    let bits = find(bitset, BITSET_BITS).unwrap_or_default();
    parse(bits)
        .filter(|(kind, _)| *kind == BITSET_BITS_BIT)
        .filter_map(|(_, bit)| find(bit, BIT_NAME).map(text))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_feature_is_asked_for_by_its_name() {
        let wanted = |on| feature_request(Attributes::default(), "rx-gro-hw", on);
        for on in [true, false] {
            let request = wanted(on);
            let bits = find(find(request.as_bytes(), FEATURES_WANTED).unwrap(), BITSET_BITS).unwrap();
            let bit = find(bits, BITSET_BITS_BIT).unwrap();
            assert_eq!(find(bit, BIT_NAME), Some(&b"rx-gro-hw\0"[..]));
            assert_eq!(find(bit, BIT_VALUE).is_some(), on);
        }
        assert_eq!(
            names(find(wanted(true).as_bytes(), FEATURES_WANTED).unwrap()),
            BTreeSet::from(["rx-gro-hw".to_owned()])
        );
    }
}
