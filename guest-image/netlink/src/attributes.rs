//! Attributes of netlink messages: a length, a kind and a payload each, padded to four bytes (include/uapi/linux/netlink.h,
//! `struct nlattr`).

/// The flag of an attribute that holds others.
const NLA_F_NESTED: u16 = 0x8000;
/// All of a kind but its flags.
const NLA_TYPE_MASK: u16 = 0x3fff;
const HEADER: usize = 4;

/// Attributes that are being put together.
#[derive(Debug, Default)]
pub struct Attributes(Vec<u8>);

impl Attributes {
    /// Adds one with this payload, which is below 64 KiB.
    #[must_use]
    pub fn bytes(mut self, kind: u16, payload: &[u8]) -> Self {
        let length = u16::try_from(HEADER + payload.len()).expect("no attribute of ours has 64 KiB");
        self.0.extend(length.to_ne_bytes());
        self.0.extend(kind.to_ne_bytes());
        self.0.extend(payload);
        self.0.resize(self.0.len().next_multiple_of(4), 0);
        self
    }

    /// Adds a byte.
    #[must_use]
    pub fn u8(self, kind: u16, value: u8) -> Self {
        self.bytes(kind, &[value])
    }

    /// Adds a number.
    #[must_use]
    pub fn u32(self, kind: u16, value: u32) -> Self {
        self.bytes(kind, &value.to_ne_bytes())
    }

    /// With the zero at its end.
    #[must_use]
    pub fn string(self, kind: u16, value: &str) -> Self {
        self.bytes(kind, &[value.as_bytes(), &[0]].concat())
    }

    /// Adds one without payload.
    #[must_use]
    pub fn flag(self, kind: u16) -> Self {
        self.bytes(kind, &[])
    }

    /// Adds one that holds others.
    #[must_use]
    pub fn nest(self, kind: u16, inner: Self) -> Self {
        self.bytes(kind | NLA_F_NESTED, &inner.0)
    }

    /// As they go into a message.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// Attributes as they came: each kind, without flags, and its payload. Ends where what is left is no attribute.
pub fn parse(mut bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    std::iter::from_fn(move || {
        let length = usize::from(u16::from_ne_bytes(bytes.get(..2)?.try_into().ok()?));
        let kind = u16::from_ne_bytes(bytes.get(2..HEADER)?.try_into().ok()?) & NLA_TYPE_MASK;
        let payload = bytes.get(HEADER..length)?;
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some((kind, payload))
    })
}

/// The payload of the first attribute of a kind.
#[must_use]
pub fn find(bytes: &[u8], kind: u16) -> Option<&[u8]> {
    parse(bytes).find(|(found, _)| *found == kind).map(|(_, payload)| payload)
}

/// A number in one, two, four or eight bytes, as `u8` to `uint` are sent.
#[must_use]
pub fn number(payload: &[u8]) -> Option<u64> {
    match payload.len() {
        1 => payload.first().map(|byte| u64::from(*byte)),
        2 => payload.try_into().ok().map(u16::from_ne_bytes).map(u64::from),
        4 => payload.try_into().ok().map(u32::from_ne_bytes).map(u64::from),
        8 => payload.try_into().ok().map(u64::from_ne_bytes),
        _ => None,
    }
}

/// [`number`] of the first attribute of a kind, if it fits.
#[must_use]
pub fn number_of<T: TryFrom<u64>>(bytes: &[u8], kind: u16) -> Option<T> {
    T::try_from(number(find(bytes, kind)?)?).ok()
}

/// Text up to its zero.
#[must_use]
pub fn text(payload: &[u8]) -> String {
    let end = payload.iter().position(|byte| *byte == 0).unwrap_or(payload.len());
    String::from_utf8_lossy(&payload[..end]).into_owned()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn attributes_are_laid_out_as_the_kernel_reads_them() {
        let inner = Attributes::default().u32(2, 1).flag(4);
        let built = Attributes::default().string(2, "zs0").u8(11, 2).nest(3, inner);
        let expected: &[u8] = &[
            8, 0, 2, 0, b'z', b's', b'0', 0, //
            5, 0, 11, 0, 2, 0, 0, 0, //
            16, 0, 3, 0x80, 8, 0, 2, 0, 1, 0, 0, 0, 4, 0, 4, 0,
        ];
        assert_eq!(built.as_bytes(), expected);
        let kinds: Vec<u16> = parse(built.as_bytes()).map(|(kind, _)| kind).collect();
        assert_eq!(kinds, [2, 11, 3]);
        assert_eq!(number_of::<u32>(find(built.as_bytes(), 3).unwrap(), 2), Some(1));
        assert_eq!(text(find(built.as_bytes(), 2).unwrap()), "zs0");
    }

    proptest! {
        #[test]
        fn what_is_built_is_read_again(attributes in proptest::collection::vec((0..0x3fff_u16, proptest::collection::vec(any::<u8>(), 0..50)), 0..20)) {
            let built = attributes.iter().fold(Attributes::default(), |built, (kind, payload)| built.bytes(*kind, payload));
            let read: Vec<(u16, Vec<u8>)> = parse(built.as_bytes()).map(|(kind, payload)| (kind, payload.to_vec())).collect();
            prop_assert_eq!(read, attributes);
        }

        #[test]
        fn no_bytes_are_too_bad_to_be_read(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let read: usize = parse(&bytes).map(|(_, payload)| HEADER + payload.len()).sum();
            prop_assert!(read <= bytes.len());
        }
    }
}
