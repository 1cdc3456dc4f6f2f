//! Rates, times and bytes as people write them.

/// The number and its suffix, both non-empty only if the text begins with a digit.
fn parts(text: &str) -> Option<(f64, &str)> {
    let end = text.find(|c: char| !(c.is_ascii_digit() || c == '.')).unwrap_or(text.len());
    let (number, suffix) = text.split_at(end);
    let number: f64 = number.parse().ok()?;
    (number.is_finite() && number > 0.0).then_some((number, suffix.trim()))
}

/// A whole number from a product, within `1..=most`.
fn whole(number: f64, factor: f64, most: u64) -> Option<u64> {
    let value = (number * factor).round();
    // Exact below 2^53, and no limit here is above that.
    #[expect(clippy::cast_precision_loss, reason = "limits are far below 2^53")]
    let fits = (1.0..=most as f64).contains(&value);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "checked to be within 1 and most"
    )]
    fits.then_some(value as u64)
}

/// Bits in a second: `200G`, `94.5M`, `2.5Gbit/s`; powers of 1000, up to 10 Tbit/s.
///
/// # Errors
///
/// What is expected, if it is something else.
pub fn rate_of(text: &str) -> Result<u64, String> {
    let read = || {
        let (number, suffix) = parts(text)?;
        let suffix = suffix.strip_suffix("bit/s").unwrap_or(suffix);
        let factor = match suffix {
            "" => 1.0,
            "K" | "k" => 1e3,
            "M" => 1e6,
            "G" => 1e9,
            "T" => 1e12,
            _ => return None,
        };
        whole(number, factor, 10_000_000_000_000)
    };
    read().ok_or_else(|| {
        format!(
            "`{text}` is no rate: bits in a second up to 10T, such as 200G, 2.5G or 94.5M (powers of 1000)"
        )
    })
}

/// Nanoseconds: `0.1ms`, `100us`, `2s`; up to 10 s.
///
/// # Errors
///
/// What is expected, if it is something else.
pub fn duration_of(text: &str) -> Result<u64, String> {
    let read = || {
        let (number, suffix) = parts(text)?;
        let factor = match suffix {
            "ns" => 1.0,
            "us" | "µs" => 1e3,
            "ms" => 1e6,
            "s" => 1e9,
            _ => return None,
        };
        whole(number, factor, 10_000_000_000)
    };
    read().ok_or_else(|| format!("`{text}` is no time up to 10s, such as 0.1ms, 100us or 2s"))
}

/// Bytes: `64M`, `4096`; powers of 1024, up to 1 TiB.
///
/// # Errors
///
/// What is expected, if it is something else.
pub fn bytes_of(text: &str) -> Result<u64, String> {
    let read = || {
        let (number, suffix) = parts(text)?;
        let factor = match suffix {
            "" => 1.0,
            "K" => 1024.0,
            "M" => 1_048_576.0,
            "G" => 1_073_741_824.0,
            _ => return None,
        };
        whole(number, factor, 1 << 40)
    };
    read().ok_or_else(|| format!("`{text}` is no size, such as 64M or 4096 (K, M and G are powers of 1024)"))
}

/// With the largest unit that leaves a digit before the point, and three digits at most.
fn scaled(value: u64, units: &[(u64, &str)]) -> String {
    let (factor, symbol) =
        units.iter().find(|(factor, _)| value >= *factor).or(units.last()).copied().unwrap_or((1, ""));
    let thousandths = u128::from(value) * 1000 / u128::from(factor);
    let (whole, rest) = (thousandths / 1000, thousandths % 1000);
    let digits = match whole {
        0..10 => format!("{rest:03}")[..2].to_owned(),
        10..100 => format!("{rest:03}")[..1].to_owned(),
        _ => String::new(),
    };
    let digits = digits.trim_end_matches('0');
    let point = if digits.is_empty() { "" } else { "." };
    format!("{whole}{point}{digits} {symbol}")
}

/// `200 Gbit/s`.
#[must_use]
pub fn rate(bps: u64) -> String {
    scaled(
        bps,
        &[
            (1_000_000_000_000, "Tbit/s"),
            (1_000_000_000, "Gbit/s"),
            (1_000_000, "Mbit/s"),
            (1000, "kbit/s"),
            (1, "bit/s"),
        ],
    )
}

/// `100 us`.
#[must_use]
pub fn duration(ns: u64) -> String {
    scaled(ns, &[(1_000_000_000, "s"), (1_000_000, "ms"), (1000, "us"), (1, "ns")])
}

/// `64 MiB` where it is a whole number of them, else `2.5 MB`.
#[must_use]
pub fn bytes(bytes: u64) -> String {
    let binary = [(1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
    match binary.iter().find(|(factor, _)| bytes >= *factor && bytes.is_multiple_of(*factor)) {
        Some((factor, symbol)) => format!("{} {symbol}", bytes / factor),
        None => scaled(bytes, &[(1_000_000_000, "GB"), (1_000_000, "MB"), (1000, "kB"), (1, "B")]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_people_write() {
        assert_eq!(rate_of("200G"), Ok(200_000_000_000));
        assert_eq!(rate_of("2.5Gbit/s"), Ok(2_500_000_000));
        assert_eq!(rate_of("94.5M"), Ok(94_500_000));
        assert_eq!(duration_of("0.1ms"), Ok(100_000));
        assert_eq!(duration_of("100us"), Ok(100_000));
        assert_eq!(bytes_of("64M"), Ok(64 << 20));
        assert_eq!(bytes_of("4096"), Ok(4096));
    }

    #[test]
    fn refuses_the_rest_in_words() {
        for wrong in ["", "G", "-1G", "0", "1e9", "200Gb", "nanG", "infG", "11T", "0.1", "1.2.3G"] {
            assert!(rate_of(wrong).is_err(), "{wrong}");
        }
        for wrong in ["", "1", "0ms", "11s", "1 m", "0.1ns"] {
            assert!(duration_of(wrong).is_err(), "{wrong}");
        }
        for wrong in ["", "0", "4KiB", "-1", "2T"] {
            assert!(bytes_of(wrong).is_err(), "{wrong}");
        }
        assert!(rate_of("fast").is_err_and(|text| text.contains("such as 200G")));
    }

    #[test]
    fn writes_what_people_read() {
        assert_eq!(rate(200_000_000_000), "200 Gbit/s");
        assert_eq!(rate(2_500_000_000), "2.5 Gbit/s");
        assert_eq!(duration(100_000), "100 us");
        assert_eq!(duration(671_088), "671 us");
        assert_eq!(bytes(2_500_000), "2.5 MB");
        assert_eq!(bytes(64 << 20), "64 MiB");
        assert_eq!(bytes(655_360), "640 KiB");
        assert_eq!(bytes(7), "7 B");
        assert_eq!(bytes(1_050_000), "1.05 MB");
        assert_eq!(duration(0), "0 ns");
    }
}
