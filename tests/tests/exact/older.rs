//! The oldest QEMU whose plugin interface is spoken: 10.0, which Debian 13 has. Version 4 of the interface; newer ones have 7.

use std::fs;

use debian::{Packages, Request, Reuse, Wanted};
use subprocess::Supervisor;
use tests::{can_boot, long_tests};

use crate::{
    guest::{Boot, Plugin, boot_folder},
    profile,
};

/// Debian's QEMU of that version, unpacked beside the one that tests use otherwise.
fn qemu_10() -> std::path::PathBuf {
    let qemu = fs::canonicalize(boot_folder().join("qemu")).unwrap();
    let roots = qemu.ancestors().nth(2).unwrap();
    let supervisor = Supervisor::start(&[tests::assay().into(), "__supervise".into()]).unwrap();
    let packages = Packages::open(&roots.with_file_name("packages"), &supervisor).unwrap();
    let request = Request {
        suites: vec!["trixie".into()],
        packages: ["qemu-system-x86", "qemu-system-common", "qemu-system-data", "seabios"]
            .map(Wanted::new)
            .into(),
        with_dependencies: true,
        recommends: false,
        omit: vec![],
    };
    let root = packages.root(roots, &request, Reuse::Last, &mut |_| ()).unwrap();
    let named = |package: &&debian::Package| package.name == "qemu-system-x86";
    let version = &root.packages.iter().find(named).unwrap().version;
    assert!(version.starts_with("1:10.0."), "{version}");
    root.path
}

#[test]
fn long_qemu_10_is_counted_to_the_digit_too() {
    if !can_boot() || !long_tests() {
        return;
    }
    let qemu = qemu_10();
    let whole =
        Boot { plugin: Plugin::Whole, asks_qemu: true, qemu: Some(qemu.clone()), ..Boot::new() }.run();
    assert!(whole.file().lines().next().unwrap().contains(r#""plugin_api":4"#), "the older interface");
    let counted = profile(&whole, 0);
    assert_eq!(Some(counted.instructions + counted.string_passes), whole.qemu_counted);

    let boot = || Boot { qemu: Some(qemu.clone()), ..Boot::new() }.run();
    let (ran, again) = (boot(), boot());
    let awake = profile(&ran, 2);
    assert_eq!(awake.instructions + awake.string_passes, ran.ticks() + mark::BEYOND_TICKS);
    assert!(ran.file() == again.file(), "the files of counts differ");
}
