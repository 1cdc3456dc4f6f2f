//! From unpacked packages to the tree that becomes the image.

use std::{
    fs::{self, Permissions},
    io,
    os::unix::fs::{PermissionsExt, symlink},
    path::Path,
    time::Duration,
};

use subprocess::{Supervisor, Tool};

use super::recipe::{FILES, FOLDERS, LINKS, Recipe};
use crate::{BootImageError, error::At};

/// Both helpers take milliseconds.
const DEADLINE: Duration = Duration::from_secs(60);

/// Turns unpacked packages into the guest's root.
pub(super) fn finish(tree: &Path, recipe: &Recipe, supervisor: &Supervisor) -> Result<(), BootImageError> {
    prune(tree, recipe.pruned)?;
    furnish(tree)?;
    link_alternatives(tree, recipe.alternatives)?;
    link_busybox(tree, supervisor)?;
    // Programs find their libraries by one look into the cache, where each would try several folders otherwise.
    // ldconfig is a static program, and -r keeps it within the tree.
    let tool = Tool::new(tree.join("usr/sbin/ldconfig")).arg("-r").arg(tree);
    tool.deadline(DEADLINE).run(supervisor)?;
    // ldconfig's own notes for its next run, with the host's inode numbers and times in them.
    remove(&tree.join("var/cache"))
}

fn prune(tree: &Path, pruned: &[&str]) -> Result<(), BootImageError> {
    pruned.iter().try_for_each(|path| remove(&tree.join(path)))
}

fn remove(path: &Path) -> Result<(), BootImageError> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error).at("remove", path),
        _ => Ok(()),
    }
}

/// Our own files and folders, and the links of merged /usr.
fn furnish(tree: &Path) -> Result<(), BootImageError> {
    for folder in FOLDERS {
        let path = tree.join(folder);
        fs::create_dir_all(&path).at("create", &path)?;
        let mode = if *folder == "tmp" { 0o1777 } else { 0o755 };
        fs::set_permissions(&path, Permissions::from_mode(mode)).at("set the permissions of", &path)?;
    }
    for (name, content) in FILES {
        let path = tree.join(name);
        fs::write(&path, content).at("write", &path)?;
        fs::set_permissions(&path, Permissions::from_mode(0o644)).at("set the permissions of", &path)?;
    }
    for (name, target) in LINKS {
        let path = tree.join(name);
        match symlink(target, &path) {
            // Unpacking has made it already.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_symlink() => {}
            other => other.at("create", &path)?,
        }
    }
    fs::set_permissions(tree, Permissions::from_mode(0o755)).at("set the permissions of", tree)
}

/// Gives programs the names that Debian's `update-alternatives` gives them, unless a package has that name itself.
fn link_alternatives(tree: &Path, alternatives: &[(&str, &str)]) -> Result<(), BootImageError> {
    for (name, target) in alternatives {
        let path = tree.join("usr/bin").join(name);
        if path.symlink_metadata().is_err() {
            symlink(target, &path).at("create", &path)?;
        }
    }
    Ok(())
}

/// Gives busybox every name that no other package has.
fn link_busybox(tree: &Path, supervisor: &Supervisor) -> Result<(), BootImageError> {
    let tool = Tool::new(tree.join("usr/bin/busybox")).arg("--list").deadline(DEADLINE);
    let listed = tool.run(supervisor)?.stdout;
    let folder = tree.join("usr/bin");
    for name in applets(&String::from_utf8_lossy(&listed)) {
        let taken = ["usr/bin", "usr/sbin"]
            .iter()
            .any(|place| tree.join(place).join(name).symlink_metadata().is_ok());
        if !taken {
            let path = folder.join(name);
            symlink("busybox", &path).at("create", &path)?;
        }
    }
    Ok(())
}

/// The names in `busybox --list`, without any that is not a plain file name.
fn applets(listed: &str) -> impl Iterator<Item = &str> {
    let plain = |name: &&str| !name.is_empty() && !name.contains('/') && *name != "." && *name != "..";
    listed.lines().map(str::trim).filter(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tree_gets_our_files_and_loses_documentation() {
        let room = tempfile::tempdir().unwrap();
        let tree = room.path();
        for folder in ["usr/share/doc/x", "etc/pam.d", "usr/bin"] {
            fs::create_dir_all(tree.join(folder)).unwrap();
        }
        fs::write(tree.join("usr/bin/iperf3"), "").unwrap();
        symlink("usr/bin", tree.join("bin")).unwrap();
        prune(tree, &["usr/share/doc", "etc"]).unwrap();
        furnish(tree).unwrap();
        assert!(!tree.join("usr/share/doc").exists());
        assert!(!tree.join("etc/pam.d").exists());
        assert!(tree.join("bin/iperf3").exists(), "through the link");
        assert!(fs::read_to_string(tree.join("etc/passwd")).unwrap().starts_with("root:x:0:0:"));
        assert_eq!(tree.join("tmp").metadata().unwrap().permissions().mode() & 0o7777, 0o1777);
    }

    #[test]
    fn busybox_takes_only_plain_names_that_are_free() {
        assert_eq!(applets("[\nash\n\n../x\na/b\nuname\n").collect::<Vec<_>>(), ["[", "ash", "uname"]);
    }
}
