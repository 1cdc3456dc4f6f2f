//! The kernel's trace ring, page by page, as `per_cpu/cpuN/trace_pipe_raw` gives it.
//!
//! Layout: `kernel/trace/ring_buffer.c` (`rb_event_data_length`, `rb_read_data_page`) and `include/linux/ring_buffer.h`
//! (`enum ring_buffer_type`); `events/header_page` and `events/header_event` of tracefs describe the same. Of a 64-bit
//! little-endian kernel: a page begins with the time of its first event and the number of its bytes, and events follow.

/// Bytes before a page's first event: its time, and how much of it is used.
const PAGE_HEADER: usize = 16;

/// Of the second word: bytes that are used. Above them stand flags that say what was lost before.
const COMMIT: u64 = (1 << 20) - 1;

/// Bits of a time that an event's first word carries.
const DELTA_BITS: u32 = 27;

/// An absolute time carries 59 bits; those above are the page's.
const STAMP_BITS: u32 = 59;

/// What an event was written with.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Entry<'a> {
    /// In the nanoseconds of the trace's clock.
    pub(super) time: u64,
    /// The event's own bytes; the first two say what kind it is.
    pub(super) data: &'a [u8],
}

/// The entries of one page, in the order of time. Nothing if the page is none.
pub(super) fn entries(page: &[u8]) -> Option<Vec<Entry<'_>>> {
    let mut time = u64_at(page, 0)?;
    let used = usize::try_from(u64_at(page, 8)? & COMMIT).ok()?;
    let mut rest = page.get(PAGE_HEADER..PAGE_HEADER.checked_add(used)?)?;
    let mut entries = Vec::new();
    while !rest.is_empty() {
        let head = u32_at(rest, 0)?;
        let (kind, delta) = (head & 31, u64::from(head >> 5));
        let (skip, length) = match kind {
            // Padding: the rest of the page if it says no more, else as long as it says.
            29 if delta == 0 => break,
            29 => (4, usize::try_from(u32_at(rest, 4)?).ok()?),
            30 => {
                time = time.wrapping_add((u64::from(u32_at(rest, 4)?) << DELTA_BITS) + delta);
                rest = rest.get(8..)?;
                continue;
            }
            31 => {
                let stamp = (u64::from(u32_at(rest, 4)?) << DELTA_BITS) + delta;
                time = (time >> STAMP_BITS << STAMP_BITS) | (stamp & ((1 << STAMP_BITS) - 1));
                rest = rest.get(8..)?;
                continue;
            }
            // Longer than a first word can say: the second counts itself.
            0 => (8, usize::try_from(u32_at(rest, 4)?).ok()?.checked_sub(4)?),
            words => (4, words as usize * 4),
        };
        time = time.wrapping_add(delta);
        let end = match kind {
            29 => skip + length,
            // What follows begins at a multiple of four.
            _ => skip + length.next_multiple_of(4),
        };
        if kind != 29 {
            entries.push(Entry { time, data: rest.get(skip..skip + length)? });
        }
        rest = rest.get(end..)?;
    }
    Some(entries)
}

pub(super) fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(bytes.get(at..at.checked_add(8)?)?.try_into().ok()?))
}

pub(super) fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at.checked_add(4)?)?.try_into().ok()?))
}

pub(super) fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(bytes.get(at..at.checked_add(2)?)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn word(kind: u32, delta: u32) -> [u8; 4] {
        (kind | delta << 5).to_le_bytes()
    }

    fn page(time: u64, events: &[&[u8]]) -> Vec<u8> {
        let events = events.concat();
        let mut page = time.to_le_bytes().to_vec();
        page.extend((events.len() as u64 | 1 << 31).to_le_bytes());
        page.extend(events);
        page.resize(4096, 0xee);
        page
    }

    #[test]
    fn times_add_up_over_every_kind_of_entry() {
        let page = page(
            1_000,
            &[
                &word(1, 5),
                b"abcd",
                // 1 << 27 and two more.
                &word(30, 2),
                &1_u32.to_le_bytes(),
                &word(2, 1),
                b"efghijkl",
                // Padding of 8 bytes after its first word.
                &word(29, 3),
                &8_u32.to_le_bytes(),
                b"....",
                // Long: 4 for the length itself, 5 of data, 3 to the next word.
                &word(0, 1),
                &9_u32.to_le_bytes(),
                b"mnopq...",
                &word(31, 7),
                &0_u32.to_le_bytes(),
                &word(1, 0),
                b"rstu",
                &word(29, 0),
                b"never read",
            ],
        );
        let extended = 1_000 + 5 + (1 << 27) + 2 + 1;
        let entry = |time, data: &'static [u8]| Entry { time, data };
        let expected = [
            entry(1_005, b"abcd"),
            entry(extended, b"efghijkl"),
            entry(extended + 3 + 1, b"mnopq"),
            entry(7, b"rstu"),
        ];
        assert_eq!(entries(&page).unwrap(), expected);
    }

    #[test]
    fn a_page_that_is_cut_is_none() {
        let whole = page(1, &[&word(2, 0), b"abcdefgh"]);
        assert!(entries(&whole).is_some());
        for length in [0, 15, 20, 27] {
            assert_eq!(entries(&whole[..length]), None);
        }
    }

    proptest! {
        #[test]
        fn whatever_stands_there_it_ends(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            entries(&bytes);
        }
    }
}
