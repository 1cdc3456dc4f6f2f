//! The keys that the terminal keeps for itself: Ctrl-] and what follows it. Everything else is the guest's.

/// Ctrl-].
const LEAD: u8 = 0x1d;

/// What is typed, with the escape taken out of it.
#[derive(Debug, Default)]
pub(crate) struct Escape {
    /// The last byte was [`LEAD`].
    led: bool,
}

/// What some typed bytes come to.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Typed {
    /// For the guest.
    pub(crate) bytes: Vec<u8>,
    /// The user is done with it; what was typed after that is for nobody.
    pub(crate) quit: bool,
}

impl Escape {
    /// `Ctrl-] q` quits, `Ctrl-] Ctrl-]` is one Ctrl-] for the guest, and any other key makes both the guest's.
    pub(crate) fn take(&mut self, typed: &[u8]) -> Typed {
        let mut bytes = Vec::with_capacity(typed.len());
        for &byte in typed {
            match (std::mem::take(&mut self.led), byte) {
                (true, b'q' | b'Q') => return Typed { bytes, quit: true },
                (true, LEAD) => bytes.push(LEAD),
                (true, other) => bytes.extend([LEAD, other]),
                (false, LEAD) => self.led = true,
                (false, other) => bytes.push(other),
            }
        }
        Typed { bytes, quit: false }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn typed(parts: &[&[u8]]) -> Typed {
        let mut escape = Escape::default();
        let mut all = Typed { bytes: vec![], quit: false };
        for part in parts {
            let Typed { bytes, quit } = escape.take(part);
            all.bytes.extend(bytes);
            all.quit |= quit;
        }
        all
    }

    #[test]
    fn the_escape_ends_it_however_it_is_cut() {
        for parts in [&[&b"ls\x1dqrest"[..]][..], &[b"ls\x1d", b"q"], &[b"ls", b"\x1d", b"", b"Q"]] {
            assert_eq!(typed(parts), Typed { bytes: b"ls".to_vec(), quit: true }, "{parts:?}");
        }
    }

    #[test]
    fn everything_else_is_the_guests() {
        assert_eq!(typed(&[b"\x03q\x1d\x1dq"]), Typed { bytes: b"\x03q\x1dq".to_vec(), quit: false });
        assert_eq!(typed(&[b"\x1dx"]), Typed { bytes: b"\x1dx".to_vec(), quit: false });
        assert_eq!(typed(&["grüße".as_bytes()]).bytes, "grüße".as_bytes());
    }
}
