//! The kernel that make has left in a tree or in its output folder, and whether it can be a guest's.

use std::{
    ffi::OsStr,
    fs, io,
    path::{Path, PathBuf},
    time::SystemTime,
};

use crate::{
    elf,
    error::{TreeError, io as failed},
    find::{KernelTree, Standing, standing_in},
    needs::{self, Config, Unsuitable},
    shell::quoted,
};

/// Where kbuild writes to, and where it reads from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BuildFolder {
    folder: PathBuf,
    source: PathBuf,
}

/// A built kernel that a guest can boot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Build {
    /// kbuild's output folder.
    pub folder: PathBuf,
    /// What boots.
    pub image: Image,
    /// With symbols and, if the configuration asks for it, line numbers.
    pub vmlinux: Option<PathBuf>,
    /// `.config`.
    pub config: PathBuf,
    /// `System.map`, if there is one.
    pub system_map: Option<PathBuf>,
    /// What `uname -r` will say.
    pub release: String,
    /// Every module that was built: its file, and its place in `/lib/modules/RELEASE`.
    pub modules: Vec<(PathBuf, PathBuf)>,
    /// Worth a word: modules that are not built, an image older than the kernel.
    pub notes: Vec<String>,
}

/// The file of a build that boots.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Image {
    /// An uncompressed kernel with an entry point for PVH; may be full of debugging information.
    Vmlinux(PathBuf),
    /// A compressed one.
    BzImage(PathBuf),
}

impl BuildFolder {
    /// The build folder of somebody who stands in `here`: the one that was `named`; else the output folder that they stand
    /// in; else, in a source tree, `KBUILD_OUTPUT` or the tree itself. `None` if they stand in no kernel tree.
    ///
    /// # Errors
    /// When a folder that was named is none of a kernel's.
    pub fn find(
        here: &Path,
        named: Option<&Path>,
        kbuild_output: Option<&OsStr>,
    ) -> Result<Option<Self>, TreeError> {
        if let Some(named) = named {
            return Self::named(named).map(Some);
        }
        let tree = match standing_in(here)? {
            None => return Ok(None),
            Some(Standing::Output { folder, source }) => return Self::output(folder, source).map(Some),
            Some(Standing::Tree(tree)) => tree,
        };
        match kbuild_output.filter(|output| !output.is_empty()) {
            // kbuild takes it relative to where make runs, which is the top of the tree.
            Some(output) => {
                let folder = tree.root().join(output);
                let folder = fs::canonicalize(&folder).map_err(|error| TreeError::NoBuildFolder {
                    folder,
                    reason: format!("KBUILD_OUTPUT names it, but {error}"),
                })?;
                Ok(Some(Self { folder, source: tree.root().to_owned() }))
            }
            None => Ok(Some(Self::in_tree(&tree))),
        }
    }

    fn named(named: &Path) -> Result<Self, TreeError> {
        let no = |reason: String| TreeError::NoBuildFolder { folder: named.to_owned(), reason };
        let absolute = fs::canonicalize(named).map_err(|error| no(error.to_string()))?;
        match standing_in(&absolute)? {
            Some(Standing::Output { folder, source }) if folder == absolute => Self::output(folder, source),
            Some(Standing::Tree(tree)) if tree.root() == absolute => Ok(Self::in_tree(&tree)),
            _ => Err(no("it is neither a kernel tree nor the output folder of `make O=`".to_owned())),
        }
    }

    fn output(folder: PathBuf, source: Option<KernelTree>) -> Result<Self, TreeError> {
        match source {
            Some(tree) => Ok(Self { folder, source: tree.root().to_owned() }),
            None => {
                let reason = "the source tree that its Makefile names is not there".to_owned();
                Err(TreeError::NoBuildFolder { folder, reason })
            }
        }
    }

    fn in_tree(tree: &KernelTree) -> Self {
        Self { folder: tree.root().to_owned(), source: tree.root().to_owned() }
    }

    /// Where kbuild writes to.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.folder
    }

    /// The source tree.
    #[must_use]
    pub fn source(&self) -> &Path {
        &self.source
    }

    /// The words of a make command for this folder, without targets.
    #[must_use]
    pub fn make(&self) -> Vec<String> {
        let mut words = vec!["make".to_owned(), "-C".to_owned(), self.source.display().to_string()];
        if self.folder != self.source {
            words.push(format!("O={}", self.folder.display()));
        }
        let jobs = std::thread::available_parallelism().map_or(1, usize::from);
        words.push(format!("-j{jobs}"));
        words
    }

    /// The same, to be pasted into a shell.
    fn make_shown(&self) -> String {
        self.make().iter().map(|word| quoted(Path::new(word))).collect::<Vec<_>>().join(" ")
    }

    /// What is built here, if it can be a guest's.
    ///
    /// # Errors
    /// When nothing is built yet, or when the configuration lacks what a guest needs.
    pub fn open(&self) -> Result<Build, TreeError> {
        let config_path = self.folder.join(".config");
        let make = self.make_shown();
        let not_built = |missing: &str, command: String| TreeError::NotBuilt {
            folder: self.folder.clone(),
            missing: missing.to_owned(),
            command,
        };
        let text = match fs::read(&config_path) {
            Ok(text) => String::from_utf8_lossy(&text).into_owned(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                // What x86-64's defconfig lacks of what guests need, in all trees since 5.4.
                let script = quoted(&self.source.join("scripts/config"));
                let file = quoted(&config_path);
                let command = format!(
                    "{make} defconfig && {script} --file {file} -e EROFS_FS -e OVERLAY_FS &&\n    {make} olddefconfig && {make}"
                );
                return Err(not_built(".config", command));
            }
            Err(error) => return Err(failed("read", config_path)(error)),
        };
        let config = Config::parse(&text);
        // Before anything is built in vain.
        let lacking = needs::lacking(&config);
        if !lacking.is_empty() {
            return Err(Unsuitable::new(config_path, &config, lacking, &self.source, &make).into());
        }
        let vmlinux = self.existing("vmlinux");
        let mut notes = Vec::new();
        let image = match (&vmlinux, self.existing("arch/x86/boot/bzImage")) {
            (Some(vmlinux), _) if elf::has_pvh_entry(vmlinux).map_err(failed("read", vmlinux))? => {
                Image::Vmlinux(vmlinux.clone())
            }
            (vmlinux, Some(image)) => {
                if let Some(vmlinux) = vmlinux
                    && modified(vmlinux)? > modified(&image)?
                {
                    notes.push(format!(
                        "{} is older than vmlinux; `make bzImage` makes it anew",
                        image.display()
                    ));
                }
                Image::BzImage(image)
            }
            (Some(_), None) => return Err(not_built("arch/x86/boot/bzImage", format!("{make} bzImage"))),
            (None, None) => return Err(not_built("vmlinux", make)),
        };
        let release_path = self.folder.join("include/config/kernel.release");
        let release = match fs::read_to_string(&release_path) {
            Ok(release) => release.trim().to_owned(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(not_built("include/config/kernel.release", make));
            }
            Err(error) => return Err(failed("read", release_path)(error)),
        };
        let (modules, missing) = self.modules()?;
        if let Some((option, _)) = needs::early_modules(&config).find(|(_, module)| {
            !modules.iter().any(|(file, _)| module_name(file).is_some_and(|name| name == *module))
        }) {
            let missing = format!("the module of CONFIG_{option}");
            return Err(not_built(&missing, format!("{make} modules")));
        }
        if missing > 0 {
            notes.push(format!(
                "{missing} of {} modules are not built; `make modules` builds them",
                missing + modules.len()
            ));
        }
        Ok(Build {
            folder: self.folder.clone(),
            image,
            vmlinux,
            config: config_path,
            system_map: self.existing("System.map"),
            release,
            modules,
            notes,
        })
    }

    fn existing(&self, name: &str) -> Option<PathBuf> {
        let path = self.folder.join(name);
        path.is_file().then_some(path)
    }

    /// The modules that `modules.order` lists and that are there, and the number of those that are not.
    fn modules(&self) -> Result<(Vec<(PathBuf, PathBuf)>, usize), TreeError> {
        let path = self.folder.join("modules.order");
        let order = match fs::read_to_string(&path) {
            Ok(order) => order,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok((Vec::new(), 0)),
            Err(error) => return Err(failed("read", path)(error)),
        };
        let (mut modules, mut missing) = (Vec::new(), 0);
        for line in order.lines() {
            let Some(place) = module_place(line) else { continue };
            let file = self.folder.join(&place);
            if file.is_file() {
                modules.push((file, Path::new("kernel").join(place)));
            } else {
                missing += 1;
            }
        }
        Ok((modules, missing))
    }
}

/// Where a line of `modules.order` has its module: trees before 5.3 begin lines with `kernel/`, those since 6.2 list
/// objects (`.o`) in place of modules. Nothing for a line that would lead out of the folder.
pub(crate) fn module_place(line: &str) -> Option<PathBuf> {
    let stem = line.strip_suffix(".ko").or_else(|| line.strip_suffix(".o"))?;
    // `kernel/` is a folder of the source as well; only there do modules lie directly below it.
    let stem = match stem.strip_prefix("kernel/") {
        Some(rest) if line.ends_with(".ko") && is_top_folder(rest) => rest,
        _ => stem,
    };
    let plain = Path::new(stem).components().all(|part| matches!(part, std::path::Component::Normal(_)));
    plain.then(|| PathBuf::from(format!("{stem}.ko")))
}

/// Whether a path begins with one of the tree's top folders that have modules.
fn is_top_folder(path: &str) -> bool {
    const FOLDERS: &[&str] = &[
        "arch", "block", "certs", "crypto", "drivers", "fs", "init", "io_uring", "ipc", "kernel", "lib",
        "mm", "net", "rust", "samples", "security", "sound", "usr", "virt",
    ];
    path.split_once('/').is_some_and(|(first, _)| FOLDERS.contains(&first))
}

/// `drivers/char/hw_random/virtio-rng.ko` is the module `virtio_rng`.
fn module_name(file: &Path) -> Option<String> {
    Some(file.file_stem()?.to_str()?.replace('-', "_"))
}

pub(crate) fn modified(path: &Path) -> Result<SystemTime, TreeError> {
    fs::metadata(path).and_then(|metadata| metadata.modified()).map_err(failed("examine", path))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::toy::{Toy, vmlinux};

    fn find(here: &Path) -> BuildFolder {
        BuildFolder::find(here, None, None).unwrap().unwrap()
    }

    #[test]
    fn a_kernel_built_in_the_tree_boots_as_vmlinux_with_its_modules() {
        let toy = Toy::new();
        toy.build(toy.root());
        let build = find(&toy.root().join("net")).open().unwrap();
        let root = fs::canonicalize(toy.root()).unwrap();
        assert_eq!(build.image, Image::Vmlinux(root.join("vmlinux")));
        assert_eq!((build.release.as_str(), build.notes.as_slice()), ("6.12.7-toy", &[][..]));
        assert_eq!(
            build.modules,
            [(root.join("drivers/net/dummy.ko"), "kernel/drivers/net/dummy.ko".into())]
        );
    }

    #[test]
    fn an_output_folder_is_found_by_standing_in_it_by_name_and_by_the_environment() {
        let toy = Toy::new();
        let output = toy.room().join("out");
        toy.output(&output);
        toy.build(&output);
        let folder = fs::canonicalize(&output).unwrap();
        let expected = BuildFolder { folder, source: fs::canonicalize(toy.root()).unwrap() };
        assert_eq!(find(&output), expected);
        let named = BuildFolder::find(toy.room(), Some(&output), None).unwrap().unwrap();
        assert_eq!(named, expected);
        let environment = BuildFolder::find(toy.root(), None, Some(OsStr::new("../out"))).unwrap().unwrap();
        assert_eq!(environment, expected);
        assert!(expected.open().is_ok());
        assert!(BuildFolder::find(toy.room(), None, Some(OsStr::new("out"))).unwrap().is_none());
    }

    #[test]
    fn folders_that_are_no_builds_are_refused_with_the_reason() {
        let toy = Toy::new();
        let refused = |named: &Path| BuildFolder::find(toy.root(), Some(named), None).unwrap_err();
        let error = refused(toy.room()).to_string();
        assert!(error.contains("neither a kernel tree nor the output folder"), "{error}");
        let error = refused(&toy.root().join("net")).to_string();
        assert!(error.contains("neither a kernel tree nor the output folder"), "{error}");
        assert!(refused(Path::new("/nowhere")).is_users());
        let output = toy.room().join("out");
        toy.output(&output);
        fs::remove_file(toy.root().join("Kbuild")).unwrap();
        assert!(refused(&output).to_string().contains("the source tree that its Makefile names"));
        let unset = BuildFolder::find(&output, None, Some(OsStr::new("")));
        assert!(unset.unwrap_err().is_users());
    }

    #[test]
    fn what_is_not_built_is_named_with_the_command_that_builds_it() {
        let toy = Toy::new();
        let folder = find(toy.root());
        let say = || folder.open().unwrap_err().to_string();
        assert!(say().contains(".config is not there"), "{}", say());
        assert!(say().contains("defconfig && ") && say().contains("-e EROFS_FS"), "{}", say());
        toy.build(toy.root());
        fs::remove_file(toy.root().join("drivers/net/dummy.ko")).unwrap();
        let build = folder.open().unwrap();
        assert_eq!(build.notes, ["1 of 1 modules are not built; `make modules` builds them"]);
        fs::write(toy.root().join("vmlinux"), vmlinux(false)).unwrap();
        assert!(say().contains("bzImage is not there"), "{}", say());
        fs::create_dir_all(toy.root().join("arch/x86/boot")).unwrap();
        fs::write(toy.root().join("arch/x86/boot/bzImage"), "").unwrap();
        assert!(matches!(folder.open().unwrap().image, Image::BzImage(_)));
        fs::remove_file(toy.root().join("include/config/kernel.release")).unwrap();
        assert!(say().contains("kernel.release is not there"), "{}", say());
    }

    #[test]
    fn a_module_that_a_guest_cannot_boot_without_must_be_there() {
        let toy = Toy::new();
        toy.build(toy.root());
        let config = toy.root().join(".config");
        let text = fs::read_to_string(&config).unwrap().replace("CONFIG_EROFS_FS=y", "CONFIG_EROFS_FS=m");
        fs::write(&config, text).unwrap();
        let error = find(toy.root()).open().unwrap_err().to_string();
        assert!(error.contains("the module of CONFIG_EROFS_FS is not there"), "{error}");
        assert!(error.ends_with(" modules"), "{error}");
    }

    #[test]
    fn a_configuration_that_will_not_do_is_told_whole_with_one_command() {
        let toy = Toy::new();
        fs::write(toy.root().join(".config"), "CONFIG_X86_64=y\nCONFIG_PCI=y\n").unwrap();
        let error = find(toy.root()).open().unwrap_err();
        assert!(error.is_users());
        let text = error.to_string();
        for part in [
            "CONFIG_VIRTIO_BLK is not set, not y or m: the disk",
            "-e VIRTIO_MENU -e VIRTIO_PCI",
            "scripts/config --file",
        ] {
            assert!(text.contains(part), "{part} in {text}");
        }
        assert!(!text.contains("-e PCI "), "{text}");
    }

    #[test]
    fn lists_of_modules_are_read_in_every_form_they_have_had() {
        let place = |line| module_place(line).map(|place| place.display().to_string());
        assert_eq!(place("drivers/net/dummy.o").as_deref(), Some("drivers/net/dummy.ko"));
        assert_eq!(place("kernel/drivers/net/dummy.ko").as_deref(), Some("drivers/net/dummy.ko"));
        assert_eq!(place("kernel/torture.o").as_deref(), Some("kernel/torture.ko"));
        assert_eq!(place("kernel/torture.ko").as_deref(), Some("kernel/torture.ko"));
        assert_eq!(place("../x.ko"), None);
        assert_eq!(place("/x.ko"), None);
        assert_eq!(place("README"), None);
    }
}
