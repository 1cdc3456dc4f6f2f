//! What this host can do.

use std::ffi::OsString;

use plan::Machine;
use subprocess::Supervisor;

use crate::{
    kvm,
    qemu::{self, Execution, Qemu},
};

/// What machines are made with on this host. Probed once.
#[derive(Clone, Debug)]
pub struct Host {
    /// Whether guests run with KVM; otherwise why not.
    pub kvm: Result<(), String>,
    /// QEMU; fake machines need none.
    pub qemu: Option<Qemu>,
    /// The beginning of the command line of a program that calls [`crate::helper`] with what follows.
    pub helper: Vec<OsString>,
}

impl Host {
    /// Looks at the host. Blocks: milliseconds where KVM is out of the question, otherwise as long as a tiny guest runs,
    /// at most two seconds.
    #[must_use]
    pub fn probe(supervisor: &Supervisor, qemu: Option<Qemu>, helper: Vec<OsString>) -> Self {
        let kvm = kvm::probe(&helper, supervisor);
        Self { kvm, qemu, helper }
    }
}

/// Whether a guest of this machine has several vCPUs, and threads of an emulator for them: what one of them executes may then lag behind what
/// another one has written (QEMU's docs/devel/multi-thread-tcg.rst). A fake machine stands for one that has.
#[must_use]
pub fn emulates_threads(machine: &Machine, host: &Host) -> bool {
    let is_emulated = |outer| matches!(qemu::choose(outer, host), Ok(Execution::Tcg));
    match machine {
        Machine::Qemu(machine) => machine.vcpus > 1 && is_emulated(machine),
        Machine::Nested(machine) => machine.vcpus > 1 && is_emulated(&crate::nested::outer(machine)[0]),
        Machine::Fake(_) => true,
        Machine::Imported(_) => false,
    }
}
