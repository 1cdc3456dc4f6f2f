//! How complaints begin, and how long each goes on.

use measure::ComplaintKind::{self, *};

/// Where a complaint's text is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Extent {
    /// With `---[ end trace`.
    Trace,
    /// With the next line of equals signs.
    Rule,
    /// With its first stack.
    Stack,
    /// With its line.
    Line,
}

use Extent::{Line, Rule, Stack, Trace};

/// What a line begins with, must contain further on, and means. The first that fits counts.
///
/// Texts of `arch/x86/mm/fault.c`, `arch/x86/kernel/traps.c`, `lib/bug.c`, `kernel/panic.c`, `mm/kasan/report.c`,
/// `kernel/kcsan/report.c`, `mm/kfence/report.c`, `lib/ubsan.c`, `kernel/locking/lockdep.c`, `kernel/watchdog.c`,
/// `kernel/hung_task.c`, `kernel/rcu/tree_stall.h`, `kernel/workqueue.c`, `mm/oom_kill.c`, `mm/kmemleak.c`.
const MARKS: &[(&str, &str, ComplaintKind, Extent)] = &[
    ("BUG: KASAN: ", "", Kasan, Rule),
    ("BUG: KCSAN: ", "", Kcsan, Rule),
    ("BUG: KFENCE: ", "", Kfence, Rule),
    ("BUG: KMSAN: ", "", Kasan, Rule),
    ("UBSAN: ", "", Ubsan, Trace),
    ("WARNING: possible circular locking dependency", "", Lockdep, Stack),
    ("WARNING: possible recursive locking", "", Lockdep, Stack),
    ("WARNING: possible irq lock inversion dependency", "", Lockdep, Stack),
    ("WARNING: inconsistent lock state", "", Lockdep, Stack),
    ("WARNING: bad unlock balance", "", Lockdep, Stack),
    ("WARNING: bad contention", "", Lockdep, Stack),
    ("WARNING: held lock freed", "", Lockdep, Stack),
    ("WARNING: lock held when returning to user space", "", Lockdep, Stack),
    ("WARNING: suspicious RCU usage", "", Lockdep, Stack),
    ("WARNING: Nested lock was not taken", "", Lockdep, Stack),
    ("WARNING: ", " still has locks held", Lockdep, Stack),
    ("WARNING: ", "-safe -> ", Lockdep, Stack),
    ("BUG: held lock freed", "", Lockdep, Stack),
    ("BUG: Invalid wait context", "", Lockdep, Stack),
    ("[ BUG: Invalid wait context ]", "", Lockdep, Stack),
    ("BUG: MAX_LOCKDEP_", "", Lockdep, Stack),
    ("BUG: MAX_LOCK_DEPTH", "", Lockdep, Stack),
    ("BUG: sleeping function called from invalid context", "", AtomicSleep, Stack),
    ("BUG: scheduling while atomic", "", AtomicSleep, Stack),
    ("watchdog: BUG: soft lockup", "", SoftLockup, Stack),
    ("BUG: soft lockup", "", SoftLockup, Stack),
    ("watchdog: ", "Watchdog detected hard LOCKUP", HardLockup, Stack),
    ("NMI watchdog: ", "Watchdog detected hard LOCKUP", HardLockup, Stack),
    ("Watchdog detected hard LOCKUP", "", HardLockup, Stack),
    ("CPU", "Watchdog detected hard LOCKUP", HardLockup, Stack),
    ("BUG: workqueue lockup", "", WorkqueueLockup, Stack),
    ("INFO: task ", " blocked ", HungTask, Stack),
    ("rcu: INFO: rcu", "stall", RcuStall, Stack),
    ("INFO: rcu", "stall", RcuStall, Stack),
    ("BUG: kernel NULL pointer dereference", "", Oops, Trace),
    ("BUG: unable to handle ", "", Oops, Trace),
    ("BUG: ", " stack guard page was hit", Oops, Trace),
    ("Unable to handle kernel ", "", Oops, Trace),
    ("kernel BUG at ", "", Bug, Trace),
    ("general protection fault", "", Oops, Trace),
    ("Oops: ", "", Oops, Trace),
    ("divide error: ", "", Oops, Trace),
    ("invalid opcode: ", "", Oops, Trace),
    ("stack segment: ", "", Oops, Trace),
    ("int3: ", "", Oops, Trace),
    ("alignment check: ", "", Oops, Trace),
    ("traps: PANIC: ", "", Oops, Trace),
    ("PANIC: ", "", Oops, Trace),
    ("BUG: ", "", Bug, Stack),
    ("WARNING: CPU: ", " at ", Warning, Trace),
    ("WARNING: ", " at ", Warning, Trace),
    ("Out of memory: Killed process ", "", OutOfMemory, Line),
    ("Memory cgroup out of memory: Killed process ", "", OutOfMemory, Line),
    ("kmemleak: ", " new suspected memory leaks", MemoryLeak, Line),
    // The answer to the NMI that a guest is sent when it hangs (`machine`, `arch/x86/kernel/nmi.c`).
    ("Kernel panic - not syncing: NMI: Not continuing", "", Hang, Stack),
    ("Kernel panic - not syncing", "", Panic, Stack),
];

/// What the words of a line begin, if they begin a complaint.
pub(crate) fn begins(words: &str) -> Option<(ComplaintKind, Extent)> {
    // Few lines begin with what begins a complaint, and a console may have a million.
    MARKS
        .iter()
        .find(|(begin, inside, ..)| words.strip_prefix(begin).is_some_and(|rest| rest.contains(inside)))
        .map(|&(_, _, kind, extent)| (kind, extent))
}

/// What follows these in a panic's words names the complaint before it as the cause.
const CONSEQUENCES: &[&str] = &[
    "Fatal exception",
    "Fatal hardware error",
    "kernel: panic_on_warn set",
    "panic_on_warn set",
    "kasan.fault=panic set",
    "softlockup: hung tasks",
    "hung_task: blocked tasks",
    "Hard LOCKUP",
    "RCU Stall",
    "Aiee, killing interrupt handler",
    "Attempted to kill init",
    "Attempted to kill the idle task",
    "scheduling while atomic",
    "Out of memory",
    "System is deadlocked on memory",
    "KASAN: ",
    "KFENCE: ",
    "UBSAN: ",
    "workqueue lockup",
    "Machine halted",
    "Fatal machine check",
];

/// Whether a panic says that it follows from something that was told before.
pub(crate) fn is_consequence(words: &str) -> bool {
    words
        .strip_prefix("Kernel panic - not syncing: ")
        .is_some_and(|reason| CONSEQUENCES.iter().any(|begin| reason.starts_with(begin)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_told_apart() {
        let kind = |words| begins(words).map(|(kind, _)| kind);
        assert_eq!(kind("BUG: KASAN: slab-out-of-bounds in f+0x1/0x2"), Some(Kasan));
        assert_eq!(kind("BUG: Bad page state in process x  pfn:1"), Some(Bug));
        assert_eq!(kind("WARNING: CPU: 0 PID: 43 at crasher.c:17 f+0xc7/0xff0"), Some(Warning));
        assert_eq!(kind("WARNING: net/core/dev.c:1 at f+0xc7/0xff0, CPU#0: sh/43"), Some(Warning));
        assert_eq!(kind("WARNING: HARDIRQ-safe -> HARDIRQ-unsafe lock order detected"), Some(Lockdep));
        assert_eq!(kind("WARNING: this is what a program printed"), None);
        assert_eq!(kind("INFO: task sh:43 blocked for more than 2 seconds."), Some(HungTask));
        assert_eq!(kind("DEBUG: x"), None);
    }

    #[test]
    fn panics_after_a_fault_are_its_consequence() {
        assert!(is_consequence("Kernel panic - not syncing: Fatal exception in interrupt"));
        assert!(!is_consequence("Kernel panic - not syncing: VFS: Unable to mount root fs"));
        assert!(!is_consequence("Kernel panic - not syncing"));
    }
}
