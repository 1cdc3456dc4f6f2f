//! Profiles of exact runs: which functions a difference is in.

mod flame;
mod html;
mod page;
mod text;
mod words;

use measure::Dims;
use profile::{Differential, Flame};
use serde::{Deserialize, Serialize};

pub(crate) use html::card;
pub(crate) use text::{
    legends, literal_but_code, markdown_lines, markdown_section, section_lines, terminal_lines,
};

pub use page::{ProfilePage, profile_html, profile_json, profile_markdown, profile_text};

/// The heading of profiles in reports.
pub(crate) const HEADING: &str = "Where the difference is";

/// What stands below them.
pub(crate) const MORE: &str =
    "All rows, and other groupings (`--by subsystem`, `context`, `program`): assay profile.";

/// Rows that a report shows of each profile; `assay profile` shows all.
pub const ROWS_IN_REPORTS: usize = 10;

/// And of their string instructions.
pub const STRING_ROWS_IN_REPORTS: usize = 3;

/// The profile of an arm in the window of a workload, against its baseline or alone.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Profiled {
    /// The workload's name without its place in the matrix.
    pub workload: String,
    /// Its place in the matrix, and the arm's.
    #[serde(default, skip_serializing_if = "Dims::is_empty")]
    pub at: Dims,
    /// The tables.
    pub table: Differential,
    /// Who called whom, or why that is not known; none where it was not looked at. Pages draw it.
    #[serde(skip)]
    pub flame: Option<Result<Flame, String>>,
}
