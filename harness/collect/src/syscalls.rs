//! What each system call of a workload's programs cost, from the kernel's tracepoints `raw_syscalls` in the guest.
//!
//! The agent follows each side's command from its first instruction to its last, as `perf trace -s COMMAND` does, and adds up; the
//! table and its columns are those of that tool (`tools/perf/builtin-trace.c`, `thread__dump_stats`).

use std::collections::BTreeMap;

use measure::{MetricDef, Provenance, SideFiles, Window, metric};
use syscalls::x86_64::Sysno;

use crate::{
    Reduced,
    files::{float, number},
};

/// What the agent is asked for: it is answered after a command.
pub const SOURCE: &str = "trace:syscalls";

const METRICS: [MetricDef; 7] = [
    metric::SYSCALL_CALLS,
    metric::SYSCALL_ERRORS,
    metric::SYSCALL_TIME,
    metric::SYSCALL_SHORTEST,
    metric::SYSCALL_MEAN,
    metric::SYSCALL_LONGEST,
    metric::SYSCALL_DEVIATION,
];

pub(crate) fn reduce(window: &Window, reduced: &mut Reduced) {
    let sides = [("server", &window.server), ("client", &window.client)];
    let asked = |files: &SideFiles| files.after.contains_key(SOURCE);
    if !sides.iter().any(|(_, files)| asked(files)) {
        return reduced.lack(&METRICS, &[], "no command was followed in this boot");
    }
    // A command has one side.
    for (side, files) in sides.into_iter().filter(|(_, files)| asked(files)) {
        match read(files) {
            Ok(costs) => {
                for (name, cost) in &costs {
                    cost.put(&[("side", side), ("syscall", name)], reduced);
                }
            }
            Err(why) => reduced.lack(&METRICS, &[("side", side)], why),
        }
    }
}

fn read(files: &SideFiles) -> Result<BTreeMap<String, Cost>, String> {
    match files.after.get(SOURCE) {
        Some(Ok(bytes)) => {
            let text = std::str::from_utf8(bytes).ok().filter(|text| text.ends_with('\n'));
            parse(text.ok_or_else(|| format!("{SOURCE} is no whole table"))?)
        }
        Some(Err(why)) => Err(why.clone()),
        None => Err(format!("{SOURCE} was not read")),
    }
}

/// The calls of one number.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Cost {
    calls: u64,
    errors: u64,
    nanoseconds: u64,
    shortest: u64,
    longest: u64,
    squares: f64,
}

impl Cost {
    fn put(&self, dims: &[(&str, &str)], reduced: &mut Reduced) {
        let milliseconds = |nanoseconds: u64| float(nanoseconds) / 1e6;
        let mean = milliseconds(self.nanoseconds) / float(self.calls);
        let mut put = |metric: &MetricDef, value: f64| reduced.add(metric, value, Provenance::Tracefs, dims);
        put(&metric::SYSCALL_CALLS, float(self.calls));
        put(&metric::SYSCALL_ERRORS, float(self.errors));
        put(&metric::SYSCALL_TIME, milliseconds(self.nanoseconds));
        put(&metric::SYSCALL_SHORTEST, milliseconds(self.shortest));
        put(&metric::SYSCALL_MEAN, mean);
        put(&metric::SYSCALL_LONGEST, milliseconds(self.longest));
        // One call says nothing of how calls differ.
        if let Some(deviation) = self.deviation() {
            put(&metric::SYSCALL_DEVIATION, deviation);
        }
    }

    /// The standard error of the mean in percent of the mean (`tools/perf/util/stat.c`, `stddev_stats`).
    fn deviation(&self) -> Option<f64> {
        let calls = float(self.calls);
        let sum = float(self.nanoseconds);
        if self.calls < 2 || self.nanoseconds == 0 {
            return None;
        }
        let variance = ((self.squares - sum * sum / calls) / (calls - 1.0)).max(0.0);
        Some(100.0 * (variance / calls).sqrt() / (sum / calls))
    }
}

/// The agent's table: a line `lost COUNT`, then number, calls, errors, and nanoseconds: all, shortest, longest, sum of squares.
fn parse(text: &str) -> Result<BTreeMap<String, Cost>, String> {
    let mut lines = text.lines();
    let lost = lines.next().and_then(|line| line.strip_prefix("lost "));
    match number(lost.ok_or_else(|| format!("{SOURCE} does not say what was lost"))?)? {
        0 => {}
        lost => return Err(format!("the kernel's trace buffer had no room for {lost} entries and returns")),
    }
    let mut costs = BTreeMap::new();
    for line in lines {
        let words: Vec<&str> = line.split(' ').collect();
        let [call, calls, errors, nanoseconds, shortest, longest, squares] = words[..] else {
            return Err(format!("{SOURCE}: `{line}` is no line of its table"));
        };
        let cost = Cost {
            calls: number(calls)?,
            errors: number(errors)?,
            nanoseconds: number(nanoseconds)?,
            shortest: number(shortest)?,
            longest: number(longest)?,
            squares: squares.parse::<u128>().map_err(|_| format!("`{squares}` is no number"))? as f64,
        };
        if cost.calls == 0 || cost.errors > cost.calls || cost.shortest > cost.longest {
            return Err(format!("{SOURCE}: `{line}` contradicts itself"));
        }
        costs.insert(name(number(call)?), cost);
    }
    Ok(costs)
}

/// A call's name on x86-64 (`arch/x86/entry/syscalls/syscall_64.tbl`); newer ones than this program knows have their number.
fn name(number: u64) -> String {
    let known = usize::try_from(number).ok().and_then(Sysno::new);
    known.map_or_else(|| format!("syscall-{number}"), |call| call.name().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_become_names_and_perfs_columns() {
        // Three calls of 10, 20 and 60 us: their mean is 30, their deviation 26.458, that of the mean 15.275.
        let costs = parse("lost 0\n47 3 1 90000 10000 60000 4100000000\n9999 1 0 5 5 5 25\n").unwrap();
        let recvmsg = costs["recvmsg"];
        assert_eq!((recvmsg.calls, recvmsg.errors, recvmsg.longest), (3, 1, 60_000));
        assert!((recvmsg.deviation().unwrap() - 50.917).abs() < 0.001);
        assert_eq!(costs["syscall-9999"].deviation(), None);
        assert_eq!(name(54), "setsockopt");
    }

    #[test]
    fn a_table_that_lacks_something_is_none() {
        let why = |text| parse(text).unwrap_err();
        assert_eq!(why("lost 7\n"), "the kernel's trace buffer had no room for 7 entries and returns");
        assert!(why("47 1 0 1 1 1 1\n").contains("what was lost"));
        assert!(why("lost 0\n47 1 0 1 1 1\n").contains("no line of its table"));
        assert!(why("lost 0\n47 0 0 0 0 0 0\n").contains("contradicts itself"));
        assert!(why("lost 0\n47 x 0 1 1 1 1\n").contains("no number"));
    }
}
