//! The QEMU TCG plugin that counts every executed guest instruction: by address, vCPU and the kernel's context, user
//! space by program, string instructions apart, in windows that the workload marks.
//!
//!     -plugin libinsncount.so,out=FILE,map=SYSTEM_MAP
//!
//! `out` is appended to whenever a window ends; `FORMAT.md` describes it and crate `profile` reads it. `map` is the
//! `System.map` of the kernel that boots: from it come the addresses that tell contexts, programs and faults apart.
//! `whole=on` counts from power-on to power-off as well, as window 0. `prelude=off` has everything instrumented from power-on even where
//! that can wait for the first window (`prelude`); the counts are the same. `sample=N,kernel=IMAGE` takes a stack every N instructions of
//! a window (`stacks`), by the tables for unwinding in that image (`orc`).
//!
//! One shared object serves QEMU 10.0 (plugin API 4) and 11.1 (API 7): `api` looks up what the process offers when it
//! is loaded, and says then which version it is.
//!
//! # How a number comes about
//! - A *callback at every block* adds one to the block's counter for the vCPU's current context (`block`). Inline
//!   operations would be faster, but broke guests with two vCPUs in both versions of QEMU, and have no contexts.
//! - What is *cut short* is taken back: at the entry of a fault's handler the interrupted instruction's address, which the
//!   CPU has pushed, says how far the last block came (`fault`); and a block that touches a device in its middle is ended
//!   there by QEMU, which runs the one instruction again in a block of its own (`memory`). So is one that changes
//!   itself (`vcpu`).
//! - A *string instruction* counts its accesses, but for a repeated one in a block of its own, which says beforehand how often
//!   it will do something (`repeat`).
//! - The *context* follows the kernel's own `preempt_count`, at each instruction that can change its upper bits, and the
//!   current task (`memory`).
//! - *Marks* are no-ops with a magic number (`mark`).
//!
//! # What is known of it
//! Of a 6.12 boot with 4 MiB over loopback, 853,035,835 instructions from power-on to power-off, QEMU 11.1 counts as many itself
//! (`query-replay` of a recording), and 10.0 its 853,012,667. A window that never sleeps, of 250 million instructions with 6,000 page
//! faults, some of them in code that is mapped twice, is what the guest's time stamp counter says. `tests/tests/exact.rs` repeats both.
//!
//! What it costs, in user and system CPU time, by pairs with and without it that took turns on a quiet machine: with two NICs behind an
//! IOMMU and 16 MiB over them, from power-on to the window's end, 1.10 times (median of seven, samples of stacks included, which are
//! 0.02 of it), and before there was a prelude 1.20. A plugin that does nothing takes 1.01 times. On two vCPUs, of the boot over loopback, 1.09 on a busy machine (three pairs).
//!
//! Several vCPUs are counted the same way, and the guest is not disturbed; but QEMU itself does not repeat such a boot to the digit:
//! without a plugin, two boots with two vCPUs on a busy machine differed by some thousand instructions, and those with it fell
//! together with the one or the other. One vCPU is what repeats.
//!
//! Needs `thread=single`, as icount does: all callbacks then come from one thread, and a second one is refused.
//!
//! Invariant: reads the guest, never writes to it.
#![expect(unsafe_code, reason = "a plugin is called by C, through pointers")]

mod api;
mod block;
mod decode;
mod fault;
mod mark;
mod memory;
mod orc;
mod output;
mod plugin;
mod prelude;
mod program;
mod repeat;
mod stacks;
mod symbols;
mod translate;
mod vcpu;
