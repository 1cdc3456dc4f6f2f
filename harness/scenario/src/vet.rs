//! A plan that somebody else's program wrote, held against the rules of scenario files: what a scenario could not say, a plan
//! may not say either. Paths are not judged here: whoever takes the plan in says what they may lead to.

use std::{collections::BTreeSet, ops::RangeInclusive};

use plan::{
    Amount, Arm, Base, Cell, CommandServer, ConfigStart, ConfigValue, Ktap, Machine, NestedMachine, Nic,
    OutputOf, Plan, Source, Topology, Workload, WorkloadKind,
};

use crate::schema::{self, Syntax};

/// Most patches of a plan's arm, files of a workload, and the like: far more than anybody needs, and few enough to look at.
const MANY: usize = 10_000;

/// Everything that is wrong with a plan.
#[must_use]
pub fn vet(plan: &Plan) -> Vec<String> {
    let mut found = Vet::default();
    found.text("name", &plan.name, schema::NAME);
    found.lines("question", &plan.question, 4096);
    found.count("arms", plan.arms.len(), 1..=4096);
    found.count("workloads", plan.workloads.len(), 0..=4096);
    found.count("gates", plan.gates.len(), 0..=3);
    found.count("known-complaints", plan.known_complaints.len(), 0..=100);
    for pattern in &plan.known_complaints {
        found.text("known-complaints", pattern, schema::COMPLAINT);
    }
    for dimension in &plan.dimensions {
        found.word("dimensions", &dimension.name);
        found.count("dimensions", dimension.values.len(), 1..=4096);
        dimension.values.iter().for_each(|value| found.word("dimensions", value));
    }
    found.distinct("arms", plan.arms.iter().map(|arm| arm.name.as_str()));
    found.distinct("workloads", plan.workloads.iter().map(|workload| workload.name.as_str()));
    plan.arms.iter().for_each(|arm| found.arm(arm));
    plan.workloads.iter().for_each(|workload| found.workload(workload));
    let design = &plan.design;
    found.within("boots", design.boots.into(), 0..=1000);
    found.within("traced-boots", design.traced_boots.into(), 0..=1000);
    found.within("boot-deadline", design.boot_deadline_s.into(), 1..=4 * 3600);
    if design.stop == plan::Stop::WhenDecided {
        found.within("boots of a run that stops when all is decided", design.boots.into(), 1..=64);
    }
    if !design.replicates.is_empty() && design.replicates.len() != design.boots as usize {
        found.says("replicates", "are not as many as the boots");
    }
    let boots =
        (u64::from(design.boots) + u64::from(design.traced_boots)).saturating_mul(plan.arms.len() as u64);
    found.within("boots of all arms", boots, 1..=50_000);
    if !(design.alpha > 0.0 && design.alpha <= 0.2) {
        found.says("alpha", "is not between 0 and 0.2");
    }
    for gate in &plan.gates {
        if !(gate.margin > 0.0 && gate.margin < 1.0) {
            found.says("gates", "has a margin that is not between 0 and 1");
        }
    }
    found.problems
}

#[derive(Default)]
struct Vet {
    problems: Vec<String>,
}

impl Vet {
    fn says(&mut self, place: &str, what: &str) {
        let problem = format!("{} {what}", place.escape_debug());
        if !self.problems.contains(&problem) && self.problems.len() < 100 {
            self.problems.push(problem);
        }
    }

    fn text(&mut self, place: &str, text: &str, syntax: Syntax) {
        if !(syntax.holds)(text) {
            let shown: String = text.chars().take(80).collect();
            self.says(place, &format!("is `{}`, not {}", shown.escape_debug(), syntax.what));
        }
    }

    /// A name that became part of others: of a file, of a place in a matrix.
    fn file_name(&mut self, place: &str, text: &str) {
        let plain = |c: char| c.is_ascii_graphic() && !matches!(c, '/' | '\\');
        if text.is_empty() || text.len() > 120 || text.starts_with(['.', '-']) || !text.chars().all(plain) {
            let shown: String = text.chars().take(80).collect();
            self.says(place, &format!("is `{}`, which is no name for a file", shown.escape_debug()));
        }
    }

    fn word(&mut self, place: &str, text: &str) {
        if text.is_empty() || text.len() > 4096 || text.chars().any(char::is_control) {
            self.says(place, "has a text that is empty, too long, or has control characters");
        }
    }

    fn lines(&mut self, place: &str, text: &str, most: usize) {
        if text.len() > most || text.chars().any(|c| c.is_control() && c != '\n') {
            self.says(place, "is too long or has control characters");
        }
    }

    fn count(&mut self, place: &str, count: usize, allowed: RangeInclusive<usize>) {
        if !allowed.contains(&count) {
            self.says(place, &format!("has {count} entries, not {} to {}", allowed.start(), allowed.end()));
        }
    }

    fn within(&mut self, place: &str, value: u64, allowed: RangeInclusive<u64>) {
        if !allowed.contains(&value) {
            self.says(place, &format!("is {value}, not {} to {}", allowed.start(), allowed.end()));
        }
    }

    fn distinct<'a>(&mut self, place: &str, names: impl Iterator<Item = &'a str>) {
        let mut seen = BTreeSet::new();
        for name in names {
            if !seen.insert(name.to_ascii_lowercase()) {
                self.says(place, &format!("has `{}` twice", name.escape_debug()));
            }
        }
    }

    fn cell(&mut self, place: &str, cell: Option<&Cell>) {
        let Some(cell) = cell else { return };
        self.text(place, &cell.of, schema::NAME);
        for (name, value) in &cell.dims {
            self.word(place, name);
            self.word(place, value);
        }
    }

    fn arm(&mut self, arm: &Arm) {
        let place = format!("arm {}", arm.name);
        self.file_name("arms", &arm.name);
        self.cell(&place, arm.cell.as_ref());
        self.base(&place, &arm.kernel.base);
        self.count(&place, arm.kernel.series.len(), 0..=100);
        for series in &arm.kernel.series {
            self.file_name(&format!("{place}: series"), &series.name);
            self.count(&place, series.patches.len(), 0..=MANY);
            for patch in &series.patches {
                self.text(&format!("{place}: sha256"), &patch.sha256, schema::SHA256);
            }
        }
        for option in &arm.kernel.options {
            self.text(&format!("{place}: config"), &option.name, schema::CONFIG_OPTION);
            if let ConfigValue::Text(text) = &option.value {
                self.word_or_nothing(&format!("{place}: config"), text);
            }
        }
        for parameter in &arm.cmdline {
            self.text(&format!("{place}: cmdline"), parameter, schema::KERNEL_PARAMETER);
        }
        self.machine(&place, &arm.machine);
    }

    fn word_or_nothing(&mut self, place: &str, text: &str) {
        if !text.is_empty() {
            self.word(place, text);
        }
    }

    fn base(&mut self, place: &str, base: &Base) {
        let place = format!("{place}: base");
        self.file_name(&place, &base.name);
        self.text(&place, &base.version, schema::VERSION_PREFIX);
        match &base.source {
            Source::DebianSource { package, suites, versions }
            | Source::DebianImage { package, suites, versions } => {
                self.text(&place, package, schema::PACKAGE);
                suites.iter().for_each(|suite| self.text(&place, suite, schema::SUITE));
                versions.iter().for_each(|version| self.text(&place, version, schema::PACKAGE_VERSION));
            }
            Source::Git { repository, reference } => {
                self.text(&place, repository, schema::LOCATION);
                self.text(&place, reference, schema::GIT_REFERENCE);
            }
            Source::Tarball { location, sha256 } => {
                self.text(&place, location, schema::LOCATION);
                self.text(&place, sha256, schema::SHA256);
            }
            Source::PrebuiltImage { .. } => {}
            Source::Imported => self.says(&place, "was imported, so that nothing of it can be built"),
        }
        let start = match &base.config.start {
            ConfigStart::File(fragment) => Some(fragment),
            ConfigStart::Tinyconfig | ConfigStart::Defconfig => None,
        };
        for fragment in base.config.fragments.iter().chain(start) {
            self.file_name(&place, &fragment.name);
            let is_line = |line: &str| {
                line.strip_prefix("CONFIG_").is_some_and(|rest| rest.contains('='))
                    || line.trim().is_empty()
                    || line.starts_with('#')
            };
            if fragment.text.len() > 4 << 20 || !fragment.text.lines().all(is_line) {
                self.says(&place, "has a fragment that is no configuration");
            }
        }
        for path in &base.config.tree_fragments {
            self.text(&place, path, schema::TREE_PATH);
        }
    }

    fn nested(&mut self, place: &str, nested: &NestedMachine) {
        self.within(&format!("{place}: vcpus"), nested.vcpus.into(), 1..=64);
        self.within(&format!("{place}: memory in MiB"), nested.memory_mib.into(), 512..=256 << 10);
        self.within(&format!("{place}: guests"), nested.guest.count.into(), 1..=2);
        self.within(&format!("{place}: guest.vcpus"), nested.guest.vcpus.into(), 1..=64);
        self.within(
            &format!("{place}: guest.memory in MiB"),
            nested.guest.memory_mib.into(),
            128..=256 << 10,
        );
        self.within(&format!("{place}: mtu"), nested.mtu.into(), 68..=9000);
        if let Some(ring) = nested.knobs.ring {
            self.within(&format!("{place}: ring"), ring.into(), 16..=65_536);
        }
        for (_, side) in nested.other_kernels() {
            self.text(&format!("{place}: kernel"), side, schema::NAME);
        }
        if let Some((message, _)) = crate::nested::impossible(nested).into_iter().next() {
            self.says(place, &message);
        }
    }

    fn machine(&mut self, place: &str, machine: &Machine) {
        let machine = match machine {
            Machine::Qemu(machine) => machine,
            Machine::Nested(nested) => return self.nested(place, nested),
            Machine::Fake(_) => return,
            Machine::Imported(_) => return self.says(place, "was imported, so that nothing of it can boot"),
        };
        self.within(&format!("{place}: vcpus"), machine.vcpus.into(), 1..=64);
        self.within(&format!("{place}: memory in MiB"), machine.memory_mib.into(), 128..=256 << 10);
        let nics: Vec<&Nic> = match &machine.topology {
            Topology::Loopback => vec![],
            Topology::TwoNamespaces { server, client } | Topology::TwoGuests { server, client } => {
                vec![server, client]
            }
        };
        for nic in nics {
            self.within(&format!("{place}: mtu"), nic.mtu.into(), 68..=9000);
        }
        if let Some(ring) = machine.knobs.ring {
            self.within(&format!("{place}: ring"), ring.into(), 16..=65_536);
        }
        self.within(&format!("{place}: loss of the wire"), machine.knobs.wire.loss_ppm.into(), 0..=500_000);
        for (name, value) in &machine.knobs.sysctls {
            self.text(&format!("{place}: sysctls"), name, schema::SYSCTL_NAME);
            self.text(&format!("{place}: sysctls"), value, schema::SYSCTL_VALUE);
        }
    }

    fn workload(&mut self, workload: &Workload) {
        let place = format!("workload {}", workload.name);
        self.file_name("workloads", &workload.name);
        self.cell(&place, workload.cell.as_ref());
        match &workload.kind {
            WorkloadKind::Iperf3(iperf3) => {
                self.within(&format!("{place}: flows"), iperf3.flows.into(), 1..=128);
                self.within(&format!("{place}: warmup"), iperf3.warmup_s.into(), 0..=60);
                self.within(&format!("{place}: message"), iperf3.message_bytes.into(), 1..=1 << 20);
                if let Amount::Seconds(seconds) = iperf3.amount {
                    self.within(&format!("{place}: duration"), seconds.into(), 1..=3600);
                }
                if let Some(congestion) = &iperf3.congestion {
                    self.text(&place, congestion, schema::CONGESTION);
                }
            }
            WorkloadKind::Sockperf(sockperf) => {
                self.within(&format!("{place}: message"), sockperf.message_bytes.into(), 14..=65_507);
                self.within(&format!("{place}: duration"), sockperf.seconds.into(), 1..=3600);
            }
            WorkloadKind::Stream(stream) => self.stream(&place, stream),
            WorkloadKind::Command(command) => self.command(&place, command),
            WorkloadKind::Ktap(ktap) => self.ktap(&place, ktap),
            WorkloadKind::Imported(_) => self.says(&place, "was imported, so that nothing of it can be run"),
        }
    }

    fn command(&mut self, place: &str, command: &plan::Command) {
        self.argv(place, &command.run);
        if let Some(CommandServer { run, .. }) = &command.server {
            self.argv(place, run);
        }
        self.count(place, command.files.len(), 0..=MANY);
        for file in &command.files {
            let inside = |name: &str| {
                name.len() <= 240
                    && name.split('/').all(|part| !part.is_empty() && !matches!(part, "." | ".."))
                    && !name.chars().any(char::is_control)
            };
            if !inside(&file.name) {
                self.says(place, "has a file whose name leaves the workload's folder");
            }
            self.text(place, &file.sha256, schema::SHA256);
        }
        for (name, value) in &command.env {
            self.text(place, name, schema::ENV_NAME);
            self.text(place, value, schema::ARGUMENT);
        }
        self.text(place, &command.stdin, schema::STDIN);
        self.within(&format!("{place}: deadline"), command.deadline_s.into(), 1..=86_400);
        self.within(&format!("{place}: repeat"), command.repeat.into(), 1..=1000);
        for metric in &command.metrics {
            self.text(place, &metric.name, schema::METRIC_NAME);
            match &metric.find {
                plan::Find::Regex(pattern) => self.text(place, pattern, schema::REGEX),
                plan::Find::Json(pointer) => self.text(place, pointer, schema::JSON_POINTER),
            }
            if let OutputOf::File(path) = &metric.from {
                self.text(place, path, schema::OUTPUT);
            }
            if !metric.scale.is_finite() {
                self.says(place, "has a scale that is no number");
            }
        }
    }

    fn stream(&mut self, place: &str, stream: &plan::Stream) {
        self.within(&format!("{place}: flows"), stream.flows.into(), 1..=64);
        self.within(&format!("{place}: read"), stream.read_bytes.into(), 4096..=64 << 20);
        self.within(&format!("{place}: message"), stream.message_bytes.into(), 1..=64 << 20);
        match stream.receive {
            plan::Receive::Devmem { token_batch, .. } => {
                self.within(&format!("{place}: token-batch"), token_batch.into(), 1..=1024);
            }
            plan::Receive::Zcrx(zcrx) | plan::Receive::ZcrxNodev(zcrx) => {
                self.within(&format!("{place}: refill-ring"), zcrx.refill_entries.into(), 1..=32_768);
            }
            plan::Receive::Plain | plan::Receive::TcpZerocopyReceive => {}
        }
        if let Amount::Seconds(seconds) = stream.amount {
            self.within(&format!("{place}: duration"), seconds.into(), 1..=3600);
        }
        let numbers = [stream.least_zero_copy, stream.roi.throughput, stream.roi.power];
        if !numbers.iter().all(|number| (0.0..=10.0).contains(number)) {
            self.says(place, "has a share or a power that is none");
        }
    }

    fn argv(&mut self, place: &str, argv: &[String]) {
        self.count(place, argv.len(), 1..=MANY);
        argv.iter().for_each(|argument| self.text(place, argument, schema::ARGUMENT));
    }

    fn ktap(&mut self, place: &str, ktap: &Ktap) {
        ktap.collections.iter().for_each(|name| self.text(place, name, schema::COLLECTION));
        ktap.tests.iter().for_each(|name| self.text(place, name, schema::TEST));
        for pattern in ktap.skip.iter().chain(&ktap.flakes) {
            self.text(place, pattern, schema::TEST_PATTERN);
        }
        self.within(&format!("{place}: timeout"), ktap.timeout_s.into(), 1..=86_400);
        self.within(&format!("{place}: deadline"), ktap.deadline_s.into(), 1..=86_400);
    }
}
