//! Canned numbers, moved a little.

use serde_json::Value;

use super::script::Number;

/// Multiplies the numbers that `places` name in `text`.
pub(super) fn scale(text: &str, places: &[Number], by: f64) -> String {
    let mut scaled = text.to_owned();
    for place in places {
        scaled = match place {
            Number::Pointer(pointer) => scale_json(&scaled, pointer, by),
            Number::After(words) => scale_text(&scaled, words, by),
        };
    }
    scaled
}

/// Leaves text alone that is not JSON, or has no number there: output that was cut on purpose stays cut.
fn scale_json(text: &str, pointer: &str, by: f64) -> String {
    let Ok(mut value) = serde_json::from_str::<Value>(text) else { return text.to_owned() };
    match value.pointer_mut(pointer) {
        Some(number) if number.is_number() => {
            *number = number.as_f64().map_or(Value::Null, |value| Value::from(value * by));
            value.to_string()
        }
        _ => text.to_owned(),
    }
}

fn scale_text(text: &str, words: &str, by: f64) -> String {
    let mut scaled = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(found) = rest.find(words) {
        let (before, after) = rest.split_at(found + words.len());
        scaled.push_str(before);
        let begin = after.find(|c: char| c.is_ascii_digit()).unwrap_or(after.len());
        let number = &after[begin..];
        let end = number.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(number.len());
        scaled.push_str(&after[..begin]);
        let digits = &number[..end];
        // More decimals than that say nothing, and formatting takes no more than 65,535.
        let decimals = digits.split_once('.').map_or(0, |(_, decimals)| decimals.len().min(17));
        match digits.parse::<f64>() {
            Ok(value) => scaled.push_str(&format!("{:.decimals$}", value * by)),
            Err(_) => scaled.push_str(digits),
        }
        rest = &number[end..];
    }
    scaled.push_str(rest);
    scaled
}

/// A number in -1..=1 that `seed` and `words` decide: FNV-1a, then the finaliser of SplitMix64.
pub(super) fn drawn(seed: u64, words: &[&[u8]]) -> f64 {
    let mut state = seed ^ 0xcbf2_9ce4_8422_2325;
    for word in words {
        // A word's end counts, so that `ab`, `c` differs from `a`, `bc`.
        for &byte in word.iter().chain([&0xff]) {
            state = (state ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }
    state = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    state = (state ^ (state >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    state ^= state >> 31;
    let unit = (state >> 11) as f64 / (1_u64 << 53) as f64;
    unit.mul_add(2.0, -1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_found_by_pointer_and_by_the_words_before_them() {
        let json = r#"{"end":{"bps":100.0},"start":[1]}"#;
        assert_eq!(
            scale(json, &[Number::Pointer("/end/bps".into())], 0.5),
            r#"{"end":{"bps":50.0},"start":[1]}"#
        );
        let text = "avg-latency=20.50 (x)\navg-latency=2\n---> <MAX> = 9";
        assert_eq!(
            scale(text, &[Number::After("avg-latency=".into())], 2.0),
            "avg-latency=41.00 (x)\navg-latency=4\n---> <MAX> = 9"
        );
    }

    #[test]
    fn cut_output_stays_as_it_is() {
        assert_eq!(scale(r#"{"end": {"bp"#, &[Number::Pointer("/end/bps".into())], 2.0), r#"{"end": {"bp"#);
        assert_eq!(scale("latency=", &[Number::After("latency=".into())], 2.0), "latency=");
    }

    #[test]
    fn draws_are_repeatable_differ_by_trial_and_fill_the_range() {
        assert_eq!(drawn(1, &[b"a", b"0"]), drawn(1, &[b"a", b"0"]));
        assert_ne!(drawn(1, &[b"ab", b"c"]), drawn(1, &[b"a", b"bc"]));
        let draws: Vec<f64> = (0..1000).map(|trial: u32| drawn(1, &[b"a", &trial.to_le_bytes()])).collect();
        assert!(draws.iter().all(|draw| (-1.0..=1.0).contains(draw)));
        let mean = draws.iter().sum::<f64>() / 1000.0;
        assert!(mean.abs() < 0.1, "{mean}");
        assert!(draws.iter().any(|draw| *draw < -0.9) && draws.iter().any(|draw| *draw > 0.9));
    }
}
