//! Matrices: a list where a single value could stand is a dimension, and the plan is the product of all of them.
//!
//! `axis` finds the lists in a map before anything is read, and gives the map once for each combination of their values, so
//! that the readers of arms and workloads never see more than one value. `name` decides what dimensions and cells are called.

mod axis;
mod name;

pub(crate) use axis::{Axis, multiply, of_arm, of_workload};

use axis::positions;
use plan::{Arm, Cell, Dimension, DimensionValues, Scope, Workload};

use crate::problem::{Findings, Place};

/// Most arms, and most workloads, after lists have been multiplied out.
pub(crate) const MAX_CELLS: usize = 256;

/// What the file says once, at each combination of the values that it lists for it.
pub(crate) struct Expanded<T> {
    /// Its name in the file.
    pub(crate) of: String,
    /// Where it stands.
    pub(crate) place: Place,
    /// In the order of the file.
    pub(crate) axes: Vec<Axis>,
    /// In the order of [`multiply`], each `None` if something is wrong with it.
    pub(crate) cells: Vec<Option<T>>,
}

/// The dimensions of a scenario, with what tells their values apart in names of files.
pub(crate) struct Matrix {
    dimensions: Vec<Named>,
}

struct Named {
    dimension: Dimension,
    path: Vec<String>,
    slugs: Vec<String>,
}

impl Matrix {
    /// The dimensions of arms and workloads. All arms must have the same.
    pub(crate) fn of(
        arms: &[Expanded<Arm>],
        workloads: &[Expanded<Workload>],
        findings: &mut Findings,
    ) -> Self {
        check_arms(arms, findings);
        let of_arms = arms.first().into_iter().flat_map(|arm| &arm.axes).map(|axis| (axis, Scope::Arms));
        let of_workloads = workloads
            .iter()
            .flat_map(|group| group.axes.iter().map(|axis| (axis, Scope::Workload(group.of.clone()))));
        let mut axes: Vec<(&Axis, Scope)> =
            of_arms.chain(of_workloads).filter(|(axis, _)| axis.is_dimension()).collect();
        axes.sort_by_key(|(axis, _)| axis.place.line());
        let paths: Vec<&[String]> = axes.iter().map(|(axis, _)| axis.path.as_slice()).collect();
        let names = name::dimensions(&paths);
        let named = axes.into_iter().zip(names).map(|((axis, scope), name)| Named {
            slugs: name::slugs(&axis.labels),
            path: axis.path.clone(),
            dimension: Dimension { name, values: axis.labels.clone(), numbers: axis.numbers.clone(), scope },
        });
        Self { dimensions: named.collect() }
    }

    /// Every dimension, in the order of the file.
    pub(crate) fn dimensions(&self) -> Vec<Dimension> {
        self.dimensions.iter().map(|named| named.dimension.clone()).collect()
    }

    /// All arms, with their names and places.
    pub(crate) fn arms(&self, sides: Vec<Expanded<Arm>>, findings: &mut Findings) -> Vec<Option<Arm>> {
        check_total(&sides, "arms", findings);
        self.placed(sides, |arm, name, cell| Arm { name, cell, ..arm })
    }

    /// All workloads, with their names and places.
    pub(crate) fn workloads(
        &self,
        groups: Vec<Expanded<Workload>>,
        findings: &mut Findings,
    ) -> Vec<Option<Workload>> {
        check_total(&groups, "workloads", findings);
        self.placed(groups, |workload, name, cell| Workload { name, cell, ..workload })
    }

    fn placed<T>(
        &self,
        expanded: Vec<Expanded<T>>,
        place: impl Fn(T, String, Option<Cell>) -> T,
    ) -> Vec<Option<T>> {
        let mut all = Vec::new();
        for Expanded { of, axes, cells, .. } in expanded {
            for (index, what) in cells.into_iter().enumerate() {
                let at = positions(&axes, index);
                let (name, cell) = self.cell(&of, &axes, &at);
                all.push(what.map(|what| place(what, name, cell)));
            }
        }
        all
    }

    /// The name and the place of `of` at these positions of its axes.
    fn cell(&self, of: &str, axes: &[Axis], at: &[usize]) -> (String, Option<Cell>) {
        let mut dims = DimensionValues::new();
        let mut parts = Vec::new();
        for named in &self.dimensions {
            let Some((axis, at)) = axes.iter().zip(at).find(|(axis, _)| axis.path == named.path) else {
                continue;
            };
            dims.insert(named.dimension.name.clone(), axis.labels[*at].clone());
            // An arm that differs from the others in its lists has been refused.
            let slug = named.slugs.get(*at).map_or("", String::as_str);
            parts.push(format!("{}={slug}", name::slug(&named.dimension.name)));
        }
        if parts.is_empty() {
            return (of.to_owned(), None);
        }
        (name::cell(of, &parts, at), Some(Cell { of: of.to_owned(), dims }))
    }
}

/// A comparison is of arms at the same place, so every arm must have every place.
fn check_arms(arms: &[Expanded<Arm>], findings: &mut Findings) {
    const ALLOWED: &str = "the same list for every arm, or a single value in each";
    let no_list = |arm: &str| format!("arms are compared at equal values, but `{arm}` has no such list");
    let [baseline, others @ ..] = arms else { return };
    for arm in others {
        for axis in baseline.axes.iter().filter(|axis| axis.is_dimension()) {
            match arm.axes.iter().find(|other| other.path == axis.path) {
                Some(other) if other.labels == axis.labels => {}
                Some(other) => {
                    let listed = axis.labels.join(", ");
                    let message =
                        format!("arms are compared at equal values, but `{}` has {listed}", baseline.of);
                    findings.add(&other.place, message, ALLOWED);
                }
                None => {
                    let message = no_list(&arm.of);
                    findings.add(&axis.place, message, ALLOWED);
                }
            }
        }
        for axis in arm.axes.iter().filter(|axis| axis.is_dimension()) {
            if baseline.axes.iter().all(|other| other.path != axis.path) {
                let message = no_list(&baseline.of);
                findings.add(&axis.place, message, ALLOWED);
            }
        }
    }
}

fn check_total<T>(expanded: &[Expanded<T>], what: &str, findings: &mut Findings) {
    let total: usize = expanded.iter().map(|one| one.cells.len()).sum();
    // What is too much alone has been told.
    if let (Some(last), true) = (expanded.last(), total > MAX_CELLS) {
        let message = format!("{total} {what} once lists are multiplied out");
        findings.add(&last.place, message, format!("at most {MAX_CELLS}"));
    }
}
