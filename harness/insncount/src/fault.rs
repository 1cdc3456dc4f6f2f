//! Blocks that an exception cut short.
//!
//! A callback counts a block when it begins. If one of its instructions faults, that one and those after it were not
//! executed: the handler's entry finds the address of the instruction on its stack and takes them back. QEMU's own counter
//! of instructions does the same (accel/tcg/translate-all.c `cpu_restore_state_from_tb`).
//!
//! An instruction that could not be fetched is in no block that has begun: the last one ran to its end.

use std::ffi::c_uint;

use crate::{
    api::{Data, api},
    block::Block,
    plugin,
    symbols::Frame,
    vcpu::vcpu,
};

/// A handler's first block.
#[derive(Debug)]
pub(crate) struct Handler {
    pub(crate) block: &'static Block,
    pub(crate) frame: Frame,
}

/// What the handler finds on its stack.
struct Interrupted {
    address: u64,
    /// It could not be fetched.
    is_fetch: bool,
}

impl Interrupted {
    fn read(frame: Frame) -> Option<Self> {
        /// Of a page fault's error code (arch/x86/include/asm/trap_pf.h, `X86_PF_INSTR`).
        const FETCH: u64 = 1 << 4;
        let rsp = api().register_value(plugin::with(|plugin| plugin.registers.rsp)?)?;
        let address = api().memory_u64(rsp.wrapping_add(frame.above))?;
        let is_fetch = frame.is_page_fault && api().memory_u64(rsp)? & FETCH != 0;
        Some(Self { address, is_fetch })
    }
}

/// A fault's handler begins. In place of the callback that counts blocks.
pub(crate) extern "C" fn entered(index: c_uint, data: Data) {
    // SAFETY: `translate` registered this callback with such a reference.
    let handler = unsafe { &*data.cast::<Handler>() };
    // SAFETY: in a callback, with QEMU's number.
    let vcpu = unsafe { vcpu(index) };
    match Interrupted::read(handler.frame) {
        Some(interrupted) => {
            let position = vcpu
                .last()
                .filter(|_| !interrupted.is_fetch)
                .and_then(|last| Some((last, last.interrupted(interrupted.address)?)));
            if let Some((last, position)) = position {
                vcpu.fault_run();
                vcpu.correct(last, position, -1);
                if last.repeat().is_some() {
                    vcpu.take_back_pass();
                }
            } else {
                vcpu.interrupt_run(interrupted.address);
            }
        }
        None => plugin::with(|plugin| plugin.odd("a handler's stack cannot be read".to_owned())),
    }
    vcpu.enter(handler.block);
}
