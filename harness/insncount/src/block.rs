//! Translated blocks and how often each was executed.

use std::{
    cell::{Cell, RefCell},
    collections::HashMap,
};

use crate::{decode::Class, vcpu::slot};

/// One instruction of a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Site {
    pub(crate) address: u64,
    pub(crate) length: u8,
    pub(crate) class: Class,
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

/// A run of instructions that QEMU executes from its beginning. The same instructions are one block however often
/// they are translated.
#[derive(Debug)]
pub(crate) struct Block {
    /// Executions from the beginning, for each vCPU and context.
    counts: Box<[Cell<u64>]>,
    sites: Box<[Site]>,
    /// What was counted too much or too little, for each vCPU and context each instruction; empty until there is any.
    corrections: RefCell<Vec<i64>>,
    plain: u32,
    strings: u32,
    exit: Exit,
    is_user: bool,
}

/// Virtual addresses from here on are the kernel's.
pub(crate) const KERNEL: u64 = 1 << 63;

impl Block {
    /// A block of `slots` counters.
    pub(crate) fn new(sites: Vec<Site>, exit: Exit, slots: usize) -> Self {
        let is_user = sites.first().is_none_or(|site| site.address < KERNEL);
        let strings = sites.iter().filter(|site| site.is_string()).count();
        let number = |count: usize| u32::try_from(count).expect("QEMU ends blocks after 512 instructions");
        Self {
            // User space is counted by program.
            counts: vec![Cell::new(0); if is_user { 0 } else { slots }].into(),
            plain: number(sites.len() - strings),
            strings: number(strings),
            sites: sites.into(),
            corrections: RefCell::default(),
            exit,
            is_user,
        }
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

    pub(crate) fn start(&self) -> u64 {
        self.sites.first().map_or(0, |site| site.address)
    }

    /// Which instruction is at this address.
    pub(crate) fn position(&self, address: u64) -> Option<usize> {
        self.sites.iter().position(|site| site.address == address)
    }

    #[inline]
    pub(crate) fn add(&self, slot: usize) {
        if let Some(count) = self.counts.get(slot) {
            count.set(count.get() + 1);
        }
    }

    /// Changes the counts of all instructions from `from` on.
    pub(crate) fn correct(&self, slot: usize, from: usize, by: i64) {
        let mut corrections = self.corrections.borrow_mut();
        if corrections.is_empty() {
            corrections.resize(self.counts.len() * self.sites.len(), 0);
        }
        let first = slot * self.sites.len();
        for correction in &mut corrections[first + from..first + self.sites.len()] {
            *correction += by;
        }
    }

    fn clear(&self) {
        self.counts.iter().for_each(|count| count.set(0));
        self.corrections.borrow_mut().clear();
    }

    /// Each instruction that was executed by this vCPU in this context, and how often.
    fn executed(&self, slot: usize) -> impl Iterator<Item = (Site, i64)> {
        let count = self.counts.get(slot).map_or(0, Cell::get).cast_signed();
        let corrections = self.corrections.borrow();
        let length = self.sites.len();
        let counts: Vec<_> = (count != 0 || !corrections.is_empty())
            .then(|| {
                self.sites.iter().enumerate().map(|(index, site)| {
                    (*site, count + corrections.get(slot * length + index).copied().unwrap_or(0))
                })
            })
            .into_iter()
            .flatten()
            .filter(|(_, count)| *count != 0)
            .collect();
        counts.into_iter()
    }
}

/// All blocks there ever were.
#[derive(Debug, Default)]
pub(crate) struct Blocks {
    /// By the address and the bytes of their instructions.
    found: HashMap<(u64, Box<[u8]>), &'static Block>,
}

impl Blocks {
    /// The block with these bytes, which is made if there is none. It is never freed: QEMU keeps pointers to it.
    pub(crate) fn intern(
        &mut self,
        address: u64,
        bytes: &[u8],
        make: impl FnOnce() -> Block,
    ) -> &'static Block {
        self.found.entry((address, bytes.into())).or_insert_with(|| Box::leak(Box::new(make())))
    }

    /// Begins at zero.
    pub(crate) fn clear(&self) {
        self.found.values().for_each(|block| block.clear());
    }

    /// Each kernel instruction that this vCPU executed in this context, in order of their addresses.
    pub(crate) fn executed(&self, vcpu: usize, context: crate::vcpu::Context) -> Vec<(Site, i64)> {
        let mut sites: Vec<_> =
            self.found.values().flat_map(|block| block.executed(slot(vcpu, context))).collect();
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
        sites
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vcpu::Context;

    fn site(address: u64, class: u16) -> Site {
        Site { address: KERNEL + address, length: 4, class: Class(class) }
    }

    #[test]
    fn overlapping_blocks_add_up_by_instruction() {
        let mut blocks = Blocks::default();
        let long =
            blocks.intern(0, &[1, 2], || Block::new(vec![site(0, 0), site(4, 0), site(8, 0)], Exit::On, 10));
        let short = blocks.intern(4, &[2], || Block::new(vec![site(4, 0), site(8, 0)], Exit::On, 10));
        long.add(slot(1, Context::Task));
        short.add(slot(1, Context::Task));
        short.add(slot(1, Context::Idle));
        // The last instruction of the long one was not reached.
        long.correct(slot(1, Context::Task), 2, -1);
        let counts = |context| blocks.executed(1, context);
        assert_eq!(counts(Context::Task), [(site(0, 0), 1), (site(4, 0), 2), (site(8, 0), 1)]);
        assert_eq!(counts(Context::Idle), [(site(4, 0), 1), (site(8, 0), 1)]);
        assert_eq!(blocks.executed(0, Context::Task), []);
        blocks.clear();
        assert_eq!(counts(Context::Task), []);
    }

    #[test]
    fn the_same_bytes_are_one_block() {
        let mut blocks = Blocks::default();
        let first = blocks.intern(0, &[1], || Block::new(vec![site(0, 0)], Exit::On, 5));
        let again = blocks.intern(0, &[1], || Block::new(vec![site(0, 0)], Exit::On, 5));
        let patched = blocks.intern(0, &[2], || Block::new(vec![site(0, 1)], Exit::On, 5));
        assert!(std::ptr::eq(first, again));
        assert!(!std::ptr::eq(first, patched));
        first.add(0);
        patched.add(0);
        assert_eq!(blocks.executed(0, Context::Task), [(site(0, 0), 1), (site(0, 1), 1)]);
    }

    #[test]
    fn string_instructions_are_counted_apart() {
        let block = Block::new(vec![site(0, 0), site(4, Class::STRING)], Exit::To(KERNEL), 5);
        assert_eq!((block.plain(), block.strings()), (1, 1));
        assert_eq!(block.tail(1), (0, 1));
        assert_eq!(block.tail(2), (0, 0));
        assert_eq!(block.position(KERNEL + 4), Some(1));
        assert!(block.may_go_to(KERNEL));
        assert!(!block.may_go_to(KERNEL + 4));
    }
}
