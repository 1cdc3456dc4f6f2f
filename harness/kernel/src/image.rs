//! From an object tree to the files of an entry. Tools that read what was built run in the sandbox too.

use std::{fs, path::Path, time::Duration};

use subprocess::{Supervisor, Tool};

use crate::{
    KernelError,
    cache::{CONFIG, IMAGE, SYSTEM_MAP, VMLINUX},
    error::{io, tool},
    folder,
    sandbox::{OBJECTS, OUTPUT, SOURCE, Sandbox},
};

/// Stripping and copying a hundred megabytes; installing modules.
const DEADLINE: Duration = Duration::from_secs(1800);

/// What make is asked for, given the merged configuration.
pub(crate) fn targets(merged: &str) -> Vec<&'static str> {
    let mut targets = vec!["vmlinux"];
    if !boots_by_pvh(merged) {
        targets.push("bzImage");
    }
    if has_modules(merged) {
        targets.push("modules");
    }
    targets
}

/// Whether the uncompressed kernel boots by itself: it has a PVH entry point, which skips decompression.
fn boots_by_pvh(merged: &str) -> bool {
    merged.lines().any(|line| line == "CONFIG_PVH=y")
}

fn has_modules(merged: &str) -> bool {
    merged.lines().any(|line| line.starts_with("CONFIG_") && line.ends_with("=m"))
}

/// Puts everything that is kept of a build into `output`, which must be empty and the sandbox's; gives the release.
pub(crate) fn export(
    supervisor: &Supervisor,
    tree: &Path,
    objects: &Path,
    output: &Path,
    merged: &str,
) -> Result<String, KernelError> {
    let sandbox = Sandbox::new().read(tree, SOURCE).read(objects, OBJECTS).write(output, OUTPUT);
    let run = |what: &str, command: Tool| command.deadline(DEADLINE).run(supervisor).map_err(tool(what));
    let at = |name: &str| format!("{OUTPUT}/{name}");
    if boots_by_pvh(merged) {
        run(
            "strip the kernel",
            sandbox.tool(OBJECTS, ["strip", "--strip-all", "-o", &at(IMAGE), "vmlinux"]),
        )?;
    } else {
        run("copy the kernel", sandbox.tool(OBJECTS, ["cp", "arch/x86/boot/bzImage", &at(IMAGE)]))?;
    }
    run("copy the symbols", sandbox.tool(OBJECTS, ["cp", "vmlinux", &at(VMLINUX)]))?;
    run("copy the symbol table", sandbox.tool(OBJECTS, ["cp", "System.map", &at(SYSTEM_MAP)]))?;
    let release = run("read the release", sandbox.tool(OBJECTS, ["cat", "include/config/kernel.release"]))?;
    let release = String::from_utf8_lossy(&release.stdout).trim().to_owned();
    if release.is_empty() || release.contains(['/', '\n', ' ']) || release.starts_with('.') {
        let reason = "it is no release that a folder could be named after".to_owned();
        return Err(KernelError::Unexpected { what: format!("the kernel's release `{release}`"), reason });
    }
    if has_modules(merged) {
        // Writes to the object tree.
        let sandbox = Sandbox::new().read(tree, SOURCE).write(objects, OBJECTS).write(output, OUTPUT);
        let words =
            ["make", "O=/build", "INSTALL_MOD_PATH=/out/modules", "INSTALL_MOD_STRIP=1", "modules_install"];
        run("install the modules", sandbox.tool(SOURCE, words))?;
        remove_tree_links(&output.join("modules/lib/modules").join(&release))?;
    }
    let config = output.join(CONFIG);
    // The folder is the sandbox's: what could be there already is not written through.
    match fs::remove_file(&config) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            return Err(io("replace", config)(error));
        }
        _ => folder::write_durably(&config, merged.as_bytes())?,
    }
    Ok(release)
}

/// Removes the links to the trees that modules were built from: they lead to places in the sandbox.
fn remove_tree_links(modules: &Path) -> Result<(), KernelError> {
    for name in ["build", "source"] {
        let link = modules.join(name);
        if fs::symlink_metadata(&link).is_ok_and(|metadata| metadata.is_symlink()) {
            fs::remove_file(&link).map_err(io("remove", link))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn asks_make_for_what_boots_and_for_modules_only_if_there_are_any() {
        assert_eq!(targets("CONFIG_PVH=y\nCONFIG_A=y\n"), ["vmlinux"]);
        assert_eq!(targets("# CONFIG_PVH is not set\nCONFIG_A=m\n"), ["vmlinux", "bzImage", "modules"]);
        assert_eq!(targets("CONFIG_PVH=y\nCONFIG_NAME=\"x=m\"\n"), ["vmlinux"]);
    }
}
