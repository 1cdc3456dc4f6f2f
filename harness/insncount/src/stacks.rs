//! Stacks, one every so many instructions of a window: a graph of who called what costs little that way, and the same instructions
//! give the same samples.
//!
//! Whose block makes a vCPU's instructions since its last sample too many is sampled as it begins. String instructions are not among
//! them: what TCG makes of one is no measure of its work.

use std::{
    collections::{BTreeMap, HashMap},
    ffi::c_uint,
};

use crate::{
    api::{Data, api},
    block::Block,
    orc::{Orc, Place},
    plugin::{self, Plugin},
    program,
    vcpu::{Context, Vcpu, vcpu},
};

/// Read at once: most stacks are not deeper.
const PIECE: usize = 2048;

/// What is sampled, and what was.
#[derive(Debug)]
pub(crate) struct Stacks {
    /// Instructions from one sample to the next.
    pub(crate) every: i64,
    orc: Orc,
    /// First addresses of the kernel's functions, ascending.
    functions: Vec<u64>,
    /// What was found in them.
    function_of: HashMap<u64, u64>,
    taken: BTreeMap<Stack, u64>,
}

/// A stack, wherever in its functions it was seen.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Stack {
    pub(crate) vcpu: usize,
    /// None is user space.
    pub(crate) context: Option<Context>,
    /// The task's name.
    pub(crate) program: [u8; program::NAME],
    /// It was followed up to where the kernel was entered.
    pub(crate) complete: bool,
    /// Functions, innermost first.
    pub(crate) functions: Box<[u64]>,
}

impl Stacks {
    pub(crate) fn new(every: i64, orc: Orc, functions: Vec<u64>) -> Self {
        Self { every, orc, functions, function_of: HashMap::new(), taken: BTreeMap::new() }
    }

    /// Begins at zero.
    pub(crate) fn clear(&mut self) {
        self.taken.clear();
    }

    /// Each stack that was seen and how often.
    pub(crate) fn taken(&self) -> impl Iterator<Item = (&Stack, u64)> {
        self.taken.iter().map(|(stack, count)| (stack, *count))
    }

    /// The function that an address is in; the address itself where there is none.
    fn function(&mut self, address: u64) -> u64 {
        *self.function_of.entry(address).or_insert_with(|| {
            let behind = self.functions.partition_point(|first| *first <= address);
            behind.checked_sub(1).map_or(address, |at| self.functions[at])
        })
    }

    fn add(&mut self, stack: Stack) {
        *self.taken.entry(stack).or_default() += 1;
    }
}

/// A block of the kernel's begins, where stacks are sampled.
pub(crate) extern "C" fn kernel_begun(index: c_uint, data: Data) {
    // SAFETY: `translate` registered this callback with such a reference.
    let block = unsafe { &*data.cast::<Block>() };
    // SAFETY: in a callback, with QEMU's number.
    let vcpu = unsafe { vcpu(index) };
    if vcpu.spend(block.plain()) {
        return kernel(vcpu, block);
    }
    // SAFETY: `translate` registers it for blocks of the kernel's.
    unsafe { vcpu.enter_kernel(block) }
}

/// A block of user space begins, where stacks are sampled.
pub(crate) extern "C" fn user_begun(index: c_uint, data: Data) {
    // SAFETY: as above.
    let block = unsafe { &*data.cast::<Block>() };
    // SAFETY: as above.
    let vcpu = unsafe { vcpu(index) };
    if vcpu.spend(block.plain()) {
        return user(vcpu, block);
    }
    vcpu.enter_user(block);
}

#[cold]
#[inline(never)]
fn user(vcpu: &mut Vcpu, block: &'static Block) {
    vcpu.enter_user(block);
    let stack = Stack {
        vcpu: vcpu.index(),
        context: None,
        program: vcpu.name(),
        complete: true,
        functions: Box::default(),
    };
    keep(vcpu, stack);
}

#[cold]
#[inline(never)]
fn kernel(vcpu: &mut Vcpu, block: &'static Block) {
    vcpu.enter(block);
    let registers = plugin::with(|plugin| plugin.registers);
    let value = |register: Option<_>| register.and_then(|register| api().register_value(register));
    let (frames, complete) = match (value(registers.rsp), value(registers.rbp)) {
        (Some(sp), Some(bp)) => {
            let mut memory = Memory::new(sp);
            let place = Place { ip: block.start(), sp, bp };
            plugin::with(|plugin| match &mut plugin.stacks {
                Some(stacks) => stacks.orc.walk(place, |address| memory.read(address)),
                None => (vec![], false),
            })
        }
        _ => (vec![block.start()], false),
    };
    let functions = plugin::with(|plugin| {
        let mut stacks = plugin.stacks.as_mut();
        let function = |frame: u64| stacks.as_mut().map_or(frame, |stacks| stacks.function(frame));
        frames.into_iter().map(function).collect()
    });
    let stack = Stack {
        vcpu: vcpu.index(),
        context: Some(vcpu.context()),
        program: vcpu.name(),
        complete,
        functions,
    };
    keep(vcpu, stack);
}

fn keep(vcpu: &mut Vcpu, stack: Stack) {
    plugin::with(|plugin: &mut Plugin| {
        if let Some(stacks) = &mut plugin.stacks {
            vcpu.refill(stacks.every);
            stacks.add(stack);
        }
    });
}

/// The guest's memory from its stack pointer on: one reading for most of a walk.
struct Memory {
    from: u64,
    bytes: Vec<u8>,
}

impl Memory {
    fn new(sp: u64) -> Self {
        let mut bytes = vec![0; PIECE];
        // What is behind a stack may not be mapped.
        while !bytes.is_empty() && !api().memory(sp, &mut bytes) {
            bytes.truncate(bytes.len() / 2);
        }
        Self { from: sp, bytes }
    }

    fn read(&mut self, address: u64) -> Option<u64> {
        let within = address.checked_sub(self.from).and_then(|at| usize::try_from(at).ok());
        let word = within.and_then(|at| self.bytes.get(at..)?.first_chunk::<8>());
        word.map_or_else(|| api().memory_u64(address), |word| Some(u64::from_le_bytes(*word)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_stack_is_one_wherever_in_its_functions_it_was_seen() {
        let mut stacks = Stacks::new(100, Orc::default(), vec![0x1000, 0x2000]);
        let stack = |frames: [u64; 2], stacks: &mut Stacks| Stack {
            vcpu: 0,
            context: Some(Context::Softirq),
            program: *b"iperf3\0\0\0\0\0\0\0\0\0\0",
            complete: true,
            functions: frames.map(|frame| stacks.function(frame)).into(),
        };
        for frames in [[0x2010, 0x1004], [0x2000, 0x1fff], [0x1000, 0x2000]] {
            let stack = stack(frames, &mut stacks);
            stacks.add(stack);
        }
        let counts: Vec<_> = stacks.taken().map(|(stack, count)| (&stack.functions[..], count)).collect();
        assert_eq!(counts, [(&[0x1000, 0x2000][..], 1), (&[0x2000, 0x1000][..], 2)]);
        assert_eq!(stacks.function(0x10), 0x10, "before all functions");
        stacks.clear();
        assert_eq!(stacks.taken().count(), 0);
    }
}
