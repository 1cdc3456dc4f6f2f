//! Who called: the kernel's own tables for unwinding, out of its ELF image (arch/x86/include/asm/orc_types.h, since 6.4).
//!
//! They say for every instruction where the frame of its function begins, from registers that a sample has, and what the
//! kernel does with them in arch/x86/kernel/unwind_orc.c `unwind_next_frame` is done here with the guest's memory.

use std::{cmp::Ordering, collections::HashMap, fs::File, io, os::unix::fs::FileExt};

/// Frames are more than any stack of 16 KiB is deep in practice; what is deeper is told as not complete.
const MOST_FRAMES: usize = 128;

/// Bytes of an entry: two offsets, then registers and kind.
const ENTRY: usize = 6;

/// Sections are read whole: a kernel's have some megabytes.
const LARGEST_SECTION: u64 = 64 << 20;

/// The tables of a kernel, as they are in its image: most of their half a million entries are never looked at.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Orc {
    /// Where the first address stands.
    base: u64,
    /// Addresses, ascending, each as its distance from where it stands, in 4 bytes.
    distances: Vec<u8>,
    entries: Vec<u8>,
    /// What was found.
    found: HashMap<u64, Option<Entry>>,
}

/// How to get from an instruction to its function's caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Entry {
    sp_offset: i64,
    bp_offset: i64,
    sp_register: u8,
    bp_register: u8,
    kind: u8,
    /// The caller did not call: it was interrupted at the very instruction.
    interrupted: bool,
}

/// The registers that frames begin at, as far as callers are found by them (`ORC_REG_*`).
mod register {
    pub(super) const UNDEFINED: u8 = 0;
    pub(super) const PREVIOUS_SP: u8 = 1;
    pub(super) const BP: u8 = 4;
    pub(super) const SP: u8 = 5;
    pub(super) const BP_INDIRECT: u8 = 8;
    pub(super) const SP_INDIRECT: u8 = 9;
}

/// What a frame is (`ORC_TYPE_*`).
mod kind {
    pub(super) const UNDEFINED: u8 = 0;
    pub(super) const END_OF_STACK: u8 = 1;
    pub(super) const CALL: u8 = 2;
    pub(super) const REGISTERS: u8 = 3;
    pub(super) const PARTIAL_REGISTERS: u8 = 4;
}

/// Where `struct pt_regs` has them (arch/x86/include/asm/ptrace.h).
mod pt_regs {
    pub(super) const BP: u64 = 32;
    pub(super) const IP: u64 = 128;
    /// From IP on, what an interrupt pushes.
    pub(super) const CS_FROM_IP: u64 = 8;
    pub(super) const SP_FROM_IP: u64 = 24;
}

/// Where a sample was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) ip: u64,
    pub(crate) sp: u64,
    pub(crate) bp: u64,
}

impl Orc {
    /// Reads them from a kernel's image.
    ///
    /// # Errors
    /// What it lacks, or why it cannot be read.
    pub(crate) fn of(image: &File) -> Result<Self, String> {
        let sections = Sections::of(image).map_err(|error| error.to_string())?;
        // The header came with the form of entries that is understood here.
        let lacks = |name: &str| format!("it has no section {name}");
        sections.find(".orc_header").ok_or_else(|| lacks(".orc_header"))?;
        let read = |name: &str| -> Result<(u64, Vec<u8>), String> {
            let (address, offset, size) = sections.find(name).ok_or_else(|| lacks(name))?;
            let mut bytes = vec![0; usize::try_from(size).map_err(|error| error.to_string())?];
            image.read_exact_at(&mut bytes, offset).map_err(|error| error.to_string())?;
            Ok((address, bytes))
        };
        let (base, offsets) = read(".orc_unwind_ip")?;
        let (_, entries) = read(".orc_unwind")?;
        let found = Self { base, distances: offsets, entries, found: HashMap::new() };
        let addresses = || (0..found.distances.len() / 4).filter_map(|index| found.address(index));
        if addresses().next().is_none() || !addresses().is_sorted() {
            return Err("its tables for unwinding are not sorted".to_owned());
        }
        Ok(found)
    }

    /// From where on the entry of this number holds.
    fn address(&self, index: usize) -> Option<u64> {
        let distance = self.distances.as_chunks::<4>().0.get(index)?;
        let place = self.base.wrapping_add(4 * index as u64);
        Some(place.wrapping_add_signed(i64::from(i32::from_le_bytes(*distance))))
    }

    fn entry(&self, index: usize) -> Option<Entry> {
        let &[sp_low, sp_high, bp_low, bp_high, registers, flags] =
            self.entries.as_chunks::<ENTRY>().0.get(index)?;
        Some(Entry {
            sp_offset: i16::from_le_bytes([sp_low, sp_high]).into(),
            bp_offset: i16::from_le_bytes([bp_low, bp_high]).into(),
            sp_register: registers & 0xf,
            bp_register: registers >> 4,
            kind: flags & 7,
            interrupted: flags & 8 != 0,
        })
    }

    fn find(&mut self, address: u64) -> Option<Entry> {
        if let Some(found) = self.found.get(&address) {
            return *found;
        }
        let found = self.search(address);
        self.found.insert(address, found);
        found
    }

    fn search(&self, address: u64) -> Option<Entry> {
        let (mut low, mut high) = (0, self.distances.len() / 4);
        while low < high {
            let middle = usize::midpoint(low, high);
            match self.address(middle)?.cmp(&address) {
                Ordering::Less | Ordering::Equal => low = middle + 1,
                Ordering::Greater => high = middle,
            }
        }
        self.entry(low.checked_sub(1)?)
    }

    /// The addresses of a place and of its callers, innermost first, and whether the outermost is where the kernel was
    /// entered. Memory that cannot be read ends the walk.
    pub(crate) fn walk(
        &mut self,
        place: Place,
        mut read: impl FnMut(u64) -> Option<u64>,
    ) -> (Vec<u64>, bool) {
        let Place { mut ip, mut sp, mut bp } = place;
        let (mut frames, mut interrupted) = (vec![ip], true);
        loop {
            // Behind a call that does not return there is another function.
            let Some(entry) = self.find(if interrupted { ip } else { ip.wrapping_sub(1) }) else {
                return (frames, false);
            };
            match entry.kind {
                kind::END_OF_STACK => return (frames, true),
                kind::UNDEFINED => return (frames, false),
                _ => {}
            }
            let Some(next) = step(entry, Place { ip, sp, bp }, &mut read) else { return (frames, false) };
            let Some(caller) = next else { return (frames, true) };
            // As the kernel does: a stack grows towards its beginning only.
            if frames.len() == MOST_FRAMES || (caller.ip, caller.sp) == (ip, sp) {
                return (frames, false);
            }
            Place { ip, sp, bp } = caller;
            interrupted = entry.interrupted || entry.kind != kind::CALL;
            frames.push(ip);
        }
    }
}

/// The caller of a frame; nothing within if that is user space, nothing at all if it cannot be found.
fn step(entry: Entry, at: Place, read: &mut impl FnMut(u64) -> Option<u64>) -> Option<Option<Place>> {
    let frame = match entry.sp_register {
        register::SP => at.sp.wrapping_add_signed(entry.sp_offset),
        register::BP => at.bp.wrapping_add_signed(entry.sp_offset),
        register::SP_INDIRECT => read(at.sp)?.wrapping_add_signed(entry.sp_offset),
        register::BP_INDIRECT => read(at.bp.wrapping_add_signed(entry.sp_offset))?,
        _ => return None,
    };
    let pushed = match entry.kind {
        kind::CALL => None,
        kind::REGISTERS => Some(frame.wrapping_add(pt_regs::IP)),
        kind::PARTIAL_REGISTERS => Some(frame),
        _ => return None,
    };
    let mut bp = match entry.bp_register {
        register::UNDEFINED => at.bp,
        register::PREVIOUS_SP => read(frame.wrapping_add_signed(entry.bp_offset))?,
        register::BP => read(at.bp.wrapping_add_signed(entry.bp_offset))?,
        _ => return None,
    };
    let (ip, sp) = match pushed {
        None => (read(frame.wrapping_sub(8))?, frame),
        Some(pushed) => {
            if read(pushed.wrapping_add(pt_regs::CS_FROM_IP))? & 3 != 0 {
                return Some(None);
            }
            if entry.kind == kind::REGISTERS && entry.bp_register == register::UNDEFINED {
                bp = read(frame.wrapping_add(pt_regs::BP))?;
            }
            (read(pushed)?, read(pushed.wrapping_add(pt_regs::SP_FROM_IP))?)
        }
    };
    Some(Some(Place { ip, sp, bp }))
}

/// The section headers of a 64-bit ELF file.
struct Sections {
    headers: Vec<u8>,
    names: Vec<u8>,
}

/// Bytes of a section's header.
const HEADER: usize = 64;

impl Sections {
    fn of(image: &File) -> io::Result<Self> {
        let wrong = |what: &str| io::Error::new(io::ErrorKind::InvalidData, what.to_owned());
        let mut head = [0; 64];
        image.read_exact_at(&mut head, 0)?;
        if !head.starts_with(b"\x7fELF\x02\x01") || number(&head, 0x3a, 2) != HEADER as u64 {
            return Err(wrong("it is no ELF file of 64 bits"));
        }
        let (count, names) = (number(&head, 0x3c, 2), number(&head, 0x3e, 2));
        let mut headers = vec![0; usize::try_from(count).unwrap_or(0) * HEADER];
        image.read_exact_at(&mut headers, number(&head, 0x28, 8))?;
        let mut sections = Self { headers, names: vec![] };
        let (_, offset, size) = sections
            .at(usize::try_from(names).unwrap_or(usize::MAX))
            .ok_or_else(|| wrong("it has no sections"))?;
        let mut bytes = vec![0; usize::try_from(size).unwrap_or(0)];
        image.read_exact_at(&mut bytes, offset)?;
        sections.names = bytes;
        Ok(sections)
    }

    /// Address, offset and size of a section, unless it is larger than any of a kernel's is.
    fn at(&self, index: usize) -> Option<(u64, u64, u64)> {
        let header = self.headers.get(index.checked_mul(HEADER)?..)?.get(..HEADER)?;
        let section = (number(header, 0x10, 8), number(header, 0x18, 8), number(header, 0x20, 8));
        (section.2 <= LARGEST_SECTION).then_some(section)
    }

    fn find(&self, name: &str) -> Option<(u64, u64, u64)> {
        let is_it = |header: &[u8]| {
            let begin = usize::try_from(number(header, 0, 4)).unwrap_or(usize::MAX);
            self.names
                .get(begin..)
                .and_then(|rest| rest.split(|byte| *byte == 0).next())
                .is_some_and(|found| found == name.as_bytes())
        };
        self.at(self.headers.chunks_exact(HEADER).position(is_it)?)
    }
}

fn number(bytes: &[u8], at: usize, size: usize) -> u64 {
    let mut word = [0; 8];
    word[..size].copy_from_slice(&bytes[at..at + size]);
    u64::from_le_bytes(word)
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    /// An entry for a frame that begins so far above the stack pointer.
    fn entry(sp_offset: i16, bp: (u8, i16), kind: u8) -> [u8; ENTRY] {
        let (sp, bp_offset) = (sp_offset.to_le_bytes(), bp.1.to_le_bytes());
        [sp[0], sp[1], bp_offset[0], bp_offset[1], register::SP | bp.0 << 4, kind]
    }

    fn orc(rows: &[(u64, [u8; ENTRY])]) -> Orc {
        let base = 0x9000_u64;
        let offsets: Vec<u8> = rows
            .iter()
            .zip((base..).step_by(4))
            .flat_map(|((address, _), place)| {
                let distance = i32::try_from(address.cast_signed() - place.cast_signed()).unwrap();
                distance.to_le_bytes()
            })
            .collect();
        let entries: Vec<u8> = rows.iter().flat_map(|(_, entry)| *entry).collect();
        Orc { base, distances: offsets, entries, found: HashMap::new() }
    }

    /// 0x1000: a leaf. 0x2000: has pushed BP and 16 bytes. 0x3000: an interrupt's entry. 0x4000: where the kernel was entered.
    fn tables() -> Orc {
        orc(&[
            (0x1000, entry(8, (0, 0), kind::CALL)),
            (0x2000, entry(32, (register::PREVIOUS_SP, -16), kind::CALL)),
            (0x3000, entry(0, (0, 0), kind::REGISTERS | 8)),
            (0x4000, entry(0, (0, 0), kind::REGISTERS | 8)),
            (0x5000, entry(0, (0, 0), kind::END_OF_STACK)),
        ])
    }

    #[test]
    fn callers_are_found_over_an_interrupt_up_to_the_entry() {
        let registers = |at: u64, ip: u64, cs: u64, sp: u64| {
            [(at + 32, 0xb9), (at + 128, ip), (at + 136, cs), (at + 152, sp)]
        };
        let mut memory = HashMap::from([
            // The leaf was called from 0x2010, whose frame has 32 bytes, and that from 0x3004.
            (0x100, 0x2010),
            (0x108 + 16, 0xb0),
            (0x108 + 24, 0x3004),
            // The second was interrupted at 0x2000 itself, which has no frame yet but for its table.
        ]);
        memory.extend(registers(0x128, 0x2000, 0x10, 0x400));
        memory.extend([(0x400 + 16, 0xb1), (0x400 + 24, 0x4008)]);
        memory.extend(registers(0x420, 0x7fff_0000, 0x33, 0x7fff_1000));
        let place = Place { ip: 0x1000, sp: 0x100, bp: 0xbb };
        let read = |at: u64| memory.get(&at).copied();
        assert_eq!(tables().walk(place, read), (vec![0x1000, 0x2010, 0x3004, 0x2000, 0x4008], true));
    }

    #[test]
    fn a_kernel_thread_ends_where_it_began_and_a_lost_stack_is_told() {
        let memory = HashMap::from([(0x100, 0x5001_u64), (0x200, 0x9_9999)]);
        let read = |at: u64| memory.get(&at).copied();
        let place = |sp| Place { ip: 0x1000, sp, bp: 0 };
        assert_eq!(tables().walk(place(0x100), read), (vec![0x1000, 0x5001], true));
        assert_eq!(tables().walk(place(0x300), read), (vec![0x1000], false), "memory that cannot be read");
        assert_eq!(Orc::default().walk(place(0x100), read), (vec![0x1000], false));
    }

    #[test]
    fn what_goes_round_in_circles_ends() {
        let mut circle = orc(&[(0x1000, entry(0, (0, 0), kind::CALL))]);
        let (frames, complete) = circle.walk(Place { ip: 0x1000, sp: 0x100, bp: 0 }, |_| Some(0x1000));
        assert_eq!((frames.len(), complete), (1, false));
    }

    #[test]
    fn a_file_that_is_no_kernel_is_refused() {
        let file = File::open("/proc/self/exe").unwrap();
        assert!(Orc::of(&file).unwrap_err().contains(".orc_header"));
        let file = File::open("/proc/self/status").unwrap();
        assert!(Orc::of(&file).unwrap_err().contains("no ELF"));
    }
}
