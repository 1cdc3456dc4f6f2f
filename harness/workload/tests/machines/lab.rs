//! Where machines boot.

use std::{
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    time::Duration,
};

use machine::{Boot, BootEnd, BootFiles, Host, Qemu, Running};
use subprocess::Supervisor;

/// Whom tests tell nothing: for workloads that are none.
pub(crate) struct Nobody;

impl workload::ktap::Tests for Nobody {
    fn device(&self) -> String {
        unreachable!("there are no tests")
    }

    fn begins(&self, program: &str) {
        unreachable!("{program} is no test")
    }

    fn ended(&self, _: Vec<measure::TestOutcome>, output: measure::RawFile) {
        unreachable!("{} is no test's", output.name)
    }
}

/// A place to boot in.
pub(crate) struct Lab {
    supervisor: Supervisor,
    host: Host,
    files: BootFiles,
    folder: tempfile::TempDir,
}

impl Lab {
    /// For fake machines, which need neither QEMU nor files.
    pub(crate) fn fake() -> Self {
        let supervisor = Supervisor::for_tests();
        let host = Host::probe(&supervisor, None, vec![helper().into()]);
        let folder = folder();
        let kernel = folder.path().join("kernel");
        std::fs::write(&kernel, "plain\n").unwrap();
        let files = BootFiles {
            kernel: kernel.clone(),
            initramfs: kernel.clone(),
            root_disk: kernel,
            modules_disk: None,
            disks: vec![],
        };
        Self { supervisor, host, files, folder }
    }

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
        let host = Host::probe(&supervisor, Some(qemu), vec![helper().into()]);
        let files = BootFiles {
            kernel: boot.join("kernel"),
            initramfs: boot.join("initramfs"),
            root_disk: boot.join("root"),
            modules_disk: None,
            disks: vec![],
        };
        Some(Self { supervisor, host, files, folder: folder() })
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) async fn boot(&self, machine: &plan::Machine, traced: bool) -> Running {
        let attachments = machine::Attachments::default();
        let end = machine::boot(Boot {
            machine,
            cmdline: &[],
            files: &self.files,
            levels: machine::Levels::default(),
            folder: self.folder.path(),
            runtime: self.folder.path(),
            deadline: Duration::from_secs(120),
            traced,
            world: &machine::World::Open,
            attachments: &attachments,
            supervisor: &self.supervisor,
            host: &self.host,
        });
        match end.await.unwrap() {
            BootEnd::Up(running) => *running,
            other => panic!("it is not up: {other:#?}"),
        }
    }
}

/// The program that machines need as a child; it lies beside the tests' folder, as the supervisor's does.
fn helper() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let path = test.ancestors().nth(2).unwrap().join("assay-machine");
    assert!(path.exists(), "`{}` is not there: `cargo build -p machine` makes it", path.display());
    path
}

/// A folder that guests may pass through: the unprivileged user's sockets are below it.
fn folder() -> tempfile::TempDir {
    tempfile::Builder::new().permissions(std::fs::Permissions::from_mode(0o755)).tempdir().unwrap()
}
