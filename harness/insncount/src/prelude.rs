//! The time before the first window, most of a boot, in which nothing is counted.
//!
//! What is counted there would be cleared when the window begins. So blocks get no callbacks there but where something is
//! learned that the window needs: whose work the kernel does, and that the window begins. Then QEMU is asked to forget every
//! block (plugins/loader.c `plugin_reset_uninstall`), which it does before it executes another one, and to show them anew. To the
//! guest it is nothing: it executes the same instructions at the same virtual time.
//!
//! QEMU 10.0 locks up when it is asked that, which was mended in April 2025. Machines of several vCPUs are counted from power-on: they do
//! not repeat, and nothing could show that their windows are the same.

use crate::block::KERNEL;

/// What of a block is of use in a prelude.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Use {
    /// Everything: it may have a mark, and the window's first instructions.
    All,
    /// What tells contexts and programs.
    Writes,
    Nothing,
}

/// Looks at a block's bytes. They are not decoded, so what is found need not be there; what is there is found.
pub(crate) fn use_of(start: u64, bytes: &[u8], renames: &[&[u64]]) -> Use {
    /// Of the displacement that makes a no-op a mark (`decode::MARKS`), lowest byte first, what both have.
    const MARK: [u8; 3] = [0x59, 0x53, 0x41];
    /// The prefix of an operand in GS, where the kernel has its per-CPU variables.
    const GS: u8 = 0x65;
    if bytes.windows(MARK.len()).any(|three| three == MARK) {
        return Use::All;
    }
    let length = u64::try_from(bytes.len()).expect("QEMU ends blocks after 512 instructions");
    let is_renaming =
        || renames.iter().copied().flatten().any(|address| address.wrapping_sub(start) < length);
    if start >= KERNEL && (bytes.contains(&GS) || is_renaming()) { Use::Writes } else { Use::Nothing }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_writes_and_renames_are_of_use() {
        const MARK: [u8; 7] = [0x0f, 0x1f, 0x80, 0x01, 0x59, 0x53, 0x41];
        const NOP: [u8; 1] = [0x90];
        const INC: [u8; 7] = [0x65, 0xff, 0x05, 0, 0, 0, 0];
        let program = 0x40_1000;
        assert_eq!(use_of(program, &[&NOP[..], &MARK].concat(), &[]), Use::All);
        assert_eq!(use_of(KERNEL, &MARK, &[]), Use::All);
        assert_eq!(use_of(program, &INC, &[]), Use::Nothing, "a program's own GS");
        assert_eq!(use_of(KERNEL, &INC, &[]), Use::Writes);
        assert_eq!(use_of(KERNEL, &NOP, &[]), Use::Nothing);
        assert_eq!(use_of(KERNEL, &[0x90; 4], &[&[KERNEL + 3]]), Use::Writes);
        assert_eq!(use_of(KERNEL, &[0x90; 4], &[&[], &[KERNEL + 4]]), Use::Nothing);
    }
}
