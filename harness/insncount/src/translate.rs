//! What is put into a block when QEMU translates it.

use std::{cell::RefCell, ffi::c_uint};

use iced_x86::InstructionInfoFactory;

use crate::{
    api::{Access, Data, Insn, NO_REGISTERS, READS_REGISTERS, Tb, api},
    block::{Block, Exit, KERNEL, Site, Watch},
    decode::{Class, Decoded, decode},
    fault::{self, Handler},
    mark::{self, Place},
    memory::{self, Accessor, Iterating, Writer},
    plugin::{self, Plugin},
    prelude::{self, Use},
    program,
    repeat::{self, Repeat},
    stacks,
    vcpu::{Context, vcpu},
};

/// A block of the kernel's begins.
extern "C" fn kernel_begun(index: c_uint, data: Data) {
    // SAFETY: `instrument` registered this callback with such a reference.
    let block = unsafe { &*data.cast::<Block>() };
    // SAFETY: in a callback, with QEMU's number and a block of the kernel's.
    unsafe { vcpu(index).enter_kernel(block) };
}

/// A block of user space begins.
extern "C" fn user_begun(index: c_uint, data: Data) {
    // SAFETY: as above.
    let block = unsafe { &*data.cast::<Block>() };
    // SAFETY: as above.
    unsafe { vcpu(index) }.enter_user(block);
}

/// A block begins that is one instruction, which stores.
extern "C" fn store_begun(index: c_uint, data: Data) {
    // SAFETY: as above.
    let block = unsafe { &*data.cast::<Block>() };
    // SAFETY: as above.
    unsafe { vcpu(index) }.enter_store(block);
}

/// What is kept from one translation to the next.
struct Scratch {
    factory: InstructionInfoFactory,
    /// The block's instructions and their lengths.
    insns: Vec<(Insn, usize)>,
    bytes: Vec<u8>,
}

/// QEMU has translated a block.
pub(crate) fn translated(tb: Tb) {
    thread_local! {
        static SCRATCH: RefCell<Scratch> = RefCell::new(Scratch {
            factory: InstructionInfoFactory::new(),
            insns: Vec::new(),
            bytes: Vec::new(),
        });
    }
    SCRATCH.with_borrow_mut(|scratch| plugin::with(|plugin| instrument(plugin, tb, scratch)));
}

fn instrument(plugin: &mut Plugin, tb: Tb, scratch: &mut Scratch) {
    let Scratch { insns, bytes, factory } = scratch;
    insns.clear();
    bytes.clear();
    for insn in api().insns(tb) {
        let mut one = [0; 16];
        let length = api().bytes(insn, &mut one).min(one.len());
        bytes.extend_from_slice(&one[..length]);
        insns.push((insn, length));
    }
    let Some(&(first, _)) = insns.first() else { return };
    let start = api().address(first);
    let used = if plugin.is_prelude {
        prelude::use_of(start, bytes, &[&plugin.symbols.renames, &plugin.symbols.namings])
    } else {
        Use::All
    };
    if used == Use::Nothing {
        return;
    }
    let block =
        plugin.blocks.find(start, bytes).unwrap_or_else(|| decoded(plugin, start, bytes, insns, factory));
    if used == Use::All {
        count(plugin, tb, start, block);
    }
    let watches = if block.repeat().is_some() { &[] } else { block.watches() };
    for &(index, watch) in watches {
        if used == Use::All || matches!(watch, Watch::Rename | Watch::Naming | Watch::Write(_)) {
            observe(block, index, insns[index].0, insns.len() == 1, watch);
        }
    }
}

/// Has the block's executions counted.
fn count(plugin: &Plugin, tb: Tb, start: u64, block: &'static Block) {
    let data: Data = std::ptr::from_ref(block).cast_mut().cast();
    match plugin.symbols.faults.get(&start) {
        Some(&frame) => api().on_block(tb, fault::entered, READS_REGISTERS, leak(Handler { block, frame })),
        None if block.repeat().is_some() => match plugin.board {
            Some(board) => api().on_block_unless(tb, repeat::passes, board, data.addr() as u64, data),
            None => api().on_block(tb, repeat::passes, READS_REGISTERS, data),
        },
        None if block.is_store() => api().on_block(tb, store_begun, READS_REGISTERS, data),
        None if plugin.stacks.is_some() && block.is_user() => {
            api().on_block(tb, stacks::user_begun, NO_REGISTERS, data);
        }
        None if plugin.stacks.is_some() => api().on_block(tb, stacks::kernel_begun, READS_REGISTERS, data),
        None if block.is_user() => api().on_block(tb, user_begun, NO_REGISTERS, data),
        None => api().on_block(tb, kernel_begun, READS_REGISTERS, data),
    }
}

/// Has learned what is to be learned at one instruction of the block.
fn observe(block: &'static Block, index: usize, insn: Insn, alone: bool, watch: Watch) {
    let accessor = Accessor { block, index, address: api().address(insn) };
    match watch {
        Watch::Mark(mark) => {
            api().on_insn(insn, mark::passed, READS_REGISTERS, leak(Place { block, index, mark }));
        }
        Watch::Rename => api().on_insn(insn, memory::renamed, NO_REGISTERS, std::ptr::null_mut()),
        Watch::Naming => api().on_insn(insn, memory::named, NO_REGISTERS, std::ptr::null_mut()),
        Watch::String(site) => {
            // One access of this kind for each iteration; comparisons of two strings read both.
            let access = if site.kind.stores { Access::Write } else { Access::Read };
            api().on_memory(insn, memory::iterated, access, leak(Iterating { accessor, site, alone }));
        }
        Watch::Write(watched) => {
            api().on_memory(insn, memory::written, Access::Write, leak(Writer { accessor, watched }));
        }
        Watch::Alone => api().on_memory(insn, memory::accessed_alone, Access::Any, leak(accessor)),
    }
}

/// Makes the block of instructions that were not translated before.
fn decoded(
    plugin: &mut Plugin,
    start: u64,
    bytes: &[u8],
    insns: &[(Insn, usize)],
    factory: &mut InstructionInfoFactory,
) -> &'static Block {
    let slots = plugin.vcpus * Context::ALL.len();
    let (mut sites, mut watches) = (Vec::with_capacity(insns.len()), Vec::new());
    let (mut exit, mut repeat) = (Exit::default(), None);
    let mut rest = bytes;
    for (index, &(insn, length)) in insns.iter().enumerate() {
        let (these, after) = rest.split_at(length);
        rest = after;
        let address = api().address(insn);
        let decoded = decode(these, address, &plugin.symbols, factory);
        exit = decoded.exit;
        if let Some(kind) = &decoded.string
            && let Some(counter) = kind.left
            && insns.len() == 1
            && (address >= KERNEL || program::has_tasks())
        {
            repeat = Some(Repeat { site: plugin.strings.intern(address, kind, slots), counter });
        }
        watch(plugin, &decoded, address, insns.len() == 1, slots, |watch| watches.push((index, watch)));
        sites.push(Site {
            address,
            length: u8::try_from(length).expect("at most 16 bytes"),
            class: decoded.class,
            stores_by_operand: decoded.may_reach_device && decoded.class.0 & Class::STORES != 0,
        });
    }
    plugin.blocks.add(start, bytes, Block::new(sites, watches, exit, slots).repeating(repeat))
}

/// What is to be learned at an instruction.
fn watch(
    plugin: &mut Plugin,
    decoded: &Decoded,
    address: u64,
    alone: bool,
    slots: usize,
    mut add: impl FnMut(Watch),
) {
    decoded.mark.into_iter().for_each(|mark| add(Watch::Mark(mark)));
    if plugin.symbols.renames.contains(&address) {
        add(Watch::Rename);
    }
    if plugin.symbols.namings.contains(&address) {
        add(Watch::Naming);
    }
    if let Some(kind) = &decoded.string {
        add(Watch::String(plugin.strings.intern(address, kind, slots)));
    } else if let Some(watched) = decoded.watched {
        add(Watch::Write(watched));
    } else if alone && decoded.may_reach_device && address >= KERNEL {
        add(Watch::Alone);
    }
}

/// QEMU keeps the pointer for as long as it has the block, and does not say how long that is.
fn leak<T>(data: T) -> Data {
    std::ptr::from_mut(Box::leak(Box::new(data))).cast()
}
