//! What can be seen of the hardware and the kernel: counters, power sensors, tracing.

use super::{Finding, Group, Patient, State};

const GROUP: Group = Group::Observation;
const PMUS: &str = "/sys/bus/event_source/devices";

pub(super) fn examine(patient: &Patient<'_>, findings: &mut Vec<Finding>) {
    findings.push(counters(patient));
    findings.push(paranoid(patient));
    findings.push(uncore(patient));
    findings.push(iommu_counters(patient));
    findings.push(power(patient));
    findings.push(tracing(patient));
    findings.push(symbols(patient));
    findings.push(bpf(patient));
}

fn counters(patient: &Patient<'_>) -> Finding {
    let subject = "hardware counters";
    let Err(why) = &patient.probes.cycles else {
        return Finding::new(GROUP, subject, State::Ok, "cycles are counted");
    };
    let lost = "no cycles, cache misses or instructions of real hardware; instructions can be counted under emulation";
    if patient.root.exists(&format!("{PMUS}/cpu")) || patient.root.exists(&format!("{PMUS}/cpu_core")) {
        return Finding::new(GROUP, subject, State::Missing, why.clone())
            .means(lost)
            .changed_by(patient.distribution.as_root("sysctl kernel.perf_event_paranoid=1"));
    }
    let finding =
        Finding::new(GROUP, subject, State::Unavailable, format!("there is no CPU PMU ({why})")).means(lost);
    if patient.is_guest() {
        finding.advised("on the host of this virtual machine: give it a virtual PMU")
    } else {
        finding
    }
}

fn paranoid(patient: &Patient<'_>) -> Finding {
    let subject = "perf permissions";
    let Some(level) = patient.root.number::<i32>("/proc/sys/kernel/perf_event_paranoid") else {
        return Finding::new(GROUP, subject, State::Unavailable, "this kernel has no perf events");
    };
    let found = format!("kernel.perf_event_paranoid={level}");
    let allowed = match level {
        _ if patient.probes.is_root => {
            return Finding::new(GROUP, subject, State::Ok, format!("{found}; root is exempt"));
        }
        ..=0 => return Finding::new(GROUP, subject, State::Ok, found),
        1 => "ordinary users may not watch whole CPUs (uncore, profiles of all)",
        2 => "ordinary users may not watch the kernel or whole CPUs",
        _ => "ordinary users may not use perf at all",
    };
    Finding::new(GROUP, subject, State::Limited, found)
        .means(allowed)
        .changed_by(patient.distribution.as_root("sysctl kernel.perf_event_paranoid=0"))
}

fn pmus(patient: &Patient<'_>, wanted: impl Fn(&str) -> bool) -> Vec<String> {
    patient.root.names(PMUS).into_iter().filter(|name| wanted(name)).collect()
}

/// Names without the numbers that tell boxes of one kind apart, with how many there are of each: `uncore_imc x 8`. The
/// number in `amd_l3` is part of the name.
fn counted(names: &[String]) -> String {
    let kind = |name: &String| {
        let stem = name.trim_end_matches(|c: char| c.is_ascii_digit());
        let boxes = stem.ends_with('_') || stem == "dmar";
        if boxes { stem.trim_end_matches('_').to_owned() } else { name.clone() }
    };
    let mut kinds: Vec<(String, usize)> = vec![];
    for name in names {
        let kind = kind(name);
        match kinds.iter_mut().find(|(known, _)| *known == kind) {
            Some((_, count)) => *count += 1,
            None => kinds.push((kind, 1)),
        }
    }
    let words: Vec<String> = kinds
        .into_iter()
        .map(|(kind, count)| if count == 1 { kind } else { format!("{kind} x {count}") })
        .collect();
    words.join(", ")
}

fn uncore(patient: &Patient<'_>) -> Finding {
    let subject = "uncore counters";
    let found = pmus(patient, |name| {
        (name.starts_with("uncore_")
            || name.starts_with("amd_df")
            || name.starts_with("amd_l3")
            || name.starts_with("amd_umc"))
            && !is_iommu(name)
    });
    if found.is_empty() {
        return Finding::new(GROUP, subject, State::Unavailable, "no such PMU")
            .means("no memory bandwidth or cache traffic");
    }
    Finding::new(GROUP, subject, State::Ok, counted(&found))
}

/// PMUs that count IOTLB lookups, page walks and the traffic of I/O stacks.
fn is_iommu(name: &str) -> bool {
    name.starts_with("dmar") || name.starts_with("uncore_iio") || name.starts_with("amd_iommu")
}

fn iommu_counters(patient: &Patient<'_>) -> Finding {
    let subject = "IOMMU counters";
    let found = pmus(patient, is_iommu);
    if found.is_empty() {
        return Finding::new(GROUP, subject, State::Unavailable, "no dmar, uncore_iio or amd_iommu PMU")
            .means("IOTLB hits and misses come from QEMU's emulated IOMMU only");
    }
    Finding::new(GROUP, subject, State::Ok, counted(&found))
}

fn power(patient: &Patient<'_>) -> Finding {
    let subject = "power sensors";
    let root = patient.root;
    let zones = root.names("/sys/class/powercap");
    let zones: Vec<&String> =
        zones.iter().filter(|zone| root.exists(&format!("/sys/class/powercap/{zone}/energy_uj"))).collect();
    let readable =
        zones.iter().any(|zone| root.read(&format!("/sys/class/powercap/{zone}/energy_uj")).is_some());
    let mut found = vec![];
    if !zones.is_empty() {
        let name = |zone: &&String| {
            root.read(&format!("/sys/class/powercap/{zone}/name")).unwrap_or_else(|| (*zone).clone())
        };
        found.push(format!("RAPL {}", zones.iter().map(name).collect::<Vec<_>>().join(", ")));
    }
    for sensor in root.names("/sys/class/hwmon") {
        let folder = format!("/sys/class/hwmon/{sensor}");
        let power = root
            .names(&folder)
            .iter()
            .any(|file| file.starts_with("power") && file.ends_with("_input") || file == "power1_average");
        if power {
            found.push(format!("hwmon {}", root.read(&format!("{folder}/name")).unwrap_or(sensor)));
        }
    }
    if root.exists("/dev/ipmi0") {
        found.push("IPMI".into());
    }
    if found.is_empty() {
        return Finding::new(GROUP, subject, State::Unavailable, "no RAPL, hwmon or IPMI sensor")
            .means("reports have no energy or power");
    }
    let found = found.join("; ");
    if !zones.is_empty() && !readable {
        return Finding::new(GROUP, subject, State::Limited, found)
            .means("only root may read RAPL's energy counters (CVE-2020-8694)")
            .changed_by(patient.distribution.as_root("chmod a+r /sys/class/powercap/*/energy_uj"));
    }
    Finding::new(GROUP, subject, State::Ok, found)
}

fn tracing(patient: &Patient<'_>) -> Finding {
    let subject = "ftrace";
    let root = patient.root;
    for folder in ["/sys/kernel/tracing", "/sys/kernel/debug/tracing"] {
        if root.read(&format!("{folder}/available_tracers")).is_some() {
            return Finding::new(GROUP, subject, State::Ok, folder);
        }
    }
    let filesystems = root.read("/proc/filesystems").unwrap_or_default();
    if !filesystems.lines().any(|line| line.ends_with("\ttracefs")) {
        return Finding::new(GROUP, subject, State::Unavailable, "this kernel has no tracefs")
            .means("the host's kernel cannot be traced; guests' can");
    }
    if root.exists("/sys/kernel/tracing/trace")
        || !patient.probes.is_root && !root.names("/sys/kernel").is_empty() && mounted(patient)
    {
        return Finding::new(GROUP, subject, State::Limited, "only root may read tracefs")
            .means("the host's kernel cannot be traced as this user; guests' can")
            .changed_by(patient.distribution.as_root("mount -o remount,mode=755 /sys/kernel/tracing"));
    }
    Finding::new(GROUP, subject, State::Missing, "tracefs is not mounted")
        .means("the host's kernel cannot be traced; guests' can")
        .changed_by(patient.distribution.as_root("mount -t tracefs tracefs /sys/kernel/tracing"))
}

fn mounted(patient: &Patient<'_>) -> bool {
    let mounts = patient.root.read("/proc/self/mountinfo").unwrap_or_default();
    mounts.lines().any(|line| line.contains(" - tracefs "))
}

fn symbols(patient: &Patient<'_>) -> Finding {
    let subject = "kernel symbols";
    match patient.root.number::<u8>("/proc/sys/kernel/kptr_restrict") {
        Some(0) => Finding::new(GROUP, subject, State::Ok, "kernel.kptr_restrict=0"),
        Some(1) if patient.probes.is_root => {
            Finding::new(GROUP, subject, State::Ok, "kernel.kptr_restrict=1; root is exempt")
        }
        Some(level) => Finding::new(GROUP, subject, State::Limited, format!("kernel.kptr_restrict={level}"))
            .means("profiles of the host's kernel have addresses in place of names")
            .changed_by(patient.distribution.as_root("sysctl kernel.kptr_restrict=0")),
        None => Finding::new(GROUP, subject, State::Unavailable, "the kernel does not say"),
    }
}

fn bpf(patient: &Patient<'_>) -> Finding {
    let subject = "BPF";
    let btf = patient.root.exists("/sys/kernel/btf/vmlinux");
    let types = if btf { "BTF is there" } else { "no BTF" };
    let Some(level) = patient.root.number::<u8>("/proc/sys/kernel/unprivileged_bpf_disabled") else {
        return Finding::new(GROUP, subject, State::Unavailable, "the kernel says nothing about BPF");
    };
    let found = format!("{types}, kernel.unprivileged_bpf_disabled={level}");
    if !btf {
        return Finding::new(GROUP, subject, State::Limited, found).means(
            "programs that are compiled once and run everywhere (bpftrace, libbpf tools) do not load",
        );
    }
    if patient.probes.is_root || level == 0 {
        return Finding::new(GROUP, subject, State::Ok, found);
    }
    Finding::new(GROUP, subject, State::Limited, found).means("only root can load BPF programs on the host")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pmus_of_a_kind_are_counted() {
        let names = ["uncore_iio_0", "uncore_iio_1", "uncore_imc_0", "dmar0", "dmar1", "amd_df", "amd_l3"]
            .map(str::to_owned);
        assert_eq!(counted(&names), "uncore_iio x 2, uncore_imc, dmar x 2, amd_df, amd_l3");
    }
}
