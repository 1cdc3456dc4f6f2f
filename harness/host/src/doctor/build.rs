//! Compilers, headers, build tools, and whether series can be built in a sandbox.

use super::{Finding, Group, Patient, State};
use crate::{
    Family, Package,
    packages::{PACKAGES, Sign, Without},
    probe::Version,
};

const GROUP: Group = Group::Building;

pub(super) fn examine(patient: &Patient<'_>, findings: &mut Vec<Finding>) {
    findings.extend(PACKAGES.iter().map(|package| tool(patient, package)));
    findings.push(namespaces(patient));
    findings.push(archive(patient));
    findings.push(agent(patient));
}

fn tool(patient: &Patient<'_>, package: &Package) -> Finding {
    let needed = package.without == Without::Needed;
    let found = match package.sign {
        Sign::File(paths) => {
            paths.iter().find(|path| patient.root.exists(path)).map(|_| Ok("there".to_owned()))
        }
        Sign::Program(_) | Sign::Present => {
            patient.probes.programs.get(package.name).map(|version| match version {
                Version::Known(version) => Ok(version.clone()),
                Version::NotAsked => Ok("there".to_owned()),
                Version::Broken(why) => Err(why.clone()),
            })
        }
    };
    let finding = match found {
        Some(Ok(found)) => Finding::new(GROUP, package.name, State::Ok, found),
        other => {
            let why = match other {
                Some(Err(why)) => format!("does not run: {why}"),
                _ => format!("for {}", package.purpose),
            };
            let lost = match package.without {
                Without::Needed => format!("without it: no {}", package.purpose),
                Without::Lost(what) => format!("without it: no {what}"),
            };
            let mut finding = Finding::new(GROUP, package.name, State::Missing, why)
                .means(lost)
                .changed_by(patient.distribution.install(package));
            finding.package = patient.distribution.package(package).map(str::to_owned);
            finding
        }
    };
    if needed { finding.needed() } else { finding }
}

fn namespaces(patient: &Patient<'_>) -> Finding {
    let subject = "unprivileged namespaces";
    let Err(why) = &patient.probes.namespaces else {
        return Finding::new(GROUP, subject, State::Ok, "bwrap makes a sandbox").needed();
    };
    let how = &patient.distribution;
    let sysctl = |name: &str| patient.root.number::<u64>(&format!("/proc/sys/{name}"));
    let finding = Finding::new(GROUP, subject, State::Missing, why.clone())
        .means("series cannot be built: their Makefiles run in a sandbox or not at all")
        .needed();
    if !patient.probes.programs.contains_key("bwrap") {
        return finding;
    }
    if sysctl("kernel/unprivileged_userns_clone") == Some(0) {
        finding.changed_by(how.as_root("sysctl kernel.unprivileged_userns_clone=1"))
    } else if sysctl("kernel/apparmor_restrict_unprivileged_userns").is_some_and(|value| value > 0) {
        finding.changed_by(how.as_root("sysctl kernel.apparmor_restrict_unprivileged_userns=0"))
    } else if sysctl("user/max_user_namespaces") == Some(0) {
        finding.changed_by(how.as_root("sysctl user.max_user_namespaces=15000"))
    } else {
        finding.advised(
            "in a container: one that may make namespaces (for example `--security-opt seccomp=unconfined`)",
        )
    }
}

/// Kernel sources, QEMU and the guests' root come from Debian's archive. Debian's own machines have its address; others
/// have to be told one.
fn archive(patient: &Patient<'_>) -> Finding {
    let subject = "Debian's archive";
    if patient.probes.mirror_named {
        return Finding::new(GROUP, subject, State::Ok, "ASSAY_DEBIAN_MIRROR names one").needed();
    }
    let is_debian =
        patient.root.read("/etc/os-release").is_some_and(|text| text.lines().any(|line| line == "ID=debian"));
    if is_debian {
        return Finding::new(GROUP, subject, State::Ok, "from the machine's own apt configuration").needed();
    }
    let other = match patient.distribution.family {
        Family::Debian => "this machine's apt is configured for another archive",
        _ => "this machine has no Debian archive configured",
    };
    Finding::new(GROUP, subject, State::Missing, other)
        .means("kernel sources, QEMU and the guests' root cannot be had")
        .changed_by("export ASSAY_DEBIAN_MIRROR=ADDRESS-OF-A-DEBIAN-MIRROR")
        .needed()
}

fn agent(patient: &Patient<'_>) -> Finding {
    let (path, there) = &patient.probes.agent;
    let finding = if *there {
        Finding::new(GROUP, "guest agent", State::Ok, path.display().to_string())
    } else {
        Finding::new(GROUP, "guest agent", State::Missing, format!("not at {}", path.display()))
            .means("guests boot and cannot be spoken to")
            .changed_by("cargo xtask setup")
    };
    finding.needed()
}
