//! What a kernel complained about: crashes, and what it survived.

use serde::{Deserialize, Serialize};

/// One complaint of a kernel on its console, or several that are the same.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Complaint {
    /// What kind.
    pub kind: ComplaintKind,
    /// Which guest: `server`, `client` or `guest`.
    pub guest: String,
    /// One line without addresses, numbers of processes or offsets, so that it is the same in every boot:
    /// `KASAN: slab-use-after-free in ip_rcv`.
    pub title: String,
    /// The kernel's own first line of it.
    pub words: String,
    /// Twelve hexadecimal digits of a hash over kind, title and the innermost functions: equal for the same complaint in
    /// another boot, or in another arm.
    pub fingerprint: String,
    /// The stack, innermost first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub frames: Vec<Frame>,
    /// Why the frames have no source lines, if they have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub undecoded: Option<String>,
    /// The console around it.
    pub excerpt: String,
    /// Whether the boot ended with it: the kernel panicked, or is given up as one that will not go on.
    pub fatal: bool,
    /// How often in this boot.
    pub times: u32,
}

/// What kind of complaint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ComplaintKind {
    /// `Kernel panic - not syncing` that no other complaint explains.
    Panic,
    /// A fault in the kernel: a bad address, a general protection fault, a division by zero.
    Oops,
    /// `BUG()`, and checks that end like it.
    Bug,
    /// `WARN()`.
    Warning,
    /// The address sanitizer.
    Kasan,
    /// The data-race detector.
    Kcsan,
    /// The sampling memory-error detector.
    Kfence,
    /// The undefined-behaviour sanitizer.
    Ubsan,
    /// The lock validator, RCU's included.
    Lockdep,
    /// Something that may sleep, where nothing may.
    AtomicSleep,
    /// A processor that does not schedule.
    SoftLockup,
    /// A processor that does not take interrupts.
    HardLockup,
    /// A workqueue that does not get on.
    WorkqueueLockup,
    /// A task that is blocked.
    HungTask,
    /// A grace period that does not end.
    RcuStall,
    /// The out-of-memory killer.
    OutOfMemory,
    /// Objects that nobody refers to.
    MemoryLeak,
    /// A guest that stopped answering, without a word of its own.
    Hang,
}

impl ComplaintKind {
    /// Whether something does not get on, as the kernel itself has found.
    #[must_use]
    pub fn is_stall(self) -> bool {
        matches!(
            self,
            Self::SoftLockup | Self::HardLockup | Self::WorkqueueLockup | Self::HungTask | Self::RcuStall
        )
    }

    /// The words for it, as in reports.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::Panic => "panic",
            Self::Oops => "oops",
            Self::Bug => "BUG",
            Self::Warning => "warning",
            Self::Kasan => "KASAN",
            Self::Kcsan => "KCSAN",
            Self::Kfence => "KFENCE",
            Self::Ubsan => "UBSAN",
            Self::Lockdep => "lockdep",
            Self::AtomicSleep => "sleep in atomic context",
            Self::SoftLockup => "soft lockup",
            Self::HardLockup => "hard lockup",
            Self::WorkqueueLockup => "workqueue lockup",
            Self::HungTask => "hung task",
            Self::RcuStall => "RCU stall",
            Self::OutOfMemory => "out of memory",
            Self::MemoryLeak => "memory leak",
            Self::Hang => "hang",
        }
    }
}

/// One function on a kernel's stack.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Frame {
    /// The symbol, as in `kallsyms`.
    pub function: String,
    /// Bytes from its beginning.
    pub offset: u64,
    /// Bytes that it has.
    pub size: u64,
    /// The module that it belongs to, if not to the kernel's image.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub module: Option<String>,
    /// Whether the unwinder is sure of it; what it only found on the stack has a `?`.
    pub certain: bool,
    /// Where that is in the source: the line itself first, then those that it was inlined into.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lines: Vec<SourceLine>,
}

/// A place in a kernel's source.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SourceLine {
    /// The function there, inlined or not.
    pub function: String,
    /// The file, from the top of the tree.
    pub file: String,
    /// The line, from 1; 0 if the compiler gave none.
    pub line: u32,
}
