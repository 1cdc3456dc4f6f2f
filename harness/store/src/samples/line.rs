//! One line to one entry of a table.
//!
//! Lines that Assay wrote repeat all but their value: the trial within a trial, names and dimensions from trial to trial.
//! A line is parsed as JSON when something in it is new, and if it is laid out as [`super::append`] lays it out, its parts
//! are remembered. A later line that consists of remembered parts around a JSON number means what they meant.

use std::collections::HashMap;

use measure::{Entry, SampleKind, SampleTable};

use super::Line;

/// What stands before the metric's name, at the end of the part that names the trial.
const BEFORE_METRIC: &[u8] = br#""sample":{"metric":""#;
/// What stands between the metric's name and the value.
const BEFORE_VALUE: &[u8] = br#"","value":"#;

/// The parts of a line in our layout.
struct Parts<'a> {
    /// `{"trial":0,"arm":"baseline","block":0,"traced":false,"sample":{"metric":"`.
    head: &'a [u8],
    metric: &'a [u8],
    value: &'a [u8],
    /// `,"dims":{...},"provenance":"iperf3"}}`.
    tail: &'a [u8],
}

/// Splits what follows a head. A quote within a JSON string has a backslash before it, so the first one that has none
/// ends the name; whether one has, the caller finds out by comparing with a name that it knows.
fn after_head(rest: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let (metric, rest) = rest.split_at(memchr::memchr(b'"', rest)?);
    let rest = rest.strip_prefix(BEFORE_VALUE)?;
    let (value, tail) = rest.split_at(memchr::memchr(b',', rest)?);
    Some((metric, value, tail))
}

fn parts(line: &[u8]) -> Option<Parts<'_>> {
    let (head, rest) = line.split_at(memchr::memmem::find(line, BEFORE_METRIC)? + BEFORE_METRIC.len());
    let (metric, value, tail) = after_head(rest)?;
    Some(Parts { head, metric, value, tail })
}

/// Reads lines into a table.
pub(super) struct Reader<'a> {
    counts: &'a (dyn Fn(u32) -> bool + Sync),
    table: SampleTable,
    /// The head of the last line that was parsed, and its trial if that counts.
    head: Vec<u8>,
    trial: Option<u32>,
    /// By tail, the metrics that were seen with it and the kinds that both make.
    kinds: HashMap<Vec<u8>, Vec<(Vec<u8>, u32)>>,
}

impl<'a> Reader<'a> {
    /// A reader that passes over the samples of trials that do not count.
    pub(super) fn new(counts: &'a (dyn Fn(u32) -> bool + Sync)) -> Self {
        Self { counts, table: SampleTable::default(), head: Vec::new(), trial: None, kinds: HashMap::new() }
    }

    pub(super) fn into_table(self) -> SampleTable {
        self.table
    }

    /// Takes a line, without its newline.
    pub(super) fn line(&mut self, line: &[u8]) -> Result<(), serde_json::Error> {
        if let Some((kind, value)) = self.known(line) {
            if let Some(trial) = self.trial {
                self.table.push(Entry { trial, kind, value });
            }
            return Ok(());
        }
        let parsed: Line = serde_json::from_slice(line)?;
        let trial = Some(parsed.trial).filter(|trial| (self.counts)(*trial));
        // A kind of a trial that does not count is interned as well: nothing refers to it.
        let kind = self.table.intern(SampleKind::of(&parsed.sample));
        if let Some(trial) = trial {
            self.table.push(Entry { trial, kind, value: parsed.sample.value });
        }
        self.learn(line, &parsed, trial, kind);
        Ok(())
    }

    fn known(&self, line: &[u8]) -> Option<(u32, f64)> {
        if self.head.is_empty() {
            return None;
        }
        let (metric, value, tail) = after_head(line.strip_prefix(self.head.as_slice())?)?;
        let (_, kind) = self.kinds.get(tail)?.iter().find(|(known, _)| known == metric)?;
        Some((*kind, number(value)?))
    }

    /// Remembers the parts of a line that is laid out as ours are.
    fn learn(&mut self, line: &[u8], parsed: &Line, trial: Option<u32>, kind: u32) {
        let written = serde_json::to_vec(parsed).expect("a sample serialises into memory");
        let (Some(read), Some(ours)) = (parts(line), parts(&written)) else { return };
        if (read.head, read.metric, read.tail) != (ours.head, ours.metric, ours.tail)
            || number(read.value).is_none()
        {
            return;
        }
        self.head = read.head.to_vec();
        self.trial = trial;
        let of_tail = self.kinds.entry(read.tail.to_vec()).or_default();
        if !of_tail.iter().any(|(known, _)| known == read.metric) {
            of_tail.push((read.metric.to_vec(), kind));
        }
    }
}

/// A finite JSON number (RFC 8259, section 6), which Rust parses to the nearest float as serde_json does; nothing if the
/// text is anything else.
fn number(text: &[u8]) -> Option<f64> {
    let digits = |text: &[u8]| text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let rest = text.strip_prefix(b"-").unwrap_or(text);
    let whole = digits(rest);
    if whole == 0 || (whole > 1 && rest[0] == b'0') {
        return None;
    }
    let mut rest = &rest[whole..];
    if let Some(fraction) = rest.strip_prefix(b".") {
        let length = digits(fraction);
        if length == 0 {
            return None;
        }
        rest = &fraction[length..];
    }
    if let [b'e' | b'E', exponent @ ..] = rest {
        let exponent = exponent.strip_prefix(b"+").or(exponent.strip_prefix(b"-")).unwrap_or(exponent);
        let length = digits(exponent);
        if length == 0 {
            return None;
        }
        rest = &exponent[length..];
    }
    let text = std::str::from_utf8(text).ok().filter(|_| rest.is_empty())?;
    text.parse().ok().filter(|value: &f64| value.is_finite())
}

#[cfg(test)]
mod tests {
    use measure::{Dims, Provenance, Sample};
    use proptest::prelude::*;

    use super::*;

    /// What every line means, parsed each by itself.
    fn plainly(lines: &[Vec<u8>]) -> Result<SampleTable, String> {
        let mut table = SampleTable::default();
        for line in lines {
            let line: Line = serde_json::from_slice(line).map_err(|error| error.to_string())?;
            if line.trial % 3 != 2 {
                let kind = table.intern(SampleKind::of(&line.sample));
                table.push(Entry { trial: line.trial, kind, value: line.sample.value });
            }
        }
        Ok(table)
    }

    fn quickly(lines: &[Vec<u8>]) -> Result<SampleTable, String> {
        let counts = |trial| trial % 3 != 2;
        let mut reader = Reader::new(&counts);
        for line in lines {
            reader.line(line).map_err(|error| error.to_string())?;
        }
        Ok(reader.into_table())
    }

    fn name() -> impl Strategy<Value = String> {
        // Few names, so that lines repeat, and some that need escapes or look like our layout.
        prop::sample::select(vec![
            "a",
            "cpu-app",
            "\\",
            "\"",
            "\",\"value\":1,",
            "\"sample\":{\"metric\":\"",
            "ü\n",
            "",
        ])
        .prop_map(Into::into)
    }

    fn line() -> impl Strategy<Value = Line> {
        let dims = prop::collection::btree_map(name(), name(), 0..3);
        let value = prop_oneof![any::<f64>().prop_filter("finite", |v| v.is_finite()), Just(0.0), Just(-0.0)];
        let provenance = prop::sample::select(vec![Provenance::Iperf3, Provenance::Fake]);
        let sample = (name(), value, dims, provenance).prop_map(|(metric, value, dims, provenance)| Sample {
            metric,
            value,
            dims: Dims::from_iter(dims),
            provenance,
        });
        (0..4_u32, name(), 0..2_u32, any::<bool>(), sample)
            .prop_map(|(trial, arm, block, traced, sample)| Line { trial, arm, block, traced, sample })
    }

    /// A line as we write it, or with one byte of it changed, or its keys in another order, or spaces between them.
    fn text() -> impl Strategy<Value = Vec<u8>> {
        let ours = || line().prop_map(|line| serde_json::to_vec(&line).unwrap());
        let other = || line().prop_map(|line| serde_json::to_value(&line).unwrap());
        prop_oneof![
            8 => ours(),
            1 => (ours(), any::<prop::sample::Index>(), any::<u8>()).prop_map(|(mut line, at, byte)| {
                let at = at.index(line.len());
                line[at] = byte;
                line
            }),
            1 => other().prop_map(|line| serde_json::to_vec_pretty(&line).unwrap()),
            1 => other().prop_map(|line| serde_json::to_vec(&line).unwrap()),
        ]
    }

    proptest! {
        #[test]
        fn remembered_parts_mean_what_json_says(lines in prop::collection::vec(text(), 0..60)) {
            prop_assert_eq!(quickly(&lines), plainly(&lines));
        }

        #[test]
        fn every_number_is_the_one_that_json_has(text in "-?[0-9.eE+-]{0,12}|[0-9]{15,25}(\\.[0-9]{1,25})?(e-?[0-9]{1,3})?") {
            // What is not taken here is parsed as JSON, so only a number that differs would be wrong.
            if let Some(value) = number(text.as_bytes()) {
                let json: f64 = serde_json::from_str(&text).unwrap();
                prop_assert_eq!(value.to_bits(), json.to_bits());
            }
        }
    }

    #[test]
    fn numbers_in_our_layout_are_taken_without_a_parse() {
        for text in
            ["0", "-0.0", "3.344537315", "369021673.28451425", "1e-7", "5e-324", "1.7976931348623157e308"]
        {
            assert_eq!(number(text.as_bytes()), Some(text.parse().unwrap()), "{text}");
        }
        for text in ["", "-", "01", "1.", ".5", "+1", "1e", "1e999", "NaN", "inf", "1 ", "0x1", "null"] {
            assert_eq!(number(text.as_bytes()), None, "{text}");
        }
    }
}
