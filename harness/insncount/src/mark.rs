//! Windows: from the instruction after the mark that begins one to the one before the mark that ends it.

use std::ffi::c_uint;

use crate::{
    api::{Data, api},
    block::Block,
    decode::Mark,
    output, plugin,
    vcpu::{Vcpu, restart_samples, settle_passes, vcpu},
};

/// A mark in the guest's code.
#[derive(Debug)]
pub(crate) struct Place {
    pub(crate) block: &'static Block,
    pub(crate) index: usize,
    pub(crate) mark: Mark,
}

/// A mark is executed.
pub(crate) extern "C" fn passed(index: c_uint, data: Data) {
    // SAFETY: `translate` registered this callback with such a reference.
    let place = unsafe { &*data.cast::<Place>() };
    if plugin::with(|plugin| plugin.whole) {
        return;
    }
    let every = plugin::with(|plugin| plugin.stacks.as_ref().map(|stacks| stacks.every));
    // SAFETY: the vCPU is borrowed below.
    unsafe {
        settle_passes();
        restart_samples(every.filter(|_| place.mark == Mark::Begin));
    }
    // SAFETY: in a callback, with QEMU's number.
    let vcpu = unsafe { vcpu(index) };
    let number = plugin::with(|plugin| plugin.registers.rax)
        .and_then(|rax| api().register_value(rax))
        // The upper half belongs to whoever calls.
        .map(|rax| rax & u64::from(u32::MAX));
    match (place.mark, number) {
        (Mark::Begin, Some(number)) => begin(vcpu, place, number),
        (Mark::End, Some(number)) => end(vcpu, place, number),
        (_, None) => plugin::with(|plugin| plugin.odd("a mark's number cannot be read".to_owned())),
    }
}

fn begin(vcpu: &mut Vcpu, place: &Place, number: u64) {
    let was_prelude = plugin::with(|plugin| {
        if let Some(open) = plugin.window {
            plugin.odd(format!("window {number} began within window {open}"));
        }
        plugin.window = Some(number);
        plugin.clear();
        std::mem::take(&mut plugin.is_prelude)
    });
    // This block was counted before its window began.
    vcpu.correct(place.block, place.index + 1, 1);
    if was_prelude {
        api().translate_again();
    }
}

fn end(vcpu: &mut Vcpu, place: &Place, number: u64) {
    vcpu.correct(place.block, place.index, -1);
    plugin::with(|plugin| {
        if plugin.window != Some(number) {
            plugin.odd(format!("window {number} ended and had not begun"));
        }
        plugin.window = None;
        if let Err(error) = output::window(plugin, number) {
            plugin::say(&format!("writing the counts: {error}"));
        }
    });
}
