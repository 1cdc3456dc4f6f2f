//! The vocabulary of what to do: a [`Plan`] and its parts, as plain data in which every default has been decided.
//!
//! Written by `scenario`, read by everything downstream, stored in `run.json` and printed by `assay plan`.
//! Invariant: knows neither YAML nor processes; serialises to the same text for the same plan.

#![deny(missing_docs)]

mod command;
mod design;
mod evidence;
mod flavour;
mod imported;
mod kernel;
mod ktap;
mod machine;
mod matrix;
mod nested;
mod pattern;
mod stream;
mod workload;

pub use command::{
    AcceptedExit, Command, CommandMetric, CommandServer, Find, GuestFile, OCCURRENCE, OutputOf, Side, Which,
};
pub use design::{Arm, Design, Expectation, Gate, MetricSelector, Stop};
pub use evidence::Evidence;
pub use flavour::Flavour;
pub use imported::{ImportedMachine, ImportedWorkload};
pub use kernel::{
    Base, BaseName, ConfigFragment, ConfigOption, ConfigStart, ConfigValue, KernelConfig, KernelSpec,
    PatchFile, Series, Source,
};
pub use ktap::{Ktap, TestExpectation, TestGate, TestNic, TestsFrom};
pub use machine::{
    Accel, CpuModel, FakeMachine, Iommu, IommuMode, Knobs, Machine, Nic, NicModel, QemuMachine, Topology,
    Wire,
};
pub use matrix::{Cell, Dimension, DimensionValues, Scope};
pub use nested::{GuestIommu, HostLevel, InnerGuest, InnerLink, NestedMachine, PciFunction, Vfio};
pub use pattern::{Patterns, SUBTEST, VALUE, value_regex};
pub use stream::{BigTcp, Cores, Receive, Roi, Send, Stream, StreamNic, Zcrx};
pub use workload::{
    Amount, Iperf3, Iperf3Direction, Sockperf, SockperfMode, Transport, Workload, WorkloadKind,
};

pub use measure::Collector;

use measure::{Definition, metric};
use serde::{Deserialize, Serialize};

/// The version of [`Plan`]'s serialised form. A reader refuses a newer one. 2 added matrices, 3 flavours, 4 replicates,
/// 5 zcsim and streams, 6 nested machines, 7 what was imported,
/// 8 runs that stop when all is decided, 9 trimmed ones, 10 selftests that need others built, 11 kernels by level, 12 wires that hold what is sent,
/// 13 huge pages of nested guests, 14 timelines.
pub const FORMAT: u32 = 14;

/// Everything that a run will do, with nothing left optional.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// [`FORMAT`] at the time of writing.
    pub format: u32,
    /// The scenario's name: its file's stem.
    pub name: String,
    /// The question that the scenario asks: its first comment.
    pub question: String,
    /// The knobs for which the scenario file lists several values, in the order of the file.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub dimensions: Vec<Dimension>,
    /// Arms in the order of the scenario file, each multiplied out; the first side is the baseline of every comparison.
    pub arms: Vec<Arm>,
    /// Workloads, run in this order within each timed boot.
    pub workloads: Vec<Workload>,
    /// What is collected around every workload.
    pub collectors: Vec<Collector>,
    /// How often everything is repeated, and in which order.
    pub design: Design,
    /// What must hold, at most three.
    pub gates: Vec<Gate>,
    /// What must hold of the outcomes of tests, at most one for each workload.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub test_gates: Vec<TestGate>,
    /// Shell patterns over the titles of what kernels complain about and survive: shown, and nothing is decided by it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub known_complaints: Vec<String>,
}

impl Plan {
    /// The arm that every other arm is compared with.
    #[must_use]
    pub fn baseline(&self) -> Option<&Arm> {
        self.arms.first()
    }

    /// The flavour of its kernels: that of every arm that is built.
    #[must_use]
    pub fn flavour(&self) -> Flavour {
        let of_arms = self.arms.iter().map(|arm| arm.kernel.base.flavour);
        of_arms.max_by_key(|flavour| !flavour.is_plain()).unwrap_or_default()
    }

    /// What its numbers are.
    #[must_use]
    pub fn evidence(&self) -> Evidence {
        if self.collectors.contains(&Collector::Instructions) { Evidence::Exact } else { Evidence::Timed }
    }

    /// Whether it only says what others did: nothing of it can be built, booted or judged.
    #[must_use]
    pub fn is_imported(&self) -> bool {
        self.arms.iter().any(|arm| matches!(arm.machine, Machine::Imported(_)))
    }

    /// The arm called `name`.
    #[must_use]
    pub fn arm(&self, name: &str) -> Option<&Arm> {
        self.arms.iter().find(|arm| arm.name == name)
    }

    /// The metric called `name`: one that every plan knows, or one that this plan defines. Commands that define the same
    /// name agree on its unit and direction.
    #[must_use]
    pub fn metric<'a>(&'a self, name: &str) -> Option<Definition<'a>> {
        let own = || self.own_metrics().find(|metric| metric.name == name);
        metric::find(name).copied().or_else(own)
    }

    /// The metrics that this plan defines, in the order of its workloads.
    pub fn own_metrics(&self) -> impl Iterator<Item = Definition<'_>> {
        self.workloads.iter().flat_map(Workload::own_metrics)
    }
}
