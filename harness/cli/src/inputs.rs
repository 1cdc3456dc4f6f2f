//! What a run was made from, kept with it: the scenario as it was written, the files that the plan names by checksum, and what
//! its guests boot. With these a bundle can be made when the originals have changed or are gone.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use machine::{BootFiles, Qemu};
use plan::{Plan, WorkloadKind};
use sha2::{Digest as _, Sha256};
use store::{BootRecord, Environment, FileRecord, QemuBuild};

/// The folder in a run's.
const INPUTS: &str = "inputs";
/// The scenario in it.
pub(crate) const SCENARIO: &str = "scenario.yaml";

/// Where a run keeps what it was made from.
pub(crate) fn folder(run: &Path) -> PathBuf {
    run.join(INPUTS)
}

/// Keeps the scenario, every patch, and every file that guests get.
pub(crate) fn keep(run: &Path, plan: &Plan, scenario: Option<&[u8]>) -> Result<()> {
    let folder = folder(run);
    fs::create_dir_all(&folder).with_context(|| format!("creating {}", folder.display()))?;
    if let Some(text) = scenario {
        let path = folder.join(SCENARIO);
        fs::write(&path, text).with_context(|| format!("writing {}", path.display()))?;
    }
    let series = plan.arms.iter().flat_map(|arm| &arm.kernel.series);
    let patches = series.flat_map(|series| &series.patches).map(|patch| (&patch.path, &patch.sha256));
    let commands = plan.workloads.iter().filter_map(|workload| match &workload.kind {
        WorkloadKind::Command(command) => Some(command),
        WorkloadKind::Iperf3(_)
        | WorkloadKind::Sockperf(_)
        | WorkloadKind::Ktap(_)
        | WorkloadKind::Stream(_)
        | WorkloadKind::Imported(_) => None,
    });
    let files = commands.flat_map(|command| &command.files).map(|file| (&file.path, &file.sha256));
    for (path, sha256) in patches.chain(files) {
        let place = folder.join(sha256);
        if !place.exists() {
            fs::copy(path, &place).with_context(|| format!("keeping {}", path.display()))?;
        }
    }
    Ok(())
}

/// What guests run on and boot, by checksum.
pub(crate) fn environment(qemu: Option<&Qemu>, boots: &BTreeMap<String, BootFiles>) -> Result<Environment> {
    let qemu = qemu.map(|qemu| QemuBuild {
        version: qemu.build().to_owned(),
        // A program that is found on the search path only is asked for its version, and no more.
        sha256: sha256_of(qemu.binary()).ok(),
    });
    // Arms share most of their files.
    let mut known: BTreeMap<PathBuf, String> = BTreeMap::new();
    let mut record = |path: &Path| -> Result<FileRecord> {
        let sha256 = match known.get(path) {
            Some(sha256) => sha256.clone(),
            None => sha256_of(path)?,
        };
        known.insert(path.to_owned(), sha256.clone());
        Ok(FileRecord { path: path.to_owned(), sha256 })
    };
    let mut records = BTreeMap::new();
    for (arm, files) in boots {
        let given = |path: &Path| (!path.as_os_str().is_empty()).then(|| path.to_owned());
        let optional = [given(&files.initramfs), given(&files.root_disk), files.modules_disk.clone()];
        let [initramfs, root_disk, modules_disk] =
            optional.map(|path| path.map(|path| record(&path)).transpose());
        let boot = BootRecord {
            kernel: record(&files.kernel)?,
            initramfs: initramfs?,
            root_disk: root_disk?,
            modules_disk: modules_disk?,
            disks: files.disks.iter().map(|path| record(path)).collect::<Result<_>>()?,
        };
        records.insert(arm.clone(), boot);
    }
    let protocol = if qemu.is_some() { protocol::VERSION } else { 0 };
    Ok(Environment::new(protocol, qemu, records))
}

/// What a record says that guests booted. The files are the caller's to check.
pub(crate) fn boot_files(environment: &Environment) -> BTreeMap<String, BootFiles> {
    let path = |record: &Option<FileRecord>| record.as_ref().map(|record| record.path.clone());
    let files = |boot: &BootRecord| BootFiles {
        kernel: boot.kernel.path.clone(),
        initramfs: path(&boot.initramfs).unwrap_or_default(),
        root_disk: path(&boot.root_disk).unwrap_or_default(),
        modules_disk: path(&boot.modules_disk),
        disks: boot.disks.iter().map(|disk| disk.path.clone()).collect(),
    };
    environment.boots.iter().map(|(arm, boot)| (arm.clone(), files(boot))).collect()
}

/// Whether every file that guests booted is still the one that it was.
pub(crate) fn check(environment: &Environment) -> Result<()> {
    let records = environment.boots.values().flat_map(BootRecord::files);
    let mut checked: BTreeMap<&Path, &str> = BTreeMap::new();
    for FileRecord { path, sha256 } in records {
        if checked.get(path.as_path()) == Some(&sha256.as_str()) {
            continue;
        }
        let found = sha256_of(path)?;
        anyhow::ensure!(found == *sha256, "{} has sha256 {found}, and was {sha256}", path.display());
        checked.insert(path, sha256);
    }
    Ok(())
}

fn sha256_of(path: &Path) -> Result<String> {
    let mut file = fs::File::open(path).with_context(|| format!("reading {}", path.display()))?;
    let mut digest = Sha256::new();
    let mut buffer = vec![0; 1 << 16];
    loop {
        let read = std::io::Read::read(&mut file, &mut buffer)
            .with_context(|| format!("reading {}", path.display()))?;
        if read == 0 {
            return Ok(digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect());
        }
        digest.update(&buffer[..read]);
    }
}
