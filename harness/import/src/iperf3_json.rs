//! `iperf3 --json`, of either side; several one after another, as scripts append them.

use measure::{MetricDef, metric, metric::imported};
use serde_json::{Deserializer, Value};

use crate::{
    Format, Part, Reading,
    text::{Line, word},
};

const FORWARD: &str = "client-to-server";
const BACKWARD: &str = "server-to-client";

pub(crate) fn read(lines: &[Line], reading: &mut Reading) {
    let text: String = lines.iter().flat_map(|line| [line.text.as_str(), "\n"]).collect();
    let mut documents = Deserializer::from_str(&text).into_iter::<Value>();
    loop {
        let line = text[..documents.byte_offset()].matches('\n').count() + 1;
        match documents.next() {
            None => break,
            Some(Ok(document)) => {
                let mut part = Part::new(Format::Iperf3Json, line);
                match document.is_object() {
                    true => report(&document, &mut part, line),
                    false => reading.complain(line, "no report of iperf3".to_owned()),
                }
                if part.figures.is_empty() && part.unavailable.is_empty() {
                    reading.complain(
                        line,
                        "a report of iperf3 without an `end`: nothing can be read of it".to_owned(),
                    );
                }
                reading.push(part);
            }
            Some(Err(error)) => {
                reading.complain(
                    error.line().clamp(1, lines.len().max(1)),
                    format!("no whole JSON: {error}; what stands before it is kept"),
                );
                break;
            }
        }
    }
}

fn report(document: &Value, part: &mut Part, line: usize) {
    if let Some(error) = document["error"].as_str() {
        part.unavailable.push(format!("iperf3: {}", word(error)));
    }
    let start = &document["start"]["test_start"];
    let test = [
        ("protocol", "over"),
        ("num_streams", "flows"),
        ("blksize", "bytes per write"),
        ("duration", "s"),
        ("omit", "s omitted"),
    ];
    for (key, what) in test {
        let said = match &start[key] {
            Value::String(text) => format!("{what} {}", word(text)),
            Value::Number(number) => format!("{number} {what}"),
            _ => continue,
        };
        part.said.push(said);
    }
    if let Some(version) = document["start"]["version"].as_str() {
        part.said.push(word(version));
    }
    let is_reverse = start["reverse"].as_u64() == Some(1);
    let (first, second) = if is_reverse { (BACKWARD, FORWARD) } else { (FORWARD, BACKWARD) };
    let end = &document["end"];
    let sums = [
        (first, "sum_sent", "sum_received"),
        (second, "sum_sent_bidir_reverse", "sum_received_bidir_reverse"),
    ];
    for (direction, sent, received) in sums {
        sum(part, direction, "sender", &end[sent], line);
        sum(part, direction, "receiver", &end[received], line);
    }
    // UDP has one sum.
    if !end["sum_received"].is_object() {
        sum(part, first, "receiver", &end["sum"], line);
    }
    let streams = end["streams"].as_array().map(Vec::as_slice).unwrap_or_default();
    for stream in streams {
        let Some(socket) = stream["sender"]["socket"].as_u64() else { continue };
        // Whether this process sends on it tells the two ways of a test in both directions apart; the client started the test.
        let is_way_back = stream["sender"]["sender"].as_bool() == Some(is_reverse)
            && end["sum_sent_bidir_reverse"].is_object();
        flow(part, if is_way_back { second } else { first }, &socket.to_string(), stream, line);
    }
    if let Value::Object(cpu) = &end["cpu_utilization_percent"] {
        for (of, value) in cpu {
            add(part, &imported::IPERF_CPU, value, &[("of", of)], line);
        }
    }
}

fn sum(part: &mut Part, direction: &str, end: &str, sum: &Value, line: usize) {
    let dims = [("direction", direction), ("flow", "all"), ("end", end)];
    add(part, &imported::TRANSFERRED, &sum["bytes"], &dims, line);
    let of = format!("iperf3 {direction} {end}");
    add(part, &imported::MEASURED_TIME, &sum["seconds"], &[("of", &of)], line);
    if end == "receiver" {
        add(part, &metric::THROUGHPUT, &sum["bits_per_second"], &dims[..1], line);
    } else {
        add(part, &imported::END_THROUGHPUT, &sum["bits_per_second"], &dims, line);
        add(part, &metric::RETRANSMITS, &sum["retransmits"], &dims[..1], line);
    }
}

fn flow(part: &mut Part, direction: &str, flow: &str, stream: &Value, line: usize) {
    let dims = |end| [("direction", direction), ("flow", flow), ("end", end)];
    for end in ["sender", "receiver"] {
        add(part, &imported::TRANSFERRED, &stream[end]["bytes"], &dims(end), line);
    }
    let of_flow = &dims("")[..2];
    add(part, &metric::FLOW_THROUGHPUT, &stream["receiver"]["bits_per_second"], of_flow, line);
    add(part, &imported::END_THROUGHPUT, &stream["sender"]["bits_per_second"], &dims("sender"), line);
    add(part, &imported::FLOW_RETRANSMITS, &stream["sender"]["retransmits"], of_flow, line);
    for (key, of) in [("min_rtt", "min"), ("mean_rtt", "mean"), ("max_rtt", "max")] {
        let dims = [("direction", direction), ("flow", flow), ("of", of)];
        add(part, &imported::TCP_ROUND_TRIP, &stream["sender"][key], &dims, line);
    }
}

fn add(part: &mut Part, metric: &'static MetricDef, value: &Value, dims: &[(&str, &str)], line: usize) {
    if let Some(value) = value.as_f64() {
        part.add(metric, value, dims, line);
    }
}
