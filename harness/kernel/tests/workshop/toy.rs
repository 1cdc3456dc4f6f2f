//! A toy kernel tree with the targets and the Kconfig options of a real one, and a cache to build it in.

use std::{
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    time::Duration,
};

use kernel::{KernelError, Kernels, Progress};
use measure::{BuildEnd, KernelImage};
use plan::{
    Base, ConfigFragment, ConfigOption, ConfigStart, ConfigValue, KernelConfig, KernelSpec, PatchFile,
    Series, Source,
};
use sha2::{Digest as _, Sha256};
use subprocess::{Supervisor, Tool};
use tempfile::TempDir;

/// kbuild's interface as far as it is used: `O=`, `KCONFIG_CONFIG=`, the targets, the short commands. Like kbuild, it
/// compiles anew what an option changes and leaves the rest.
const MAKEFILE: &str = include_str!("../../../../tests/fixtures/toy-kernel/Makefile");

/// Keeps the options that Kconfig defines and whose one dependency, if there is one, is set.
const CONF: &str = include_str!("../../../../tests/fixtures/toy-kernel/scripts/conf.awk");

const KCONFIG: &str = include_str!("../../../../tests/fixtures/toy-kernel/Kconfig");

pub(crate) const ALPHA: &str = include_str!("../../../../tests/fixtures/toy-kernel/alpha.c");

/// A cache and a toy tree in a tarball.
pub(crate) struct Toy {
    room: TempDir,
    pub(crate) supervisor: Supervisor,
    pub(crate) source: Source,
}

impl Toy {
    pub(crate) fn new() -> Self {
        // The sandbox's user has to get in.
        let room = tempfile::Builder::new().permissions(Permissions::from_mode(0o755)).tempdir().unwrap();
        fs::set_permissions(room.path(), Permissions::from_mode(0o755)).unwrap();
        let supervisor = Supervisor::for_tests();
        let tree = room.path().join("linux-6.12.7");
        for (name, text) in [
            ("Makefile", MAKEFILE),
            ("Kconfig", KCONFIG),
            ("scripts/conf.awk", CONF),
            ("include/toy.h", include_str!("../../../../tests/fixtures/toy-kernel/include/toy.h")),
            ("alpha.c", ALPHA),
            ("beta.c", include_str!("../../../../tests/fixtures/toy-kernel/beta.c")),
        ] {
            let path = tree.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        let tarball = room.path().join("linux.tar.xz");
        Tool::new("tar")
            .args(["--create", "--xz", "--file"])
            .arg(&tarball)
            .arg("--directory")
            .arg(room.path())
            .arg("linux-6.12.7")
            .deadline(Duration::from_secs(60))
            .run(&supervisor)
            .unwrap();
        let source = Source::Tarball {
            location: tarball.display().to_string(),
            sha256: sha256(&fs::read(&tarball).unwrap()),
        };
        Self { room, supervisor, source }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.room.path().join(name)
    }

    pub(crate) fn cache(&self) -> PathBuf {
        self.path("cache")
    }

    pub(crate) fn open(&self) -> Kernels {
        let packages = debian::Packages::open(&self.path("apt"), &self.supervisor).unwrap();
        Kernels::open(&self.cache(), self.supervisor.clone(), packages).unwrap()
    }

    /// The unpatched kernel.
    pub(crate) fn base(&self) -> KernelSpec {
        let text = "CONFIG_PCI=y\n".to_owned();
        KernelSpec {
            base: Base {
                name: "toy".into(),
                version: "6.12".into(),
                source: self.source.clone(),
                config: KernelConfig {
                    start: ConfigStart::Tinyconfig,
                    fragments: vec![ConfigFragment { name: "lab".into(), text }],
                    tree_fragments: vec![],
                },
                flavour: plan::Flavour::Plain,
            },
            series: vec![],
            options: vec![],
        }
    }

    /// The kernel with patches, as one series.
    pub(crate) fn patched(&self, name: &str, patches: &[&str]) -> KernelSpec {
        let folder = self.path(name);
        fs::create_dir_all(&folder).unwrap();
        let patches = patches.iter().enumerate().map(|(index, text)| {
            let path = folder.join(format!("{:04}-x.patch", index + 1));
            fs::write(&path, text).unwrap();
            PatchFile { path, sha256: sha256(text.as_bytes()) }
        });
        let series = Series { name: name.to_owned(), folder: folder.clone(), patches: patches.collect() };
        KernelSpec { series: vec![series], ..self.base() }
    }

    /// A patch that lets the Makefile run `commands` before it links.
    pub(crate) fn makefile_that_runs(&self, commands: &[String]) -> String {
        let added: String = commands.iter().map(|command| format!("\t@{command}\n")).collect();
        let link = "\t@echo \"  LD      vmlinux\"\n";
        changed("Makefile", MAKEFILE, link, &format!("{link}{added}"))
    }

    /// A patch that lets the Makefile run `command` when all is done.
    pub(crate) fn makefile_that_runs_last(&self, command: &str) -> String {
        changed("Makefile", MAKEFILE, "FORCE:\n", &format!("\t@{command}\nFORCE:\n"))
    }

    /// The kernel with options.
    pub(crate) fn with_options(&self, options: &[(&str, ConfigValue)]) -> KernelSpec {
        let options = options
            .iter()
            .map(|(name, value)| ConfigOption { name: (*name).into(), value: value.clone() })
            .collect();
        KernelSpec { options, ..self.base() }
    }

    /// What obtaining comes to, and everything that was told meanwhile.
    pub(crate) fn obtain(
        &self,
        kernels: &Kernels,
        spec: &KernelSpec,
    ) -> (Result<BuildEnd, KernelError>, Vec<Progress>) {
        let mut told = Vec::new();
        let end = kernels.obtain(spec, &self.path("logs"), &mut |event| told.push(event));
        (end, told)
    }

    /// The image, which must come out.
    pub(crate) fn build(&self, kernels: &Kernels, spec: &KernelSpec) -> KernelImage {
        match self.obtain(kernels, spec).0.unwrap() {
            BuildEnd::Built(image) => image,
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn log(&self, name: &str) -> String {
        fs::read_to_string(self.path("logs").join(name)).unwrap()
    }

    /// Every file of the pristine tree with its text.
    pub(crate) fn pristine(&self) -> Vec<(PathBuf, String)> {
        let mut files = Vec::new();
        for tree in fs::read_dir(self.cache().join("trees")).unwrap() {
            walk(&tree.unwrap().path().join("tree"), &mut files);
        }
        files.sort();
        files
    }
}

fn walk(folder: &Path, files: &mut Vec<(PathBuf, String)>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            walk(&path, files);
        } else {
            let text = fs::read_to_string(&path).unwrap();
            files.push((path, text));
        }
    }
}

/// Whether a stage whose phrase begins so was told.
pub(crate) fn had_stage(told: &[Progress], begin: &str) -> bool {
    told.iter().any(|event| matches!(event, Progress::Stage { what, .. } if what.starts_with(begin)))
}

/// All notes as one text.
pub(crate) fn notes(told: &[Progress]) -> String {
    let notes = told.iter().filter_map(|event| match event {
        Progress::Note { message } => Some(message.as_str()),
        _ => None,
    });
    notes.collect::<Vec<_>>().join("\n")
}

pub(crate) fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A patch that replaces `old`, whole lines of the file's `text`, by `new`.
fn changed(path: &str, text: &str, old: &str, new: &str) -> String {
    let at = text.find(old).unwrap();
    let line = text[..at].lines().count() + 1;
    let (before, after) =
        (text[..at].lines().next_back().unwrap(), text[at + old.len()..].lines().next().unwrap());
    let marked =
        |sign: &str, lines: &str| -> String { lines.lines().map(|line| format!("{sign}{line}\n")).collect() };
    format!(
        "diff --git a/{path} b/{path}\n--- a/{path}\n+++ b/{path}\n@@ -{},{} +{},{} @@\n {before}\n{}{} {after}\n",
        line - 1,
        old.lines().count() + 2,
        line - 1,
        new.lines().count() + 2,
        marked("-", old),
        marked("+", new),
    )
}

/// Changes one line of `alpha.c`.
pub(crate) const CHANGES_ALPHA: &str =
    include_str!("../../../../tests/fixtures/toy-kernel/0001-another-sum.patch");

/// A patch that makes a new file.
pub(crate) fn new_file(path: &str, line: &str) -> String {
    format!(
        "diff --git a/{path} b/{path}\nnew file mode 100644\n--- /dev/null\n+++ b/{path}\n@@ -0,0 +1 @@\n+{line}\n"
    )
}
