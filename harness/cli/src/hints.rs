//! What to type next, after an error.

use std::io;

use host::{Distribution, PACKAGES, QEMU, Root};
use kernel::KernelError;
use machine::MachineError;
use subprocess::ToolError;

/// What would mend a failure of the machine, as far as its causes tell.
pub(crate) fn of(error: &anyhow::Error) -> Vec<String> {
    let how = Distribution::of(&Root::machine(), nix::unistd::geteuid().is_root());
    let mut hints: Vec<String> = error.chain().filter_map(|cause| of_cause(cause, &how)).collect();
    hints.dedup();
    hints
}

fn of_cause(cause: &(dyn std::error::Error + 'static), how: &Distribution) -> Option<String> {
    // Sources are boxed where they are large.
    let tool = cause.downcast_ref::<ToolError>();
    if let Some(tool) = tool.or_else(|| cause.downcast_ref::<Box<ToolError>>().map(AsRef::as_ref)) {
        return of_tool(tool, how);
    }
    if let Some(KernelError::MissingTools { packages, .. }) = cause.downcast_ref() {
        return of_debian(packages, how);
    }
    if let Some(MachineError::NoKvm { .. } | MachineError::HostCpuWithoutKvm { .. }) = cause.downcast_ref() {
        return Some("`assay doctor` says what KVM lacks here, and the command that changes it".into());
    }
    match cause.downcast_ref::<io::Error>()?.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Some(
            "`assay kernel gc --under 10` frees what was not used for longest; --cache and --results choose another disk"
                .into(),
        ),
        io::ErrorKind::ReadOnlyFilesystem => {
            Some("--cache and --results choose folders that can be written to".into())
        }
        _ => None,
    }
}

fn of_tool(error: &ToolError, how: &Distribution) -> Option<String> {
    match error {
        ToolError::NotFound { program, .. } => {
            let name = program.to_str()?;
            let package = PACKAGES.iter().chain([&QEMU]).find(|package| package.name == name)?;
            Some(format!("{}; `assay doctor` says what else is missing", how.install(package)))
        }
        _ => None,
    }
}

/// How this distribution installs what these Debian packages have.
fn of_debian(packages: &str, how: &Distribution) -> Option<String> {
    let named = packages.split_ascii_whitespace().filter_map(|name| {
        let package = PACKAGES.iter().find(|package| package.debian == name)?;
        how.package(package)
    });
    let names: Vec<&str> = named.collect();
    let installer = how.installer().filter(|_| !names.is_empty())?;
    Some(format!("{installer} {}; `assay doctor` says what else is missing", names.join(" ")))
}

/// The one of these names that was probably meant, as a question: `; did you mean ...?`, or nothing.
pub(crate) fn meant<'a>(text: &str, names: impl IntoIterator<Item = &'a str>) -> String {
    scenario::suggestion(text, &names.into_iter().collect::<Vec<_>>())
}

#[cfg(test)]
mod tests {
    use std::{ffi::OsString, path::PathBuf};

    use super::*;

    #[test]
    fn causes_deep_down_have_hints() {
        let missing = ToolError::NotFound { program: OsString::from("bwrap"), path: OsString::new() };
        let source = Box::new(missing);
        let error = MachineError::Qemu { program: PathBuf::from("qemu"), source };
        let hints = of(&anyhow::Error::from(error).context("building"));
        assert!(hints.len() == 1 && hints[0].contains("bubblewrap"), "{hints:?}");
        let full = anyhow::Error::from(io::Error::from(io::ErrorKind::StorageFull)).context("writing");
        assert!(of(&full)[0].contains("assay kernel gc"));
        let kvm = MachineError::NoKvm { why: "there is no /dev/kvm".into() };
        assert!(of(&kvm.into())[0].contains("assay doctor"));
        let arch = tempfile::tempdir().unwrap();
        std::fs::create_dir(arch.path().join("etc")).unwrap();
        std::fs::write(arch.path().join("etc/os-release"), "ID=arch\n").unwrap();
        let arch = Distribution::of(&Root::at(arch.path()), false);
        let hint = of_debian("libelf-dev flex", &arch).unwrap();
        assert!(hint.starts_with("sudo pacman -S libelf flex;"), "{hint}");
        assert!(of(&anyhow::anyhow!("anything else")).is_empty());
    }
}
