//! `environment.json`: what a run's guests ran on and booted, by checksum. Paths are where the files were; the checksums say which
//! files they were, also when the paths lead to others by now.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use crate::{StoreError, durable};

/// The file beside `run.json`.
const FILE: &str = "environment.json";

/// Version of this file's form.
const FORMAT: u32 = 1;

/// What guests ran on and booted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Environment {
    format: u32,
    /// The version of the protocol that the agent in the initramfs speaks; 0 on fake machines.
    pub protocol: u32,
    /// The QEMU; none if every machine was a fake one.
    pub qemu: Option<QemuBuild>,
    /// By arm. An arm whose kernel did not build has no entry.
    pub boots: BTreeMap<String, BootRecord>,
}

/// A build of QEMU.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct QemuBuild {
    /// As `--version` has it.
    pub version: String,
    /// sha256 of the program; none if it could not be read.
    pub sha256: Option<String>,
}

/// What the guests of an arm booted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BootRecord {
    /// The kernel.
    pub kernel: FileRecord,
    /// With the agent; none on a fake machine.
    pub initramfs: Option<FileRecord>,
    /// The guests' root; none on a fake machine.
    pub root_disk: Option<FileRecord>,
    /// The kernel's modules, if it has any.
    pub modules_disk: Option<FileRecord>,
    /// The kernel's own tests, one for each workload that runs some.
    pub disks: Vec<FileRecord>,
}

/// A file and what is in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileRecord {
    /// Where it was.
    pub path: PathBuf,
    /// In hexadecimal.
    pub sha256: String,
}

impl Environment {
    /// Of these parts.
    #[must_use]
    pub fn new(protocol: u32, qemu: Option<QemuBuild>, boots: BTreeMap<String, BootRecord>) -> Self {
        Self { format: FORMAT, protocol, qemu, boots }
    }

    /// The same without what was booted.
    #[must_use]
    pub fn without_boots(&self) -> Self {
        Self { boots: BTreeMap::new(), ..self.clone() }
    }

    /// Keeps it with the run in `folder`.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn keep(&self, folder: &Path) -> Result<(), StoreError> {
        let text = serde_json::to_vec_pretty(self).expect("an environment has string keys only");
        durable::publish(&folder.join(FILE), &text)
    }

    /// That of the run in `folder`; none for a run of an Assay that kept none.
    ///
    /// # Errors
    /// If it is damaged or of a newer form.
    pub fn of_run(folder: &Path) -> Result<Option<Self>, StoreError> {
        crate::read::versioned(&folder.join(FILE), FORMAT)
    }
}

impl BootRecord {
    /// Every file.
    pub fn files(&self) -> impl Iterator<Item = &FileRecord> {
        let single = [
            Some(&self.kernel),
            self.initramfs.as_ref(),
            self.root_disk.as_ref(),
            self.modules_disk.as_ref(),
        ];
        single.into_iter().flatten().chain(&self.disks)
    }
}
