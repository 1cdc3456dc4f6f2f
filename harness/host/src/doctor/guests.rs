//! QEMU, KVM and guests in guests.

use super::{Finding, Group, Patient, State};
use crate::{
    packages::QEMU,
    probe::{Device, Features, QemuProbe},
};

const GROUP: Group = Group::Guests;

/// What of QEMU matters, how it is recognised, and what is lost without it.
const FEATURES: &[Feature] = &[
    Feature { name: "igb", kind: Kind::Type("igb"), lost: "no SR-IOV capable NIC for guests" },
    Feature { name: "intel-iommu", kind: Kind::Type("intel-iommu"), lost: "no guests with a vIOMMU" },
    Feature {
        name: "iommufd",
        kind: Kind::Type("iommufd"),
        lost: "passthrough only through VFIO's type 1 interface",
    },
    Feature {
        name: "vfio-user-pci",
        kind: Kind::Type("vfio-user-pci"),
        lost: "no devices emulated by Assay (idpf)",
    },
    Feature { name: "netdev stream", kind: Kind::Netdev("stream"), lost: "no wire between two guests" },
    Feature { name: "plugins", kind: Kind::Option("plugin"), lost: "no instruction counts" },
    Feature {
        name: "sandbox",
        kind: Kind::Option("sandbox"),
        lost: "guests run without QEMU's seccomp filter",
    },
    Feature {
        name: "kvm",
        kind: Kind::Type("kvm-accel"),
        lost: "guests run under TCG whatever the host can do",
    },
];

struct Feature {
    name: &'static str,
    kind: Kind,
    lost: &'static str,
}

enum Kind {
    Type(&'static str),
    Netdev(&'static str),
    Option(&'static str),
}

pub(super) fn examine(patient: &Patient<'_>, findings: &mut Vec<Finding>) {
    findings.extend(qemus(patient));
    findings.push(kvm(patient));
    findings.push(nested(patient));
}

fn qemus(patient: &Patient<'_>) -> Vec<Finding> {
    let probes = patient.probes;
    let usable = |probe: &QemuProbe| {
        probe.features.as_ref().is_ok_and(|features| !older(&features.version, &probes.oldest_qemu))
    };
    let any = probes.qemus.iter().any(usable);
    let mut findings: Vec<Finding> =
        probes.qemus.iter().map(|probe| qemu(probe, &probes.oldest_qemu)).collect();
    if any {
        return findings;
    }
    let install = patient.distribution.install(&QEMU);
    let oldest = &probes.oldest_qemu;
    let own = probes.programs.contains_key("apt-get") && probes.programs.contains_key("dpkg-deb");
    findings.push(if own {
        Finding::new(GROUP, "QEMU", State::Limited, format!("none of {oldest} or newer yet"))
            .means("Assay unpacks one from Debian's packages into its cache at the first run (about 170 MB)")
            .changed_by("assay exec -- true")
            .needed()
    } else {
        Finding::new(GROUP, "QEMU", State::Missing, format!("none of {oldest} or newer"))
            .means("nothing can be booted")
            .changed_by(install)
            .needed()
    });
    findings
}

fn qemu(probe: &QemuProbe, oldest: &str) -> Finding {
    let subject = format!("QEMU {}", probe.place);
    let features = match &probe.features {
        Ok(features) => features,
        Err(why) => {
            return Finding::new(GROUP, subject, State::Limited, format!("does not answer: {why}"))
                .means("it is not used");
        }
    };
    let has = |feature: &&Feature| match feature.kind {
        Kind::Type(name) => features.types.contains(name),
        Kind::Netdev(name) => features.netdevs.contains(name),
        Kind::Option(name) => features.options.contains(name),
    };
    let (there, lacking): (Vec<&Feature>, Vec<&Feature>) = FEATURES.iter().partition(has);
    let list =
        |features: &[&Feature]| features.iter().map(|feature| feature.name).collect::<Vec<_>>().join(", ");
    let Features { version, .. } = features;
    let mut found = version.clone();
    if !there.is_empty() {
        found.push_str(&format!(" with {}", list(&there)));
    }
    if !lacking.is_empty() {
        found.push_str(&format!("; without {}", list(&lacking)));
    }
    if older(version, oldest) {
        return Finding::new(GROUP, subject, State::Limited, found)
            .means(format!("older than {oldest}, so it is not used"));
    }
    if lacking.is_empty() {
        return Finding::new(GROUP, subject, State::Ok, found);
    }
    let lost: Vec<&str> = lacking.iter().map(|feature| feature.lost).collect();
    Finding::new(GROUP, subject, State::Limited, found).means(lost.join("; "))
}

fn older(version: &str, than: &str) -> bool {
    let numbers = |version: &str| -> Vec<u32> {
        version.split('.').map(|number| number.parse().unwrap_or(0)).collect()
    };
    numbers(version) < numbers(than)
}

const UNDER_TCG: &str = "guests run under QEMU's emulation (TCG), roughly ten times slower: ratios of emulated time, \
                         nothing absolute";

fn kvm(patient: &Patient<'_>) -> Finding {
    let probes = patient.probes;
    let how = &patient.distribution;
    let Err(why) = &probes.kvm else {
        return Finding::new(GROUP, "KVM", State::Ok, "a tiny guest ran");
    };
    let flags = patient.cpu_flags();
    let module = match flags.iter().find_map(|flag| match flag.as_str() {
        "vmx" => Some("kvm_intel"),
        "svm" => Some("kvm_amd"),
        _ => None,
    }) {
        Some(module) => module,
        None => {
            let finding = Finding::new(GROUP, "KVM", State::Unavailable, why.clone()).means(UNDER_TCG);
            return if patient.is_guest() {
                finding.advised("on the host of this virtual machine: allow nested virtualisation and give it the host's CPU model")
            } else {
                finding.advised("in the firmware's set-up: switch on VT-x or AMD-V")
            };
        }
    };
    match probes.kvm_device {
        Device::Absent => Finding::new(GROUP, "KVM", State::Missing, why.clone())
            .means(UNDER_TCG)
            .changed_by(how.as_root(&format!("modprobe {module}"))),
        Device::Denied => Finding::new(GROUP, "KVM", State::Missing, "this user may not open /dev/kvm")
            .means(UNDER_TCG)
            .changed_by(how.as_root("usermod -aG kvm \"$USER\""))
            .advised("log in again after:"),
        Device::Usable => Finding::new(GROUP, "KVM", State::Unavailable, why.clone()).means(UNDER_TCG),
    }
}

fn nested(patient: &Patient<'_>) -> Finding {
    let subject = "nested KVM";
    let emulated =
        "guests in guests run under TCG, whose CPU model emulates SVM: slow, and it works everywhere";
    if let Err(why) = &patient.probes.kvm {
        return Finding::new(GROUP, subject, State::Limited, format!("no KVM here ({why})")).means(emulated);
    }
    for module in ["kvm_intel", "kvm_amd"] {
        let Some(value) = patient.root.read(&format!("/sys/module/{module}/parameters/nested")) else {
            continue;
        };
        if value == "Y" || value == "1" {
            return Finding::new(GROUP, subject, State::Ok, format!("{module}.nested={value}"));
        }
        let reload = patient
            .distribution
            .as_root(&format!("sh -c 'modprobe -r {module} && modprobe {module} nested=1'"));
        return Finding::new(GROUP, subject, State::Missing, format!("{module}.nested={value}"))
            .means("a guest cannot run guests with KVM")
            .changed_by(reload);
    }
    Finding::new(GROUP, subject, State::Unavailable, "neither kvm_intel nor kvm_amd says").means(emulated)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_by_number() {
        assert!(older("8.0.5", "8.1") && older("7.2.22", "8.1"));
        assert!(!older("10.0.2", "8.1") && !older("8.1.0", "8.1"));
    }
}
