//! How the level wanders from boot to boot, fitted from real boots.

use stats::Draws;

use crate::float;

/// Boots of one kernel, one after the other, on the machine on which Assay was developed, while others used it: `null.yaml` with 36 blocks of two
/// identical arms. Columns: position, throughput in bit/s, round trip (50th percentile) in seconds.
pub const REAL: &str = include_str!("../real-boots.csv");

/// Lags over which the fit looks.
const LAGS: usize = 12;

/// A level that wanders: an autoregressive process of the first order, seen through the boots' own noise.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Drift {
    /// Standard deviation of the level, in standard deviations of a boot's own noise.
    pub spread: f64,
    /// Correlation of the level between one boot and the next.
    pub memory: f64,
}

impl Drift {
    pub(crate) fn walk(self, draws: &mut Draws, of_boot: f64) -> Walk {
        let spread = self.spread * of_boot;
        Walk { at: spread * draws.normal(), spread, memory: self.memory }
    }
}

/// A level on its way.
pub(crate) struct Walk {
    at: f64,
    spread: f64,
    memory: f64,
}

impl Walk {
    pub(crate) fn next(&mut self, draws: &mut Draws) -> f64 {
        let innovation = self.spread * (1.0 - self.memory * self.memory).sqrt();
        self.at = self.memory * self.at + innovation * draws.normal();
        self.at
    }
}

/// Logarithms of the real boots' throughput and round trip, in the order of time.
///
/// # Panics
/// If the file is not what its header says.
#[must_use]
pub fn real() -> [Vec<f64>; 2] {
    let rows: Vec<Vec<f64>> = REAL
        .lines()
        .filter(|line| !line.starts_with('#'))
        .skip(1)
        .map(|line| line.split(',').map(|cell| cell.trim().parse().expect("a number")).collect())
        .collect();
    [1, 2].map(|column| rows.iter().map(|row| row[column].ln()).collect())
}

/// Fits a drift to values in the order of time by their variogram (Matheron 1963, Econ. Geol. 58:1246): half the mean squared difference of
/// boots so many positions apart, which is `noise + level (1 - memory^lag)`. By least squares over a grid of memories, with Cressie and
/// Hawkins's robust estimate (1980, Math. Geol. 12:115), so that a boot far out is not taken for drift.
#[must_use]
pub fn fit(values: &[f64]) -> Drift {
    let variogram: Vec<f64> =
        (1..=LAGS.min(values.len().saturating_sub(1))).map(|lag| robust(values, lag)).collect();
    let mut best = (f64::INFINITY, Drift { spread: 0.0, memory: 0.0 });
    for hundredths in 0..100_u32 {
        let memory = f64::from(hundredths) / 100.0;
        let rise: Vec<f64> = (1..=variogram.len())
            .map(|lag| 1.0 - memory.powi(i32::try_from(lag).unwrap_or(i32::MAX)))
            .collect();
        // A straight line: noise is where it begins, the level's variance its slope. Neither is negative.
        let (mean_rise, mean_gamma) = (crate::world::mean(&rise), crate::world::mean(&variogram));
        let spread: f64 = rise.iter().map(|r| (r - mean_rise).powi(2)).sum();
        let joint: f64 = rise.iter().zip(&variogram).map(|(r, g)| (r - mean_rise) * (g - mean_gamma)).sum();
        let level = if spread > 1e-12 { (joint / spread).max(0.0) } else { 0.0 };
        let noise = (mean_gamma - level * mean_rise).max(mean_gamma * 0.05);
        let error: f64 = rise.iter().zip(&variogram).map(|(r, g)| (g - noise - level * r).powi(2)).sum();
        if error < best.0 {
            best = (error, Drift { spread: (level / noise).sqrt(), memory });
        }
    }
    best.1
}

fn robust(values: &[f64], lag: usize) -> f64 {
    let roots: Vec<f64> = values.windows(lag + 1).map(|w| (w[lag] - w[0]).abs().sqrt()).collect();
    let n = float(roots.len());
    crate::world::mean(&roots).powi(4) / (0.457 + 0.494 / n) / 2.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_known_drift_is_found_again() {
        let truth = Drift { spread: 1.5, memory: 0.8 };
        let mut draws = Draws::new(1);
        let mut walk = truth.walk(&mut draws, 0.01);
        let values: Vec<f64> = (0..4000).map(|_| walk.next(&mut draws) + 0.01 * draws.normal()).collect();
        let found = fit(&values);
        assert!((found.spread - 1.5).abs() < 0.3 && (found.memory - 0.8).abs() < 0.1, "{found:?}");
    }

    #[test]
    fn noise_alone_is_hardly_any_drift() {
        let mut draws = Draws::new(2);
        let values: Vec<f64> = (0..4000).map(|_| 0.01 * draws.normal()).collect();
        assert!(fit(&values).spread < 0.35, "{:?}", fit(&values));
    }

    #[test]
    fn the_real_boots_are_there() {
        let [throughput, round_trip] = real();
        assert!(throughput.len() >= 60 && round_trip.len() == throughput.len());
    }
}
