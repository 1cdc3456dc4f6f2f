//! Control messages: what device memory TCP and zero-copy sends say beside the payload.

use nix::libc;

// include/uapi/asm-generic/socket.h: SCM_DEVMEM_LINEAR, SCM_DEVMEM_DMABUF.
const LINEAR: i32 = 78;
const DMABUF: i32 = 79;
/// `struct cmsghdr`: a length in 8 bytes, a level and a kind in 4 each.
const HEADER: usize = 16;
/// `struct dmabuf_cmsg` of include/uapi/linux/uio.h.
const FRAGMENT: usize = 24;
/// `struct sock_extended_err` of include/uapi/linux/errqueue.h.
const EXTENDED_ERROR: usize = 16;
const SO_EE_ORIGIN_ZEROCOPY: u8 = 5;
const SO_EE_CODE_ZEROCOPY_COPIED: u8 = 1;

/// Room that one fragment takes in control data.
pub(crate) const FRAGMENT_SPACE: usize = HEADER + FRAGMENT;

/// Where the next payload of a read is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fragment {
    /// In the buffer of the read, behind what came there before: it was copied.
    Linear { length: u32 },
    /// In the bound memory.
    Bound { offset: u64, length: u32, token: u32, binding: u32 },
}

/// Sends of a socket whose memory is no longer in use, the first and the last by their numbers; whether they were copied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Completed {
    pub(crate) first: u32,
    pub(crate) last: u32,
    pub(crate) copied: bool,
}

/// Fragments in the order of their payload. What is of another kind is left out.
pub(crate) fn fragments(control: &[u8]) -> impl Iterator<Item = Fragment> {
    messages(control).filter_map(|(level, kind, data)| {
        let data = data.get(..FRAGMENT).filter(|_| level == libc::SOL_SOCKET)?;
        let length = u32_at(data, 8)?;
        match kind {
            LINEAR => Some(Fragment::Linear { length }),
            DMABUF => Some(Fragment::Bound {
                offset: u64::from_ne_bytes(data[..8].try_into().ok()?),
                length,
                token: u32_at(data, 12)?,
                binding: u32_at(data, 16)?,
            }),
            _ => None,
        }
    })
}

/// Completions that an error queue's message tells.
pub(crate) fn completions(control: &[u8]) -> impl Iterator<Item = Completed> {
    messages(control).filter_map(|(level, kind, data)| {
        let ours =
            matches!((level, kind), (libc::SOL_IP, libc::IP_RECVERR) | (libc::SOL_IPV6, libc::IPV6_RECVERR));
        let data = data.get(..EXTENDED_ERROR).filter(|_| ours)?;
        (u32_at(data, 0)? == 0 && data[4] == SO_EE_ORIGIN_ZEROCOPY).then_some(())?;
        let copied = data[6] & SO_EE_CODE_ZEROCOPY_COPIED != 0;
        Some(Completed { first: u32_at(data, 8)?, last: u32_at(data, 12)?, copied })
    })
}

/// The control data of a send whose payload is in the bound memory.
pub(crate) fn of_binding(binding: u32) -> [u8; HEADER + 8] {
    let mut control = [0; HEADER + 8];
    control[..8].copy_from_slice(&(HEADER + 4).to_ne_bytes());
    control[8..12].copy_from_slice(&libc::SOL_SOCKET.to_ne_bytes());
    control[12..16].copy_from_slice(&DMABUF.to_ne_bytes());
    control[16..20].copy_from_slice(&binding.to_ne_bytes());
    control
}

/// Level, kind and data of each message, up to one that is not all there.
fn messages(mut control: &[u8]) -> impl Iterator<Item = (i32, i32, &[u8])> {
    std::iter::from_fn(move || {
        let length = usize::from_ne_bytes(control.get(..8)?.try_into().ok()?);
        let level = i32::from_ne_bytes(control.get(8..12)?.try_into().ok()?);
        let kind = i32::from_ne_bytes(control.get(12..HEADER)?.try_into().ok()?);
        let data = control.get(HEADER..length)?;
        let next = length.checked_next_multiple_of(8)?;
        control = control.get(next..).unwrap_or_default();
        Some((level, kind, data))
    })
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..at + 4)?.try_into().ok().map(u32::from_ne_bytes)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn message(level: i32, kind: i32, data: &[u8]) -> Vec<u8> {
        let mut bytes = (HEADER + data.len()).to_ne_bytes().to_vec();
        bytes.extend(level.to_ne_bytes());
        bytes.extend(kind.to_ne_bytes());
        bytes.extend(data);
        bytes.resize(bytes.len().next_multiple_of(8), 0);
        bytes
    }

    fn written(fragment: Fragment) -> Vec<u8> {
        let (kind, offset, length, token, binding) = match fragment {
            Fragment::Linear { length } => (LINEAR, 0, length, 0, 0),
            Fragment::Bound { offset, length, token, binding } => (DMABUF, offset, length, token, binding),
        };
        let mut data = u64::to_ne_bytes(offset).to_vec();
        for field in [length, token, binding, 0] {
            data.extend(field.to_ne_bytes());
        }
        message(libc::SOL_SOCKET, kind, &data)
    }

    fn any_fragment() -> impl Strategy<Value = Fragment> {
        prop_oneof![
            any::<u32>().prop_map(|length| Fragment::Linear { length }),
            any::<(u64, u32, u32, u32)>().prop_map(|(offset, length, token, binding)| Fragment::Bound {
                offset,
                length,
                token,
                binding
            }),
        ]
    }

    #[test]
    fn completions_are_ranges_of_sends_and_may_be_copies() {
        let mut error = vec![0, 0, 0, 0, SO_EE_ORIGIN_ZEROCOPY, 0, SO_EE_CODE_ZEROCOPY_COPIED, 0];
        error.extend(3_u32.to_ne_bytes());
        error.extend(9_u32.to_ne_bytes());
        let control = message(libc::SOL_IP, libc::IP_RECVERR, &error);
        let read: Vec<Completed> = completions(&control).collect();
        assert_eq!(read, [Completed { first: 3, last: 9, copied: true }]);
        // Of another origin, it is an error of the network.
        error[4] = 2;
        assert_eq!(completions(&message(libc::SOL_IP, libc::IP_RECVERR, &error)).count(), 0);
    }

    #[test]
    fn a_send_names_its_binding() {
        let control = of_binding(7);
        let (level, kind, data) = messages(&control).next().unwrap();
        assert_eq!((level, kind, data), (libc::SOL_SOCKET, DMABUF, &7_u32.to_ne_bytes()[..]));
    }

    proptest! {
        #[test]
        fn fragments_are_read_as_they_were_written(expected in proptest::collection::vec(any_fragment(), 0..30), other in 0..3_i32) {
            let mut control: Vec<u8> = message(libc::SOL_SOCKET, other, &[1; 24]);
            control.extend(expected.iter().copied().flat_map(written));
            prop_assert_eq!(fragments(&control).collect::<Vec<_>>(), expected);
        }

        #[test]
        fn no_control_data_is_too_bad_to_be_read(control in proptest::collection::vec(any::<u8>(), 0..300)) {
            prop_assert!(fragments(&control).count() <= control.len() / FRAGMENT_SPACE);
            let _ = completions(&control).count();
        }

        #[test]
        fn cut_or_flipped_control_data_ends_early(fragment in any_fragment(), cut in 0..=FRAGMENT_SPACE, at in 0..FRAGMENT_SPACE, bit in 0..8_u8) {
            let mut control = written(fragment);
            prop_assert_eq!(fragments(&control[..cut]).count(), usize::from(cut == FRAGMENT_SPACE));
            control[at] ^= 1 << bit;
            prop_assert!(fragments(&control).count() <= 1);
        }
    }
}
