//! iperf3's output for people, of either side.
//!
//! ```text
//! [ ID] Interval           Transfer     Bitrate         Retr
//! [  5]   0.00-30.00  sec  8.42 GBytes  2.41 Gbits/sec   98             sender
//! [SUM]   0.00-30.04  sec  33.5 GBytes  9.59 Gbits/sec                  receiver
//! ```
//!
//! Bytes are counted in powers of 1024 and bits in powers of 1000 (`unit_snprintf` of iperf3's `src/units.c`).

use std::{collections::BTreeMap, sync::LazyLock};

use measure::{metric, metric::imported};
use regex::Regex;

use crate::{
    Part,
    text::{Line, expect_number, number, scaled},
};

static ROW: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(
        r"^\[\s*(?<id>\d+|SUM)\](?:\[(?<way>[TR]X-[CS])\])?\s+(?<from>\d+\.\d+)-\s*(?<to>\d+\.\d+)\s+sec\s+(?<bytes>[\d.]+)\s+(?<b>[KMGT]?)Bytes\s+(?<bits>[\d.]+)\s+(?<r>[KMGT]?)bits/sec\s*(?<rest>.*)$",
    )
    .expect("a constant pattern")
});

const FORWARD: &str = "client-to-server";
const BACKWARD: &str = "server-to-client";

/// What stands in rows without a summary, and how the test was told to run.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    is_reverse: bool,
    /// By direction and flow: the sum of rates of the intervals, how many they are, and the first line.
    intervals: BTreeMap<(&'static str, String), (f64, u32, usize)>,
    /// Receivers' rates of each direction, by flow.
    received: BTreeMap<(&'static str, String), (f64, usize)>,
}

/// Whether it is a row with figures.
pub(crate) fn is_row(text: &str) -> bool {
    ROW.is_match(text.trim())
}

/// Whether it can be nobody else's.
pub(crate) fn claims(text: &str) -> bool {
    let text = text.trim();
    let numbered = |rest: &str| {
        let id = rest.trim_start();
        (id.starts_with("SUM]") || id.starts_with(|char: char| char.is_ascii_digit())) && id.contains("sec")
    };
    text.strip_prefix('[').is_some_and(numbered)
        || text.starts_with("[ ID]")
        || text.starts_with("Reverse mode,")
        || text.starts_with("iperf3: ")
}

pub(crate) fn take(memory: &mut Memory, part: &mut Part, line: &Line) -> Result<(), Vec<String>> {
    let text = line.text.trim();
    if text.starts_with("Reverse mode,") {
        memory.is_reverse = true;
        return Ok(());
    }
    if text.starts_with("[ ID]") {
        return Ok(());
    }
    if let Some(message) = text.strip_prefix("iperf3: ") {
        part.unavailable.push(format!("iperf3: {}", crate::text::word(message)));
        return Ok(());
    }
    let row =
        ROW.captures(text).ok_or_else(|| vec!["no whole row of iperf3: cut off or damaged".to_owned()])?;
    let one = |name: &str| expect_number(&row[name], name);
    let all = (one("from"), one("to"), one("bytes"), one("bits"));
    let (Ok(from), Ok(to), Ok(bytes), Ok(bits)) = all else {
        return Err([all.0.err(), all.1.err(), all.2.err(), all.3.err()].into_iter().flatten().collect());
    };
    if to < from {
        return Err(vec![format!("an interval that ends before it begins: {from}-{to}")]);
    }
    let (bytes, bits) = (scaled(bytes, power(&row["b"], 1024.0)), scaled(bits, power(&row["r"], 1000.0)));
    let flow = if &row["id"] == "SUM" { "all".to_owned() } else { row["id"].to_owned() };
    let direction = direction(memory.is_reverse, row.name("way").map(|way| way.as_str()));
    let rest = row["rest"].trim();
    let end = match rest {
        _ if rest.ends_with("sender") => "sender",
        _ if rest.ends_with("receiver") => "receiver",
        // The warm-up is not part of the test.
        _ if rest.ends_with("(omitted)") => return Ok(()),
        _ => {
            let known = memory.intervals.entry((direction, flow)).or_insert((0.0, 0, line.number));
            known.0 += bits;
            known.1 += 1;
            return Ok(());
        }
    };
    let at = line.number;
    let dims = [("direction", direction), ("flow", flow.as_str()), ("end", end)];
    part.add(&imported::TRANSFERRED, bytes, &dims, at);
    // Every flow says it again.
    let of = format!("iperf3 {}-{} {end}", &row["from"], &row["to"]);
    if !part.figures.iter().any(|figure| figure.dims.get("of") == Some(&of)) {
        part.add(&imported::MEASURED_TIME, to - from, &[("of", &of)], at);
    }
    if end == "receiver" {
        memory.received.insert((direction, flow), (bits, at));
        return Ok(());
    }
    part.add(&imported::END_THROUGHPUT, bits, &dims, at);
    if let Some(retransmits) = rest.split_whitespace().next().and_then(number) {
        if flow == "all" {
            part.add(&metric::RETRANSMITS, retransmits, &[("direction", direction)], at);
        } else {
            part.add(
                &imported::FLOW_RETRANSMITS,
                retransmits,
                &[("direction", direction), ("flow", &flow)],
                at,
            );
        }
    }
    Ok(())
}

fn power(prefix: &str, base: f64) -> f64 {
    match prefix {
        "K" => base,
        "M" => base.powi(2),
        "G" => base.powi(3),
        "T" => base.powi(4),
        _ => 1.0,
    }
}

/// Who sends: in a test in both directions, each row says whether its side sends.
fn direction(is_reverse: bool, way: Option<&str>) -> &'static str {
    match way {
        Some("TX-C" | "RX-S") => FORWARD,
        Some(_) => BACKWARD,
        None if is_reverse => BACKWARD,
        None => FORWARD,
    }
}

/// What can only be said at the end: throughput is what the receiver took, over all flows. Of a log without a summary, as one that was
/// cut off, it is the mean of the intervals.
pub(crate) fn finish(memory: &mut Memory, part: &mut Part) -> Vec<(usize, String)> {
    let Memory { intervals, received, .. } = std::mem::take(memory);
    let mut complaints = Vec::new();
    let has_summary = |direction: &str, flow: &str| {
        let dims = |figure: &crate::Figure| {
            figure.dims.get("direction").is_some_and(|own| own == direction)
                && figure.dims.get("flow").is_some_and(|own| own == flow)
        };
        part.figures.iter().any(|figure| figure.metric.name == imported::TRANSFERRED.name && dims(figure))
    };
    let mut rates = received;
    for ((direction, flow), (sum, count, line)) in intervals {
        if !has_summary(direction, &flow) {
            complaints.push((
                line,
                format!("flow {flow} has no summary: its throughput is the mean of its {count} intervals"),
            ));
            rates.insert((direction, flow), (sum / f64::from(count), line));
        }
    }
    for direction in [FORWARD, BACKWARD] {
        let flows: Vec<(&str, f64, usize)> = rates
            .iter()
            .filter(|((of, _), _)| *of == direction)
            .map(|((_, flow), (rate, line))| (flow.as_str(), *rate, *line))
            .collect();
        let several = flows.len() > 1;
        for (flow, rate, line) in &flows {
            if *flow == "all" || !several {
                part.add(&metric::THROUGHPUT, *rate, &[("direction", direction)], *line);
            }
            if *flow != "all" {
                part.add(&metric::FLOW_THROUGHPUT, *rate, &[("direction", direction), ("flow", flow)], *line);
            }
        }
        if several && !flows.iter().any(|(flow, ..)| *flow == "all") {
            let line = flows.iter().map(|(.., line)| *line).max().unwrap_or(1);
            let sum = flows.iter().map(|(_, rate, _)| rate).sum();
            part.add(&metric::THROUGHPUT, sum, &[("direction", direction)], line);
        }
        // One flow has no row for all of them.
        let of_flow = |figure: &crate::Figure| {
            figure.metric.name == imported::FLOW_RETRANSMITS.name
                && figure.dims.get("direction").is_some_and(|own| own == direction)
        };
        let retransmits: Vec<(f64, usize)> = part
            .figures
            .iter()
            .filter(|figure| of_flow(figure))
            .map(|figure| (figure.value, figure.line))
            .collect();
        if let [(value, line)] = retransmits.as_slice()
            && !several
        {
            part.add(&metric::RETRANSMITS, *value, &[("direction", direction)], *line);
        }
    }
    complaints
}
