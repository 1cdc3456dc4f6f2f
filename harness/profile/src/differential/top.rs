//! The first rows of a table, with one more for all the others, so that what is shown adds up.

use super::{Blocks, Counts, Differential, Kind, Line};
use crate::BlockCounts;

impl Differential {
    /// The first `most` rows of each kind, and `most_strings` of string instructions, and one row for the others of each.
    #[must_use]
    pub fn top(&self, most: usize, most_strings: usize) -> Self {
        let mut shorter = self.clone();
        shorter.lines = self.first(&self.lines, most);
        shorter.strings = self.first(&self.strings, most_strings);
        shorter
    }

    fn first(&self, lines: &[Line], most: usize) -> Vec<Line> {
        let mut first = Vec::new();
        for kind in [Kind::Kernel, Kind::User, Kind::Idle] {
            let of_kind: Vec<&Line> = lines.iter().filter(|line| line.kind == kind).collect();
            // A row for a single other row would save nothing.
            let most = if of_kind.len() == most + 1 { most + 1 } else { most };
            let (shown, others) = of_kind.split_at(of_kind.len().min(most));
            first.extend(shown.iter().map(|line| (*line).clone()));
            if !others.is_empty() {
                first.push(Line {
                    stands_for: Some(others.len()),
                    ..self.fold(others, "others".to_owned(), kind)
                });
            }
        }
        first
    }

    /// One row for several. Its numbers are made anew from the counts; q stays with single rows.
    pub(super) fn fold(&self, lines: &[&Line], name: String, kind: Kind) -> Line {
        let mut sum: Vec<BlockCounts> = self
            .total
            .numbers
            .by_block
            .iter()
            .map(|counts| BlockCounts { block: counts.block, ..BlockCounts::default() })
            .collect();
        for line in lines {
            for (sum, counts) in sum.iter_mut().zip(&line.numbers.by_block) {
                sum.baseline += counts.baseline;
                sum.arm += counts.arm;
            }
        }
        let counts: Counts = sum.iter().map(|counts| (counts.baseline, counts.arm)).collect();
        let mut numbers = self.frame().numbers(&counts);
        numbers.share = lines.iter().map(|line| line.numbers.share).sum::<Option<f64>>();
        Line { name, kind, module: None, file: None, change: None, hint: None, stands_for: None, numbers }
    }

    fn frame(&self) -> Blocks {
        Blocks { all: self.divisor_by_block.clone(), is_paired: self.baseline.is_some() }
    }
}
