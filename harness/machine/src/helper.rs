//! The program that this crate needs as a child: it probes KVM, tries folders, and serves fake machines.

use std::{ffi::OsString, process::ExitCode};

/// Runs a tiny guest with KVM and says by its exit status whether that went well.
pub(crate) const PROBE_KVM: &str = "probe-kvm";
/// `probe-access read|write FOLDER`: says whether the user that it runs as can do that.
pub(crate) const PROBE_ACCESS: &str = "probe-access";
/// `fake SCRIPT KERNEL SOCKET TRIAL`: serves a fake machine.
pub(crate) const FAKE: &str = "fake";

/// The body of the helper program, with the arguments that follow [`Host::probe`]'s `helper`.
///
/// [`Host::probe`]: crate::Host::probe
pub fn helper(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    match arguments.split_first() {
        Some((command, [])) if command == PROBE_KVM => crate::kvm::probe_child(),
        Some((command, [wanted, folder])) if command == PROBE_ACCESS => {
            crate::access::probe_child(wanted, folder.as_ref())
        }
        Some((command, [script, kernel, socket, trial, words @ ..])) if command == FAKE => {
            crate::fake::serve(script.as_ref(), kernel.as_ref(), socket.as_ref(), trial.as_ref(), words)
        }
        _ => {
            eprintln!("this command is for assay's own use");
            ExitCode::from(2)
        }
    }
}
