//! SHA-256 of text, files and trees.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use sha2::{Digest as _, Sha256};

use crate::DebianError;
use crate::error::At as _;

pub(crate) fn of_text(text: &str) -> String {
    hex(&Sha256::digest(text.as_bytes()))
}

pub(crate) fn of_file(path: &Path) -> Result<String, DebianError> {
    let mut hasher = Sha256::new();
    feed(&mut hasher, path).at("reading", path)?;
    Ok(hex(&hasher.finalize()))
}

/// Of names, kinds, permissions and contents of everything below `root`; owners and times are left out, since they
/// depend on who unpacked it, and when.
pub(crate) fn of_tree(root: &Path) -> Result<String, DebianError> {
    let mut hasher = Sha256::new();
    tree(&mut hasher, root)?;
    Ok(hex(&hasher.finalize()))
}

fn tree(hasher: &mut Sha256, folder: &Path) -> Result<(), DebianError> {
    let mut names: Vec<OsString> = fs::read_dir(folder)
        .and_then(|entries| entries.map(|entry| entry.map(|entry| entry.file_name())).collect())
        .at("reading", folder)?;
    names.sort();
    for name in names {
        let path = folder.join(&name);
        let metadata = path.symlink_metadata().at("reading", &path)?;
        let kind = metadata.file_type();
        let mode = metadata.permissions().mode();
        // Every part has its length before it, so that no two trees have the same text.
        part(hasher, name.as_bytes());
        part(hasher, &mode.to_le_bytes());
        if kind.is_symlink() {
            part(hasher, fs::read_link(&path).at("reading", &path)?.as_os_str().as_bytes());
        } else if kind.is_dir() {
            tree(hasher, &path)?;
            part(hasher, b"/");
        } else if kind.is_file() {
            hasher.update(metadata.len().to_le_bytes());
            feed(hasher, &path).at("reading", &path)?;
        }
    }
    Ok(())
}

fn part(hasher: &mut Sha256, bytes: &[u8]) {
    hasher.update((bytes.len() as u64).to_le_bytes());
    hasher.update(bytes);
}

fn feed(hasher: &mut Sha256, path: &Path) -> io::Result<()> {
    let mut file = File::open(path)?;
    let mut buffer = vec![0; 256 << 10];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(()),
            count => hasher.update(&buffer[..count]),
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn text_and_files_have_the_digests_everybody_computes() {
        let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(of_text("abc"), abc);
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("file"), "abc").unwrap();
        assert_eq!(of_file(&folder.path().join("file")).unwrap(), abc);
    }

    #[test]
    fn a_tree_changes_with_names_contents_modes_and_links_only() {
        let make = || {
            let folder = tempfile::tempdir().unwrap();
            fs::create_dir(folder.path().join("d")).unwrap();
            fs::write(folder.path().join("d/file"), "abc").unwrap();
            symlink("d/file", folder.path().join("link")).unwrap();
            folder
        };
        let change = |change: &dyn Fn(&Path)| {
            let folder = make();
            change(folder.path());
            of_tree(folder.path()).unwrap()
        };
        let same = of_tree(make().path()).unwrap();
        assert_eq!(change(&|root| fs::write(root.join("d/file"), "abc").unwrap()), same);
        for changed in [
            change(&|root| fs::write(root.join("d/file"), "abd").unwrap()),
            change(&|root| fs::rename(root.join("d/file"), root.join("file")).unwrap()),
            change(&|root| fs::set_permissions(root.join("d"), fs::Permissions::from_mode(0o700)).unwrap()),
            change(&|root| {
                fs::remove_file(root.join("link")).unwrap();
                symlink("d", root.join("link")).unwrap();
            }),
        ] {
            assert_ne!(changed, same);
        }
    }
}
