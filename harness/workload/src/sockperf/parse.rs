//! From the client's text to samples.

use measure::{Provenance, Traffic, metric};
use plan::{Sockperf, Transport};

use crate::{Findings, ParseError, findings::Collected};

const TOOL: &str = "sockperf (client)";

/// How far sockperf's clock may be off. It is calibrated against the kernel's in the first 100 ms of the process: a
/// host that takes the processor away at the wrong moment falsifies every latency of the run by the same factor.
const CLOCK_TOLERANCE: f64 = 0.01;

/// The percentiles' names in sockperf's output and in the dimension `percentile`, in the order of the output.
const PERCENTILES: [(&str, &str); 10] = [
    ("---> <MAX> observation", "max"),
    ("---> percentile 99.999", "99.999"),
    ("---> percentile 99.990", "99.99"),
    ("---> percentile 99.900", "99.9"),
    ("---> percentile 99.000", "99"),
    ("---> percentile 90.000", "90"),
    ("---> percentile 75.000", "75"),
    ("---> percentile 50.000", "50"),
    ("---> percentile 25.000", "25"),
    ("---> <MIN> observation", "min"),
];

/// Reads the client's standard output.
///
/// Exit status 0 says nothing: sockperf 3.7 gives it after most errors too.
///
/// # Errors
/// If sockperf reports an error, if the output is cut off, or if it contradicts itself.
pub fn parse(params: &Sockperf, client: &[u8]) -> Result<Findings, ParseError> {
    let text = plain(client);
    // What follows the last line feed may be the beginning of a longer number.
    let complete = text.rfind('\n').map_or("", |end| &text[..end]);
    let lines: Vec<&str> =
        complete.lines().map(|line| line.trim_start_matches("sockperf: ").trim()).collect();
    if let Some(message) = complaint(&lines) {
        return Err(ParseError::Tool { tool: TOOL, message });
    }
    let total_run = Fields::find(&lines, "[Total Run]")?;
    let valid = Fields::find(&lines, "[Valid Duration]")?;
    let average = Fields::find(&lines, "====> avg-latency")?;
    let faults = Fields::find(&lines, "# dropped messages")?;
    let percentiles = read_percentiles(&lines)?;

    let mut collected = Collected::new(Provenance::Sockperf);
    let clock = total_run.number("RunTime")? / f64::from(params.seconds);
    if (clock - 1.0).abs() <= CLOCK_TOLERANCE {
        for (name, value) in percentiles {
            collected.add(&metric::LATENCY, value, &[("percentile", name)]);
        }
        collected.add(&metric::LATENCY_MEAN, average.number("avg-latency")?, &[]);
        collected.add(&metric::LATENCY_DEVIATION, average.number("std-dev")?, &[]);
        collected.add(&metric::MESSAGE_RATE, valid.number("SentMessages")? / valid.number("RunTime")?, &[]);
    } else {
        let reason = format!(
            "by sockperf's clock its {} s took {:.3} s: the calibration of that clock was disturbed",
            params.seconds,
            clock * f64::from(params.seconds),
        );
        for metric in [metric::LATENCY, metric::LATENCY_MEAN, metric::LATENCY_DEVIATION, metric::MESSAGE_RATE]
        {
            collected.lack(&metric, &reason);
        }
    }
    let dropped = faults.number("dropped messages")?;
    let answered = valid.number("ReceivedMessages")?;
    collected.add(&metric::MESSAGE_LOSS, 100.0 * dropped / (dropped + answered), &[]);
    Ok(collected.findings(match params.transport {
        Transport::Tcp => Traffic::TcpMessages,
        Transport::Udp => Traffic::UdpMessages,
    }))
}

/// The text without terminal colours, which sockperf writes into files too.
fn plain(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let mut plain = String::with_capacity(text.len());
    let mut rest = text.as_ref();
    while let Some(start) = rest.find("\u{1b}[") {
        plain.push_str(&rest[..start]);
        let sequence = &rest[start..];
        rest = sequence.find('m').map_or("", |end| &sequence[end + 1..]);
    }
    plain.push_str(rest);
    plain
}

/// Why sockperf says that it failed.
fn complaint(lines: &[&str]) -> Option<String> {
    if lines.iter().any(|line| line.starts_with("Usage: sockperf")) {
        // It rejects an argument in its first line, and explains them all after that.
        return lines.first().map(|&line| line.to_owned());
    }
    let verdicts = ["No messages were received", "No messages were sent", "No valid observations found"];
    lines.iter().find_map(|line| match line.split_once("ERROR: ") {
        Some((_, message)) => Some(message.to_owned()),
        None => verdicts.iter().any(|verdict| line.starts_with(verdict)).then(|| (*line).to_owned()),
    })
}

/// A line of `name=value` pairs, with any punctuation between them.
struct Fields<'a>(&'a str);

impl<'a> Fields<'a> {
    /// The line that starts so.
    fn find(lines: &[&'a str], start: &str) -> Result<Self, ParseError> {
        let line = lines.iter().find(|line| line.starts_with(start));
        line.map(|line| Self(line)).ok_or_else(|| incomplete(start))
    }

    /// The number after `name`, an equals sign and blanks.
    fn number(&self, name: &str) -> Result<f64, ParseError> {
        let value = self.0.find(name).and_then(|at| self.0[at + name.len()..].trim_start().strip_prefix('='));
        let value = value.map(str::trim_start).ok_or_else(|| incomplete(name))?;
        let end = value.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(value.len());
        value[..end].parse().map_err(|_: std::num::ParseFloatError| {
            let what = format!("its format: `{name}` is no number in `{}`", self.0);
            ParseError::Contradiction { tool: TOOL, what }
        })
    }
}

fn read_percentiles(lines: &[&str]) -> Result<Vec<(&'static str, f64)>, ParseError> {
    let mut percentiles = Vec::new();
    for (start, name) in PERCENTILES {
        percentiles.push((name, Fields::find(lines, start)?.number(start)?));
    }
    if percentiles.is_sorted_by(|(_, higher), (_, lower)| higher >= lower) {
        Ok(percentiles)
    } else {
        Err(ParseError::Contradiction {
            tool: TOOL,
            what: "itself: its percentiles are not in order".to_owned(),
        })
    }
}

fn incomplete(what: &str) -> ParseError {
    ParseError::Incomplete { tool: TOOL, missing: format!("`{what}`") }
}
