//! Blocks that an exception cut short.
//!
//! A callback counts a block when it begins. If one of its instructions faults, that one and those after it were not
//! executed: the handler's entry finds the address of the instruction on its stack and takes them back. QEMU's own counter
//! of instructions does the same (accel/tcg/translate-all.c `cpu_restore_state_from_tb`).

use std::ffi::c_uint;

use crate::{
    api::{Data, api},
    block::Block,
    plugin,
    vcpu::vcpu,
};

/// A handler's first block.
#[derive(Debug)]
pub(crate) struct Handler {
    pub(crate) block: &'static Block,
    /// Where the interrupted address is, in bytes above the stack pointer.
    pub(crate) above: u64,
}

/// A fault's handler begins. In place of the callback that counts blocks.
pub(crate) extern "C" fn entered(index: c_uint, data: Data) {
    // SAFETY: `translate` registered this callback with such a reference.
    let handler = unsafe { &*data.cast::<Handler>() };
    // SAFETY: in a callback, with QEMU's number.
    let vcpu = unsafe { vcpu(index) };
    let interrupted = plugin::with(|plugin| plugin.registers.rsp)
        .and_then(|rsp| api().register_value(rsp))
        .and_then(|rsp| api().memory_u64(rsp.wrapping_add(handler.above)));
    match interrupted {
        Some(address) => {
            // If it is not in the last block, that one ran to its end, and what came next could not be fetched.
            if let Some(last) = vcpu.last()
                && let Some(position) = last.position(address)
            {
                vcpu.correct(last, position, -1);
                if last.repeat().is_some() {
                    vcpu.take_back_pass();
                }
            }
        }
        None => plugin::with(|plugin| plugin.odd("a handler's stack cannot be read".to_owned())),
    }
    vcpu.enter(handler.block);
}
