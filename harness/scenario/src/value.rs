//! Scalars of the kinds that the schema knows, with their units.

use std::{borrow::Cow, cmp::Reverse};

use crate::{
    schema::{Kind, one_of},
    tree::{Node, Value},
};

const SIZE_UNITS: &[(char, u64)] = &[('K', 1 << 10), ('M', 1 << 20), ('G', 1 << 30), ('T', 1 << 40)];
const DELAY_UNITS: &[(&str, u64)] = &[("ns", 1), ("us", 1_000), ("ms", 1_000_000), ("s", 1_000_000_000)];
const RATE_UNITS: &[(char, u64)] = &[('K', 1_000), ('M', 1_000_000), ('G', 1_000_000_000)];
const DURATION_UNITS: &[(&str, u64)] = &[("s", 1), ("m", 60), ("h", 3600)];

impl Kind {
    /// What is allowed, for messages and the reference.
    pub(crate) fn allowed(&self) -> Cow<'static, str> {
        Cow::Owned(match self {
            Self::Integer { min, max: u64::MAX } => format!("a whole number from {min}"),
            Self::Integer { min, max } => format!("a whole number from {min} to {max}"),
            Self::Size { min, max } => {
                format!("a size from {} to {}; K, M, G and T are powers of 1024", size(*min), size(*max))
            }
            Self::Duration { min, max } => {
                format!("whole seconds from {min}s to {}, such as 90s, 2m or 1h", duration(*max))
            }
            Self::Delay { min, max } => {
                format!("a time from {} to {}, such as 500ns, 20us or 1ms", delay(*min), delay(*max))
            }
            Self::Rate { min, max } => {
                format!(
                    "bits in a second from {} to {}; K, M and G are powers of 1000",
                    rate(*min),
                    rate(*max)
                )
            }
            Self::Percent { max } => format!("a percentage above 0% and up to {max}%, such as 5%"),
            Self::Fraction { max } => format!("a number above 0 and up to {max}"),
            Self::Flag => "true or false".to_owned(),
            Self::Choice(words) => one_of(words),
            Self::Text(syntax) => return Cow::Borrowed(syntax.what),
            Self::Shape(shape) => return Cow::Borrowed(shape),
        })
    }

    /// A number of a kind `Integer`.
    pub(crate) fn integer(&self, node: &Node) -> Result<u64, String> {
        let text = unquoted(node, "a number")?;
        let value = digits(text).ok_or_else(|| format!("`{text}` is not a whole number"))?;
        match self {
            Self::Integer { min, max } => within(value, *min, *max, text),
            _ => Err(self.mismatch()),
        }
    }

    /// Bytes of a kind `Size`.
    pub(crate) fn bytes(&self, node: &Node) -> Result<u64, String> {
        let text = unquoted(node, "a size")?;
        let unit = SIZE_UNITS.iter().find(|(letter, _)| text.ends_with(*letter));
        let (number, factor) = unit.map_or((text, 1), |(_, factor)| (&text[..text.len() - 1], *factor));
        let value = digits(number)
            .and_then(|number| number.checked_mul(factor))
            .ok_or_else(|| format!("`{text}` is not a size"))?;
        match self {
            Self::Size { min, max } => within(value, *min, *max, text),
            _ => Err(self.mismatch()),
        }
    }

    /// Seconds of a kind `Duration`.
    pub(crate) fn seconds(&self, node: &Node) -> Result<u64, String> {
        let text = unquoted(node, "a duration")?;
        if digits(text).is_some() {
            return Err(format!("`{text}` has no unit"));
        }
        let value = DURATION_UNITS
            .iter()
            .find_map(|(unit, factor)| digits(text.strip_suffix(unit)?)?.checked_mul(*factor))
            .ok_or_else(|| format!("`{text}` is not a duration in whole seconds"))?;
        match self {
            Self::Duration { min, max } => within(value, *min, *max, text),
            _ => Err(self.mismatch()),
        }
    }

    /// Nanoseconds of a kind `Delay`.
    pub(crate) fn nanoseconds(&self, node: &Node) -> Result<u64, String> {
        let text = unquoted(node, "a time")?;
        if digits(text).is_some() {
            return Err(format!("`{text}` has no unit"));
        }
        let value = DELAY_UNITS
            .iter()
            .find_map(|(unit, factor)| digits(text.strip_suffix(unit)?)?.checked_mul(*factor))
            .ok_or_else(|| format!("`{text}` is not a time in whole ns, us, ms or s"))?;
        match self {
            Self::Delay { min, max } => within(value, *min, *max, text),
            _ => Err(self.mismatch()),
        }
    }

    /// Bits in a second of a kind `Rate`.
    pub(crate) fn rate(&self, node: &Node) -> Result<u64, String> {
        let text = unquoted(node, "a rate")?;
        let unit = RATE_UNITS.iter().find(|(letter, _)| text.ends_with(*letter));
        let value = unit
            .and_then(|(_, factor)| digits(&text[..text.len() - 1])?.checked_mul(*factor))
            .ok_or_else(|| format!("`{text}` is not a rate with its unit, such as 100M or 10G"))?;
        match self {
            Self::Rate { min, max } => within(value, *min, *max, text),
            _ => Err(self.mismatch()),
        }
    }

    /// The fraction that a percentage of a kind `Percent` stands for.
    pub(crate) fn percent(&self, node: &Node) -> Result<f64, String> {
        let text = unquoted(node, "a percentage")?;
        let Some(number) = text.strip_suffix('%') else {
            return Err(format!("`{text}` has no per-cent sign"));
        };
        let value = decimal(number).ok_or_else(|| format!("`{text}` is not a percentage"))?;
        match self {
            Self::Percent { max } if value > 0.0 && value <= *max => Ok(value / 100.0),
            Self::Percent { .. } => Err(format!("`{text}` is out of range")),
            _ => Err(self.mismatch()),
        }
    }

    /// A number of a kind `Fraction`.
    pub(crate) fn fraction(&self, node: &Node) -> Result<f64, String> {
        let text = unquoted(node, "a number")?;
        let value = scientific(text).ok_or_else(|| format!("`{text}` is not a number"))?;
        match self {
            Self::Fraction { max } if value > 0.0 && value <= *max => Ok(value),
            Self::Fraction { .. } => Err(format!("`{text}` is out of range")),
            _ => Err(self.mismatch()),
        }
    }

    /// `true` or `false`.
    pub(crate) fn flag(&self, node: &Node) -> Result<bool, String> {
        match unquoted(node, "true or false")? {
            "true" => Ok(true),
            "false" => Ok(false),
            text => Err(format!("`{text}` is neither true nor false")),
        }
    }

    /// One of the words of a kind `Choice`.
    pub(crate) fn word<'n>(&self, node: &'n Node) -> Result<&'n str, String> {
        let text = scalar(node, "a word")?;
        match self {
            Self::Choice(words) if words.contains(&text) => Ok(text),
            Self::Choice(words) => {
                Err(format!("`{}` is not known{}", printable(text), suggestion(text, words)))
            }
            _ => Err(self.mismatch()),
        }
    }

    /// A text of a kind `Text`.
    pub(crate) fn text<'n>(&self, node: &'n Node) -> Result<&'n str, String> {
        let text = scalar(node, "a text")?;
        match self {
            Self::Text(syntax) if (syntax.holds)(text) => Ok(text),
            Self::Text(_) => Err(format!("`{}` does not have the right form", printable(text))),
            _ => Err(self.mismatch()),
        }
    }

    /// For a key that is read as another kind than the table gives it; a test of the table rules it out.
    fn mismatch(&self) -> String {
        format!("is read as another type than its own, {self:?}: a defect of Assay")
    }
}

/// `; did you mean ...?` if one of the words is near, else nothing.
#[must_use]
pub fn suggestion(text: &str, words: &[&str]) -> String {
    if text.len() > 64 {
        return String::new();
    }
    let common_start =
        |word: &str| word.bytes().zip(text.bytes()).take_while(|(one, other)| one == other).count();
    words
        .iter()
        .map(|word| (strsim::damerau_levenshtein(text, word), Reverse(common_start(word)), *word))
        .min()
        .filter(|(distance, _, word)| *distance <= 1 + word.len() / 4)
        .map_or_else(String::new, |(_, _, word)| format!("; did you mean `{word}`?"))
}

/// A text of the user's for a message: short, on one line.
pub(crate) fn printable(text: &str) -> String {
    let mut short: String = text.chars().take(60).map(|c| if c.is_control() { ' ' } else { c }).collect();
    if text.chars().nth(60).is_some() {
        short.push_str("...");
    }
    short
}

fn scalar<'n>(node: &'n Node, wanted: &str) -> Result<&'n str, String> {
    node.text().ok_or_else(|| format!("{} where {wanted} belongs", node.describe()))
}

fn unquoted<'n>(node: &'n Node, wanted: &str) -> Result<&'n str, String> {
    match &node.value {
        Value::Scalar { text, quoted: true } => {
            Err(format!("the quoted text \"{}\" where {wanted} belongs", printable(text)))
        }
        Value::Scalar { text, quoted: false } if text.len() > 60 => {
            Err(format!("`{}` where {wanted} belongs", printable(text)))
        }
        _ => scalar(node, wanted),
    }
}

/// A number of decimal digits only: Rust's own parser would take `+1`.
fn digits(text: &str) -> Option<u64> {
    text.chars().all(|c| c.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

/// A number without sign that may have an exponent, such as `1e6` and `2.5e-3`.
fn scientific(text: &str) -> Option<f64> {
    let Some((number, exponent)) = text.split_once(['e', 'E']) else { return decimal(text) };
    let power = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
    (!power.is_empty() && decimal(number).is_some() && digits(power).is_some())
        .then(|| text.parse().ok())
        .flatten()
        .filter(|value: &f64| value.is_finite())
}

/// A decimal number without exponent or sign.
fn decimal(text: &str) -> Option<f64> {
    text.chars().all(|c| c.is_ascii_digit() || c == '.').then(|| text.parse().ok()).flatten()
}

fn within(value: u64, min: u64, max: u64, text: &str) -> Result<u64, String> {
    if (min..=max).contains(&value) { Ok(value) } else { Err(format!("`{text}` is out of range")) }
}

/// `512M`, with the largest unit that divides it.
pub(crate) fn size(bytes: u64) -> String {
    SIZE_UNITS
        .iter()
        .rev()
        .find(|(_, factor)| bytes > 0 && bytes.is_multiple_of(*factor))
        .map_or_else(|| bytes.to_string(), |(unit, factor)| format!("{}{unit}", bytes / factor))
}

/// `90s`, with the largest unit that divides it.
pub(crate) fn duration(seconds: u64) -> String {
    DURATION_UNITS
        .iter()
        .rev()
        .find(|(_, factor)| seconds > 0 && seconds.is_multiple_of(*factor))
        .map_or_else(|| "0s".to_owned(), |(unit, factor)| format!("{}{unit}", seconds / factor))
}

/// `20us`, with the largest unit that divides it.
fn delay(nanoseconds: u64) -> String {
    let fits = |(_, factor): &&(&str, u64)| nanoseconds > 0 && nanoseconds.is_multiple_of(*factor);
    let unit = DELAY_UNITS.iter().rev().find(fits);
    unit.map_or_else(|| "0ns".to_owned(), |(unit, factor)| format!("{}{unit}", nanoseconds / factor))
}

/// `10G`, with the largest unit that divides it.
fn rate(bits: u64) -> String {
    let unit = RATE_UNITS.iter().rev().find(|(_, factor)| bits > 0 && bits.is_multiple_of(*factor));
    unit.map_or_else(|| bits.to_string(), |(unit, factor)| format!("{}{unit}", bits / factor))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::problem::Place;

    fn node(text: &str) -> Node {
        let value = Value::Scalar { text: text.to_owned(), quoted: false };
        Node { place: Place::file("x".as_ref(), Some(1)), value }
    }

    #[test]
    fn numbers_may_have_an_exponent() {
        let kind = Kind::Fraction { max: 1e15 };
        assert_eq!(kind.fraction(&node("1e6")), Ok(1e6));
        assert_eq!(kind.fraction(&node("2.5E-3")), Ok(0.0025));
        assert_eq!(kind.fraction(&node("0.5")), Ok(0.5));
        for none in ["e6", "1e", "1e+", "+1e6", "1e6e6", "1e1.5", "inf", "nan", "1e999"] {
            assert!(kind.fraction(&node(none)).is_err(), "{none}");
        }
    }

    #[test]
    fn sizes_have_binary_units_and_do_not_overflow() {
        let kind = Kind::Size { min: 1, max: u64::MAX };
        assert_eq!(kind.bytes(&node("64")), Ok(64));
        assert_eq!(kind.bytes(&node("128K")), Ok(128 * 1024));
        assert_eq!(kind.bytes(&node("2T")), Ok(2 << 40));
        for bad in ["", "K", "1k", "1.5G", "-1", "+1", "1 M", "99999999999T", "18446744073709551616"] {
            assert!(kind.bytes(&node(bad)).is_err(), "{bad:?}");
        }
        assert_eq!(size(512 << 20), "512M");
        assert_eq!(size(65507), "65507");
    }

    #[test]
    fn durations_need_a_unit_and_are_whole() {
        let kind = Kind::Duration { min: 0, max: 7200 };
        assert_eq!(kind.seconds(&node("90s")), Ok(90));
        assert_eq!(kind.seconds(&node("2m")), Ok(120));
        assert_eq!(kind.seconds(&node("1h")), Ok(3600));
        for bad in ["90", "500ms", "1.5s", "s", "-1s", "3h"] {
            assert!(kind.seconds(&node(bad)).is_err(), "{bad:?}");
        }
        assert_eq!([duration(0), duration(90), duration(120), duration(3600)], ["0s", "90s", "2m", "1h"]);
    }

    #[test]
    fn delays_and_rates_carry_their_units() {
        let kind = Kind::Delay { min: 1, max: 1_000_000_000 };
        assert_eq!(kind.nanoseconds(&node("20us")), Ok(20_000));
        assert_eq!(kind.nanoseconds(&node("1s")), Ok(1_000_000_000));
        for bad in ["20", "us", "1.5ms", "2s", "-1us", "1m"] {
            assert!(kind.nanoseconds(&node(bad)).is_err(), "{bad:?}");
        }
        let kind = Kind::Rate { min: 1_000, max: 1_000_000_000_000 };
        assert_eq!(kind.rate(&node("10G")), Ok(10_000_000_000));
        for bad in ["10", "G", "1.5G", "10g", "10T", "-1G", "2000G"] {
            assert!(kind.rate(&node(bad)).is_err(), "{bad:?}");
        }
        assert_eq!(
            (delay(20_000), delay(1_000_000), rate(100_000_000)),
            ("20us".into(), "1ms".into(), "100M".into())
        );
    }

    #[test]
    fn percentages_need_their_sign() {
        let kind = Kind::Percent { max: 50.0 };
        assert_eq!(kind.percent(&node("5%")), Ok(0.05));
        assert_eq!(kind.percent(&node("0.5%")), Ok(0.005));
        for bad in ["5", "0.05", "0%", "51%", "-1%", "nan%", "inf%", "%", "1e1%"] {
            assert!(kind.percent(&node(bad)).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn only_near_words_are_suggested() {
        let words = ["vcpus", "memory", "topology"];
        assert_eq!(suggestion("vcpu", &words), "; did you mean `vcpus`?");
        assert_eq!(suggestion("vcpu", &["cpu", "vcpus"]), "; did you mean `vcpus`?");
        assert_eq!(suggestion("topolgy", &words), "; did you mean `topology`?");
        assert_eq!(suggestion("bananas", &words), "");
    }
}
