//! CPUs: how many, how fast, how sleepy, and who may run on them.

use super::{Finding, Group, Patient, State};
use crate::facts;

const GROUP: Group = Group::Cpus;
const TUNE: &str = "assay tune --apply";
/// Leaving a deeper idle state takes as long as a small packet's whole way through the stack (microseconds).
const SHALLOW_US: u32 = 5;

pub(super) fn examine(patient: &Patient<'_>, findings: &mut Vec<Finding>) {
    findings.push(topology(patient));
    findings.push(virtualised(patient));
    findings.push(governor(patient));
    findings.push(turbo(patient));
    findings.push(smt(patient));
    findings.push(idle(patient));
    findings.push(isolation(patient));
    findings.push(clock(patient));
    findings.push(kernel(patient));
}

fn tune(patient: &Patient<'_>) -> String {
    patient.distribution.as_root(TUNE)
}

fn topology(patient: &Patient<'_>) -> Finding {
    let root = patient.root;
    let cpuinfo = root.read("/proc/cpuinfo").unwrap_or_default();
    let field = |name: &str| {
        let line = cpuinfo.lines().find(|line| line.starts_with(name))?;
        Some(line.split_once(':')?.1.trim().to_owned())
    };
    let model = field("model name").unwrap_or_else(|| "unknown CPU".into());
    let online = facts::online(root);
    let read = |cpu: u32, name: &str| root.read(&format!("/sys/devices/system/cpu/cpu{cpu}/topology/{name}"));
    let packages: std::collections::BTreeSet<_> =
        online.iter().filter_map(|cpu| read(cpu, "physical_package_id")).collect();
    let nodes = root.names("/sys/devices/system/node").iter().filter(|name| is_node(name)).count();
    let mut found = format!("{model}, {} online", online.len());
    if !packages.is_empty() {
        found.push_str(&format!(", {} package{}", packages.len(), plural(packages.len())));
    }
    if nodes > 0 {
        found.push_str(&format!(", {nodes} NUMA node{}", plural(nodes)));
    }
    if let Some(microcode) = field("microcode") {
        found.push_str(&format!(", microcode {microcode}"));
    }
    match online.len() {
        0 | 1 => Finding::new(GROUP, "CPUs", State::Limited, found)
            .means("guests, their emulation and the harness share one CPU: timed results are noisy"),
        2 | 3 => Finding::new(GROUP, "CPUs", State::Limited, found)
            .means("one trial at a time, and no CPU to keep free for it"),
        _ => Finding::new(GROUP, "CPUs", State::Ok, found),
    }
}

fn is_node(name: &str) -> bool {
    name.strip_prefix("node").is_some_and(|number| number.parse::<u32>().is_ok())
}

fn plural(count: usize) -> &'static str {
    if count == 1 { "" } else { "s" }
}

fn virtualised(patient: &Patient<'_>) -> Finding {
    let subject = "this machine";
    let container = patient.root.exists("/run/.containerenv") || patient.root.exists("/.dockerenv");
    let inside = if container { "a container on " } else { "" };
    if !patient.is_guest() {
        let finding = Finding::new(GROUP, subject, State::Ok, format!("{inside}bare metal"));
        return if container {
            Finding { state: State::Limited, ..finding }
                .means("the host's settings can be read here and mostly not changed")
        } else {
            finding
        };
    }
    let product = patient.root.read("/sys/class/dmi/id/product_name");
    let hypervisor = patient.root.read("/sys/hypervisor/type").or(product);
    let named = hypervisor.map(|name| format!(" ({name})")).unwrap_or_default();
    Finding::new(GROUP, subject, State::Limited, format!("{inside}a virtual machine{named}"))
        .means("its host gives CPUs and takes them: timed results carry that noise, and hardware counters may be missing")
}

fn governor(patient: &Patient<'_>) -> Finding {
    let subject = "frequency governor";
    let Some(governors) = facts::governors(patient.root) else {
        return Finding::new(GROUP, subject, State::Unavailable, "no cpufreq driver").means(
            if patient.is_guest() {
                "the frequency is the host's business, and unknown here"
            } else {
                "the frequency is the firmware's business"
            },
        );
    };
    let driver = facts::frequency_driver(patient.root);
    let driver = driver.map(|driver| format!(" ({driver})")).unwrap_or_default();
    if governors == "performance" {
        return Finding::new(GROUP, subject, State::Ok, format!("{governors}{driver}"));
    }
    Finding::new(GROUP, subject, State::Limited, format!("{governors}{driver}"))
        .means("the frequency follows the load, so that whoever idles more runs slower: latencies and short runs are not steady")
        .changed_by(tune(patient))
}

fn turbo(patient: &Patient<'_>) -> Finding {
    match facts::turbo(patient.root) {
        None => Finding::new(GROUP, "turbo", State::Unavailable, "no driver says whether there is any")
            .means("runs may differ by the turbo's temperature, unseen"),
        Some(false) => Finding::new(GROUP, "turbo", State::Ok, "off"),
        Some(true) => Finding::new(GROUP, "turbo", State::Limited, "on")
            .means("the frequency depends on temperature and on how many cores are busy")
            .changed_by(tune(patient)),
    }
}

fn smt(patient: &Patient<'_>) -> Finding {
    let subject = "SMT";
    let control = facts::smt(patient.root);
    match control.as_deref() {
        Some("on") => Finding::new(GROUP, subject, State::Limited, "on")
            .means("a neighbour on the other thread takes up to half of a core from what is measured")
            .changed_by(patient.distribution.as_root("assay tune --apply --smt off")),
        Some(state @ ("off" | "forceoff" | "notsupported")) => Finding::new(GROUP, subject, State::Ok, state),
        Some(state) => Finding::new(GROUP, subject, State::Unavailable, state)
            .means("whether two CPUs share a core is unknown"),
        None => Finding::new(GROUP, subject, State::Unavailable, "the kernel does not say"),
    }
}

fn idle(patient: &Patient<'_>) -> Finding {
    let subject = "idle states";
    let root = patient.root;
    let driver =
        root.read("/sys/devices/system/cpu/cpuidle/current_driver").filter(|driver| driver != "none");
    let first = facts::online(root).iter().next().unwrap_or(0);
    let states = facts::idle_states(root, first);
    let (Some(driver), false) = (driver, states.is_empty()) else {
        return Finding::new(GROUP, subject, State::Unavailable, "no cpuidle driver")
            .means("how deep CPUs sleep, and how long they take to wake, is unknown");
    };
    let list: Vec<String> = states
        .iter()
        .map(|state| {
            format!("{} {} us{}", state.name, state.latency_us, if state.disabled { " (off)" } else { "" })
        })
        .collect();
    let found = format!("{driver}: {}", list.join(", "));
    let deepest =
        states.iter().filter(|state| !state.disabled).map(|state| state.latency_us).max().unwrap_or(0);
    if deepest <= SHALLOW_US {
        return Finding::new(GROUP, subject, State::Ok, found);
    }
    Finding::new(GROUP, subject, State::Limited, found)
        .means(format!("waking takes up to {deepest} us, which is part of every latency that is measured"))
        .changed_by(tune(patient))
}

fn isolation(patient: &Patient<'_>) -> Finding {
    let subject = "isolated CPUs";
    let read = |name: &str| {
        patient
            .root
            .read(&format!("/sys/devices/system/cpu/{name}"))
            .filter(|list| !list.is_empty() && list != "(null)")
    };
    let (isolated, nohz) = (read("isolated"), read("nohz_full"));
    if let Some(isolated) = &isolated {
        let nohz = nohz.map(|list| format!(", nohz_full {list}")).unwrap_or_default();
        return Finding::new(GROUP, subject, State::Ok, format!("{isolated}{nohz}"));
    }
    let count = facts::online(patient.root).len();
    let finding = Finding::new(GROUP, subject, State::Limited, "none")
        .means("the scheduler may put anything beside what is measured");
    if count < 4 {
        return finding;
    }
    let last = count - 1;
    finding.changed_by(
        patient
            .distribution
            .as_root(&format!("assay tune --apply --cores {}-{last} -- assay run SCENARIO", count / 2)),
    )
}

fn clock(patient: &Patient<'_>) -> Finding {
    let subject = "clock source";
    let at = "/sys/devices/system/clocksource/clocksource0";
    let Some(current) = patient.root.read(&format!("{at}/current_clocksource")) else {
        return Finding::new(GROUP, subject, State::Unavailable, "the kernel does not say");
    };
    let others = patient.root.read(&format!("{at}/available_clocksource")).unwrap_or_default();
    let found = format!("{current} (of {others})");
    match current.as_str() {
        "tsc" | "kvm-clock" | "arch_sys_counter" | "hyperv_clocksource_tsc_page" => {
            Finding::new(GROUP, subject, State::Ok, found)
        }
        _ => {
            let finding = Finding::new(GROUP, subject, State::Limited, found)
                .means("reading the time takes a microsecond or more, which every latency tool does for every packet");
            if others.split_ascii_whitespace().any(|source| source == "tsc") {
                let file = format!("{at}/current_clocksource");
                finding.changed_by(patient.distribution.write("tsc", &file))
            } else {
                finding.advised("the kernel gave the TSC up, or never had it: `dmesg` says why")
            }
        }
    }
}

fn kernel(patient: &Patient<'_>) -> Finding {
    let release = &patient.probes.release;
    let Some(value) = patient.parameter("mitigations") else {
        return Finding::new(
            GROUP,
            "kernel",
            State::Ok,
            format!("Linux {release}, mitigations as by default"),
        );
    };
    let found = format!("Linux {release}, mitigations={value}");
    if value.split(',').any(|word| word == "off") {
        Finding::new(GROUP, "kernel", State::Limited, found)
            .means("exits and system calls are cheaper than on machines that people use")
    } else {
        Finding::new(GROUP, "kernel", State::Ok, found)
    }
}
