//! From values to places on a chart.

/// How values are spread over an axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Spacing {
    /// Equal differences are equally far apart.
    Linear,
    /// Equal ratios are equally far apart.
    Log,
}

/// An axis: from what values to which places.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Scale {
    spacing: Spacing,
    domain: (f64, f64),
    range: (f64, f64),
}

impl Scale {
    /// Equal differences are equally far apart. A domain without width gets one.
    pub(crate) fn linear(domain: (f64, f64), range: (f64, f64)) -> Self {
        Self { spacing: Spacing::Linear, domain: widened(domain), range }
    }

    /// Equal ratios are equally far apart; for positive values only.
    pub(crate) fn log(domain: (f64, f64), range: (f64, f64)) -> Self {
        let (low, high) = domain;
        let domain = if low < high { domain } else { (low / 1.1, high * 1.1) };
        Self { spacing: Spacing::Log, domain, range }
    }

    /// The place of a value; outside the range for one outside the domain.
    pub(crate) fn at(&self, value: f64) -> f64 {
        let share = match self.spacing {
            Spacing::Linear => (value - self.domain.0) / (self.domain.1 - self.domain.0),
            Spacing::Log => (value / self.domain.0).ln() / (self.domain.1 / self.domain.0).ln(),
        };
        self.range.0 + share * (self.range.1 - self.range.0)
    }

    /// Round values within the domain, about so many.
    pub(crate) fn ticks(&self, about: u32) -> Vec<f64> {
        let (low, high) = self.domain;
        match self.spacing {
            Spacing::Linear => round_values(low, high, about),
            Spacing::Log => {
                let ticks = log_values(low, high, about);
                // Within less than a decade few powers are left: then the values are as good as linear.
                if ticks.len() < 3 { round_values(low, high, about) } else { ticks }
            }
        }
    }
}

/// The smallest and the largest of these values; none if there is none.
pub(crate) fn extent(values: impl IntoIterator<Item = f64>) -> Option<(f64, f64)> {
    values.into_iter().filter(|value| value.is_finite()).fold(None, |extent, value| match extent {
        None => Some((value, value)),
        Some((low, high)) => Some((value.min(low), value.max(high))),
    })
}

/// An extent with this share of its width added on both sides.
pub(crate) fn padded((low, high): (f64, f64), share: f64) -> (f64, f64) {
    let (low, high) = widened((low, high));
    let pad = share * (high - low);
    (low - pad, high + pad)
}

fn widened((low, high): (f64, f64)) -> (f64, f64) {
    if low < high {
        return (low, high);
    }
    let half = if low == 0.0 { 0.5 } else { 0.05 * low.abs() };
    (low - half, high + half)
}

/// The step of round values: 1, 2 or 5 times a power of ten, at most `about` of them in `width`.
pub(crate) fn step(width: f64, about: u32) -> f64 {
    let rough = width / f64::from(about.max(1));
    let power = 10_f64.powf(rough.log10().floor());
    [1.0, 2.0, 5.0, 10.0].into_iter().map(|digit| digit * power).find(|step| *step >= rough).unwrap_or(rough)
}

fn round_values(low: f64, high: f64, about: u32) -> Vec<f64> {
    let step = step(high - low, about);
    let first = (low / step - 1e-9).ceil();
    // Whole multiples instead of sums, so that zero is zero.
    (0_u32..=2 * about + 2)
        .map(|n| (first + f64::from(n)) * step)
        .take_while(|value| *value <= high + 1e-9 * step)
        .collect()
}

fn log_values(low: f64, high: f64, about: u32) -> Vec<f64> {
    let decades = (high / low).log10();
    let digits: &[f64] = if decades * 3.0 <= f64::from(about) * 1.5 { &[1.0, 2.0, 5.0] } else { &[1.0] };
    let mut power = 10_f64.powf(low.log10().floor());
    let mut values = Vec::new();
    while power <= high && values.len() < 64 {
        values.extend(digits.iter().map(|digit| digit * power).filter(|v| (low..=high).contains(v)));
        power *= 10.0;
    }
    values
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_of_the_domain_are_ends_of_the_range() {
        let scale = Scale::linear((10.0, 30.0), (0.0, 100.0));
        assert_eq!([10.0, 20.0, 30.0, 40.0].map(|value| scale.at(value)), [0.0, 50.0, 100.0, 150.0]);
        let down = Scale::log((1.0, 100.0), (80.0, 0.0));
        assert_eq!([1.0, 10.0, 100.0].map(|value| down.at(value)), [80.0, 40.0, 0.0]);
    }

    #[test]
    fn ticks_are_round_and_within() {
        assert_eq!(Scale::linear((0.0, 10.0), (0.0, 1.0)).ticks(5), [0.0, 2.0, 4.0, 6.0, 8.0, 10.0]);
        assert_eq!(Scale::linear((-0.7, 0.9), (0.0, 1.0)).ticks(4), [-0.5, 0.0, 0.5]);
        assert_eq!(Scale::linear((361.0, 442.0), (0.0, 1.0)).ticks(5), [380.0, 400.0, 420.0, 440.0]);
        assert_eq!(Scale::log((150.0, 4000.0), (0.0, 1.0)).ticks(5), [200.0, 500.0, 1000.0, 2000.0]);
        assert_eq!(Scale::log((1.0, 1e6), (0.0, 1.0)).ticks(5).len(), 7);
        assert_eq!(Scale::log((200.0, 260.0), (0.0, 1.0)).ticks(4), [200.0, 220.0, 240.0, 260.0]);
    }

    #[test]
    fn a_single_value_is_in_the_middle() {
        for value in [0.0, 7.0, -3.0] {
            let scale = Scale::linear((value, value), (0.0, 10.0));
            assert!((scale.at(value) - 5.0).abs() < 1e-9, "{value}");
            assert!(!scale.ticks(4).is_empty(), "{value}");
        }
        assert!((Scale::log((7.0, 7.0), (0.0, 10.0)).at(7.0) - 5.0).abs() < 1e-9);
    }

    #[test]
    fn what_is_not_finite_does_not_count() {
        assert_eq!(extent([f64::NAN, 2.0, f64::INFINITY, -1.0]), Some((-1.0, 2.0)));
        assert_eq!(extent([f64::NAN]), None);
        assert_eq!(padded((0.0, 10.0), 0.1), (-1.0, 11.0));
    }
}
