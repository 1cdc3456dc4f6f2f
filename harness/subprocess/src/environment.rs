//! The environment that a child gets: the same on every machine, but for where programs are.

use std::collections::BTreeMap;
use std::env;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

/// Where administrators' programs are. Not on an ordinary user's search path in Debian, yet `mkfs.ext4` is there.
const ADMIN_FOLDERS: [&str; 3] = ["/usr/local/sbin", "/usr/sbin", "/sbin"];

/// `LC_ALL=C`, `TZ=UTC` and a search path; nothing else of the caller's environment.
pub(crate) fn clean() -> BTreeMap<OsString, OsString> {
    let path = search_path(env::var_os("PATH").as_deref());
    BTreeMap::from([("LC_ALL".into(), "C".into()), ("TZ".into(), "UTC".into()), ("PATH".into(), path)])
}

/// The caller's search path with the folders of administrators' programs at its end.
fn search_path(caller: Option<&OsStr>) -> OsString {
    let caller = caller.filter(|path| !path.is_empty()).unwrap_or(OsStr::new("/usr/local/bin:/usr/bin:/bin"));
    let mut path = caller.to_owned();
    let present: Vec<&[u8]> = caller.as_bytes().split(|byte| *byte == b':').collect();
    for folder in ADMIN_FOLDERS {
        if !present.contains(&folder.as_bytes()) {
            path.push(":");
            path.push(folder);
        }
    }
    path
}

/// Whether `program` is an executable file, or one is on the search path `path`.
pub(crate) fn finds(program: &OsStr, path: &OsStr) -> bool {
    let runnable = |candidate: &Path| nix::unistd::access(candidate, nix::unistd::AccessFlags::X_OK).is_ok();
    if program.as_bytes().contains(&b'/') {
        return runnable(Path::new(program));
    }
    env::split_paths(path).any(|folder| runnable(&folder.join(program)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn search_path_keeps_the_callers_order_and_adds_what_lacks() {
        let path = search_path(Some(OsStr::new("/opt/gcc/bin:/usr/sbin:/usr/bin")));
        assert_eq!(path, "/opt/gcc/bin:/usr/sbin:/usr/bin:/usr/local/sbin:/sbin");
    }

    #[test]
    fn an_unset_search_path_gets_the_usual_folders() {
        assert_eq!(search_path(None), "/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin");
    }

    #[test]
    fn finds_programs_by_name_and_by_path() {
        let path = OsStr::new("/usr/bin:/bin");
        assert!(finds(OsStr::new("sh"), path));
        assert!(finds(OsStr::new("/bin/sh"), path));
        assert!(!finds(OsStr::new("no-such-program"), path));
        assert!(!finds(OsStr::new("/etc/passwd"), path));
    }
}
