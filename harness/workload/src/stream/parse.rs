//! From both sides' reports to samples. Pure.

use flow::{Report, Side};
use measure::{Payload, Provenance, SideFiles, Traffic, metric};
use plan::Stream;

use super::stat::Spent;
use crate::{Findings, ParseError, findings::Collected};

/// Both sides' accounts.
#[derive(Clone, Debug, PartialEq)]
pub struct Reports {
    /// Of the receiver.
    pub receiver: Report,
    /// Of the sender.
    pub sender: Report,
}

const TOOL: &str = flow::PROGRAM;

/// Zero, and each power of two that a count can reach.
const RANGES: usize = 1 + u64::BITS as usize;

impl Reports {
    /// Reads both sides' standard output: a report is its last line.
    ///
    /// # Errors
    /// If an output is no report, or not that of its side.
    pub fn read(receiver: &[u8], sender: &[u8]) -> Result<Self, ParseError> {
        let receiver = report(receiver)?;
        let sender = report(sender)?;
        let contradiction = |what: &str| ParseError::Contradiction { tool: TOOL, what: what.to_owned() };
        if !matches!(receiver.side, Side::Receive(_)) || !matches!(sender.side, Side::Send(_)) {
            return Err(contradiction("which side it was asked to be"));
        }
        Ok(Self { receiver, sender })
    }
}

fn report(output: &[u8]) -> Result<Report, ParseError> {
    let text = String::from_utf8_lossy(output);
    let last = text.lines().rev().find(|line| !line.trim().is_empty());
    let last = last.ok_or(ParseError::Incomplete { tool: TOOL, missing: "a report".to_owned() })?;
    serde_json::from_str(last).map_err(|source| ParseError::Json { tool: TOOL, source })
}

/// What a stream whose path was taken says. `files` are those around it, for the time of all cores.
#[must_use]
pub fn parse(params: &Stream, reports: &Reports, files: &[&SideFiles]) -> Findings {
    let mut collected = Collected::new(Provenance::Bench);
    let Reports { receiver, sender } = reports;
    collected.add(&metric::THROUGHPUT, receiver.bits_per_second, &[("direction", "client-to-server")]);
    for (side, report) in [("server", receiver), ("client", sender)] {
        of_side(side, report, &mut collected);
    }
    of_receives(receiver, &mut collected);
    let cores: Result<Vec<Spent>, String> = files.iter().map(|side| Spent::of(side)).collect();
    match &cores {
        Ok(cores) => softirqs(cores, &mut collected),
        Err(reason) => collected.lack(&metric::SOFTIRQ_TIME, reason),
    }
    match cores.map(|cores| cores.iter().map(|spent| spent.busy_percent).sum::<f64>()) {
        Ok(busy) if busy > 0.0 => {
            let gigabits = receiver.bits_per_second / 1e9;
            collected.add(&metric::ROI_CPU, gigabits.powf(params.roi.throughput) / busy, &[]);
        }
        Ok(_) => collected.lack(&metric::ROI_CPU, "no core was busy"),
        Err(reason) => collected.lack(&metric::ROI_CPU, reason),
    }
    collected.findings(Traffic::Bulk(Payload {
        client_to_server: Some(receiver.bytes),
        server_to_client: Some(0),
    }))
}

/// Each side's softirqs, if each has a kernel of its own.
fn softirqs(cores: &[Spent], collected: &mut Collected) {
    let [server, client] = cores else {
        let reason = "one kernel takes the interrupts of both sides; `cpu-softirq` has them by core (`collect: [cpu]`)";
        return collected.lack(&metric::SOFTIRQ_TIME, reason);
    };
    for (side, spent) in [("server", server), ("client", client)] {
        collected.add(&metric::SOFTIRQ_TIME, spent.interrupts_percent, &[("side", side)]);
    }
}

#[expect(clippy::cast_precision_loss, reason = "bytes and times of one run stay below 2^53")]
fn of_side(side: &str, report: &Report, collected: &mut Collected) {
    let dims = [("side", side)];
    let of_window = |nanoseconds: u64| 100.0 * nanoseconds as f64 / report.nanoseconds as f64;
    let share = 100.0 * report.zero_copy_bytes as f64 / report.bytes as f64;
    collected.add(&metric::ZERO_COPY_SHARE, share, &dims);
    collected.add(&metric::COPIED_BYTES, report.copied_bytes as f64, &dims);
    collected.add(&metric::APPLICATION_TIME, of_window(report.cpu.user_nanoseconds), &dims);
    collected.add(&metric::SYSTEM_TIME, of_window(report.cpu.system_nanoseconds), &dims);
    match report.blocked_nanoseconds {
        Some(blocked) => collected.add(&metric::BLOCKED_TIME, of_window(blocked), &dims),
        None => collected.lack(&metric::BLOCKED_TIME, "the kernel does not count it (CONFIG_SCHED_INFO)"),
    }
    if let Some(overflows) = report.ring_overflows {
        collected.add(&metric::CQE_OVERFLOWS, overflows as f64, &dims);
    }
    let mebibytes = report.bytes as f64 / f64::from(1 << 20);
    // Names come from the guest, and become dimensions.
    let is_name = |name: &str| {
        (1..=32).contains(&name.len())
            && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
    };
    for (name, calls) in report.system_calls.iter().filter(|(name, _)| is_name(name)) {
        let dims = [("side", side), ("syscall", name.as_str())];
        collected.add(&metric::SYSCALLS_PER_MIB, *calls as f64 / mebibytes, &dims);
    }
}

#[expect(clippy::cast_precision_loss, reason = "calls of one run stay below 2^53")]
fn of_receives(receiver: &Report, collected: &mut Collected) {
    if let Some(fragments) = &receiver.fragments
        && let Some(mean) = fragments.mean()
    {
        collected.add(&metric::FRAGMENTS_PER_RECEIVE, mean, &[]);
        let ranges = fragments.powers_of_two.iter().take(RANGES).enumerate();
        for (index, count) in ranges.filter(|(_, count)| **count > 0) {
            let share = 100.0 * *count as f64 / fragments.count as f64;
            collected.add(&metric::RECEIVES_BY_FRAGMENTS, share, &[("range", &range(index))]);
        }
    }
    if let Some(mean) = receiver.returns.as_ref().and_then(flow::Distribution::mean) {
        collected.add(&metric::TOKENS_PER_RETURN, mean, &[]);
    }
}

/// The values that an entry of a distribution counts: `0`, `1`, `2-3`, `512-1023`.
fn range(index: usize) -> String {
    match index {
        0 | 1 => index.to_string(),
        _ => {
            let least = 1_u64 << (index - 1).min(63);
            format!("{least}-{}", least.saturating_mul(2) - 1)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_of_a_distribution_are_named_by_their_bounds() {
        assert_eq!([0, 1, 2, 3, 10, 11].map(range), ["0", "1", "2-3", "4-7", "512-1023", "1024-2047"]);
        assert_eq!(range(64), format!("{}-{}", 1_u64 << 63, u64::MAX - 1));
    }
}
