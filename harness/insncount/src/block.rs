//! Translated blocks and how often each was executed.

use std::{
    cell::{Cell, RefCell},
    collections::HashMap,
};

use crate::{
    decode::{Class, Mark, Watched},
    memory::StringSite,
    repeat::Repeat,
    vcpu::Context,
};

/// One instruction of a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Site {
    pub(crate) address: u64,
    pub(crate) length: u8,
    pub(crate) class: Class,
    /// Not by the stack alone.
    pub(crate) stores_by_operand: bool,
}

impl Site {
    pub(crate) fn is_string(&self) -> bool {
        self.class.0 & Class::STRING != 0
    }
}

/// Where a block goes from its last instruction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Exit {
    /// To what follows it.
    #[default]
    On,
    /// Here, or to what follows.
    To(u64),
    /// Wherever a register or memory says.
    Anywhere,
}

/// What is to be learned at an instruction, apart from its execution.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Watch {
    /// A window begins or ends here.
    Mark(Mark),
    /// The current task may have got another name.
    Rename,
    /// It may get one.
    Naming,
    /// Its iterations.
    String(&'static StringSite),
    /// Whose work it is, afterwards.
    Write(Watched),
    /// Whether it is executed in place of the block that it is in.
    Alone,
}

/// A run of instructions that QEMU executes from its beginning. The same instructions are one block however often
/// they are translated.
///
/// What every execution touches comes first, and is in one line of the host's cache.
#[derive(Debug)]
#[repr(C, align(64))]
pub(crate) struct Block {
    /// Executions from the beginning by the first vCPU, in each context.
    first: [Cell<u64>; CONTEXTS],
    plain: u32,
    strings: u32,
    /// The same as `first` for the other vCPUs, context by context.
    others: Box<[Cell<u64>]>,
    sites: Box<[Site]>,
    /// What else is to be done at which instruction whenever the block is translated.
    watches: Box<[(usize, Watch)]>,
    /// What was counted too much or too little, for each vCPU and context each instruction; empty until there is any.
    corrections: RefCell<Vec<i64>>,
    exit: Exit,
    /// It is a repeated instruction that is watched by its passes alone.
    repeat: Option<Repeat>,
    is_user: bool,
    is_store: bool,
}

const CONTEXTS: usize = Context::ALL.len();

/// Virtual addresses from here on are the kernel's.
pub(crate) const KERNEL: u64 = 1 << 63;

impl Block {
    /// A block of `slots` counters.
    pub(crate) fn new(sites: Vec<Site>, watches: Vec<(usize, Watch)>, exit: Exit, slots: usize) -> Self {
        let is_user = sites.first().is_none_or(|site| site.address < KERNEL);
        let strings = sites.iter().filter(|site| site.is_string()).count();
        let is_store = matches!(&sites[..], [site] if site.stores_by_operand || site.is_string());
        let number = |count: usize| u32::try_from(count).expect("QEMU ends blocks after 512 instructions");
        // User space is counted by program.
        let slots = if is_user { CONTEXTS } else { slots };
        Self {
            first: Default::default(),
            plain: number(sites.len() - strings),
            strings: number(strings),
            others: vec![Cell::new(0); slots - CONTEXTS].into(),
            sites: sites.into(),
            watches: watches.into(),
            corrections: RefCell::default(),
            exit,
            repeat: None,
            is_user,
            is_store,
        }
    }

    /// Which is nothing but this instruction.
    pub(crate) fn repeating(self, repeat: Option<Repeat>) -> Self {
        Self { repeat, ..self }
    }

    pub(crate) fn repeat(&self) -> Option<&Repeat> {
        self.repeat.as_ref()
    }

    pub(crate) fn is_user(&self) -> bool {
        self.is_user
    }

    /// Instructions that are no string instructions.
    pub(crate) fn plain(&self) -> u32 {
        self.plain
    }

    /// String instructions.
    pub(crate) fn strings(&self) -> u32 {
        self.strings
    }

    /// Plain and string instructions from the one at `from` on.
    pub(crate) fn tail(&self, from: usize) -> (i64, i64) {
        let tail = self.sites.get(from..).unwrap_or_default();
        let strings = tail.iter().filter(|site| site.is_string()).count();
        let number = |count: usize| i64::try_from(count).expect("QEMU ends blocks after 512 instructions");
        (number(tail.len() - strings), number(strings))
    }

    /// Whether its end can lead to this address, which is not that of what follows it.
    pub(crate) fn may_go_to(&self, address: u64) -> bool {
        match self.exit {
            Exit::On => false,
            Exit::To(to) => to == address,
            Exit::Anywhere => true,
        }
    }

    pub(crate) fn watches(&self) -> &[(usize, Watch)] {
        &self.watches
    }

    /// Whether it is one instruction, which writes memory that may be code: calls and pushes do not.
    pub(crate) fn is_store(&self) -> bool {
        self.is_store
    }

    pub(crate) fn start(&self) -> u64 {
        self.sites.first().map_or(0, |site| site.address)
    }

    /// Whether this block is what comes after `other` when that has run to its end, and not an interruption of it.
    pub(crate) fn follows(&self, other: &Self) -> bool {
        let end = other.sites.last().map(|site| site.address + u64::from(site.length));
        // A program's next block may bear another process's addresses (`interrupted`); only the kernel interrupts one.
        (self.is_user && other.is_user) || end == Some(self.start())
    }

    /// Which instruction is at this address.
    pub(crate) fn position(&self, address: u64) -> Option<usize> {
        self.sites.iter().position(|site| site.address == address)
    }

    /// Which instruction was interrupted at this address, while this block was executed.
    ///
    /// Of a program it may have been at another address than it was translated at: QEMU's code is the same for all that is mapped from
    /// the same page of memory (target/i386, `CF_PCREL`), as a library is by two processes. Only the place in the page is
    /// the same, and no block begins instructions in two.
    pub(crate) fn interrupted(&self, address: u64) -> Option<usize> {
        const IN_PAGE: u64 = 0xfff;
        if self.is_user && address < KERNEL {
            self.sites.iter().position(|site| (site.address ^ address) & IN_PAGE == 0)
        } else {
            self.position(address)
        }
    }

    /// Counts executions.
    ///
    /// # Safety
    /// The block is the kernel's, and the slot one of the machine's.
    #[inline]
    pub(crate) unsafe fn add(&self, slot: usize, executions: u64) {
        debug_assert!(slot < self.slots(), "as many counters as slots");
        let count = match self.first.get(slot) {
            Some(count) => count,
            // SAFETY: the caller's promise. This is the path that every block takes.
            None => unsafe { self.others.get_unchecked(slot - CONTEXTS) },
        };
        count.set(count.get() + executions);
    }

    fn slots(&self) -> usize {
        CONTEXTS + self.others.len()
    }

    fn counts(&self) -> impl Iterator<Item = &Cell<u64>> {
        self.first.iter().chain(&self.others)
    }

    /// Changes the counts of all instructions from `from` on.
    pub(crate) fn correct(&self, slot: usize, from: usize, by: i64) {
        let mut corrections = self.corrections.borrow_mut();
        if corrections.is_empty() {
            corrections.resize(self.slots() * self.sites.len(), 0);
        }
        let first = slot * self.sites.len();
        for correction in &mut corrections[first + from..first + self.sites.len()] {
            *correction += by;
        }
    }

    fn clear(&self) {
        self.counts().for_each(|count| count.set(0));
        self.corrections.borrow_mut().clear();
    }

    /// Adds each instruction that was executed and how often to the lists, of which there is one for each vCPU and context.
    fn executed(&self, lists: &mut [Vec<(Site, i64)>]) {
        let corrections = self.corrections.borrow();
        for (slot, (count, list)) in self.counts().zip(lists).enumerate() {
            let count = count.get().cast_signed();
            if count == 0 && corrections.is_empty() {
                continue;
            }
            let first = slot * self.sites.len();
            list.extend(self.sites.iter().enumerate().filter_map(|(index, site)| {
                let count = count + corrections.get(first + index).copied().unwrap_or(0);
                (count != 0).then_some((*site, count))
            }));
        }
    }
}

/// All blocks there ever were.
#[derive(Debug, Default)]
pub(crate) struct Blocks {
    /// By a hash of their addresses and bytes; those with the same hash side by side.
    found: HashMap<u64, Vec<Found>>,
}

#[derive(Debug)]
struct Found {
    address: u64,
    bytes: Box<[u8]>,
    block: &'static Block,
}

/// FNV-1a over words: blocks are looked up whenever QEMU translates one.
fn hash(address: u64, bytes: &[u8]) -> u64 {
    let mix = |sum: u64, word: u64| (sum ^ word).wrapping_mul(0x0000_0100_0000_01b3).rotate_left(23);
    bytes.chunks(8).fold(mix(0xcbf2_9ce4_8422_2325, address), |sum, chunk| {
        let mut word = [0; 8];
        word[..chunk.len()].copy_from_slice(chunk);
        mix(sum, u64::from_le_bytes(word))
    })
}

impl Blocks {
    /// The block with these bytes.
    pub(crate) fn find(&self, address: u64, bytes: &[u8]) -> Option<&'static Block> {
        let same = self.found.get(&hash(address, bytes))?;
        same.iter().find(|found| found.address == address && *found.bytes == *bytes).map(|found| found.block)
    }

    /// Keeps a block. It is never freed: QEMU keeps pointers to it.
    pub(crate) fn add(&mut self, address: u64, bytes: &[u8], block: Block) -> &'static Block {
        let block = Box::leak(Box::new(block));
        self.found.entry(hash(address, bytes)).or_default().push(Found {
            address,
            bytes: bytes.into(),
            block,
        });
        block
    }

    fn all(&self) -> impl Iterator<Item = &'static Block> + '_ {
        self.found.values().flatten().map(|found| found.block)
    }

    /// Begins at zero.
    pub(crate) fn clear(&self) {
        self.all().for_each(Block::clear);
    }

    /// Each kernel instruction that was executed, in order of their addresses: a list for each of so many `slot`s.
    pub(crate) fn executed(&self, slots: usize) -> Vec<Vec<(Site, i64)>> {
        let mut lists = vec![Vec::new(); slots];
        self.all().for_each(|block| block.executed(&mut lists));
        lists.iter_mut().for_each(sum_up);
        lists
    }
}

/// Puts what is listed of one instruction together.
fn sum_up(sites: &mut Vec<(Site, i64)>) {
    let key = |site: &Site| (site.address, site.length, site.class);
    sites.sort_unstable_by_key(|(site, _)| key(site));
    sites.dedup_by(|(next, count), (site, sum)| {
        let same = key(next) == key(site);
        if same {
            *sum += *count;
        }
        same
    });
    sites.retain(|(_, count)| *count != 0);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vcpu::slot;

    fn site(address: u64, class: u16) -> Site {
        Site { address: KERNEL + address, length: 4, class: Class(class), stores_by_operand: false }
    }

    fn block(sites: Vec<Site>, slots: usize) -> Block {
        Block::new(sites, vec![], Exit::On, slots)
    }

    fn add(block: &Block, slot: usize) {
        // SAFETY: tests stay below the number of slots.
        unsafe { block.add(slot, 1) }
    }

    #[test]
    fn overlapping_blocks_add_up_by_instruction() {
        let mut blocks = Blocks::default();
        let long = blocks.add(0, &[1, 2], block(vec![site(0, 0), site(4, 0), site(8, 0)], 10));
        let short = blocks.add(4, &[2], block(vec![site(4, 0), site(8, 0)], 10));
        add(long, slot(1, Context::Task));
        add(short, slot(1, Context::Task));
        add(short, slot(1, Context::Idle));
        // The last instruction of the long one was not reached.
        long.correct(slot(1, Context::Task), 2, -1);
        let counts = |context| blocks.executed(10)[slot(1, context)].clone();
        assert_eq!(counts(Context::Task), [(site(0, 0), 1), (site(4, 0), 2), (site(8, 0), 1)]);
        assert_eq!(counts(Context::Idle), [(site(4, 0), 1), (site(8, 0), 1)]);
        assert_eq!(blocks.executed(10)[slot(0, Context::Task)], []);
        blocks.clear();
        assert_eq!(counts(Context::Task), []);
    }

    #[test]
    fn a_program_is_interrupted_wherever_it_is_mapped() {
        let of = |base| {
            let site = |address| Site { address: base + address, ..site(0, 0) };
            block(vec![site(0xff8), site(0xffc)], 5)
        };
        let (program, kernel) = (of(0x5555_0000_1000), of(KERNEL));
        assert_eq!(program.interrupted(0x5555_0000_1ffc), Some(1));
        assert_eq!(program.interrupted(0x7fff_1234_5ff8), Some(0));
        assert_eq!(program.interrupted(0x7fff_1234_5ff9), None);
        assert_eq!(program.interrupted(KERNEL + 0xffc), None);
        assert_eq!(kernel.interrupted(KERNEL + 0xffc), Some(1));
        assert_eq!(kernel.interrupted(KERNEL + 0x1ffc), None);
    }

    #[test]
    fn a_block_is_known_by_its_address_and_bytes() {
        let mut blocks = Blocks::default();
        let first = blocks.add(0, &[1], block(vec![site(0, 0)], 5));
        let patched = blocks.add(0, &[2], block(vec![site(0, 1)], 5));
        assert!(std::ptr::eq(blocks.find(0, &[1]).unwrap(), first));
        assert!(std::ptr::eq(blocks.find(0, &[2]).unwrap(), patched));
        assert!(blocks.find(0, &[1, 0]).is_none());
        assert!(blocks.find(4, &[1]).is_none());
        add(first, 0);
        add(patched, 0);
        assert_eq!(blocks.executed(5)[slot(0, Context::Task)], [(site(0, 0), 1), (site(0, 1), 1)]);
    }

    #[test]
    fn string_instructions_are_counted_apart() {
        let block = Block::new(vec![site(0, 0), site(4, Class::STRING)], vec![], Exit::To(KERNEL), 5);
        assert_eq!((block.plain(), block.strings()), (1, 1));
        assert_eq!(block.tail(1), (0, 1));
        assert_eq!(block.tail(2), (0, 0));
        assert_eq!(block.position(KERNEL + 4), Some(1));
        assert!(block.may_go_to(KERNEL));
        assert!(!block.may_go_to(KERNEL + 4));
    }
}
