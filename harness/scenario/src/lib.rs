//! Scenario, kernel and series files (YAML) to a checked, fully resolved [`plan::Plan`].
//!
//! Text is read in three steps: `tree` (nodes that know their line), `fields` by the tables of `schema` (types, ranges,
//! defaults), and one module for each part of the plan. Every problem is collected on the way, so a user sees all of
//! them at once, each as `file:line: path: what is wrong (what is allowed)`.
//!
//! Invariant: reads files, and nothing else: knows no processes, no network and no clock. The only crate that knows YAML.

#![deny(missing_docs)]

mod arm;
mod base;
mod boots;
mod command;
mod dimension;
mod estimate;
mod exact;
mod fields;
mod gate;
mod json_schema;
mod ktap;
mod load;
mod machine;
mod matrix;
mod nested;
mod overrides;
mod parameter;
mod problem;
mod project;
mod reference;
mod remark;
mod render;
mod schema;
mod series;
mod stream;
mod tree;
mod value;
mod vet;
mod workload;
mod zcsim;

pub use base::{base, flavoured};
pub use estimate::{Estimate, KernelWork, Known, Step, distinct_kernels, estimate, trial_seconds};
pub use json_schema::json_schema;
pub use load::{candidate, load};
pub use overrides::Overrides;
pub use parameter::kernel_parameter;
pub use problem::{Problem, Problems};
pub use project::Project;
pub use reference::reference;
pub use remark::remarks;
pub use render::{RenderError, to_yaml};
pub use series::{SeriesFile, series, series_file};
pub use value::suggestion;
pub use vet::vet;
