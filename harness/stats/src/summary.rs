//! What one arm's boots look like.

use serde::{Deserialize, Serialize};

use crate::StatsError;

/// Summary of one arm's values, one for each boot.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Summary {
    /// How many boots.
    pub boots: usize,
    /// The middle value, or the mean of the two in the middle.
    pub median: f64,
    /// The smallest value.
    pub min: f64,
    /// The largest value.
    pub max: f64,
    /// Coefficient of variation between boots: sample standard deviation over the absolute mean. None with fewer than
    /// two boots or a mean of zero.
    pub variation: Option<f64>,
}

/// Summarises values; none if there are none.
///
/// # Errors
/// A value that is not finite.
pub fn summarise(values: &[f64]) -> Result<Option<Summary>, StatsError> {
    all_finite(values)?;
    let mut sorted = values.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    let (Some(min), Some(max)) = (sorted.first().copied(), sorted.last().copied()) else { return Ok(None) };
    let middle = sorted.len() / 2;
    let median = if sorted.len() % 2 == 1 {
        sorted[middle]
    } else {
        f64::midpoint(sorted[middle - 1], sorted[middle])
    };
    Ok(Some(Summary { boots: sorted.len(), median, min, max, variation: variation(&sorted) }))
}

/// Refuses values that are not finite.
pub(crate) fn all_finite(values: &[f64]) -> Result<(), StatsError> {
    match values.iter().copied().enumerate().find(|(_, value)| !value.is_finite()) {
        Some((position, value)) => Err(StatsError::NotFiniteAt { position, value }),
        None => Ok(()),
    }
}

fn variation(values: &[f64]) -> Option<f64> {
    #[expect(clippy::cast_precision_loss, reason = "a number of boots")]
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    if values.len() < 2 || mean == 0.0 {
        return None;
    }
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    Some((squares / (n - 1.0)).sqrt() / mean.abs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn summarises_by_order_and_spread() {
        let summary = summarise(&[4.0, 1.0, 2.0, 3.0]).unwrap().unwrap();
        assert_eq!((summary.boots, summary.median, summary.min, summary.max), (4, 2.5, 1.0, 4.0));
        // Variance of 1, 2, 3, 4 is 5/3.
        assert!((summary.variation.unwrap() - (5.0_f64 / 3.0).sqrt() / 2.5).abs() < 1e-12);
        assert_eq!(summarise(&[3.0, 1.0, 2.0]).unwrap().unwrap().median, 2.0);
    }

    #[test]
    fn too_little_to_tell_a_spread_is_none_and_not_zero() {
        assert_eq!(summarise(&[]).unwrap(), None);
        assert_eq!(summarise(&[5.0]).unwrap().unwrap().variation, None);
        assert_eq!(summarise(&[-1.0, 1.0]).unwrap().unwrap().variation, None);
        assert_eq!(summarise(&[2.0, 2.0]).unwrap().unwrap().variation, Some(0.0));
    }

    #[test]
    fn refuses_values_that_are_not_finite() {
        let error = summarise(&[1.0, f64::INFINITY]).unwrap_err();
        assert_eq!(error, StatsError::NotFiniteAt { position: 1, value: f64::INFINITY });
    }
}
