//! Whether a vmlinux boots by itself.

use std::{
    fs::File,
    io::{self, Read as _, Seek as _, SeekFrom},
    path::Path,
};

/// `PT_NOTE` (elf(5)).
const NOTE: u32 = 4;
/// `XEN_ELFNOTE_PHYS32_ENTRY` (include/xen/interface/elfnote.h): the entry point of PVH boot.
const PHYS32_ENTRY: u32 = 18;
/// Notes of a kernel are some hundred bytes. This is for all of them: 65535 program headers may name the same ones.
const MOST: u64 = 1 << 20;

/// Whether the ELF file has the entry point that QEMU starts an uncompressed kernel at (PVH).
pub(crate) fn has_pvh_entry(path: &Path) -> io::Result<bool> {
    let mut file = File::open(path)?;
    let mut header = [0; 64];
    if file.read_exact(&mut header).is_err() || !header.starts_with(b"\x7fELF\x02\x01") {
        return Ok(false);
    }
    let table = u64::from_le_bytes(array(&header, 0x20));
    let (size, count) = (u16::from_le_bytes(array(&header, 0x36)), u16::from_le_bytes(array(&header, 0x38)));
    let mut room = MOST;
    for index in 0..count {
        let mut entry = [0; 56];
        file.seek(SeekFrom::Start(table.saturating_add(u64::from(index) * u64::from(size))))?;
        if file.read_exact(&mut entry).is_err() {
            return Ok(false);
        }
        if u32::from_le_bytes(array(&entry, 0)) != NOTE {
            continue;
        }
        let (at, length) = (u64::from_le_bytes(array(&entry, 8)), u64::from_le_bytes(array(&entry, 0x20)));
        let mut notes = Vec::new();
        file.seek(SeekFrom::Start(at))?;
        (&file).take(length.min(room)).read_to_end(&mut notes)?;
        room = room.saturating_sub(notes.len() as u64);
        if names_entry(&notes) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Whether one of these notes is Xen's for the entry point. Name and description are padded to four bytes each.
fn names_entry(mut notes: &[u8]) -> bool {
    while notes.len() >= 12 {
        let word = |at| u32::from_le_bytes(array(notes, at));
        let padded = |length: u32| usize::try_from(length).ok()?.checked_next_multiple_of(4);
        let (Some(name), Some(description)) = (padded(word(0)), padded(word(4))) else { return false };
        if word(8) == PHYS32_ENTRY && notes.get(12..16) == Some(b"Xen\0") {
            return true;
        }
        let next = name.checked_add(description).and_then(|length| length.checked_add(12));
        notes = next.and_then(|next| notes.get(next..)).unwrap_or_default();
    }
    false
}

/// `N` bytes, which the caller has made sure are there.
fn array<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    let mut array = [0; N];
    array.copy_from_slice(&bytes[at..at + N]);
    array
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::toy::vmlinux;

    fn verdict(bytes: &[u8]) -> bool {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), bytes).unwrap();
        has_pvh_entry(file.path()).unwrap()
    }

    #[test]
    fn finds_the_note_among_others() {
        assert!(verdict(&vmlinux(true)));
        assert!(!verdict(&vmlinux(false)));
        assert!(!verdict(b"#!/bin/sh"));
    }

    #[test]
    fn a_file_cut_anywhere_has_none_and_never_panics() {
        let whole = vmlinux(true);
        for cut in 0..whole.len() {
            // The note's own last bytes are not looked at.
            assert!(!verdict(&whole[..cut]) || cut >= whole.len() - 8, "cut at {cut}");
        }
    }
}
