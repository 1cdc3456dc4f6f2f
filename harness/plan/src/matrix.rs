//! Matrices: what a list where a single value could stand has multiplied out to.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{Arm, Gate, Machine, Plan, Workload};

/// The values of some dimensions, by the dimensions' names. Values are as the scenario file writes them.
pub type DimensionValues = BTreeMap<String, String>;

/// Where an arm or a workload stands in a matrix.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cell {
    /// What the scenario file calls it: its name before lists were multiplied out.
    pub of: String,
    /// The value of each of its dimensions.
    pub dims: DimensionValues,
}

/// A knob for which the scenario file lists several values.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Dimension {
    /// Unique within the plan: the knob's key, or as much of its dotted path as tells it from others.
    pub name: String,
    /// At least two, in the order of the file.
    pub values: Vec<String>,
    /// The number that each value is, if all are numbers: sizes in bytes, durations in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub numbers: Option<Vec<f64>>,
    /// What it multiplies.
    pub scope: Scope,
}

/// What a dimension multiplies.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scope {
    /// Every arm alike: each value needs boots of its own.
    Arms,
    /// One workload, by its name in the scenario file: all values run within each boot.
    Workload(String),
}

impl Dimension {
    /// Whether its values have places on an axis.
    #[must_use]
    pub fn is_numeric(&self) -> bool {
        self.numbers.is_some()
    }
}

static NONE: DimensionValues = DimensionValues::new();

impl Arm {
    /// The side of the comparison that it belongs to: its name without its place in the matrix.
    #[must_use]
    pub fn side(&self) -> &str {
        self.cell.as_ref().map_or(&self.name, |cell| &cell.of)
    }

    /// The value of each dimension; empty outside a matrix.
    #[must_use]
    pub fn dims(&self) -> &DimensionValues {
        self.cell.as_ref().map_or(&NONE, |cell| &cell.dims)
    }
}

impl Workload {
    /// What the scenario file calls it: its name without its place in the matrix.
    #[must_use]
    pub fn group(&self) -> &str {
        self.cell.as_ref().map_or(&self.name, |cell| &cell.of)
    }

    /// The value of each dimension; empty outside a matrix.
    #[must_use]
    pub fn dims(&self) -> &DimensionValues {
        self.cell.as_ref().map_or(&NONE, |cell| &cell.dims)
    }
}

impl Plan {
    /// The sides of the comparison in the order of the scenario file; the first is the baseline.
    #[must_use]
    pub fn sides(&self) -> Vec<&str> {
        let mut sides = Vec::new();
        for arm in &self.arms {
            if !sides.contains(&arm.side()) {
                sides.push(arm.side());
            }
        }
        sides
    }

    /// Whether `arm` is of the side that every other is compared with.
    #[must_use]
    pub fn is_baseline(&self, arm: &Arm) -> bool {
        self.arms.first().is_some_and(|first| first.side() == arm.side())
    }

    /// The arm that `arm` is compared with: that of the first side at the same place in the matrix. A baseline is its own.
    #[must_use]
    pub fn baseline_of(&self, arm: &Arm) -> Option<&Arm> {
        self.arms.iter().find(|other| self.is_baseline(other) && other.dims() == arm.dims())
    }

    /// The arms that are compared with a baseline, in the plan's order.
    pub fn candidates(&self) -> impl Iterator<Item = &Arm> {
        self.arms.iter().filter(|arm| !self.is_baseline(arm))
    }

    /// The arm of `side` at the place that has these values, among others perhaps.
    #[must_use]
    pub fn arm_at(&self, side: &str, at: &DimensionValues) -> Option<&Arm> {
        let is_there = |arm: &&Arm| arm.dims().iter().all(|(name, value)| at.get(name) == Some(value));
        self.arms.iter().filter(|arm| arm.side() == side).find(is_there)
    }

    /// The arm whose kernel the guest called `guest` boots in `arm`: `arm` itself, or, at a level of a nested machine that names another
    /// side, that side's at the same place. None if there is none.
    #[must_use]
    pub fn kernel_arm<'a>(&'a self, arm: &'a Arm, guest: &str) -> Option<&'a Arm> {
        match &arm.machine {
            Machine::Nested(nested) => match nested.kernel_of(guest) {
                Some(side) => self.arm_at(side, arm.dims()),
                None => Some(arm),
            },
            Machine::Qemu(_) | Machine::Fake(_) | Machine::Imported(_) => Some(arm),
        }
    }

    /// Where `gate` is judged: the candidate arm and the workload of each comparison, side by side.
    pub fn comparisons(&self, gate: &Gate) -> impl Iterator<Item = (&Arm, &Workload)> {
        let of_gate = |workload: &&Workload| workload.group() == gate.select.workload;
        let pairs = self
            .candidates()
            .flat_map(move |arm| self.workloads.iter().filter(of_gate).map(move |workload| (arm, workload)));
        pairs.filter(|(arm, workload)| {
            let value = |name| arm.dims().get(name).or_else(|| workload.dims().get(name));
            gate.at.iter().all(|(name, wanted)| value(name) == Some(wanted))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Base, ConfigStart, Design, FakeMachine, KernelConfig, KernelSpec, Source};

    fn arm(side: &str, vcpus: Option<&str>) -> Arm {
        let source = Source::PrebuiltImage { image: "/image".into(), modules: None, config: None };
        let config =
            KernelConfig { start: ConfigStart::Tinyconfig, fragments: vec![], tree_fragments: Vec::new() };
        let base = Base {
            name: "image".into(),
            version: "6.12".into(),
            source,
            config,
            flavour: crate::Flavour::Plain,
        };
        Arm {
            name: vcpus.map_or_else(|| side.to_owned(), |vcpus| format!("{side}@vcpus={vcpus}")),
            cell: vcpus.map(|vcpus| Cell {
                of: side.to_owned(),
                dims: DimensionValues::from([("vcpus".to_owned(), vcpus.to_owned())]),
            }),
            kernel: KernelSpec { base, series: vec![], options: vec![] },
            cmdline: vec![],
            machine: Machine::Fake(FakeMachine { script: "/script".into() }),
        }
    }

    fn plan(arms: Vec<Arm>) -> Plan {
        Plan {
            format: crate::FORMAT,
            name: "test".into(),
            question: "?".into(),
            dimensions: vec![],
            arms,
            workloads: vec![],
            collectors: vec![],
            design: Design::of(1),
            gates: vec![],
            test_gates: vec![],
            known_complaints: vec![],
        }
    }

    #[test]
    fn an_arm_is_compared_with_the_baseline_at_its_own_place() {
        let at = |side, vcpus| arm(side, Some(vcpus));
        let plan = plan(vec![at("old", "1"), at("old", "2"), at("new", "1"), at("new", "2")]);
        assert_eq!(plan.sides(), ["old", "new"]);
        let pairs: Vec<_> =
            plan.candidates().map(|arm| (&*arm.name, &*plan.baseline_of(arm).unwrap().name)).collect();
        assert_eq!(pairs, [("new@vcpus=1", "old@vcpus=1"), ("new@vcpus=2", "old@vcpus=2")]);
    }

    #[test]
    fn without_a_matrix_a_side_is_an_arm() {
        let plan = plan(vec![arm("old", None), arm("new", None), arm("newer", None)]);
        assert_eq!(plan.sides(), ["old", "new", "newer"]);
        assert!(plan.candidates().all(|arm| plan.baseline_of(arm).is_some_and(|of| of.name == "old")));
        assert_eq!(plan.candidates().count(), 2);
    }
}
