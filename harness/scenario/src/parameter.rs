//! Which words an arm may add to its kernel's command line.

use crate::schema::KERNEL_PARAMETER;

/// Kernel parameters that the machine sets from the plan, with the way to ask for what they do.
const MACHINES_OWN: &[(&str, &str)] = &[
    ("amd_iommu", "machine.server.iommu instead"),
    ("console", "leave it out: the console is the machine's"),
    ("earlyprintk", "leave it out: the console is the machine's"),
    ("init", "leave it out: the agent is the guest's init"),
    ("initrd", "leave it out: the boot image is the machine's"),
    ("intel_iommu", "machine.server.iommu instead"),
    ("iommu", "machine.server.iommu instead"),
    ("iommu.passthrough", "machine.server.iommu instead"),
    ("iommu.strict", "machine.server.iommu instead"),
    ("maxcpus", "machine.vcpus instead"),
    ("oops", "leave it out: an oops ends the trial"),
    ("mem", "machine.memory instead"),
    ("nr_cpus", "machine.vcpus instead"),
    ("panic", "leave it out: a panic ends the trial"),
    ("rdinit", "leave it out: the agent is the guest's init"),
    ("reboot", "leave it out: the machine ends trials"),
    ("root", "leave it out: the root is the machine's"),
    ("rootflags", "leave it out: the root is the machine's"),
    ("rootfstype", "leave it out: the root is the machine's"),
];

/// Whether an arm may have this word on its kernel's command line.
///
/// # Errors
/// In words: what is wrong with it, and what would be right.
pub fn kernel_parameter(word: &str) -> Result<(), String> {
    if !(KERNEL_PARAMETER.holds)(word) {
        return Err(format!(
            "`{}` is no kernel parameter (allowed: {})",
            word.escape_debug(),
            KERNEL_PARAMETER.what
        ));
    }
    match refusal(word) {
        Some((wrong, instead)) => Err(format!("{wrong} (allowed: {instead})")),
        None => Ok(()),
    }
}

/// What is wrong with a parameter that others set, and what to do instead.
pub(crate) fn refusal(parameter: &str) -> Option<(String, &'static str)> {
    // The kernel takes `-` and `_` in parameters for the same.
    let name = parameter.split_once("=").map_or(parameter, |(name, _)| name).replace("-", "_");
    if name.starts_with("assay.") {
        return Some((format!("`{name}` is for the agent"), "the kernel's own parameters"));
    }
    let (_, instead) = MACHINES_OWN.iter().find(|(own, _)| *own == name)?;
    Some((format!("`{name}` is set by the machine itself"), instead))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_machine_sets_is_refused_and_anything_else_taken() {
        assert_eq!(kernel_parameter("mitigations=off"), Ok(()));
        assert!(kernel_parameter("intel-iommu=on").unwrap_err().contains("machine.server.iommu instead"));
        assert!(kernel_parameter("assay.root=/x").unwrap_err().contains("for the agent"));
        assert!(kernel_parameter("a b").unwrap_err().contains("spaces only within double quotes"));
    }
}
