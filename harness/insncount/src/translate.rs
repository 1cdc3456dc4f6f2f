//! What is put into a block when QEMU translates it.

use std::{cell::RefCell, ffi::c_uint};

use iced_x86::InstructionInfoFactory;

use crate::{
    api::{Access, Data, Insn, NO_REGISTERS, READS_REGISTERS, Tb, api},
    block::{Block, Exit, KERNEL, Site},
    decode::{Class, Decoded, decode},
    fault::{self, Handler},
    mark::{self, Place},
    memory::{self, Accessor},
    plugin::{self, Plugin},
    vcpu::{Context, vcpu},
};

/// A block begins.
extern "C" fn begun(index: c_uint, data: Data) {
    // SAFETY: `translated` registered this callback with such a reference.
    let block = unsafe { &*data.cast::<Block>() };
    // SAFETY: in a callback, with QEMU's number.
    unsafe { vcpu(index) }.enter(block);
}

/// A block begins that is one instruction, which stores.
extern "C" fn begun_alone(index: c_uint, data: Data) {
    // SAFETY: `translated` registered this callback with such a reference.
    let block = unsafe { &*data.cast::<Block>() };
    // SAFETY: in a callback, with QEMU's number.
    unsafe { vcpu(index) }.enter_alone(block);
}

/// An instruction as QEMU translates it.
struct Translated {
    handle: Insn,
    site: Site,
    decoded: Decoded,
}

/// QEMU has translated a block.
pub(crate) fn translated(tb: Tb) {
    thread_local! {
        static FACTORY: RefCell<InstructionInfoFactory> = RefCell::new(InstructionInfoFactory::new());
    }
    FACTORY.with_borrow_mut(|factory| plugin::with(|plugin| instrument(plugin, tb, factory)));
}

fn instrument(plugin: &mut Plugin, tb: Tb, factory: &mut InstructionInfoFactory) {
    let mut all_bytes = Vec::new();
    let insns: Vec<_> = api()
        .insns(tb)
        .map(|handle| {
            let mut bytes = [0; 16];
            let length = api().bytes(handle, &mut bytes).min(bytes.len());
            all_bytes.extend_from_slice(&bytes[..length]);
            let address = api().address(handle);
            let decoded = decode(&bytes[..length], address, &plugin.symbols, factory);
            let length = u8::try_from(length).expect("at most 16 bytes");
            Translated { handle, site: Site { address, length, class: decoded.class }, decoded }
        })
        .collect();
    let Some(first) = insns.first() else { return };
    let start = first.site.address;
    let slots = plugin.vcpus * Context::ALL.len();
    let block = plugin.blocks.intern(start, &all_bytes, || {
        let exit = insns.last().map_or_else(Exit::default, |insn| insn.decoded.exit);
        Block::new(insns.iter().map(|insn| insn.site).collect(), exit, slots)
    });
    let alone = insns.len() == 1;
    // Calls and pushes store as well; no stack is in code.
    let stores = first.decoded.string.is_some()
        || (first.decoded.may_reach_device && first.site.class.0 & Class::STORES != 0);
    let data = std::ptr::from_ref(block).cast_mut().cast();
    match plugin.symbols.faults.get(&start) {
        Some(&above) => api().on_block(tb, fault::entered, READS_REGISTERS, leak(Handler { block, above })),
        None if alone && stores => api().on_block(tb, begun_alone, NO_REGISTERS, data),
        None => api().on_block(tb, begun, NO_REGISTERS, data),
    }
    for (index, insn) in insns.iter().enumerate() {
        watch(plugin, block, index, insn, alone, slots);
    }
}

/// Registers what else has to be known of an instruction.
fn watch(
    plugin: &mut Plugin,
    block: &'static Block,
    index: usize,
    insn: &Translated,
    alone: bool,
    slots: usize,
) {
    let Translated { handle, site: Site { address, .. }, decoded } = insn;
    let (handle, address) = (*handle, *address);
    if let Some(mark) = decoded.mark {
        api().on_insn(handle, mark::passed, READS_REGISTERS, leak(Place { block, index, mark }));
    }
    if plugin.symbols.renames.contains(&address) {
        api().on_insn(handle, memory::renamed, NO_REGISTERS, std::ptr::null_mut());
    }
    let string = decoded.string.as_ref().map(|kind| plugin.strings.intern(address, kind, slots));
    let accessor = Accessor { block, index, address, string, watched: decoded.watched };
    if let Some(site) = string {
        // One access of this kind for each iteration; comparisons of two strings read both.
        let access = if site.kind.stores { Access::Write } else { Access::Read };
        api().on_memory(handle, memory::iterated, access, leak(accessor));
    } else if decoded.watched.is_some() {
        api().on_memory(handle, memory::written, Access::Write, leak(accessor));
    } else if alone && decoded.may_reach_device && address >= KERNEL {
        api().on_memory(handle, memory::accessed_alone, Access::Any, leak(accessor));
    }
}

/// QEMU keeps the pointer for as long as it has the block, and does not say how long that is.
fn leak<T>(data: T) -> Data {
    std::ptr::from_mut(Box::leak(Box::new(data))).cast()
}
