//! From both sides' reports to samples. Pure.

use flow::{Report, Side};
use measure::{Payload, Provenance, SideFiles, Traffic, metric};
use plan::Stream;

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
    match busy_percent(files) {
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

/// Time that all cores of all guests were busy, in percent of one core.
fn busy_percent(files: &[&SideFiles]) -> Result<f64, String> {
    let mut sum = 0.0;
    for side in files {
        let read = |files: &measure::Files| match files.get(STAT) {
            Some(Ok(bytes)) => times(&String::from_utf8_lossy(bytes)),
            Some(Err(why)) => Err(format!("{STAT}: {why}")),
            None => Err(format!("{STAT} was not read")),
        };
        let (before, after) = (read(&side.before)?, read(&side.after)?);
        let all = after.all.saturating_sub(before.all);
        if all == 0 {
            return Err(format!("{STAT}: no time passed"));
        }
        #[expect(clippy::cast_precision_loss, reason = "ticks of one run stay below 2^53")]
        let share = after.busy.saturating_sub(before.busy) as f64 / all as f64;
        sum += share * f64::from(after.cores) * 100.0;
    }
    Ok(sum)
}

/// Read around every timed stream.
pub(super) const STAT: &str = "/proc/stat";

struct Times {
    busy: u64,
    all: u64,
    cores: u32,
}

/// The first line of `/proc/stat` (proc(5)): user nice system idle iowait irq softirq steal, and what is in them already.
fn times(text: &str) -> Result<Times, String> {
    let line = text.lines().find_map(|line| line.strip_prefix("cpu "));
    let fields: Option<Vec<u64>> = line
        .map(|line| line.split_ascii_whitespace().take(8).filter_map(|field| field.parse().ok()).collect());
    let fields = fields.filter(|fields| fields.len() == 8).ok_or_else(|| format!("{STAT}: no line `cpu`"))?;
    let is_core = |line: &&str| {
        line.strip_prefix("cpu").is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
    };
    let cores = u32::try_from(text.lines().filter(is_core).count()).unwrap_or(u32::MAX);
    let sum = |fields: &[u64]| fields.iter().fold(0_u64, |sum, field| sum.saturating_add(*field));
    Ok(Times {
        busy: sum(&[fields[0], fields[1], fields[2], fields[5], fields[6]]),
        all: sum(&fields),
        cores,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_of_a_distribution_are_named_by_their_bounds() {
        assert_eq!([0, 1, 2, 3, 10, 11].map(range), ["0", "1", "2-3", "4-7", "512-1023", "1024-2047"]);
        assert_eq!(range(64), format!("{}-{}", 1_u64 << 63, u64::MAX - 1));
    }

    #[test]
    fn busy_is_all_but_idle_iowait_and_steal_of_all_cores() {
        let stat = |busy: u64, idle: u64| {
            let text = format!("cpu  {busy} 0 0 {idle} 0 0 0 0 0 0\ncpu0 1\ncpu1 1\nintr 5\n");
            measure::Files::from([(STAT.to_owned(), Ok(text.into_bytes()))])
        };
        let side = SideFiles { before: stat(100, 100), after: stat(250, 150) };
        assert_eq!(busy_percent(&[&side]), Ok(150.0));
        assert!(busy_percent(&[&SideFiles::default()]).unwrap_err().contains("was not read"));
    }
}
