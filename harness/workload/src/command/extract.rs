//! Values of one metric in what one run wrote.

use std::borrow::Cow;

use plan::{CommandMetric, Find, OutputOf, VALUE, Which, value_regex};
use serde_json::Value;

use super::Ran;

/// Most values of a metric that is taken one by one.
const MAX_EACH: usize = 1000;

/// The values that a metric has in one run: several only if it takes each of them; or why it has none.
///
/// # Errors
/// In words for people.
pub fn extract(metric: &CommandMetric, ran: &Ran) -> Result<Vec<f64>, String> {
    let (place, bytes) = match &metric.from {
        OutputOf::Stdout => ("standard output".to_owned(), &ran.stdout),
        OutputOf::Stderr => ("standard error".to_owned(), &ran.stderr),
        OutputOf::File(path) => match ran.files.get(path) {
            Some(Ok(bytes)) => (path.clone(), bytes),
            Some(Err(why)) => return Err(format!("{path} cannot be read: {why}")),
            None => return Err(format!("{path} was not read")),
        },
    };
    let text = String::from_utf8_lossy(bytes);
    let found = match &metric.find {
        Find::Regex(pattern) => by_regex(pattern, &text),
        Find::Json(pointer) => by_pointer(pointer, &text),
    };
    let values: Vec<f64> = found
        .map_err(|why| format!("{why} in {place}"))?
        .into_iter()
        .map(|value| value * metric.scale)
        .collect();
    if let Some(odd) = values.iter().find(|value| !value.is_finite()) {
        return Err(format!("{odd} in {place} is no finite number"));
    }
    chosen(metric.which, values).map_err(|why| format!("{why} in {place}"))
}

/// At least one value.
fn chosen(which: Which, values: Vec<f64>) -> Result<Vec<f64>, String> {
    let sum = || values.iter().sum::<f64>();
    #[expect(clippy::cast_precision_loss, reason = "a number of lines")]
    let count = values.len() as f64;
    let one = match which {
        Which::First => values.first().copied(),
        Which::Last => values.last().copied(),
        Which::Min => values.iter().copied().reduce(f64::min),
        Which::Max => values.iter().copied().reduce(f64::max),
        Which::Mean => (!values.is_empty()).then(|| sum() / count),
        Which::Sum => (!values.is_empty()).then(sum),
        Which::Each if values.len() > MAX_EACH => {
            return Err(format!("{count} values, and at most {MAX_EACH} are taken one by one"));
        }
        Which::Each => return if values.is_empty() { Err("no value".to_owned()) } else { Ok(values) },
    };
    one.map(|value| vec![value]).ok_or_else(|| "no value".to_owned())
}

fn by_regex(pattern: &str, text: &str) -> Result<Vec<f64>, String> {
    let regex = value_regex(pattern).map_err(|why| format!("`{pattern}` {why}: nothing is found"))?;
    let mut values = Vec::new();
    for captures in regex.captures_iter(text) {
        // The group may be in the branch of an alternative that did not match.
        let Some(group) = captures.name(VALUE).or_else(|| captures.get(1)) else { continue };
        values.push(number(group.as_str())?);
    }
    if values.is_empty() { Err(format!("`{pattern}` matches nothing")) } else { Ok(values) }
}

/// A number as programs write it: `1234.5`, `1.2e9`, `1,234,567`.
fn number(text: &str) -> Result<f64, String> {
    let text = text.trim();
    let grouped = text.split(',').skip(1).all(|group| {
        group.len() >= 3
            && group.chars().take(3).all(|c| c.is_ascii_digit())
            && !group.contains(char::is_alphabetic)
    });
    let plain =
        if text.contains(',') && grouped { Cow::Owned(text.replace(',', "")) } else { Cow::Borrowed(text) };
    plain.parse::<f64>().map_err(|_: std::num::ParseFloatError| format!("`{}` is no number", shown(text)))
}

fn by_pointer(pointer: &str, text: &str) -> Result<Vec<f64>, String> {
    let json: Value =
        serde_json::from_str(text).map_err(|error| format!("there is no JSON document ({error})"))?;
    let found = json.pointer(pointer).ok_or_else(|| format!("nothing is at {pointer}"))?;
    let value = |value: &Value| match value {
        Value::Number(number) => number.as_f64().ok_or_else(|| format!("{number} is too large")),
        // Some programs quote their numbers.
        Value::String(text) => number(text),
        other => Err(format!("`{}` at {pointer} is no number", shown(&other.to_string()))),
    };
    match found {
        Value::Array(items) => items.iter().map(value).collect(),
        single => Ok(vec![value(single)?]),
    }
}

/// The beginning of what a guest wrote.
fn shown(text: &str) -> String {
    text.chars().take(40).collect()
}
