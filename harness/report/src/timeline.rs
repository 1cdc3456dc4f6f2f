//! What the levels of a machine did over time: one traced boot of each arm, as rows of bars under one axis.

use std::collections::BTreeMap;

use measure::{Dims, TimelineRow, TrialRecord};
use plan::Plan;
use serde::{Deserialize, Serialize};

use crate::{Model, describe, number, table::Align};

/// Columns of bars in a row of text.
const BARS: usize = 36;
/// Bars by height; of nothing there is none.
const HEIGHTS: [char; 9] = [' ', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

pub(crate) const HEADING: &str = "Over time";

pub(crate) const LEGEND: &str = "One traced boot of each arm: every level on the host's clock, rates from zero, each row to a scale of its own. Tracing slows the \
                                 machine down: what comes with what is telling, how much is not.";

/// One workload of one traced boot.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LevelsOverTime {
    /// Whose boot.
    pub arm: String,
    /// Its trial.
    pub trial: u32,
    /// The workload.
    pub workload: String,
    /// Its place in the matrix.
    pub at: Dims,
    /// Length of an interval in seconds.
    pub seconds: f64,
    /// By how much each guest's clock may be off, in seconds.
    pub clock_errors: BTreeMap<String, f64>,
    /// From QEMU to the innermost guest's kernel; every row begins at the same moment.
    pub rows: Vec<TimelineRow>,
}

/// The first traced boot of each arm that has some, in the order of the plan.
pub(crate) fn timelines(plan: &Plan, trials: &[TrialRecord]) -> Vec<LevelsOverTime> {
    let first = |arm: &plan::Arm| {
        let of_arm = trials.iter().filter(|trial| trial.arm == arm.name && !trial.timelines.is_empty());
        of_arm.min_by_key(|trial| trial.index)
    };
    let of_trial = |trial: &TrialRecord| -> Vec<LevelsOverTime> {
        let timelines = trial.timelines.iter().map(|timeline| LevelsOverTime {
            arm: trial.arm.clone(),
            trial: trial.index,
            workload: timeline.dims.get("workload").cloned().unwrap_or_default(),
            at: timeline
                .dims
                .iter()
                .filter(|(name, _)| plan.dimensions.iter().any(|dimension| dimension.name == **name))
                .map(|(name, value)| (name.clone(), value.clone()))
                .collect(),
            seconds: timeline.seconds,
            clock_errors: timeline.clock_errors.clone(),
            rows: timeline.rows.clone(),
        });
        timelines.collect()
    };
    plan.arms.iter().filter_map(first).flat_map(of_trial).collect()
}

impl LevelsOverTime {
    /// `tcp, strict, boot 3: 4.2 s in intervals of 0.1 s; clocks to within 0.4 ms (host), 1.2 ms (server)`.
    pub(crate) fn title(&self) -> String {
        let intervals = self.rows.iter().map(|row| row.values.len()).max().unwrap_or(0);
        #[expect(clippy::cast_precision_loss, reason = "a few thousand intervals")]
        let length = intervals as f64 * self.seconds;
        let place = match self.at.is_empty() {
            true => String::new(),
            false => format!(" at {}", describe::place(&self.at)),
        };
        let clocks: Vec<String> = self
            .clock_errors
            .iter()
            .map(|(guest, error)| format!("{} ms ({guest})", number::significant(error * 1e3, 2)))
            .collect();
        format!(
            "{}{place}, {}, boot {}: {} s in intervals of {} s; clocks to within {}",
            self.workload,
            self.arm,
            self.trial + 1,
            number::significant(length, 3),
            number::significant(self.seconds, 2),
            if clocks.is_empty() { "an unknown time".to_owned() } else { clocks.join(", ") }
        )
    }

    /// A heading and a row for each level and what it did.
    pub(crate) fn table(&self) -> Vec<Vec<String>> {
        let heading = ["level", "what", "over time", "mean", "most"].map(str::to_owned).to_vec();
        let row = |row: &TimelineRow| {
            let text = |value: f64| number::value(value, row.unit, None);
            vec![
                row.level.clone(),
                row.what.clone(),
                format!("|{}|", bars(&row.values, BARS)),
                text(mean(&row.values)),
                text(most(&row.values)),
            ]
        };
        std::iter::once(heading).chain(self.rows.iter().map(row)).collect()
    }
}

pub(crate) const ALIGN: [Align; 5] = [Align::Left, Align::Left, Align::Left, Align::Right, Align::Right];

pub(crate) fn shown(model: &Model, most: usize) -> (&[LevelsOverTime], usize) {
    let count = model.timelines.len().min(most);
    (&model.timelines[..count], model.timelines.len() - count)
}

/// At most so many bars over zero, each the mean of what it stands for.
fn bars(values: &[f64], columns: usize) -> String {
    let together = values.len().div_ceil(columns).max(1);
    let means: Vec<f64> = values.chunks(together).map(mean).collect();
    let most = most(&means);
    let bar = |value: &f64| {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "between zero and the number of bars"
        )]
        let height = if most > 0.0 { (value / most * 8.0).ceil().clamp(0.0, 8.0) as usize } else { 0 };
        HEIGHTS[height.min(8)]
    };
    means.iter().map(bar).collect()
}

#[expect(clippy::cast_precision_loss, reason = "a few thousand intervals")]
fn mean(values: &[f64]) -> f64 {
    if values.is_empty() { 0.0 } else { values.iter().sum::<f64>() / values.len() as f64 }
}

fn most(values: &[f64]) -> f64 {
    values.iter().copied().fold(0.0, f64::max)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_stand_on_zero_and_show_what_is_little() {
        assert_eq!(bars(&[0.0, 0.01, 4.0, 8.0], 40), " ▁▄█");
        assert_eq!(bars(&[1.0, 3.0, 4.0, 4.0], 2), "▄█");
        assert_eq!(bars(&[0.0, 0.0], 40), "  ");
        assert_eq!(bars(&[], 40), "");
    }
}
