//! Quantiles of Student's t and intervals of shares, from the incomplete beta function.

use crate::Interval;

/// Halvings of an interval: more than the digits of a double have.
const HALVINGS: u32 = 80;

/// The value that Student's t with so many degrees of freedom exceeds with probability `level`, which must be between 0 and 0.5.
/// Infinite without a degree of freedom.
#[must_use]
pub fn student_t(level: f64, freedom: u32) -> f64 {
    if freedom == 0 {
        return f64::INFINITY;
    }
    let half = f64::from(freedom) / 2.0;
    // P(T > t) = I_x(freedom / 2, 1 / 2) / 2 with x = freedom / (freedom + t^2) (Abramowitz and Stegun 26.7.1).
    let x = inverse(|x| incomplete_beta(half, 0.5, x) / 2.0, level);
    (f64::from(freedom) * (1.0 - x) / x).sqrt()
}

/// The interval of confidence `1 - 2 * level` of a share that was `share` in `of` independent trials (Clopper and Pearson 1934, Biometrika
/// 26:404). A number of trials that is an effective one need not be whole (Korn and Graubard 1998, Survey Methodology 24:193).
#[must_use]
pub fn share_interval(share: f64, of: f64, level: f64) -> Interval {
    let hits = (share * of).clamp(0.0, of);
    // P(X >= hits) = I_p(hits, of - hits + 1) grows with p.
    let low = if hits <= 0.0 { 0.0 } else { inverse(|p| incomplete_beta(hits, of - hits + 1.0, p), level) };
    let high =
        if hits >= of { 1.0 } else { inverse(|p| incomplete_beta(hits + 1.0, of - hits, p), 1.0 - level) };
    Interval { low, high }
}

/// Where between 0 and 1 a growing function takes a value.
fn inverse(function: impl Fn(f64) -> f64, value: f64) -> f64 {
    let (mut low, mut high) = (0.0, 1.0);
    for _ in 0..HALVINGS {
        let middle = f64::midpoint(low, high);
        if function(middle) < value { low = middle } else { high = middle }
    }
    f64::midpoint(low, high)
}

/// I_x(a, b), by the continued fraction of Abramowitz and Stegun 26.5.8, evaluated as Lentz does (1976, Appl. Optics 15:668).
fn incomplete_beta(a: f64, b: f64, x: f64) -> f64 {
    if x <= 0.0 || x >= 1.0 {
        return if x <= 0.0 { 0.0 } else { 1.0 };
    }
    // It converges fast below the mean only; above it the other tail does.
    if x > (a + 1.0) / (a + b + 2.0) {
        return 1.0 - incomplete_beta(b, a, 1.0 - x);
    }
    let front = (ln_gamma(a + b) - ln_gamma(a) - ln_gamma(b) + a * x.ln() + b * (-x).ln_1p()).exp() / a;
    let away_from_zero = |value: f64| if value.abs() < 1e-300 { 1e-300 } else { value };
    let (mut c, mut d) = (1.0, 1.0 / away_from_zero(1.0 - (a + b) * x / (a + 1.0)));
    let mut fraction = d;
    for step in 1..10_000_u32 {
        let m = f64::from(step);
        let even = m * (b - m) * x / ((a + 2.0 * m - 1.0) * (a + 2.0 * m));
        let odd = -(a + m) * (a + b + m) * x / ((a + 2.0 * m) * (a + 2.0 * m + 1.0));
        let mut change = 1.0;
        for term in [even, odd] {
            d = 1.0 / away_from_zero(1.0 + term * d);
            c = away_from_zero(1.0 + term / c);
            change = c * d;
            fraction *= change;
        }
        if (change - 1.0_f64).abs() < 1e-14 {
            break;
        }
    }
    front * fraction
}

/// Stirling's series (Abramowitz and Stegun 6.1.41), of arguments that recurrence has made large enough for it.
fn ln_gamma(mut x: f64) -> f64 {
    let mut product = 1.0;
    while x < 12.0 {
        product *= x;
        x += 1.0;
    }
    let square = x * x;
    let series =
        (1.0 / 12.0 - (1.0 / 360.0 - (1.0 / 1260.0 - 1.0 / (1680.0 * square)) / square) / square) / x;
    (x - 0.5) * x.ln() - x + std::f64::consts::TAU.ln() / 2.0 + series - f64::ln(product)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_those_of_the_tables() {
        for (freedom, level, expected) in
            [(1, 0.025, 12.706), (2, 0.05, 2.920), (5, 0.025, 2.571), (10, 0.01, 2.764), (120, 0.05, 1.658)]
        {
            let found = student_t(level, freedom);
            assert!((found - expected).abs() < 0.0006, "{freedom} {level}: {found}");
        }
        assert_eq!(student_t(0.05, 0), f64::INFINITY);
    }

    #[test]
    fn intervals_of_shares_are_those_of_the_tables() {
        // Of 20: none, 3, all (Fisher and Yates, table VIII1).
        for (hits, low, high) in [(0.0, 0.0, 0.1684), (3.0, 0.0321, 0.3789), (20.0, 0.8316, 1.0)] {
            let found = share_interval(hits / 20.0, 20.0, 0.025);
            assert!((found.low - low).abs() < 1e-4 && (found.high - high).abs() < 1e-4, "{hits}: {found:?}");
        }
    }

    #[test]
    fn the_gamma_function_is_that_of_factorials() {
        assert!((ln_gamma(11.0) - 3_628_800_f64.ln()).abs() < 1e-11);
        assert!((ln_gamma(0.5) - std::f64::consts::PI.sqrt().ln()).abs() < 1e-11);
    }

    #[test]
    fn fewer_trials_say_less() {
        let width = |of: f64| {
            let interval = share_interval(0.05, of, 0.025);
            interval.high - interval.low
        };
        assert!(width(20.5) > width(40.0) && width(40.0) > width(200.0));
    }
}
