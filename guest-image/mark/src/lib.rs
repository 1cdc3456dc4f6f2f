//! Marks in a guest's code: no-ops with a magic number, which begin and end the windows in which `harness/insncount`
//! counts instructions. Without the plugin they do nothing.
//!
//! A mark is `nopl DISPLACEMENT(%rax)`, `0f 1f 80` and the displacement in little-endian order, 0x41535901 to begin and
//! 0x41535902 to end; EAX has the window's number. The window is what is executed by all vCPUs from the instruction after
//! the first mark to the one before the second.
#![expect(unsafe_code, reason = "the marks are instructions")]

/// Begins a window. There is one at a time.
#[inline(always)]
pub fn begin(window: u32) {
    // SAFETY: a no-op.
    unsafe { std::arch::asm!(".byte 0x0f, 0x1f, 0x80, 0x01, 0x59, 0x53, 0x41", in("eax") window) }
}

/// Ends the window.
#[inline(always)]
pub fn end(window: u32) {
    // SAFETY: a no-op.
    unsafe { std::arch::asm!(".byte 0x0f, 0x1f, 0x80, 0x02, 0x59, 0x53, 0x41", in("eax") window) }
}

/// How many instructions a window has beyond the ticks that [`begin_with_ticks`] and [`end_with_ticks`] lie apart: the
/// second reading of the counter, and the instructions between it and the mark.
pub const BEYOND_TICKS: u64 = 3;

/// Begins a window and reads the time stamp counter with its first instruction. Under `-icount shift=0` the counter advances
/// by one with each instruction, and faster when all vCPUs sleep.
#[inline(always)]
#[must_use]
pub fn begin_with_ticks(window: u32) -> u64 {
    let (low, high): (u32, u32);
    // SAFETY: a no-op, and what every x86-64 has and the kernel lets user space read.
    unsafe {
        std::arch::asm!(
            ".byte 0x0f, 0x1f, 0x80, 0x01, 0x59, 0x53, 0x41",
            "rdtsc",
            inout("eax") window => low,
            out("edx") high,
        );
    }
    u64::from(high) << 32 | u64::from(low)
}

/// Reads the time stamp counter and ends the window.
#[inline(always)]
#[must_use]
pub fn end_with_ticks(window: u32) -> u64 {
    let (low, high): (u32, u32);
    // SAFETY: as above.
    unsafe {
        std::arch::asm!(
            "rdtsc",
            "mov {low:e}, eax",
            "mov eax, {window:e}",
            ".byte 0x0f, 0x1f, 0x80, 0x02, 0x59, 0x53, 0x41",
            low = out(reg) low,
            window = in(reg) window,
            out("eax") _,
            out("edx") high,
        );
    }
    u64::from(high) << 32 | u64::from(low)
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_mark_does_nothing_by_itself() {
        super::begin(u32::MAX);
        super::end(0);
        assert!(super::begin_with_ticks(1) < super::end_with_ticks(1));
    }
}
