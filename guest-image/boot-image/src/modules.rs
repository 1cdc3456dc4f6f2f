//! Which modules of a prebuilt kernel go into its initramfs, and in which order they are loaded.
//!
//! Debian's packages carry no `modules.dep` (depmod runs when they are installed), so dependencies are taken from where
//! depmod takes the names: each module's own `.modinfo` section.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use serde::{Deserialize, Serialize};
use subprocess::{Input, Supervisor, Tool};

use crate::{BootImageError, error::At, shelf::digest};

/// Decompressing one module takes milliseconds.
const DEADLINE: Duration = Duration::from_secs(60);

/// Modules are at most a few MiB; drivers of GPUs, which nobody asks for here, are the largest.
const LARGEST: usize = 64 * 1024 * 1024;

/// The modules of a prebuilt kernel, and which of them its guest needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KernelModules {
    /// The folder that holds `modules.builtin` and `kernel/`: usually `lib/modules/<release>`.
    pub tree: PathBuf,
    /// Without these the guest cannot boot: they must be built in or there.
    pub required: Vec<String>,
    /// Loaded if they are there: what workloads may need.
    pub wanted: Vec<String>,
}

impl KernelModules {
    /// What this lab's guests need: their disk, root, port to the host, and NICs.
    #[must_use]
    pub fn of(tree: &Path) -> Self {
        let names = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
        Self {
            tree: tree.to_owned(),
            required: names(&["virtio_pci", "virtio_blk", "virtio_console", "erofs", "overlay"]),
            wanted: names(&["virtio_rng", "virtio_net", "igb", "e1000e", "tcp_bbr", "tcp_dctcp"]),
        }
    }
}

/// One file of the module tree.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ModuleFile {
    /// Within the tree.
    pub(crate) path: PathBuf,
    /// Of the file as it is, compressed or not.
    pub(crate) sha256: String,
}

/// A module ready to be put into the archive.
#[derive(Debug)]
pub(crate) struct Module {
    pub(crate) name: String,
    pub(crate) file: ModuleFile,
    /// Decompressed.
    pub(crate) content: Vec<u8>,
}

/// The SHA-256 of the files that an earlier [`closure`] took, as they are now.
pub(crate) fn unchanged(tree: &Path, files: &[ModuleFile]) -> bool {
    files.iter().all(|file| {
        let now = fs::File::open(tree.join(&file.path)).and_then(digest);
        now.is_ok_and(|sha256| sha256 == file.sha256)
    })
}

/// The modules that are needed, each after all that it depends on.
pub(crate) fn closure(
    modules: &KernelModules,
    supervisor: &Supervisor,
) -> Result<Vec<Module>, BootImageError> {
    let tree = Tree::open(&modules.tree)?;
    let mut order = Order { tree: &tree, supervisor, placed: BTreeSet::new(), modules: Vec::new() };
    for name in &modules.required {
        order.place(name, Missing::IsAnError)?;
    }
    for name in &modules.wanted {
        order.place(name, Missing::IsFine)?;
    }
    Ok(order.modules)
}

/// What it means that a module is neither built in nor there.
#[derive(Clone, Copy)]
enum Missing {
    IsAnError,
    IsFine,
}

/// Depth first through dependencies; each module is placed once.
struct Order<'a> {
    tree: &'a Tree,
    supervisor: &'a Supervisor,
    placed: BTreeSet<String>,
    modules: Vec<Module>,
}

impl Order<'_> {
    fn place(&mut self, name: &str, missing: Missing) -> Result<(), BootImageError> {
        let name = canonical(name);
        if self.tree.builtin.contains(&name) || self.placed.contains(&name) {
            return Ok(());
        }
        let Some(path) = self.tree.files.get(&name) else {
            return match missing {
                Missing::IsAnError => {
                    Err(BootImageError::NoModule { module: name, tree: self.tree.folder.clone() })
                }
                Missing::IsFine => Ok(()),
            };
        };
        // Marked before its dependencies are, so that a circle in damaged files ends.
        self.placed.insert(name.clone());
        let whole = self.tree.folder.join(path);
        let stored = fs::read(&whole).at("read", &whole)?;
        let sha256 = digest(stored.as_slice()).at("read", &whole)?;
        let content = decompressed(&whole, stored, self.supervisor)?;
        let needs = Needs::of(&content)
            .map_err(|reason| BootImageError::NotAModule { path: whole.clone(), reason })?;
        for need in needs.hard {
            self.place(&need, Missing::IsAnError)?;
        }
        for need in needs.soft {
            self.place(&need, Missing::IsFine)?;
        }
        self.modules.push(Module { name, file: ModuleFile { path: path.clone(), sha256 }, content });
        Ok(())
    }
}

/// What a module tree has, by name.
#[derive(Debug)]
struct Tree {
    folder: PathBuf,
    builtin: BTreeSet<String>,
    files: BTreeMap<String, PathBuf>,
}

impl Tree {
    fn open(folder: &Path) -> Result<Self, BootImageError> {
        let list = |name: &str| {
            let path = folder.join(name);
            fs::read_to_string(&path).at("read", &path)
        };
        let builtin = list("modules.builtin")?.lines().filter_map(module_name).collect();
        let mut files = BTreeMap::new();
        for line in list("modules.order")?.lines() {
            let Some(name) = module_name(line) else { continue };
            // The list names what was built; packages compress it.
            let stored = ["", ".xz", ".zst", ".gz"].map(|suffix| PathBuf::from(format!("{line}{suffix}")));
            if let Some(path) = stored.into_iter().find(|path| folder.join(path).is_file()) {
                files.insert(name, path);
            }
        }
        Ok(Self { folder: folder.to_owned(), builtin, files })
    }
}

/// `kernel/drivers/char/hw_random/virtio-rng.ko` is the module `virtio_rng`.
fn module_name(line: &str) -> Option<String> {
    let file = line.rsplit('/').next()?;
    // Newer trees list objects (`.o`) in modules.order.
    file.strip_suffix(".ko").or_else(|| file.strip_suffix(".o")).map(canonical)
}

/// The kernel takes `-` and `_` in names of modules for the same.
fn canonical(name: &str) -> String {
    name.replace('-', "_")
}

fn decompressed(path: &Path, stored: Vec<u8>, supervisor: &Supervisor) -> Result<Vec<u8>, BootImageError> {
    let program = match path.extension().and_then(|extension| extension.to_str()) {
        Some("xz") => "xz",
        Some("zst") => "zstd",
        Some("gz") => "gzip",
        _ => return Ok(stored),
    };
    let tool = Tool::new(program).args(["--decompress", "--stdout"]).stdin(Input::Bytes(stored));
    Ok(tool.max_output(LARGEST).deadline(DEADLINE).run(supervisor)?.stdout)
}

/// What a module says that it needs.
#[derive(Debug, Default, PartialEq, Eq)]
struct Needs {
    hard: Vec<String>,
    soft: Vec<String>,
}

impl Needs {
    fn of(module: &[u8]) -> Result<Self, &'static str> {
        let mut needs = Self::default();
        for line in section(module, b".modinfo")?.split(|&byte| byte == 0) {
            let line = String::from_utf8_lossy(line);
            match line.split_once('=') {
                Some(("depends", names)) => {
                    needs.hard.extend(names.split(',').filter(|name| !name.is_empty()).map(canonical));
                }
                Some(("softdep", text)) => needs.soft.extend(loaded_before(text)),
                _ => {}
            }
        }
        Ok(needs)
    }
}

/// `pre: a b post: c`: the names before which the module should not be loaded.
fn loaded_before(softdep: &str) -> Vec<String> {
    let (mut names, mut before) = (Vec::new(), false);
    for word in softdep.split_ascii_whitespace() {
        match word {
            "pre:" => before = true,
            "post:" => before = false,
            name if before => names.push(canonical(name)),
            _ => {}
        }
    }
    names
}

/// A section of a 64-bit little-endian ELF file, by its name (elf(5)). The file is untrusted: nothing is assumed of its
/// offsets.
fn section<'a>(file: &'a [u8], name: &[u8]) -> Result<&'a [u8], &'static str> {
    /// ELFCLASS64, ELFDATA2LSB.
    const IDENT: &[u8] = b"\x7fELF\x02\x01";
    const CUT: &str = "it is cut off";
    if !file.starts_with(IDENT) {
        return Err("not a 64-bit little-endian ELF file");
    }
    let table = number(file, 0x28, 8).ok_or(CUT)?;
    let size = number(file, 0x3a, 2).ok_or(CUT)?;
    let count = number(file, 0x3c, 2).ok_or(CUT)?;
    let names = number(file, 0x3e, 2).ok_or(CUT)?;
    let body = |index: usize| {
        let header = table.checked_add(index.checked_mul(size)?)?;
        let (start, length) =
            (number(file, header.checked_add(0x18)?, 8)?, number(file, header.checked_add(0x20)?, 8)?);
        Some((number(file, header, 4)?, file.get(start..start.checked_add(length)?)?))
    };
    let (_, names) = body(names).ok_or(CUT)?;
    for index in 0..count {
        // A section without bytes in the file (.bss) may point anywhere.
        let Some((at, content)) = body(index) else { continue };
        if names.get(at..).is_some_and(|rest| rest.starts_with(name) && rest.get(name.len()) == Some(&0)) {
            return Ok(content);
        }
    }
    Err("it has no .modinfo section")
}

/// An unsigned little-endian number of `width` bytes.
fn number(file: &[u8], at: usize, width: usize) -> Option<usize> {
    let mut bytes = [0; 8];
    bytes[..width].copy_from_slice(file.get(at..at.checked_add(width)?)?);
    usize::try_from(u64::from_le_bytes(bytes)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A module as far as this file looks at it: a header, the section names, and `.modinfo`.
    fn module(modinfo: &str) -> Vec<u8> {
        let names = b"\0.shstrtab\0.modinfo\0";
        let (names_at, info_at) = (64, 64 + names.len());
        let table = (info_at + modinfo.len()).next_multiple_of(8);
        let mut file = b"\x7fELF\x02\x01\x01".to_vec();
        file.resize(64, 0);
        file[0x28..0x30].copy_from_slice(&(table as u64).to_le_bytes());
        file[0x3a..0x3c].copy_from_slice(&64_u16.to_le_bytes());
        file[0x3c..0x3e].copy_from_slice(&3_u16.to_le_bytes());
        file[0x3e..0x40].copy_from_slice(&1_u16.to_le_bytes());
        file.extend_from_slice(names);
        file.extend_from_slice(modinfo.as_bytes());
        file.resize(table + 3 * 64, 0);
        for (index, name, at, length) in [(1, 1_u32, names_at, names.len()), (2, 11, info_at, modinfo.len())]
        {
            let header = table + index * 64;
            file[header..header + 4].copy_from_slice(&name.to_le_bytes());
            file[header + 0x18..header + 0x20].copy_from_slice(&(at as u64).to_le_bytes());
            file[header + 0x20..header + 0x28].copy_from_slice(&(length as u64).to_le_bytes());
        }
        file
    }

    fn tree(modules: &[(&str, &str)], builtin: &str) -> tempfile::TempDir {
        let tree = tempfile::tempdir().unwrap();
        let mut order = String::new();
        for (path, modinfo) in modules {
            let file = tree.path().join(path);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, module(modinfo)).unwrap();
            order.push_str(&format!("{path}\n"));
        }
        fs::write(tree.path().join("modules.order"), order).unwrap();
        fs::write(tree.path().join("modules.builtin"), builtin).unwrap();
        tree
    }

    fn names(tree: &Path, required: &[&str], wanted: &[&str]) -> Result<Vec<String>, BootImageError> {
        let owned = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
        let modules =
            KernelModules { tree: tree.to_owned(), required: owned(required), wanted: owned(wanted) };
        Ok(closure(&modules, &Supervisor::for_tests())?.into_iter().map(|module| module.name).collect())
    }

    #[test]
    fn dependencies_come_first_and_once() {
        let tree = tree(
            &[
                (
                    "kernel/fs/erofs/erofs.ko",
                    "license=GPL\0depends=netfs,lz4-tools\0softdep=pre: crc32c post: late\0",
                ),
                ("kernel/fs/netfs.ko", "depends=\0"),
                ("kernel/lib/lz4-tools.ko", "depends=netfs\0"),
                ("kernel/lib/crc32c.ko", "depends=\0"),
                ("kernel/lib/late.ko", "depends=\0"),
            ],
            "",
        );
        assert_eq!(
            names(tree.path(), &["erofs"], &["netfs"]).unwrap(),
            ["netfs", "lz4_tools", "crc32c", "erofs"]
        );
    }

    #[test]
    fn what_is_built_in_needs_no_file() {
        let tree = tree(&[], "kernel/drivers/char/hw_random/virtio-rng.ko\n");
        assert!(names(tree.path(), &["virtio_rng"], &["igb"]).unwrap().is_empty());
    }

    #[test]
    fn a_required_module_that_is_missing_is_named_and_a_wanted_one_is_not() {
        let tree = tree(&[("kernel/a.ko", "depends=b\0")], "");
        let end = names(tree.path(), &["a"], &[]).unwrap_err();
        assert!(matches!(end, BootImageError::NoModule { ref module, .. } if module == "b"), "{end}");
        assert!(names(tree.path(), &[], &["b"]).unwrap().is_empty());
    }

    #[test]
    fn a_circle_ends() {
        let tree = tree(&[("kernel/a.ko", "depends=b\0"), ("kernel/b.ko", "depends=a\0")], "");
        assert_eq!(names(tree.path(), &["a"], &[]).unwrap(), ["b", "a"]);
    }

    #[test]
    fn a_file_cut_anywhere_is_refused_or_says_less_and_never_panics() {
        let whole = module("depends=x\0");
        assert_eq!(Needs::of(&whole).unwrap().hard, ["x"]);
        for cut in 0..whole.len() - 64 {
            assert!(Needs::of(&whole[..cut]).is_err(), "cut at {cut}");
        }
        assert_eq!(Needs::of(b"\x7fELF").unwrap_err(), "not a 64-bit little-endian ELF file");
    }

    #[test]
    fn a_changed_module_is_noticed() {
        let tree = tree(&[("kernel/a.ko", "depends=\0")], "");
        let modules = KernelModules { tree: tree.path().into(), required: vec!["a".into()], wanted: vec![] };
        let files: Vec<_> = closure(&modules, &Supervisor::for_tests())
            .unwrap()
            .into_iter()
            .map(|module| module.file)
            .collect();
        assert!(unchanged(tree.path(), &files));
        fs::write(tree.path().join("kernel/a.ko"), "other").unwrap();
        assert!(!unchanged(tree.path(), &files));
    }
}
