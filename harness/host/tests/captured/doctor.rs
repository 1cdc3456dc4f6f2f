//! Four machines and what the doctor says of each.

use std::collections::BTreeMap;

use host::{
    PACKAGES,
    doctor::{Checkup, Finding, State, Style, examine, text},
    probe::{Consumer, Device, Features, Probes, QemuProbe, Space, Version},
};

use crate::tree::Tree;

const GB: u64 = 1_000_000_000;

/// All is well: everything is installed and works.
fn well() -> Probes {
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    Probes {
        is_root: false,
        release: "6.12.48".into(),
        kvm_device: Device::Usable,
        kvm: Ok(()),
        qemus: vec![QemuProbe {
            place: "/usr/bin/qemu-system-x86_64".into(),
            features: Ok(Features {
                version: "10.0.2".into(),
                types: names(&["igb", "intel-iommu", "iommufd", "kvm-accel"]),
                options: names(&["plugin", "sandbox"]),
                netdevs: names(&["stream"]),
            }),
        }],
        oldest_qemu: "8.1".into(),
        programs: PACKAGES.iter().map(|package| (package.name, Version::Known("1.2.3".into()))).collect(),
        namespaces: Ok(()),
        cycles: Ok(()),
        spaces: vec![
            Space { purpose: "cache", path: "/srv/cache".into(), writable: true, free: Ok(500 * GB) },
            Space { purpose: "results", path: "/home/u/results".into(), writable: true, free: Ok(40 * GB) },
        ],
        agent: ("/opt/assay/assay-agent".into(), true),
        mirror_named: false,
        consumers: vec![],
    }
}

fn laptop() -> Probes {
    Probes {
        release: "6.14.0-63.fc42.x86_64".into(),
        kvm_device: Device::Denied,
        kvm: Err("a tiny guest did not run: opening /dev/kvm: Permission denied".into()),
        qemus: vec![],
        programs: [
            ("gcc", "15.1.1"),
            ("ld", "2.44"),
            ("make", "4.4.1"),
            ("git", "2.49.0"),
            ("bwrap", "0.10.0"),
        ]
        .map(|(name, version)| (name, Version::Known(version.into())))
        .into(),
        cycles: Err("perf_event_open: Permission denied (os error 13)".into()),
        consumers: vec![
            Consumer { pid: 4000, name: "firefox".into(), cpus: 0.61 },
            Consumer { pid: 4001, name: "firefox".into(), cpus: 0.2 },
            Consumer { pid: 3000, name: "gnome-shell".into(), cpus: 0.08 },
        ],
        ..well()
    }
}

fn vm() -> Probes {
    Probes {
        is_root: true,
        release: "6.18.44".into(),
        kvm: Err(
            "the CPU flags have neither vmx nor svm: no hardware virtualisation reaches this machine".into()
        ),
        cycles: Err("perf_event_open: No such file or directory (os error 2)".into()),
        ..well()
    }
}

fn container() -> Probes {
    Probes {
        is_root: true,
        release: "6.12.48".into(),
        kvm_device: Device::Absent,
        kvm: Err("there is no /dev/kvm".into()),
        qemus: vec![QemuProbe {
            place: "/usr/bin/qemu-system-x86_64".into(),
            features: Ok(Features { version: "7.2.22".into(), ..Features::default() }),
        }],
        programs: BTreeMap::from([
            ("bwrap", Version::Known("0.11.0".into())),
            ("gcc", Version::Broken("gcc exited with 1".into())),
        ]),
        namespaces: Err("bwrap: Creating new namespace failed: Operation not permitted".into()),
        cycles: Err("perf_event_open: Operation not permitted (os error 1)".into()),
        spaces: vec![
            Space { purpose: "cache", path: "/var/cache/assay".into(), writable: true, free: Ok(GB) },
            Space { purpose: "results", path: "/results".into(), writable: false, free: Ok(GB) },
        ],
        agent: ("/opt/assay/assay-agent".into(), false),
        ..well()
    }
}

fn checkup(name: &str, probes: &Probes) -> Checkup {
    examine(&Tree::of(name).root(), probes)
}

fn finding<'a>(checkup: &'a Checkup, subject: &str) -> &'a Finding {
    checkup.findings.iter().find(|finding| finding.subject == subject).unwrap_or_else(|| panic!("{subject}"))
}

#[test]
fn what_it_says_of_each() {
    for (name, probes) in [("server", well()), ("laptop", laptop()), ("vm", vm()), ("container", container())]
    {
        let checkup = checkup(name, &probes);
        insta::assert_snapshot!(name, text(&checkup, Style { width: 110, colours: false }));
    }
}

#[test]
fn every_finding_that_is_not_well_says_what_it_means() {
    for (name, probes) in [("server", well()), ("laptop", laptop()), ("vm", vm()), ("container", container())]
    {
        let checkup = checkup(name, &probes);
        let mut subjects: Vec<&str> =
            checkup.findings.iter().map(|finding| finding.subject.as_str()).collect();
        for finding in &checkup.findings {
            assert!(!finding.found.is_empty(), "{name}: {finding:?}");
            if finding.state == State::Limited {
                assert!(finding.consequence.is_some(), "{name}: {finding:?}");
            }
            if finding.state == State::Missing {
                assert!(finding.consequence.is_some(), "{name}: {finding:?}");
                let dependent = finding.subject == "unprivileged namespaces";
                assert!(
                    finding.command.is_some() || finding.advice.is_some() || dependent,
                    "{name}: {finding:?}"
                );
            }
        }
        subjects.sort_unstable();
        let count = subjects.len();
        subjects.dedup();
        assert_eq!(subjects.len(), count, "{name}: a subject stands twice");
    }
}

#[test]
fn a_server_has_nics_to_spare_and_one_that_it_needs_itself() {
    let checkup = checkup("server", &well());
    assert!(checkup.summary.can_run);
    assert_eq!(finding(&checkup, "NIC 0000:31:00.0").state, State::Ok);
    assert!(finding(&checkup, "NIC 0000:31:00.0").found.contains("64 virtual functions"));
    let own = finding(&checkup, "NIC 0000:17:00.0");
    assert!(own.state == State::Limited && own.consequence.as_ref().unwrap().contains("default route"));
    let shared = finding(&checkup, "NIC 0000:4b:00.0");
    assert!(shared.state == State::Limited && shared.consequence.as_ref().unwrap().contains("0000:4b:00.1"));
    assert_eq!(finding(&checkup, "uncore counters").found, "uncore_imc x 8");
    assert_eq!(finding(&checkup, "IOMMU counters").found, "dmar x 2, uncore_iio x 6");
    assert!(finding(&checkup, "power sensors").found.contains("package-0"));
}

#[test]
fn what_lacks_is_named_in_the_distributions_own_words() {
    let checkup = checkup("laptop", &laptop());
    assert!(!checkup.summary.can_run);
    let command = |subject: &str| finding(&checkup, subject).command.clone().unwrap();
    assert_eq!(command("flex"), "sudo dnf install flex");
    assert_eq!(command("libelf headers"), "sudo dnf install elfutils-libelf-devel");
    assert_eq!(command("QEMU"), "sudo dnf install qemu-system-x86-core");
    assert_eq!(command("VFIO"), "sudo modprobe vfio-pci");
    assert_eq!(finding(&checkup, "nested KVM").state, State::Limited);
    assert!(finding(&checkup, "swap").found.contains("2.0 of 7.9 GiB"));
}

#[test]
fn what_is_not_there_is_never_a_zero() {
    let checkup = checkup("container", &container());
    for subject in ["frequency governor", "turbo", "SMT", "idle states", "power sensors", "uncore counters"] {
        let finding = finding(&checkup, subject);
        assert_eq!(finding.state, State::Unavailable, "{finding:?}");
        assert!(!finding.found.contains('0'), "{finding:?}");
    }
    let blocking = &checkup.summary.lacking;
    for subject in ["QEMU", "gcc", "unprivileged namespaces", "guest agent", "cache folder", "results folder"]
    {
        assert!(blocking.iter().any(|lacking| lacking == subject), "{subject} in {blocking:?}");
    }
}

#[test]
fn a_machine_that_can_fetch_its_own_qemu_lacks_none() {
    let checkup = checkup("server", &Probes { qemus: vec![], ..well() });
    assert!(checkup.summary.can_run, "{:?}", checkup.summary);
    assert_eq!(finding(&checkup, "QEMU").state, State::Limited);
}

#[test]
fn findings_are_json_with_stable_names() {
    let checkup = checkup("vm", &vm());
    let json: serde_json::Value = serde_json::to_value(&checkup).unwrap();
    assert_eq!(json["summary"]["can_run"], true);
    let kvm =
        json["findings"].as_array().unwrap().iter().find(|finding| finding["subject"] == "KVM").unwrap();
    assert_eq!((&kvm["group"], &kvm["state"]), (&"guests".into(), &"unavailable".into()));
}
