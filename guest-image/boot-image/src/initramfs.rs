//! The initramfs: the agent as `/init`, and what a modular kernel needs to see its disk.
//!
//! Uncompressed: unpacking costs more under emulation than reading a MiB does.

use std::{
    fs,
    path::{Path, PathBuf},
};

use cpio::Archive;
use serde::{Deserialize, Serialize};
use subprocess::Supervisor;

use crate::{
    BootImageError, KernelModules,
    error::At,
    modules::{self, Module, ModuleFile},
    progress::Listener,
    shelf::{Shelf, digest},
};

/// Changes when the layout of the archive does.
const RECIPE_VERSION: u32 = 1;

const EXTENSION: &str = "cpio";

/// Folders that the agent mounts on. It makes the others itself.
const FOLDERS: &[&str] = &["dev", "proc", "sys", "modules"];

/// An initramfs in the cache.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Initramfs {
    /// Readable for everybody.
    pub path: PathBuf,
    /// Of the file, in hexadecimal.
    pub sha256: String,
}

/// How an initramfs was made: enough to know whether it can be used again.
#[derive(Debug, Serialize, Deserialize)]
struct Entry {
    sha256: String,
    modules: Vec<ModuleFile>,
}

/// Finds or writes the initramfs for an agent and, if the kernel has modules, those it needs.
pub(crate) fn obtain(
    shelf: &Shelf,
    agent: &Path,
    modules: Option<&KernelModules>,
    supervisor: &Supervisor,
    progress: &mut Listener<'_>,
) -> Result<Initramfs, BootImageError> {
    let agent = fs::read(agent).at("read the agent", agent)?;
    let recipe = recipe(&agent, modules)?;
    if let Some(found) = lookup(shelf, &recipe, modules, progress)? {
        return Ok(found);
    }
    let lock = shelf.lock(&recipe, "this initramfs", progress)?;
    if let Some(found) = lookup(shelf, &recipe, modules, progress)? {
        return Ok(found);
    }
    let modules = modules.map_or_else(|| Ok(Vec::new()), |modules| modules::closure(modules, supervisor))?;
    let work = shelf.workplace(&recipe, &lock)?;
    let file = work.path().join("initramfs");
    fs::write(&file, archive(&agent, &modules)?).at("write", &file)?;
    let (sha256, path) = shelf.publish(&file, EXTENSION)?;
    let modules = modules.into_iter().map(|module| module.file).collect();
    shelf.record(&recipe, &Entry { sha256: sha256.clone(), modules })?;
    Ok(Initramfs { path, sha256 })
}

/// A cached one is used if it is intact and the modules are still those that went into it; otherwise it is made again.
fn lookup(
    shelf: &Shelf,
    recipe: &str,
    modules: Option<&KernelModules>,
    progress: &mut Listener<'_>,
) -> Result<Option<Initramfs>, BootImageError> {
    let Some(entry) = shelf.entry::<Entry>(recipe)? else { return Ok(None) };
    if modules.is_some_and(|modules| !modules::unchanged(&modules.tree, &entry.modules)) {
        return Ok(None);
    }
    Ok(shelf.image(&entry.sha256, EXTENSION, progress)?.map(|path| Initramfs { path, sha256: entry.sha256 }))
}

fn recipe(agent: &[u8], modules: Option<&KernelModules>) -> Result<String, BootImageError> {
    let mut text = format!("initramfs {RECIPE_VERSION}\n").into_bytes();
    if let Some(KernelModules { tree, required, wanted }) = modules {
        text.extend_from_slice(format!("{}\n{required:?}\n{wanted:?}\n", tree.display()).as_bytes());
    }
    text.extend_from_slice(agent);
    digest(text.as_slice()).at("hash", Path::new("the recipe"))
}

fn archive(agent: &[u8], modules: &[Module]) -> Result<Vec<u8>, BootImageError> {
    let mut archive = Archive::default();
    for folder in FOLDERS {
        archive.folder(folder)?;
    }
    // The kernel opens it for PID 1 before PID 1 can mount anything on /dev.
    archive.character_device("dev/console", 5, 1)?;
    archive.file("init", 0o755, agent)?;
    let mut order = String::new();
    for module in modules {
        let path = format!("modules/{}.ko", module.name);
        archive.file(&path, 0o644, &module.content)?;
        order.push_str(&format!("/{path}\n"));
    }
    if !modules.is_empty() {
        archive.file("modules/order", 0o644, order.as_bytes())?;
    }
    Ok(archive.finish())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Progress;

    struct Room {
        folder: tempfile::TempDir,
        shelf: Shelf,
        agent: PathBuf,
        supervisor: Supervisor,
        told: std::cell::RefCell<Vec<Progress>>,
    }

    impl Room {
        fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            let shelf = Shelf::open(&folder.path().join("cache")).unwrap();
            let agent = folder.path().join("agent");
            fs::write(&agent, "an agent").unwrap();
            Self { folder, shelf, agent, supervisor: Supervisor::for_tests(), told: Default::default() }
        }

        fn obtain(&self) -> Initramfs {
            obtain(&self.shelf, &self.agent, None, &self.supervisor, &mut |event| {
                self.told.borrow_mut().push(event);
            })
            .unwrap()
        }
    }

    #[test]
    fn the_same_agent_gives_the_same_image_and_another_one_another() {
        let room = Room::new();
        let first = room.obtain();
        assert_eq!(room.obtain(), first);
        fs::write(&room.agent, "another agent").unwrap();
        let second = room.obtain();
        assert_ne!(second, first);
        assert!(first.path.exists(), "a run that still uses the first one keeps it");
    }

    #[test]
    fn a_damaged_image_is_made_again() {
        let room = Room::new();
        let first = room.obtain();
        let content = fs::read(&first.path).unwrap();
        fs::write(&first.path, &content[..100]).unwrap();
        assert!(room.told.borrow().is_empty());
        assert_eq!(room.obtain(), first);
        assert_eq!(fs::read(&first.path).unwrap(), content);
        let told = room.told.take();
        assert!(matches!(&told[..], [Progress::Damaged { image, .. }] if *image == first.path), "{told:?}");
    }

    #[test]
    fn a_missing_agent_is_named() {
        let room = Room::new();
        let missing = room.folder.path().join("none");
        let end = obtain(&room.shelf, &missing, None, &room.supervisor, &mut |_| ()).unwrap_err().to_string();
        assert!(end.contains(missing.to_str().unwrap()), "{end}");
    }

    #[test]
    fn the_agent_is_init_and_the_modules_are_listed_in_order() {
        let module = |name: &str| Module {
            name: name.into(),
            file: ModuleFile { path: name.into(), sha256: String::new() },
            content: name.as_bytes().to_vec(),
        };
        let bytes = archive(b"agent", &[module("b"), module("a")]).unwrap();
        let text = String::from_utf8_lossy(&bytes);
        assert!(text.contains("init\0"));
        assert!(text.contains("/modules/b.ko\n/modules/a.ko\n"));
    }
}
