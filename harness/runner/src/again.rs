//! Boots that are made again, since the emulator and no kernel ended them.

use std::{fs, io, path::Path};

/// How often one trial is made again. What always comes back is not chance, and is told as the kernel's.
pub(crate) const MOST: usize = 2;

/// Moves what a boot left in its trial's folder to `set-aside-N` in it, and leaves the folder as one that no boot has used.
///
/// # Errors
/// If it cannot be moved.
pub(crate) fn set_aside(folder: &Path, number: usize) -> io::Result<()> {
    let aside = folder.join(format!("set-aside-{number}"));
    fs::create_dir(&aside)?;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if !entry.file_name().to_string_lossy().starts_with("set-aside-") {
            fs::rename(entry.path(), aside.join(entry.file_name()))?;
        }
    }
    fs::create_dir(folder.join("raw"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_boot_left_is_kept_and_the_next_one_finds_an_empty_folder() {
        let folder = tempfile::tempdir().expect("a folder");
        let write = |name: &str| fs::write(folder.path().join(name), name).expect("written");
        fs::create_dir(folder.path().join("raw")).expect("made");
        write("raw/tcp.json");
        write("server.console.log");
        set_aside(folder.path(), 1).expect("moved");
        write("server.console.log");
        set_aside(folder.path(), 2).expect("moved");
        let mut left: Vec<_> = fs::read_dir(folder.path())
            .expect("read")
            .map(|entry| entry.expect("an entry").file_name().into_string().expect("a name"))
            .collect();
        left.sort();
        assert_eq!(left, ["raw", "set-aside-1", "set-aside-2"]);
        assert!(folder.path().join("set-aside-1/raw/tcp.json").exists());
        assert!(folder.path().join("set-aside-2/server.console.log").exists());
    }
}
