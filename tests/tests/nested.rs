//! KVM, which most users have: the harness itself runs inside a guest whose emulated CPU has SVM, and makes a trial
//! there with `accel: kvm`.
#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test starts tools and ends at what it did not expect"
)]

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use tests::{Room, assay, can_boot, long_tests, said};

/// What runs in the outer guest: the kit is a read-only disk, and the cache on it is made writable by an overlay.
const SCRIPT: &str = r"
set -e
mkdir -p /kit /upper /cache /room
mount -t erofs -o ro /dev/vdb /kit
mount -t tmpfs -o size=2g tmpfs /upper
mkdir /upper/up /upper/work
mount -t overlay -o lowerdir=/kit/cache,upperdir=/upper/up,workdir=/upper/work overlay /cache
mount -t tmpfs -o size=1g tmpfs /room
# As distributions have it: for root and a group. Guests do not run as root.
chgrp 107 /dev/kvm
chmod 660 /dev/kvm
cd /room
/kit/bin/assay --cache /cache --results /room/results run /kit/project/scenarios/kvm.yaml
grep kvm-exits /room/results/*/samples.jsonl
";

const BASE: &str = "# The image that the outer guest runs as well.
schema: 1
version: \"6.12\"
source: { kind: prebuilt-image, image: ../vmlinux }
";

const SCENARIO: &str = "# Does a trial run with KVM, where KVM runs guests?
schema: 1
base: given
machine: { accel: kvm, topology: loopback }
arms:
  only: {}
workloads:
  tcp: { tool: iperf3, duration: 2s }
collect: [cpu, kvm-exits]
boots: 1
";

fn copy_tree(from: &Path, to: &Path) {
    let status = Command::new("cp").args(["-a", "--"]).args([from, to]).status().unwrap();
    assert!(status.success(), "copying {}", from.display());
}

/// An image with the harness, a project, and the parts of the cache that guests need.
fn kit(folder: &Path) -> PathBuf {
    let boot = PathBuf::from(std::env::var_os("ASSAY_TEST_BOOT").unwrap());
    let qemu = boot.join("qemu").canonicalize().unwrap();
    let roots = qemu.ancestors().find(|path| path.ends_with("roots")).unwrap();
    let cache = roots.parent().unwrap();
    let kit = folder.join("kit");
    for made in ["bin", "cache", "project/kernels", "project/scenarios"] {
        fs::create_dir_all(kit.join(made)).unwrap();
    }
    for part in ["roots", "boot-images"] {
        copy_tree(&cache.join(part), &kit.join("cache").join(part));
    }
    fs::copy(assay(), kit.join("bin/assay")).unwrap();
    fs::copy(assay().with_file_name("assay-agent"), kit.join("bin/assay-agent")).unwrap();
    fs::copy(boot.join("kernel"), kit.join("project/vmlinux")).unwrap();
    fs::write(kit.join("project/kernels/given.yaml"), BASE).unwrap();
    fs::write(kit.join("project/scenarios/kvm.yaml"), SCENARIO).unwrap();
    let image = folder.join("kit.erofs");
    let output = Command::new("mkfs.erofs").arg(&image).arg(&kit).output().unwrap();
    assert!(output.status.success(), "{}", said(&output));
    image
}

#[test]
fn long_the_harness_makes_a_trial_with_kvm_inside_a_guest() {
    if !can_boot() || !long_tests() {
        return;
    }
    // QEMU runs as another user, who must be able to read the image.
    let folder = tempfile::Builder::new().prefix("assay-kit-").tempdir_in("/var/tmp").unwrap();
    fs::set_permissions(folder.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let image = kit(folder.path());
    let output = Room::new()
        .sharing_command()
        .args(["exec", "--accel", "tcg", "--vcpus", "2", "--memory", "5120", "--deadline", "900", "--disk"])
        .arg(&image)
        .args(["--", "sh", "-c", SCRIPT])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(text.contains("ran under: kvm"), "{}", said(&output));
    // The host's own counters of the inner guest; emulated SVM leaves it for every halt and interrupt.
    for (metric, kind) in [("kvm-exits", "exits"), ("kvm-exits", "halt_exits"), ("kvm-exits-per-page", "")] {
        let sample = text.lines().find(|line| {
            line.contains(&format!(r#""metric":"{metric}""#))
                && (kind.is_empty() || line.contains(&format!(r#""kind":"{kind}""#)))
        });
        let sample = sample.unwrap_or_else(|| panic!("{metric} {kind}: {}", said(&output)));
        let sample: serde_json::Value = serde_json::from_str(sample).unwrap();
        assert_eq!(sample["sample"]["provenance"], "debugfs", "{sample}");
        assert!(sample["sample"]["value"].as_f64().is_some_and(|value| value > 0.0), "{sample}");
    }
}
