//! Entering a network namespace.

use std::{fs, fs::File, io, path::Path};

use nix::{
    mount::{MsFlags, mount},
    sched::{CloneFlags, setns, unshare},
};

/// Where ip-netns(8) keeps them.
const NAMESPACES: &str = "/run/netns";

/// Where the machine's own /sys is kept at hand while a namespace's one covers it.
const OWN_SYS: &str = "/run/assay-sys";

/// File systems that do not depend on the namespace, and are mounted below /sys.
const BELOW_SYS: [&str; 3] = ["kernel/debug", "kernel/tracing", "fs/cgroup"];

/// Puts the calling thread, and what it starts, into the namespace called `name`. As with `ip netns exec`, /sys then
/// shows that namespace's devices; mounts made there are seen by this thread and its children alone.
pub(crate) fn enter(name: &str) -> Result<(), String> {
    if name.is_empty() || name.contains('/') || name == "." || name == ".." {
        return Err(format!("`{name}` is not the name of a network namespace"));
    }
    let namespace = File::open(Path::new(NAMESPACES).join(name))
        .map_err(|error| format!("opening the network namespace `{name}`: {error}"))?;
    setns(&namespace, CloneFlags::CLONE_NEWNET)
        .map_err(|errno| format!("entering the network namespace `{name}`: {}", errno.desc()))?;
    own_view_of_sys().map_err(|error| format!("mounting /sys of the network namespace `{name}`: {error}"))
}

/// A sysfs shows the network devices of the namespace in which it was mounted.
fn own_view_of_sys() -> io::Result<()> {
    let none = None::<&str>;
    unshare(CloneFlags::CLONE_NEWNS)?;
    mount(none, "/", none, MsFlags::MS_SLAVE | MsFlags::MS_REC, none)?;
    fs::create_dir_all(OWN_SYS)?;
    mount(Some("/sys"), OWN_SYS, none, MsFlags::MS_BIND | MsFlags::MS_REC, none)?;
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NOEXEC | MsFlags::MS_NODEV;
    mount(Some("sysfs"), "/sys", Some("sysfs"), flags, none)?;
    for below in BELOW_SYS {
        let own = Path::new(OWN_SYS).join(below);
        if own.is_dir() {
            mount(
                Some(&own),
                &Path::new("/sys").join(below),
                none,
                MsFlags::MS_BIND | MsFlags::MS_REC,
                none,
            )?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_leave_the_folder_are_refused() {
        for name in ["", ".", "..", "../net", "a/b"] {
            assert!(enter(name).unwrap_err().contains("is not the name"), "{name}");
        }
    }

    #[test]
    fn a_missing_namespace_is_named() {
        assert!(enter("assay-no-such").unwrap_err().contains("`assay-no-such`: No such file"));
    }
}
