//! What many runs say: a list of them, two of them against each other, a metric over all of them.

mod compare;
mod runs;
mod trend;

pub use compare::{
    CompareError, Compared, ComparedSide, Comparing, Difference, Filter, Refused, Times, VersusGate,
    VersusRow, compare, compare_json, compare_markdown, compare_text,
};
pub use runs::{ArmLine, GateLine, RunLine, RunList, RunState, runs_json, runs_text};
pub(crate) use trend::spark;
pub use trend::{
    Trend, TrendChange, TrendGroup, TrendInput, TrendPoint, trend, trend_json, trend_text, trend_worse,
};

/// The version of these documents' JSON. It grows when a key changes its meaning or goes away, not when one is added.
pub const HISTORY_FORMAT: u32 = 1;

/// Indented JSON with a newline at its end.
fn json(document: &impl serde::Serialize) -> String {
    serde_json::to_string_pretty(document).expect("these documents have string keys only") + "\n"
}
