//! What the tests of this crate share.

#![expect(clippy::unwrap_used, reason = "a test ends at what it did not expect")]

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
    time::Duration,
};

use machine::{Boot, BootEnd, BootFiles, Host, MachineError, Qemu, Running, World};
use subprocess::Supervisor;

/// A place to boot in.
pub(crate) struct Lab {
    pub(crate) supervisor: Supervisor,
    pub(crate) host: Host,
    pub(crate) files: BootFiles,
    folder: tempfile::TempDir,
}

pub(crate) fn helper() -> Vec<OsString> {
    vec![env!("CARGO_BIN_EXE_assay-machine").into()]
}

impl Lab {
    /// For guests of QEMU: `ASSAY_TEST_BOOT` names a folder with a `kernel`, an `initramfs` with the agent, a `root` disk
    /// and a tool root `qemu`. Without it the test says that it is skipped.
    pub(crate) fn real() -> Option<Self> {
        let Some(boot) = std::env::var_os("ASSAY_TEST_BOOT").map(PathBuf::from) else {
            eprintln!(
                "SKIPPED: ASSAY_TEST_BOOT does not name a folder with kernel, initramfs, root and qemu"
            );
            assert!(std::env::var_os("ASSAY_TEST_REQUIRE").is_none(), "a required test would be skipped");
            return None;
        };
        let supervisor = Supervisor::for_tests();
        let qemu = Qemu::in_root(&boot.join("qemu"), &supervisor).unwrap();
        let host = Host::probe(&supervisor, Some(qemu), helper());
        let files = BootFiles {
            kernel: boot.join("kernel"),
            initramfs: boot.join("initramfs"),
            root_disk: boot.join("root"),
            modules_disk: None,
            disks: vec![],
        };
        Some(Self { supervisor, host, files, folder: folder() })
    }

    /// Where logs go.
    pub(crate) fn logs(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) async fn boot(
        &self,
        machine: &plan::Machine,
        cmdline: &[&str],
        traced: bool,
    ) -> Result<BootEnd, MachineError> {
        self.boot_within(machine, cmdline, traced, Duration::from_secs(120)).await
    }

    pub(crate) async fn boot_within(
        &self,
        machine: &plan::Machine,
        cmdline: &[&str],
        traced: bool,
        deadline: Duration,
    ) -> Result<BootEnd, MachineError> {
        self.boot_in(&World::Open, machine, cmdline, traced, deadline).await
    }

    pub(crate) async fn boot_in(
        &self,
        world: &World,
        machine: &plan::Machine,
        cmdline: &[&str],
        traced: bool,
        deadline: Duration,
    ) -> Result<BootEnd, MachineError> {
        let cmdline: Vec<String> = cmdline.iter().map(|&word| word.to_owned()).collect();
        machine::boot(Boot {
            machine,
            cmdline: &cmdline,
            files: &self.files,
            levels: machine::Levels::default(),
            folder: self.folder.path(),
            runtime: self.folder.path(),
            deadline,
            traced,
            world,
            attachments: &machine::Attachments::default(),
            supervisor: &self.supervisor,
            host: &self.host,
        })
        .await
    }
}

/// A folder that guests may pass through: the unprivileged user's sockets are below it.
fn folder() -> tempfile::TempDir {
    use std::os::unix::fs::PermissionsExt;
    tempfile::Builder::new().permissions(std::fs::Permissions::from_mode(0o755)).tempdir().unwrap()
}

pub(crate) fn up(end: BootEnd) -> Running {
    match end {
        BootEnd::Up(running) => *running,
        other => panic!("it is not up: {other:#?}"),
    }
}

pub(crate) fn crashed(end: BootEnd) -> measure::CrashReport {
    match end {
        BootEnd::Crashed(report) => report,
        other => panic!("it did not crash: {other:#?}"),
    }
}
