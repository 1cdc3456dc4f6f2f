//! sockperf's client, whole or as somebody kept a part of it.

use std::sync::LazyLock;

use measure::{metric, metric::imported};
use regex::Regex;

use crate::{
    Part,
    text::{Line, expect_number, word},
};

/// `name=value`, with any punctuation and units around it.
static PAIR: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"(?<name>[A-Za-z#][A-Za-z -]*?)\s*=\s*(?<value>-?[\d.]+)").expect("a constant pattern")
});
static INTERVAL: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"(?<level>[\d.]+)%\s*ci\s*=\s*\[(?<low>[\d.]+),\s*(?<high>[\d.]+)\]")
        .expect("a constant pattern")
});
static OBSERVATIONS: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"^Total (?<all>[\d.]+) observations; each percentile contains (?<each>[\d.]+) observations")
        .expect("a constant pattern")
});

/// Which server the figures are of.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    server: Option<String>,
}

fn own(text: &str) -> &str {
    text.trim().trim_start_matches("sockperf:").trim()
}

/// Whether it is a line of sockperf's.
pub(crate) fn is_line(text: &str) -> bool {
    let text = text.trim();
    text.starts_with("sockperf:") || text.starts_with("====> avg-latency") || text.starts_with("---> ")
}

pub(crate) fn take(memory: &mut Memory, part: &mut Part, line: &Line) -> Result<(), Vec<String>> {
    let (text, at) = (own(&line.text), line.number);
    if let Some(rest) = text.strip_prefix("---> ") {
        return percentile(part, rest, at).map_err(|message| vec![message]);
    }
    let run = [("[Total Run]", "total-run"), ("[Valid Duration]", "valid-duration")];
    if let Some((start, of)) = run.into_iter().find(|(start, _)| text.starts_with(start)) {
        return duration(part, &text[start.len()..], of, at);
    }
    if text.starts_with("====> avg-") {
        return average(part, text, at);
    }
    if text.starts_with("# dropped") {
        return pairs(text, |name, value| {
            let of = name.trim_start_matches('#').trim().replace(' ', "-");
            part.add(&imported::SOCKPERF_FIGURE, value, &[("of", &of)], at);
        });
    }
    if let Some(rest) = text.strip_prefix("Summary: Latency is ") {
        let mean = expect_number(rest.split_whitespace().next().unwrap_or_default(), "the summary's latency");
        let mean = mean.map_err(|message| vec![message])?;
        // The line before it says the same, unless somebody left it out.
        if !part.figures.iter().any(|figure| figure.metric.name == metric::LATENCY_MEAN.name) {
            part.add(&metric::LATENCY_MEAN, mean, &[], at);
        }
        return Ok(());
    }
    if let Some(found) = OBSERVATIONS.captures(text) {
        for (of, name) in [("observations", "all"), ("observations-in-a-percentile", "each")] {
            let value = expect_number(&found[name], of).map_err(|message| vec![message])?;
            part.add(&imported::SOCKPERF_FIGURE, value, &[("of", of)], at);
        }
        return Ok(());
    }
    if text.starts_with("====") {
        memory.server = text.split_once("Server No:").map(|(_, number)| number.trim().to_owned());
        part.said.extend(memory.server.iter().map(|number| format!("Server No: {number}")));
        return Ok(());
    }
    if let Some((_, message)) = text.split_once("ERROR") {
        part.unavailable.push(format!("sockperf: {}", word(message.trim_start_matches([':', ' ']))));
    }
    // Banners, options and what the test is about to do.
    Ok(())
}

fn pairs(text: &str, mut take: impl FnMut(&str, f64)) -> Result<(), Vec<String>> {
    let mut wrong = Vec::new();
    let mut any = false;
    for pair in PAIR.captures_iter(text) {
        any = true;
        match expect_number(&pair["value"], &pair["name"]) {
            Ok(value) => take(pair["name"].trim(), value),
            Err(message) => wrong.push(message),
        }
    }
    if !any {
        wrong.push("no `name=value` of sockperf's: cut off or damaged".to_owned());
    }
    if wrong.is_empty() { Ok(()) } else { Err(wrong) }
}

fn duration(part: &mut Part, text: &str, of: &str, at: usize) -> Result<(), Vec<String>> {
    let (mut seconds, mut sent) = (None, None);
    pairs(text, |name, value| match name {
        "RunTime" => {
            seconds = Some(value);
            part.add(&imported::MEASURED_TIME, value, &[("of", of)], at);
        }
        "Warm up time" => part.add(&imported::MEASURED_TIME, value / 1e3, &[("of", "warm-up")], at),
        "SentMessages" | "ReceivedMessages" => {
            let what = if name == "SentMessages" { "sent-messages" } else { "received-messages" };
            sent = if name == "SentMessages" { Some(value) } else { sent };
            part.add(&imported::SOCKPERF_FIGURE, value, &[("of", &format!("{of} {what}"))], at);
        }
        other => part.add(&imported::SOCKPERF_FIGURE, value, &[("of", &format!("{of} {other}"))], at),
    })?;
    if let (Some(seconds), Some(sent), "valid-duration") = (seconds.filter(|s| *s > 0.0), sent, of) {
        part.add(&metric::MESSAGE_RATE, sent / seconds, &[], at);
    }
    Ok(())
}

fn average(part: &mut Part, text: &str, at: usize) -> Result<(), Vec<String>> {
    let interval = INTERVAL.captures(text);
    let before =
        interval.as_ref().and_then(|found| found.get(0)).map_or(text, |found| &text[..found.start()]);
    pairs(before.trim_start_matches(['=', '>', ' ']), |name, value| match name {
        "avg-latency" => part.add(&metric::LATENCY_MEAN, value, &[], at),
        "std-dev" => part.add(&metric::LATENCY_DEVIATION, value, &[], at),
        other => part.add(&imported::SOCKPERF_FIGURE, value, &[("of", other)], at),
    })?;
    for (name, end) in [("low", "low"), ("high", "high")] {
        let Some(found) = &interval else { continue };
        let of = format!("{} % ci {end}", &found["level"]);
        let value = expect_number(&found[name], &of).map_err(|message| vec![message])?;
        part.add(&imported::SOCKPERF_FIGURE, value, &[("of", &of)], at);
    }
    Ok(())
}

/// `<MAX> observation =  385.178` or `percentile 99.999 =  343.253`.
fn percentile(part: &mut Part, text: &str, at: usize) -> Result<(), String> {
    let (name, value) = text.split_once('=').ok_or("no `=` after a percentile: cut off or damaged")?;
    let percentile = match name.trim() {
        "<MAX> observation" => "max",
        "<MIN> observation" => "min",
        other => {
            let level = other
                .strip_prefix("percentile ")
                .ok_or_else(|| format!("no percentile: `{}`", word(other)))?;
            let level = level.trim();
            expect_number(level, "a percentile")?;
            if level.contains('.') { level.trim_end_matches('0').trim_end_matches('.') } else { level }
        }
    };
    part.add(&metric::LATENCY, expect_number(value.trim(), "a latency")?, &[("percentile", percentile)], at);
    Ok(())
}
