//! The real root disk, from the machine's own Debian mirror. Takes a minute and the network the first time.

use boot_image::{BootImages, Purpose};
use debian::Packages;
use subprocess::Supervisor;

/// A folder that keeps the fetched packages between runs.
const MIRROR: &str = "ASSAY_TEST_MIRROR";

#[test]
fn is_made_once_and_its_bytes_depend_on_its_packages_alone() {
    let Some(pool) = std::env::var_os(MIRROR) else {
        eprintln!(
            "skipped: {MIRROR}=FOLDER allows fetching packages from the machine's Debian mirror into FOLDER"
        );
        assert!(std::env::var_os("ASSAY_TEST_REQUIRE").is_none(), "a required test would be skipped");
        return;
    };
    let supervisor = Supervisor::for_tests();
    let packages = Packages::open(pool.as_ref(), &supervisor).unwrap();
    let room = tempfile::tempdir().unwrap();
    let images = BootImages::open(room.path(), &supervisor).unwrap();
    assert_eq!(images.lookup_root_disk(Purpose::Lab, &mut |_| ()).unwrap(), None);

    let mut steps = 0;
    let made = images.root_disk(Purpose::Lab, &packages, &mut |_| steps += 1).unwrap();
    assert!(steps > 0);
    for name in ["iperf3", "sockperf", "iproute2", "ethtool", "busybox-static", "libc6"] {
        assert!(
            made.packages.iter().any(|(package, version)| package == name && !version.is_empty()),
            "{name}"
        );
    }
    let megabytes = made.path.metadata().unwrap().len() / 1_000_000;
    assert!((10..80).contains(&megabytes), "{megabytes} MB");

    let found = images.lookup_root_disk(Purpose::Lab, &mut |_| ()).unwrap();
    assert_eq!(found.as_ref(), Some(&made));
    images.root_disk(Purpose::Lab, &packages, &mut |step| panic!("made again: {step:?}")).unwrap();

    let elsewhere = tempfile::tempdir().unwrap();
    let again = BootImages::open(elsewhere.path(), &supervisor)
        .unwrap()
        .root_disk(Purpose::Lab, &packages, &mut |_| {})
        .unwrap();
    assert_eq!(again.sha256, made.sha256);
}
