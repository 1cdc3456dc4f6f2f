//! Whether anything reaches a machine after its power-on.

use std::path::{Path, PathBuf};

use cpio::Archive;
use measure::Perturbation;
use protocol::Perturb;

use crate::{BootFiles, MachineError, Script, process::give_to_sandbox};

/// Whether anything reaches a machine after its power-on.
///
/// What a guest executes depends on when things reach it. Under TCG with an instruction counter for a clock, a guest whose
/// every input is fixed at power-on executes the same instructions every time, on any host, however busy.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum World {
    /// The host asks and the agent answers while the machine runs.
    #[default]
    Open,
    /// The same, with what a closed world will boot; all that the host asks is written down ([`crate::Running::script`]).
    /// Only time is the host's.
    Rehearsal,
    /// Nothing does. The agent plays a script; what it answered is heard afterwards. One guest, under TCG.
    Closed(ClosedWorld),
}

/// What a closed world is closed with.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClosedWorld {
    /// Written in a rehearsal with the same plan.
    pub script: Script,
    /// What is random in the guest, and what is shifted before the workloads.
    pub perturbation: Perturbation,
    /// How its instructions are counted, if they are.
    pub counting: Option<Counting>,
}

impl World {
    /// What the agent is asked to shift before the workloads, if it is asked at all.
    pub(crate) fn perturb(&self) -> Option<Perturb> {
        match self {
            Self::Open => None,
            Self::Rehearsal => Some(Perturb::default()),
            Self::Closed(closed) => Some(closed.perturb()),
        }
    }
}

impl ClosedWorld {
    fn perturb(&self) -> Perturb {
        let Perturbation { held, start_us, .. } = self.perturbation;
        Perturb { held, wait_us: start_us }
    }

    /// The script, with this world's perturbation in the place of the rehearsal's.
    pub(crate) fn played(&self) -> Script {
        self.script.perturbed(self.perturb())
    }
}

/// How a guest's instructions are counted: [`crate::Running::counts`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Counting {
    /// `libinsncount.so`.
    pub plugin: PathBuf,
    /// The kernel's `System.map`.
    pub map: PathBuf,
    /// Instructions from one sample of a stack to the next, if stacks are sampled.
    pub sample: Option<u32>,
}

/// What the plugin writes to, and the plugin itself, in a machine's own folder: QEMU's user cannot pass through every folder
/// that a plugin may be in.
pub(crate) const COUNTS: &str = "counts";
pub(crate) const PLUGIN: &str = "insncount.so";

/// Most bytes of counts that are read: a window over two NICs has a megabyte.
const MOST_COUNTS: u64 = 512 * 1024 * 1024;

/// Puts the plugin where QEMU can load it.
pub(crate) fn lend(counting: &Counting, folder: &Path) -> Result<(), MachineError> {
    let path = folder.join(PLUGIN);
    std::fs::copy(&counting.plugin, &path).map(drop).and_then(|()| give_to_sandbox(&path)).map_err(|source| {
        MachineError::Io { action: "lending QEMU the plugin", path: counting.plugin.clone(), source }
    })
}

/// What the plugin has written so far.
pub(crate) fn counts(folder: &Path) -> Result<Vec<u8>, MachineError> {
    use std::io::Read;
    let path = folder.join(COUNTS);
    let read = || -> std::io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        let file = std::fs::File::open(&path)?;
        if file.take(MOST_COUNTS).read_to_end(&mut bytes)? as u64 == MOST_COUNTS {
            return Err(std::io::Error::other(format!("it has {MOST_COUNTS} bytes or more")));
        }
        Ok(bytes)
    };
    read().map_err(|source| MachineError::Io { action: "reading the counts", path: path.clone(), source })
}

/// Where the root image is in the initramfs of a world that has no disks: reading one takes the host's time.
pub(crate) const ROOT_IMAGE: &str = "assay.root";

/// Where the image with the kernel's modules is in it.
pub(crate) const MODULES_IMAGE: &str = "assay.modules";

/// A file that nobody reads: its pages are in the way of what is allocated later.
const LAYOUT: &str = "assay.layout";

/// Packs all that a closed world boots besides its kernel into one initramfs, `folder/world.cpio`, with the script if there
/// is one already, and with `layout_kib` KiB that only shift what is allocated later.
pub(crate) fn pack(
    folder: &Path,
    files: &BootFiles,
    script: Option<&Script>,
    layout_kib: u32,
) -> Result<PathBuf, MachineError> {
    let path = folder.join("world.cpio");
    let read = |path: &PathBuf| {
        std::fs::read(path).map_err(|source| MachineError::Io {
            action: "reading",
            path: path.clone(),
            source,
        })
    };
    let wrong = |source| MachineError::Io { action: "writing", path: path.clone(), source };
    let mut archive = Archive::default();
    let fits =
        |added: Result<(), cpio::ArchiveError>| added.map_err(|error| wrong(std::io::Error::other(error)));
    fits(archive.file(ROOT_IMAGE, 0o444, &read(&files.root_disk)?))?;
    if let Some(modules) = &files.modules_disk {
        fits(archive.file(MODULES_IMAGE, 0o444, &read(modules)?))?;
    }
    if let Some(script) = script {
        let bytes = script.to_bytes().map_err(|error| wrong(std::io::Error::other(error)))?;
        fits(archive.file(protocol::SCRIPT_FILE, 0o444, &bytes))?;
    }
    if layout_kib > 0 {
        fits(archive.file(LAYOUT, 0o400, &vec![0; layout_kib as usize * 1024]))?;
    }
    let mut bytes = read(&files.initramfs)?;
    bytes.extend(archive.finish());
    std::fs::write(&path, bytes).map_err(wrong)?;
    give_to_sandbox(&path).map_err(wrong)?;
    Ok(path)
}
