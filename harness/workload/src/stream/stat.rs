//! What the cores of a guest did while a stream ran, from `/proc/stat` (`fs/proc/stat.c`). Pure.

use measure::{Files, SideFiles};

/// Read around every timed stream.
pub(super) const STAT: &str = "/proc/stat";

/// Of a guest's window, in percent of one core.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Spent {
    /// Time that its cores were busy.
    pub(super) busy_percent: f64,
    /// Time of these in hard and soft interrupts.
    pub(super) interrupts_percent: f64,
}

impl Spent {
    /// # Errors
    /// Why it cannot be told.
    pub(super) fn of(side: &SideFiles) -> Result<Self, String> {
        let (before, after) = (read(&side.before)?, read(&side.after)?);
        let all = after.all.saturating_sub(before.all);
        if all == 0 {
            return Err(format!("{STAT}: no time passed"));
        }
        let cores = after.cores;
        #[expect(clippy::cast_precision_loss, reason = "ticks of one run stay below 2^53")]
        let percent = |before: u64, after: u64| {
            after.saturating_sub(before) as f64 / all as f64 * f64::from(cores) * 100.0
        };
        Ok(Self {
            busy_percent: percent(before.busy, after.busy),
            interrupts_percent: percent(before.interrupts, after.interrupts),
        })
    }
}

struct Times {
    busy: u64,
    interrupts: u64,
    all: u64,
    cores: u32,
}

fn read(files: &Files) -> Result<Times, String> {
    match files.get(STAT) {
        Some(Ok(bytes)) => times(&String::from_utf8_lossy(bytes)),
        Some(Err(why)) => Err(format!("{STAT}: {why}")),
        None => Err(format!("{STAT} was not read")),
    }
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
        interrupts: sum(&[fields[5], fields[6]]),
        all: sum(&fields),
        cores,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(lines: &str) -> Files {
        Files::from([(STAT.to_owned(), Ok(lines.as_bytes().to_vec()))])
    }

    #[test]
    fn shares_are_of_one_core() {
        let side = SideFiles {
            before: files(
                "cpu  10 0 10 80 0 0 0 0 0 0\ncpu0 5 0 5 40 0 0 0 0 0 0\ncpu1 5 0 5 40 0 0 0 0 0 0\n",
            ),
            after: files(
                "cpu  20 0 30 100 10 10 30 0 0 0\ncpu0 5 0 5 40 0 0 0 0 0 0\ncpu1 5 0 5 40 0 0 0 0 0 0\n",
            ),
        };
        let spent = Spent::of(&side).unwrap();
        assert_eq!((spent.busy_percent, spent.interrupts_percent), (140.0, 80.0));
    }

    #[test]
    fn what_is_not_there_is_told() {
        let told = |before: Files, after: Files| Spent::of(&SideFiles { before, after }).unwrap_err();
        assert_eq!(told(Files::new(), Files::new()), "/proc/stat was not read");
        let still = || files("cpu  1 0 1 8 0 0 0 0 0 0\n");
        assert_eq!(told(still(), still()), "/proc/stat: no time passed");
        assert_eq!(told(files("cpu  1 2 x\n"), still()), "/proc/stat: no line `cpu`");
    }
}
