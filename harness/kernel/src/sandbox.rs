//! Where untrusted series are applied and built: bubblewrap namespaces with no network, no user files and no
//! privileges, in which only the folders named here can be written.
//!
//! Paths inside are the same for every build, so that objects can be shared between the arms of a base and images are
//! reproducible. There is no way round it: where it does not work, nothing is built.

use std::{
    ffi::OsString,
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    time::Duration,
};

use subprocess::{Resource, RunAs, Supervisor, Tool, sandbox_ids};

use crate::{KernelError, bounds, error::io, folder::Owner};

/// The source tree, inside.
pub(crate) const SOURCE: &str = "/src";
/// The object tree, inside.
pub(crate) const OBJECTS: &str = "/build";
/// Results for the host, inside.
pub(crate) const OUTPUT: &str = "/out";
/// Read-only input, inside.
pub(crate) const INPUT: &str = "/in";

/// Host folders that compilers and linkers need, read-only. `/usr/local` comes with `/usr`.
const HOST_FOLDERS: &[&str] = &["/usr", "/etc/alternatives"];
/// In merged-/usr systems these are links into `/usr`; elsewhere folders.
const HOST_ROOTS: &[&str] = &["/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32"];

/// Bytes that may be kept in memory as files: a compiler's temporary ones take a few MB for each job.
const MEMORY: &str = "2147483648";

/// The environment inside, all of it. The time is fixed, as it goes into the image.
const ENVIRONMENT: &[(&str, &str)] = &[
    ("HOME", "/tmp"),
    ("PATH", "/usr/bin:/bin:/usr/sbin:/sbin:/usr/local/bin"),
    ("LC_ALL", "C"),
    ("TZ", "UTC"),
    ("KBUILD_BUILD_TIMESTAMP", "Thu Jan  1 00:00:00 UTC 1970"),
    ("KBUILD_BUILD_USER", "assay"),
    ("KBUILD_BUILD_HOST", "lab"),
    ("GIT_CONFIG_NOSYSTEM", "1"),
    ("GIT_CONFIG_GLOBAL", "/dev/null"),
    ("GIT_CEILING_DIRECTORIES", "/"),
];

/// What a command sees of the host besides its tools: a host path and its place inside.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sandbox {
    /// Whose tools it has, if not the host's.
    root: Option<PathBuf>,
    read_only: Vec<(PathBuf, &'static str)>,
    writable: Vec<(PathBuf, &'static str)>,
    environment: Vec<(&'static str, String)>,
}

impl Sandbox {
    /// A sandbox with the host's tools only.
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// A sandbox with the tools of an unpacked Debian root, and none of the host's.
    pub(crate) fn in_root(root: &Path) -> Self {
        Self { root: Some(root.to_owned()), ..Self::default() }
    }

    /// Adds a file or folder that can be read.
    pub(crate) fn read(mut self, host: &Path, inside: &'static str) -> Self {
        self.read_only.push((host.to_owned(), inside));
        self
    }

    /// Adds a folder that can be written. It must belong to [`owner`].
    pub(crate) fn write(mut self, host: &Path, inside: &'static str) -> Self {
        self.writable.push((host.to_owned(), inside));
        self
    }

    /// Adds an environment variable.
    pub(crate) fn env(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.environment.push((name, value.into()));
        self
    }

    /// The command `argv`, to be run in the sandbox with `folder` as its working directory.
    pub(crate) fn tool(&self, folder: &str, argv: impl IntoIterator<Item = impl Into<OsString>>) -> Tool {
        Tool::new("bwrap")
            .args(self.arguments(folder, &HostRoots::look()))
            .arg("--")
            .args(argv.into_iter().map(Into::into))
            .run_as(RunAs::Unprivileged)
            .limit(Resource::CoreSize, 0)
            .limit(Resource::FileSize, bounds::FILE)
    }

    /// bubblewrap's arguments, up to the command.
    fn arguments(&self, folder: &str, roots: &HostRoots) -> Vec<OsString> {
        let mut arguments: Vec<OsString> = Vec::new();
        let mut add = |words: &[&dyn AsRef<std::ffi::OsStr>]| {
            arguments.extend(words.iter().map(|word| word.as_ref().to_owned()));
        };
        // No namespace inside may give back what these take away.
        add(&[&"--unshare-all", &"--unshare-user", &"--disable-userns", &"--hostname", &"lab"]);
        add(&[&"--die-with-parent", &"--new-session", &"--clearenv"]);
        for (name, value) in ENVIRONMENT {
            add(&[&"--setenv", name, value]);
        }
        for (name, value) in &self.environment {
            add(&[&"--setenv", name, value]);
        }
        if let Some(root) = &self.root {
            // Packages unpacked without their scripts: merged /usr, and libraries found by their folders' names.
            add(&[&"--ro-bind", &root.join("usr"), &"/usr"]);
            for place in ["bin", "sbin", "lib", "lib64"] {
                add(&[&"--symlink", &format!("usr/{place}"), &format!("/{place}")]);
            }
        } else {
            for host in HOST_FOLDERS {
                add(&[&"--ro-bind-try", host, host]);
            }
            add(&[&"--ro-bind-try", &"/etc/ld.so.cache", &"/etc/ld.so.cache"]);
            for (place, target) in &roots.links {
                add(&[&"--symlink", target, place]);
            }
            for place in &roots.folders {
                add(&[&"--ro-bind", place, place]);
            }
        }
        add(&[&"--proc", &"/proc", &"--dev", &"/dev", &"--size", &MEMORY, &"--tmpfs", &"/dev/shm"]);
        add(&[&"--size", &MEMORY, &"--tmpfs", &"/tmp"]);
        for (host, inside) in &self.read_only {
            add(&[&"--ro-bind", host, inside]);
        }
        for (host, inside) in &self.writable {
            add(&[&"--bind", host, inside]);
        }
        // Both are tmpfs, and could be filled until no memory is left.
        add(&[&"--remount-ro", &"/dev", &"--remount-ro", &"/", &"--chdir", &folder]);
        arguments
    }
}

/// How `/bin` and its like are made on this host.
#[derive(Debug, Default)]
struct HostRoots {
    links: Vec<(&'static str, PathBuf)>,
    folders: Vec<&'static str>,
}

impl HostRoots {
    fn look() -> Self {
        let mut roots = Self::default();
        for place in HOST_ROOTS {
            match fs::read_link(place) {
                Ok(target) => roots.links.push((place, target)),
                Err(_) if Path::new(place).is_dir() => roots.folders.push(place),
                // This architecture does not have it.
                Err(_) => {}
            }
        }
        roots
    }
}

/// Whose the folders must be that a sandboxed command writes to.
pub(crate) fn owner() -> Owner {
    sandbox_ids()
}

/// Makes sure that sandboxes work here and can reach `cache`.
pub(crate) fn require(cache: &Path, supervisor: &Supervisor) -> Result<(), KernelError> {
    if owner().is_some() {
        require_reachable(cache)?;
    }
    let output =
        Sandbox::new().tool("/", ["true"]).deadline(Duration::from_secs(60)).run_unchecked(supervisor);
    let refused =
        |reason: String, remedy: &str| Err(KernelError::Sandbox { reason, remedy: remedy.to_owned() });
    match output {
        Ok(output) if output.ended.is_success() => Ok(()),
        Ok(output) if output.stderr.is_empty() => {
            refused(format!("bwrap {}", output.ended), "look into the kernel's log: dmesg")
        }
        Ok(output) => refused(
            String::from_utf8_lossy(&output.stderr).trim().to_owned(),
            "allow unprivileged user namespaces: sysctl kernel.unprivileged_userns_clone=1 where the kernel has it, \
             kernel.apparmor_restrict_unprivileged_userns=0 on Ubuntu, user.max_user_namespaces above 0; in a \
             container, one that may make namespaces",
        ),
        Err(source) => Err(KernelError::Tool { what: "start a sandbox".into(), source: Box::new(source) }),
    }
}

/// Makes sure that every folder on the way to `cache` lets others through.
fn require_reachable(cache: &Path) -> Result<(), KernelError> {
    let cache = &cache.canonicalize().map_err(io("find", cache))?;
    let closed = |folder: &&Path| {
        fs::metadata(folder)
            .is_ok_and(|metadata| metadata.is_dir() && metadata.permissions().mode() & 0o001 == 0)
    };
    match cache.ancestors().find(closed) {
        None => Ok(()),
        Some(folder) => {
            Err(KernelError::CacheUnreachable { cache: cache.to_owned(), blocking: folder.to_owned() })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_named_is_writable_and_the_network_is_gone() {
        let sandbox =
            Sandbox::new().read(Path::new("/cache/tree"), SOURCE).write(Path::new("/cache/o"), OBJECTS);
        let arguments = sandbox.arguments(OBJECTS, &HostRoots::default());
        let text = arguments.iter().map(|a| a.to_str().unwrap()).collect::<Vec<_>>().join(" ");
        assert!(text.starts_with("--unshare-all "), "{text}");
        assert_eq!(text.matches("--bind ").count(), 1, "{text}");
        assert!(text.contains("--ro-bind /cache/tree /src --bind /cache/o /build --remount-ro /dev --remount-ro / --chdir /build"), "{text}");
        assert!(text.contains("--clearenv") && !text.contains("/home") && !text.contains("/root"), "{text}");
    }

    #[test]
    fn a_root_of_its_own_takes_the_place_of_the_hosts_tools() {
        let arguments = Sandbox::in_root(Path::new("/cache/tools")).arguments("/", &HostRoots::look());
        let text = arguments.iter().map(|a| a.to_str().unwrap()).collect::<Vec<_>>().join(" ");
        assert!(text.contains("--ro-bind /cache/tools/usr /usr --symlink usr/bin /bin"), "{text}");
        assert!(!text.contains("/etc") && !text.contains("--ro-bind /usr"), "{text}");
    }

    #[test]
    fn a_folder_closed_to_others_is_named() {
        let room = tempfile::tempdir().unwrap();
        let cache = room.path().join("closed/cache");
        fs::create_dir_all(&cache).unwrap();
        fs::set_permissions(room.path().join("closed"), fs::Permissions::from_mode(0o700)).unwrap();
        let error = require_reachable(&cache).unwrap_err();
        assert!(
            matches!(&error, KernelError::CacheUnreachable { blocking, .. } if blocking.ends_with("closed")),
            "{error}"
        );
    }
}
