//! What this host can do.

use std::ffi::OsString;

use subprocess::Supervisor;

use crate::{kvm, qemu::Qemu};

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
