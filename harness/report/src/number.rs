//! Numbers as people read them: with as many digits as they deserve.

use measure::Unit;
use stats::{Effect, Interval, Scale, Summary};

/// A value with its unit, with digits down to a tenth of the spread between boots.
pub(crate) fn value(value: f64, unit: Unit, variation: Option<f64>) -> String {
    let (divisor, symbol) = scale(value, unit);
    if unit == Unit::IioClocks {
        // Studies print a walk's time to a tenth of a clock.
        return join(&decimals(value, 1), &symbol);
    }
    join(&significant(value / divisor, digits(variation)), &symbol)
}

/// The middle of a summary.
pub(crate) fn median(summary: &Summary, unit: Unit) -> String {
    value(summary.median, unit, summary.variation)
}

/// Two medians with one unit, that of the first: `2.14`, `2.15`, `Gbit/s`.
pub(crate) fn medians(first: &Summary, second: &Summary, unit: Unit) -> (String, String, String) {
    let (divisor, symbol) = scale(first.median, unit);
    let text = |summary: &Summary| significant(summary.median / divisor, digits(summary.variation));
    (text(first), text(second), symbol)
}

fn join(number: &str, symbol: &str) -> String {
    if symbol.is_empty() { number.to_owned() } else { format!("{number} {symbol}") }
}

/// Significant digits for a coefficient of variation: 0.5 % deserves four, 5 % three.
fn digits(variation: Option<f64>) -> i32 {
    match variation {
        Some(variation) if variation > 0.0 => (1 - magnitude(variation)).clamp(3, 5),
        Some(_) | None => 3,
    }
}

/// The power of ten below: 0 for 1 to 9.99.
pub(crate) fn magnitude(value: f64) -> i32 {
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the logarithm of a finite number is within -324 and 308"
    )]
    let magnitude = value.abs().log10().floor() as i32;
    magnitude
}

/// What to divide by, and the unit with its prefix.
pub(crate) fn scale(value: f64, unit: Unit) -> (f64, String) {
    let prefixes: &[(f64, &str)] = match unit {
        Unit::BitsPerSecond => &[(1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")],
        Unit::Microseconds => {
            return match value.abs() {
                large if large >= 1e6 => (1e6, "s".to_owned()),
                large if large >= 1e3 => (1e3, "ms".to_owned()),
                _ => (1.0, "us".to_owned()),
            };
        }
        Unit::Milliseconds => {
            return if value.abs() >= 1e3 { (1e3, "s".to_owned()) } else { (1.0, "ms".to_owned()) };
        }
        Unit::Nanoseconds => {
            return match value.abs() {
                large if large >= 1e9 => (1e9, "s".to_owned()),
                large if large >= 1e6 => (1e6, "ms".to_owned()),
                large if large >= 1e3 => (1e3, "us".to_owned()),
                _ => (1.0, "ns".to_owned()),
            };
        }
        Unit::Bytes | Unit::BytesPerSecond => &[(1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")],
        Unit::MessagesPerSecond
        | Unit::OperationsPerSecond
        | Unit::Percent
        | Unit::Count
        | Unit::PerPage
        | Unit::PerKib
        | Unit::PerMib
        | Unit::PerSecond
        | Unit::Ratio
        | Unit::IioClocks
        | Unit::Watts
        | Unit::Seconds => &[],
    };
    match prefixes.iter().find(|(factor, _)| value.abs() >= *factor) {
        Some((factor, prefix)) => (*factor, format!("{prefix}{}", unit.symbol())),
        None => (1.0, unit.symbol().to_owned()),
    }
}

/// With so many significant digits, and a comma between thousands.
pub(crate) fn significant(value: f64, digits: i32) -> String {
    // Counts are mostly whole, and a decimal point would make them look measured to it.
    if value.fract() == 0.0 && value.abs() < 1e15 {
        return decimals(value, 0);
    }
    decimals(value, (digits - 1 - magnitude(value)).clamp(0, 6))
}

/// With so many digits after the point, and a comma between thousands.
pub(crate) fn decimals(value: f64, decimals: i32) -> String {
    let text = format!("{value:.*}", usize::try_from(decimals.max(0)).unwrap_or(0));
    let (sign, text) = text.strip_prefix('-').map_or(("", text.as_str()), |rest| ("-", rest));
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let mut grouped = String::new();
    for (index, digit) in whole.chars().enumerate() {
        if index > 0 && (whole.len() - index) % 3 == 0 {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    let point = if fraction.is_empty() { "" } else { "." };
    format!("{sign}{grouped}{point}{fraction}")
}

/// An effect without its confidence: `+2.1 % [+1.0, +3.3]`, with two digits of the interval's half width.
pub(crate) fn effect(effect: &Effect, unit: Unit) -> String {
    let (estimate, interval, symbol) = match effect.scale {
        Scale::Relative => {
            let percent = |i: Interval| Interval { low: 100.0 * i.low, high: 100.0 * i.high };
            (100.0 * effect.estimate, effect.interval.map(percent), "%".to_owned())
        }
        Scale::Absolute => {
            let largest = effect.interval.map_or(effect.estimate, |i| i.low.abs().max(i.high.abs()));
            let (divisor, symbol) = scale(largest, unit);
            // A difference of percentages is in points: "+2 %" would be read as a relative change.
            let symbol = if unit == Unit::Percent { "points".to_owned() } else { symbol };
            let divide = |i: Interval| Interval { low: i.low / divisor, high: i.high / divisor };
            (effect.estimate / divisor, effect.interval.map(divide), symbol)
        }
    };
    let half_width = interval.map(|i| (i.high - i.low) / 2.0).filter(|width| *width > 1e-9);
    let digits = match (half_width, interval) {
        (Some(width), _) => (1 - magnitude(width)).clamp(0, 4),
        (None, Some(_)) => 1,
        // Nobody knows how sure it is: two digits at most, but for large ones.
        (None, None) => (1 - magnitude(estimate.abs().max(1.0))).clamp(0, 1),
    };
    let estimate = join(&signed(estimate, digits), &symbol);
    match interval {
        Some(Interval { low, high }) => {
            format!("{estimate} [{}, {}]", signed(low, digits), signed(high, digits))
        }
        None => format!("{estimate} [no interval]"),
    }
}

/// With a sign, except for what rounds to zero.
pub(crate) fn signed(value: f64, digits: i32) -> String {
    let text = decimals(value, digits);
    if text.chars().all(|c| matches!(c, '0' | '.' | '-')) {
        return text.trim_start_matches('-').to_owned();
    }
    if value > 0.0 { format!("+{text}") } else { text }
}

/// A fraction as a percentage with a sign and three significant digits at most: `-4.61 %`.
pub(crate) fn signed_percent(fraction: f64) -> String {
    let percent = 100.0 * fraction;
    format!("{} %", signed(percent, (2 - magnitude(percent.abs().max(1e-9))).clamp(0, 2)))
}

/// A fraction as a percentage with up to three significant digits: `2 %`, `0.5 %`, `96.7 %`.
pub(crate) fn percent(fraction: f64) -> String {
    with_digits(fraction, 3)
}

/// The same with two significant digits at most, for what is itself an estimate.
pub(crate) fn rough_percent(fraction: f64) -> String {
    with_digits(fraction, 2)
}

fn with_digits(fraction: f64, digits: i32) -> String {
    let percent = 100.0 * fraction;
    let text = decimals(percent, (digits - 1 - magnitude(percent.abs().max(1e-9))).clamp(0, 4));
    let text = if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { &text };
    format!("{text} %")
}

/// A probability with two significant digits.
pub(crate) fn probability(p: f64) -> String {
    match p {
        p if p >= 0.995 => "1".to_owned(),
        p if p >= 0.001 => decimals(p, 1 - magnitude(p)),
        p => format!("{p:.1e}"),
    }
}

/// A duration in the units that one would say.
pub(crate) fn duration(seconds: f64) -> String {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "saturates, which is fine in words"
    )]
    let whole = seconds.round().max(0.0) as u64;
    match whole {
        0..60 => format!("{} s", decimals(seconds, i32::from(seconds < 9.95))),
        60..3600 => format!("{} min {:02} s", whole / 60, whole % 60),
        _ => format!("{} h {:02} min", whole / 3600, whole % 3600 / 60),
    }
}

/// A time stamp of RFC 3339 in whole seconds.
pub(crate) fn instant(stamp: &str) -> String {
    match stamp.split_once('.') {
        Some((seconds, fraction)) => {
            let zone = fraction.trim_start_matches(|letter: char| letter.is_ascii_digit());
            format!("{seconds}{zone}")
        }
        None => stamp.to_owned(),
    }
}

/// Bytes with a binary prefix where they are whole ones.
pub(crate) fn bytes(bytes: u64) -> String {
    let prefixes = [(1_u64 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
    match prefixes.iter().find(|(factor, _)| bytes >= *factor && bytes.is_multiple_of(*factor)) {
        Some((factor, symbol)) => format!("{} {symbol}", bytes / factor),
        None => format!("{bytes} bytes"),
    }
}

/// A number of things: `1 boot`, `3 boots`, `2 patches`.
pub(crate) fn counted(count: impl TryInto<u64>, what: &str) -> String {
    let count = count.try_into().unwrap_or(u64::MAX);
    let plural = if what.ends_with("ch") { "es" } else { "s" };
    format!("{count} {what}{}", if count == 1 { "" } else { plural })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn relative(estimate: f64, low: f64, high: f64) -> Effect {
        let interval = Some(Interval { low, high });
        Effect { scale: Scale::Relative, estimate, interval, confidence: 0.9 }
    }

    #[test]
    fn digits_follow_the_width_of_the_interval() {
        assert_eq!(effect(&relative(0.0213, 0.0101, 0.0329), Unit::Count), "+2.1 % [+1.0, +3.3]");
        assert_eq!(effect(&relative(0.02134, 0.02023, 0.02245), Unit::Count), "+2.13 % [+2.02, +2.25]");
        assert_eq!(effect(&relative(-0.31, -0.52, 0.11), Unit::Count), "-31 % [-52, +11]");
        assert_eq!(effect(&relative(-0.0001, -0.011, 0.0101), Unit::Count), "0.0 % [-1.1, +1.0]");
        assert_eq!(effect(&relative(0.0, 0.0, 0.0), Unit::Count), "0.0 % [0.0, 0.0]");
    }

    #[test]
    fn absolute_effects_keep_their_unit() {
        let interval = Some(Interval { low: -1.2, high: 3.4 });
        let effect_of = |unit| {
            effect(&Effect { scale: Scale::Absolute, estimate: 1.1, interval, confidence: 0.95 }, unit)
        };
        assert_eq!(effect_of(Unit::Count), "+1.1 [-1.2, +3.4]");
        assert_eq!(effect_of(Unit::Percent), "+1.1 points [-1.2, +3.4]");
        assert_eq!(effect_of(Unit::Seconds), "+1.1 s [-1.2, +3.4]");
    }

    #[test]
    fn no_interval_is_said() {
        let none = Effect { interval: None, ..relative(0.05, 0.0, 0.0) };
        assert_eq!(effect(&none, Unit::Count), "+5.0 % [no interval]");
        assert_eq!(effect(&Effect { estimate: 2.455, ..none }, Unit::Count), "+246 % [no interval]");
        assert_eq!(effect(&Effect { estimate: 0.0, ..none }, Unit::Count), "0.0 % [no interval]");
    }

    #[test]
    fn values_get_prefixes_and_the_digits_that_their_spread_allows() {
        assert_eq!(value(2.14321e9, Unit::BitsPerSecond, Some(0.004)), "2.143 Gbit/s");
        assert_eq!(value(557.3e6, Unit::BitsPerSecond, Some(0.12)), "557 Mbit/s");
        assert_eq!(value(261.04, Unit::Microseconds, Some(0.03)), "261 us");
        assert_eq!(value(12_345.0, Unit::Microseconds, Some(0.2)), "12.3 ms");
        assert_eq!(value(21_795.0, Unit::Count, None), "21,795");
        assert_eq!(
            (value(0.0, Unit::Count, None), value(3.0, Unit::Count, Some(0.3))),
            ("0".into(), "3".into())
        );
        assert_eq!(value(3.2, Unit::Percent, Some(0.5)), "3.20 %");
    }

    #[test]
    fn small_words() {
        assert_eq!(
            (percent(0.02), percent(0.005), percent(0.9667)),
            ("2 %".into(), "0.5 %".into(), "96.7 %".into())
        );
        assert_eq!(
            (probability(0.0317), probability(1.0), probability(1.53e-5)),
            ("0.032".into(), "1".into(), "1.5e-5".into())
        );
        assert_eq!(
            (duration(3.62), duration(638.0), duration(7290.0)),
            ("3.6 s".into(), "10 min 38 s".into(), "2 h 01 min".into())
        );
        assert_eq!(instant("2026-01-02T03:04:05.123456789Z"), "2026-01-02T03:04:05Z");
        assert_eq!(instant("2026-01-02T03:04:05+01:00"), "2026-01-02T03:04:05+01:00");
        assert_eq!(
            (bytes(131_072), bytes(1448), bytes(67_108_864)),
            ("128 KiB".into(), "1448 bytes".into(), "64 MiB".into())
        );
        assert_eq!(
            (counted(1_u32, "patch"), counted(2_u32, "patch")),
            ("1 patch".into(), "2 patches".into())
        );
    }
}
