//! `assay doctor`: findings about this machine, each with what it means and the command that changes it.

mod build;
mod cpu;
mod guests;
mod iommu;
mod memory;
mod observe;
mod quiet;
mod storage;
mod summary;
mod text;

use serde::Serialize;

use crate::{Distribution, Root, probe::Probes};

pub use summary::{Ability, Summary};
pub use text::{Style, text};

/// How it stands with one thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// As it should be.
    Ok,
    /// It works, with less than there could be.
    Limited,
    /// Not there, and it can be had: the finding's command does it.
    Missing,
    /// Not there, and no command on this machine changes that.
    Unavailable,
}

/// What findings are about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Group {
    /// QEMU, KVM, nested virtualisation.
    Guests,
    /// The host's IOMMU and what could be passed through.
    Passthrough,
    /// CPUs and their frequencies, idle states and isolation.
    Cpus,
    /// Memory, huge pages, swap.
    Memory,
    /// Counters, power sensors, tracing.
    Observation,
    /// Room for caches and results.
    Storage,
    /// Compilers, headers, build tools and sandboxes.
    Building,
    /// Other load and the clock.
    Quiet,
}

/// One thing about this machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What kind of thing.
    pub group: Group,
    /// Which thing, in a few words; unique within a machine.
    pub subject: String,
    /// How it stands.
    pub state: State,
    /// What was found.
    pub found: String,
    /// What that means for the user; none where all is well.
    pub consequence: Option<String>,
    /// The command that changes it; none where none does.
    pub command: Option<String>,
    /// What else can be done about it, where it is no command of this machine.
    pub advice: Option<String>,
    /// Whether Assay's main job needs it.
    pub needed: bool,
    /// The distribution's package, where the command is to install one.
    pub package: Option<String>,
}

/// Everything that is known about this machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Checkup {
    /// What the machine can do, in a few lines.
    pub summary: Summary,
    /// By group.
    pub findings: Vec<Finding>,
}

impl Finding {
    /// Names of interfaces and of files in /sys may have any bytes: what would steer a terminal does not get there.
    fn make_legible(&mut self) {
        let texts = [&mut self.consequence, &mut self.command, &mut self.advice, &mut self.package];
        let texts = texts.into_iter().flatten().chain([&mut self.subject, &mut self.found]);
        let is_unfit = |c: char| c.is_control() && c != '\n';
        for text in texts.filter(|text| text.contains(is_unfit)) {
            *text = text.replace(is_unfit, "?");
        }
    }
}

impl Group {
    /// Its heading.
    #[must_use]
    pub fn title(self) -> &'static str {
        match self {
            Self::Guests => "Guests",
            Self::Passthrough => "Passthrough",
            Self::Cpus => "CPUs",
            Self::Memory => "Memory",
            Self::Observation => "Counters, sensors, tracing",
            Self::Storage => "Storage",
            Self::Building => "Kernel builds and tools",
            Self::Quiet => "Quiet",
        }
    }
}

impl State {
    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Limited => "limited",
            Self::Missing => "missing",
            Self::Unavailable => "unavailable",
        }
    }
}

impl Finding {
    fn new(group: Group, subject: impl Into<String>, state: State, found: impl Into<String>) -> Self {
        Self {
            group,
            subject: subject.into(),
            state,
            found: found.into(),
            consequence: None,
            command: None,
            advice: None,
            needed: false,
            package: None,
        }
    }

    fn means(mut self, consequence: impl Into<String>) -> Self {
        self.consequence = Some(consequence.into());
        self
    }

    fn changed_by(mut self, command: impl Into<String>) -> Self {
        self.command = Some(command.into());
        self
    }

    fn advised(mut self, advice: impl Into<String>) -> Self {
        self.advice = Some(advice.into());
        self
    }

    fn needed(mut self) -> Self {
        self.needed = true;
        self
    }

    /// Whether this keeps Assay from its main job.
    #[must_use]
    pub fn blocks(&self) -> bool {
        self.needed && matches!(self.state, State::Missing | State::Unavailable)
    }
}

/// What findings are drawn from.
struct Patient<'a> {
    root: &'a Root,
    probes: &'a Probes,
    distribution: Distribution,
    /// Kernel parameters of this boot.
    cmdline: Vec<String>,
}

impl Patient<'_> {
    /// The value of a kernel parameter of this boot; the last one counts.
    fn parameter(&self, name: &str) -> Option<&str> {
        let mut values = self.cmdline.iter().filter_map(|word| word.split_once('='));
        values.rfind(|(key, _)| *key == name).map(|(_, value)| value)
    }

    /// Whether the CPUs say that a hypervisor runs them.
    fn is_guest(&self) -> bool {
        self.cpu_flags().iter().any(|flag| flag == "hypervisor")
    }

    fn cpu_flags(&self) -> Vec<String> {
        let cpuinfo = self.root.read("/proc/cpuinfo").unwrap_or_default();
        let line = cpuinfo.lines().find(|line| line.starts_with("flags")).unwrap_or_default();
        let flags = line.split_once(':').map(|(_, flags)| flags).unwrap_or_default();
        flags.split_ascii_whitespace().map(str::to_owned).collect()
    }
}

/// Turns files and answers into findings. Pure but for reading `root`.
#[must_use]
pub fn examine(root: &Root, probes: &Probes) -> Checkup {
    let patient = Patient {
        root,
        probes,
        distribution: Distribution::of(root, probes.is_root),
        cmdline: crate::facts::cmdline(root),
    };
    let mut findings = vec![];
    guests::examine(&patient, &mut findings);
    iommu::examine(&patient, &mut findings);
    cpu::examine(&patient, &mut findings);
    memory::examine(&patient, &mut findings);
    observe::examine(&patient, &mut findings);
    storage::examine(&patient, &mut findings);
    build::examine(&patient, &mut findings);
    quiet::examine(&patient, &mut findings);
    findings.iter_mut().for_each(Finding::make_legible);
    Checkup { summary: summary::of(&findings), findings }
}
