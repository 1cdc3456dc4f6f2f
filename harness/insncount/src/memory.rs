//! What is learned from memory accesses: iterations of string instructions, changes of context, blocks that a device
//! cut short.

use std::{cell::Cell, collections::HashMap, ffi::c_uint};

use crate::{
    api::{Data, api},
    block::{Block, KERNEL},
    decode::{StringKind, Watched},
    plugin, program,
    vcpu::{self, vcpu},
};

/// A string instruction at an address.
#[derive(Debug)]
pub(crate) struct StringSite {
    pub(crate) address: u64,
    pub(crate) kind: StringKind,
    /// Iterations, for each vCPU and context.
    iterations: Box<[Cell<u64>]>,
}

impl StringSite {
    pub(crate) fn iterations(&self, slot: usize) -> u64 {
        self.iterations.get(slot).map_or(0, Cell::get)
    }

    /// Counts iterations. User space has no slots here.
    pub(crate) fn add(&self, slot: usize, iterations: u64) {
        if let Some(count) = self.iterations.get(slot) {
            count.set(count.get() + iterations);
        }
    }

    pub(crate) fn clear(&self) {
        self.iterations.iter().for_each(|count| count.set(0));
    }
}

/// All string instructions that were translated.
#[derive(Debug, Default)]
pub(crate) struct Strings {
    found: HashMap<(u64, String), &'static StringSite>,
}

impl Strings {
    /// The one at this address, which is made if there is none.
    pub(crate) fn intern(&mut self, address: u64, kind: &StringKind, slots: usize) -> &'static StringSite {
        self.found.entry((address, kind.name.clone())).or_insert_with(|| {
            // User space is counted by program.
            let slots = if address < KERNEL { 0 } else { slots };
            Box::leak(Box::new(StringSite {
                address,
                kind: kind.clone(),
                iterations: vec![Cell::new(0); slots].into(),
            }))
        })
    }

    pub(crate) fn clear(&self) {
        self.found.values().for_each(|site| site.clear());
    }

    /// Those of the kernel, in order of their addresses.
    pub(crate) fn kernel(&self) -> Vec<&'static StringSite> {
        let mut list: Vec<_> = self.found.values().copied().filter(|site| site.address >= KERNEL).collect();
        list.sort_unstable_by(|a, b| (a.address, &a.kind.name).cmp(&(b.address, &b.kind.name)));
        list
    }
}

/// What a callback of an access knows of its instruction.
#[derive(Debug)]
pub(crate) struct Accessor {
    pub(crate) block: &'static Block,
    pub(crate) index: usize,
    pub(crate) address: u64,
}

/// What a callback of an iteration knows of its instruction.
#[derive(Debug)]
pub(crate) struct Iterating {
    pub(crate) accessor: Accessor,
    pub(crate) site: &'static StringSite,
    /// The instruction is a block by itself.
    pub(crate) alone: bool,
}

/// What a callback of a write of the kernel's own variables knows.
#[derive(Debug)]
pub(crate) struct Writer {
    pub(crate) accessor: Accessor,
    pub(crate) watched: Watched,
}

/// After an iteration of a string instruction.
pub(crate) extern "C" fn iterated(index: c_uint, _: u32, _: u64, data: Data) {
    // SAFETY: `translate` registered this callback with such a reference.
    let iterator = unsafe { &*data.cast::<Iterating>() };
    // SAFETY: in a callback, with QEMU's number.
    let vcpu = unsafe { vcpu(index) };
    if iterator.alone {
        cut_by_device(vcpu, &iterator.accessor);
    } else {
        vcpu.set_iterates(iterator.accessor.block);
    }
    if iterator.accessor.block.is_user() {
        vcpu.program().add_bytes(iterator.site.kind.element.into());
    } else {
        iterator.site.add(vcpu.slot(), 1);
    }
}

/// After an access of an instruction that is a block by itself.
///
/// icount wants device accesses to come last in their block. Where one does not, QEMU (accel/tcg `cpu_io_recompile`)
/// abandons the block before the instruction, runs that one alone, in a block for which no execution is reported, and goes
/// on behind it. An access of a block that was not entered is thus the sign that the block before was abandoned.
pub(crate) extern "C" fn accessed_alone(index: c_uint, _: u32, _: u64, data: Data) {
    // SAFETY: `translate` registered this callback with such a reference.
    let accessor = unsafe { &*data.cast::<Accessor>() };
    // SAFETY: in a callback, with QEMU's number.
    cut_by_device(unsafe { vcpu(index) }, accessor);
}

#[inline]
fn cut_by_device(vcpu: &mut vcpu::Vcpu, accessor: &Accessor) {
    let Some(last) = vcpu.last() else { return };
    if std::ptr::eq(last, accessor.block) {
        return;
    }
    match last.position(accessor.address) {
        // The instruction itself was executed: alone, and not counted there.
        Some(index) => vcpu.correct(last, index + 1, -1),
        None => plugin::with(|plugin| {
            plugin.odd(format!(
                "{:#x} accessed memory outside of the block that was entered",
                accessor.address
            ));
        }),
    }
    vcpu.set_last(accessor.block);
}

/// After a write of `preempt_count` or of the current task.
pub(crate) extern "C" fn written(index: c_uint, access: u32, _: u64, data: Data) {
    // SAFETY: `translate` registered this callback with such a reference.
    let Writer { accessor, watched } = unsafe { &*data.cast::<Writer>() };
    // SAFETY: in a callback, with QEMU's number.
    let vcpu = unsafe { vcpu(index) };
    // What follows in this block is work of the new context.
    vcpu.correct(accessor.block, accessor.index + 1, -1);
    let value = api().accessed(access);
    match watched {
        Watched::PreemptCount => {
            let layout = plugin::with(|plugin| plugin.symbols.layout);
            let [a, b, c, d, ..] = value.to_le_bytes();
            vcpu.set_preempt_count(u32::from_le_bytes([a, b, c, d]), layout);
        }
        Watched::Task => switched(vcpu, value),
    }
    vcpu.correct(accessor.block, accessor.index + 1, 1);
}

fn switched(vcpu: &mut vcpu::Vcpu, task: u64) {
    if let Some(init_task) = plugin::with(|plugin| plugin.symbols.init_task) {
        program::learn_where_names_are(init_task);
    }
    vcpu.set_task(task);
    rename(vcpu);
}

/// The current task may have another name than when it was switched to: it executes another program.
pub(crate) extern "C" fn renamed(index: c_uint, _: Data) {
    // SAFETY: in a callback, with QEMU's number.
    rename(unsafe { vcpu(index) });
}

/// The current task, if it is the one that is named, will have its name before it executes user space again.
pub(crate) extern "C" fn named(index: c_uint, _: Data) {
    // SAFETY: in a callback, with QEMU's number.
    unsafe { vcpu(index) }.forget_program();
}

fn rename(vcpu: &mut vcpu::Vcpu) {
    let Some(task) = vcpu.task() else { return };
    if let Some(name) = program::name_of(task) {
        vcpu.set_program(name);
    } else {
        plugin::with(|plugin| plugin.odd(format!("the task at {task:#x} has no name that can be read")));
    }
}
