//! An interval against its margin, in one line of text.
//!
//! The axis counts margins, so that all gates share it, and `better` is always to the right:
//!
//! ```text
//!                 -margin   0   +margin
//! worse              ┊      │ ├──●─┤             better
//! ```

use measure::Better;
use stats::Scale;

use crate::Gate;

/// Columns between zero and the margin.
const MARGIN: i32 = 8;
/// Columns on each side of zero.
const HALF: i32 = 20;

/// The plot of a gate, without labels; none if there is no relative interval.
pub(crate) fn plot(gate: &Gate) -> Option<String> {
    let effect = gate.judgement.effect.filter(|effect| effect.scale == Scale::Relative)?;
    let interval = effect.interval?;
    // The logarithm turns a better latency around exactly, and puts both margins at the same distance.
    let flip = if gate.better == Better::Lower { -1.0 } else { 1.0 };
    let position = |change: f64| flip * change.ln_1p();
    let (low, high) = ordered(position(interval.low), position(interval.high));
    let axis = Axis { margins: ordered(position(-gate.margin), position(gate.margin)) };
    Some(draw(axis.column(low), axis.column(position(effect.estimate)), axis.column(high)))
}

/// An interval between columns of the axis; those beyond [`HALF`] are not on it.
fn draw(low: i32, estimate: i32, high: i32) -> String {
    let mut cells: Vec<char> = (-HALF..=HALF)
        .map(|column| match column {
            0 => '│',
            _ if column.abs() == MARGIN => '┊',
            _ => ' ',
        })
        .collect();
    let mut put = |column: i32, mark: char| {
        if let Some(cell) =
            usize::try_from(column.clamp(-HALF, HALF) + HALF).ok().and_then(|at| cells.get_mut(at))
        {
            *cell = mark;
        }
    };
    for column in low.max(-HALF)..=high.min(HALF) {
        put(column, '─');
    }
    // What lies beyond the axis is pointed at, and not drawn where it is not.
    match (low, high) {
        _ if high < -HALF => put(high, '◂'),
        _ if low > HALF => put(low, '▸'),
        _ => {
            put(low, if low < -HALF { '◂' } else { '├' });
            put(high, if high > HALF { '▸' } else { '┤' });
        }
    }
    if estimate.abs() <= HALF {
        put(estimate, '●');
    }
    cells.into_iter().collect()
}

/// The line above one or more plots.
pub(crate) fn header() -> String {
    let mut cells = vec![' '; usize::try_from(2 * HALF + 1).unwrap_or(0)];
    let mut write = |centre: i32, text: &str| {
        let start = HALF + centre - i32::try_from(text.len() / 2).unwrap_or(0);
        for (offset, letter) in (start..).zip(text.chars()) {
            if let Some(cell) = usize::try_from(offset).ok().and_then(|at| cells.get_mut(at)) {
                *cell = letter;
            }
        }
    };
    write(-MARGIN, "-margin");
    write(0, "0");
    write(MARGIN, "+margin");
    write(3 - HALF, "worse");
    write(HALF - 3, "better");
    cells.into_iter().collect()
}

fn ordered(a: f64, b: f64) -> (f64, f64) {
    (a.min(b), a.max(b))
}

struct Axis {
    margins: (f64, f64),
}

impl Axis {
    /// Rounded away from the margins: an interval that ends on one side of a margin is never drawn on it or beyond.
    fn column(&self, position: f64) -> i32 {
        let (low, high) = self.margins;
        let margin = if position < 0.0 { -low } else { high };
        let exact = f64::from(MARGIN) * position / margin;
        let column = exact.round().clamp(f64::from(-HALF - 1), f64::from(HALF + 1));
        #[expect(clippy::cast_possible_truncation, reason = "clamped to the axis")]
        let column = column as i32;
        match column.abs() == MARGIN {
            true if exact.abs() < f64::from(MARGIN) => column - column.signum(),
            true if exact.abs() > f64::from(MARGIN) => column + column.signum(),
            _ => column,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(change: f64, margin: f64) -> i32 {
        Axis { margins: ((-margin).ln_1p(), margin.ln_1p()) }.column(change.ln_1p())
    }

    #[test]
    fn the_margins_and_zero_have_their_columns() {
        assert_eq!([0.0, 0.02, -0.02].map(|change| column(change, 0.02)), [0, MARGIN, -MARGIN]);
        assert_eq!([9.0, -0.9].map(|change| column(change, 0.02)), [HALF + 1, -HALF - 1]);
    }

    #[test]
    fn an_interval_beyond_the_axis_is_pointed_at() {
        assert!(draw(-HALF - 1, -HALF - 1, -HALF - 1).starts_with("◂ "));
        assert!(draw(HALF + 1, HALF + 1, HALF + 1).ends_with(" ▸"));
        assert!(draw(-HALF - 1, -HALF - 1, -18).starts_with("◂─┤ "));
    }

    #[test]
    fn an_end_is_drawn_on_its_own_side_of_the_margin() {
        assert_eq!([0.0199, 0.0201].map(|change| column(change, 0.02)), [MARGIN - 1, MARGIN + 1]);
        assert_eq!([-0.0199, -0.0201].map(|change| column(change, 0.02)), [1 - MARGIN, -MARGIN - 1]);
    }
}
