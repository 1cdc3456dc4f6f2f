//! What there is in a world: everything that a command could leave behind, counted before and after.

use std::{
    collections::BTreeSet,
    fs,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use nix::sys::stat::{major, minor};
use serde::{Deserialize, Serialize};

/// Folders in which programs put what is temporary. All are empty file systems of the world's own.
pub(crate) const TEMPORARY: [&str; 4] = ["/tmp", "/run", "/dev/shm", "/var/tmp"];

/// One kind of thing each. A world has its own process ids, network, mounts and temporary folders, so whatever is there is
/// ours: nothing can hide by being adopted, renamed or detached.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Census {
    /// Processes but us: `pid command line`.
    pub(crate) processes: BTreeSet<String>,
    /// Taps, bridges and every other network device.
    pub(crate) devices: BTreeSet<String>,
    /// Network namespaces that something other than a process holds.
    pub(crate) namespaces: BTreeSet<String>,
    /// Mounts: where and what.
    pub(crate) mounts: BTreeSet<String>,
    /// Unix sockets, abstract ones included, and TCP ones that listen.
    pub(crate) sockets: BTreeSet<String>,
    /// Locks that a process of this world holds.
    pub(crate) locks: BTreeSet<String>,
    /// Files, folders, sockets and links in the temporary folders.
    pub(crate) files: BTreeSet<String>,
    /// The same in the cache.
    pub(crate) cache: BTreeSet<String>,
}

impl Census {
    /// Counts. `cache` and what is in `besides` are not temporary.
    pub(crate) fn take(cache: &Path, besides: &[PathBuf]) -> Result<Self> {
        let mounts = read("/proc/self/mountinfo")?;
        // proc(5): the fifth field is the mount point; the file system's type follows a lone hyphen.
        let described = mounts.lines().filter_map(|line| {
            let kind = line.split_once(" - ")?.1.split(' ').next()?;
            Some((line.split(' ').nth(4)?.to_owned(), kind.to_owned()))
        });
        let (namespaces, mounts): (Vec<_>, Vec<_>) = described.partition(|(_, kind)| kind == "nsfs");
        let shown = |list: Vec<(String, String)>| -> BTreeSet<String> {
            list.into_iter().map(|(place, kind)| format!("{place} ({kind})")).collect()
        };
        let (mut files, mut kept) = (BTreeSet::new(), BTreeSet::new());
        for folder in TEMPORARY {
            walk(Path::new(folder), besides, &mut files)?;
        }
        walk(cache, &[], &mut kept)?;
        // A damaged entry is set aside for somebody to look at, until `assay kernel gc`.
        kept.retain(|path| {
            !path.contains("/damaged/") && !path.contains(".damaged/") && !path.ends_with(".damaged")
        });
        Ok(Self {
            processes: processes()?,
            devices: read("/proc/self/net/dev")?
                .lines()
                .skip(2)
                .filter_map(|line| Some(line.split_once(':')?.0.trim().to_owned()))
                .collect(),
            namespaces: shown(namespaces),
            mounts: shown(mounts),
            sockets: sockets()?,
            locks: locks(cache)?,
            files,
            cache: kept,
        })
    }

    /// What is here and was not there `before`, each with its kind.
    pub(crate) fn since(&self, before: &Self) -> Vec<String> {
        let kinds = |census: &Self| {
            [
                ("process", census.processes.clone()),
                ("network device", census.devices.clone()),
                ("network namespace", census.namespaces.clone()),
                ("mount", census.mounts.clone()),
                ("socket", census.sockets.clone()),
                ("lock", census.locks.clone()),
                ("file", census.files.clone()),
                ("in the cache", census.cache.clone()),
            ]
        };
        let pairs = kinds(self).into_iter().zip(kinds(before));
        pairs
            .flat_map(|((kind, now), (_, then))| {
                now.difference(&then).map(|what| format!("{kind}: {what}")).collect::<Vec<_>>()
            })
            .collect()
    }
}

fn read(path: &str) -> Result<String> {
    fs::read_to_string(path).with_context(|| format!("reading {path}"))
}

/// Every process of this world but its first, which is us; zombies do nothing any more.
pub(crate) fn processes() -> Result<BTreeSet<String>> {
    let mut found = BTreeSet::new();
    for entry in fs::read_dir("/proc").context("reading /proc")? {
        let name = entry.context("reading /proc")?.file_name();
        let Some(id) = name.to_str().and_then(|name| name.parse::<u32>().ok()) else { continue };
        // It may end while it is looked at.
        let Ok(stat) = fs::read_to_string(format!("/proc/{id}/stat")) else { continue };
        let Some((_, state)) = stat.rsplit_once(") ") else { continue };
        if id != std::process::id() && !state.starts_with(['Z', 'X']) {
            let words = fs::read(format!("/proc/{id}/cmdline")).unwrap_or_default();
            found.insert(format!("{id} {}", String::from_utf8_lossy(&words).replace('\0', " ").trim_end()));
        }
    }
    Ok(found)
}

/// Locks on files of our own file systems. The kernel hides those of processes of other worlds, but not open file descriptions' locks,
/// which belong to no process: other people's emulators hold some.
fn locks(cache: &Path) -> Result<BTreeSet<String>> {
    let ours: Vec<String> = TEMPORARY
        .iter()
        .map(Path::new)
        .chain([cache, Path::new("/tmp/f/results"), Path::new("/tmp/f/cache")])
        .filter_map(|path| fs::metadata(path).ok())
        .map(|about| format!("{:02x}:{:02x}:", major(about.dev()), minor(about.dev())))
        .collect();
    // proc(5): number, kind, mandatory or not, access, process, device and inode, range.
    let described = read("/proc/locks")?;
    let fields = described.lines().map(|line| line.split_whitespace().skip(1).collect::<Vec<_>>());
    let is_ours = |fields: &Vec<&str>| {
        let (process, file) = (fields.get(3), fields.get(4));
        process != Some(&"-1") || file.is_some_and(|file| ours.iter().any(|device| file.starts_with(device)))
    };
    Ok(fields.filter(is_ours).map(|fields| fields.join(" ")).collect())
}

/// The files of our own network namespace list all sockets in it, whoever holds them.
fn sockets() -> Result<BTreeSet<String>> {
    /// `TCP_LISTEN`, include/net/tcp_states.h.
    const LISTENS: &str = "0A";
    let mut found: BTreeSet<String> = read("/proc/self/net/unix")?
        .lines()
        .skip(1)
        .map(|line| format!("unix {}", line.split_whitespace().nth(7).unwrap_or("without a name")))
        .collect();
    for table in ["tcp", "tcp6"] {
        for line in read(&format!("/proc/self/net/{table}"))?.lines().skip(1) {
            let mut fields = line.split_whitespace().skip(1);
            let (local, state) = (fields.next().unwrap_or_default(), fields.nth(1).unwrap_or_default());
            if state == LISTENS {
                found.insert(format!("{table} {local}"));
            }
        }
    }
    Ok(found)
}

/// Every path below `folder`, but those in `besides`. What vanishes meanwhile is not there.
fn walk(folder: &Path, besides: &[PathBuf], found: &mut BTreeSet<String>) -> Result<()> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error).with_context(|| format!("reading {}", folder.display())),
    };
    for entry in entries {
        let entry = entry.with_context(|| format!("reading {}", folder.display()))?;
        let path = entry.path();
        if besides.contains(&path) {
            continue;
        }
        found.insert(path.display().to_string());
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            walk(&path, besides, found)?;
        }
    }
    Ok(())
}
