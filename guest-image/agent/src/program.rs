//! Where a program is.

use std::{
    ffi::OsStr,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

/// Finds a program as execvp(3) does: a name with a slash is a path, any other is looked up in `path`.
pub(crate) fn find(name: &str, path: &OsStr) -> Result<PathBuf, String> {
    if name.is_empty() {
        return Err("a command without a program".into());
    }
    if name.contains('/') {
        return Ok(PathBuf::from(name));
    }
    std::env::split_paths(path)
        .map(|folder| folder.join(name))
        .find(|program| runs(program))
        .ok_or_else(|| format!("`{name}` is not in {}", path.display()))
}

fn runs(program: &Path) -> bool {
    program.metadata().is_ok_and(|facts| facts.is_file() && facts.permissions().mode() & 0o111 != 0)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn the_first_executable_of_that_name_wins() {
        let folder = tempfile::tempdir().unwrap();
        for (place, mode) in [("a", 0o644), ("b", 0o755), ("c", 0o755)] {
            let file = folder.path().join(place).join("tool");
            fs::create_dir(file.parent().unwrap()).unwrap();
            fs::write(&file, "").unwrap();
            fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
        }
        let path = std::env::join_paths(["a", "b", "c"].map(|place| folder.path().join(place))).unwrap();
        assert_eq!(find("tool", &path).unwrap(), folder.path().join("b/tool"));
    }

    #[test]
    fn a_missing_program_and_where_it_was_looked_for_are_named() {
        let end = find("no-such-tool", OsStr::new("/bin:/usr/bin")).unwrap_err();
        assert_eq!(end, "`no-such-tool` is not in /bin:/usr/bin");
        assert!(find("", OsStr::new("/bin")).is_err());
    }

    #[test]
    fn a_path_is_taken_as_it_is() {
        assert_eq!(find("./tool", OsStr::new("/bin")).unwrap(), PathBuf::from("./tool"));
    }
}
