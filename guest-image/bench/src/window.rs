//! The window in which everything is counted: time, CPU time, marks.

use std::{
    fs,
    time::{Duration, Instant},
};

use flow::Cpu;
use nix::sys::{
    resource::{Usage, UsageWho, getrusage},
    time::TimeValLike,
};

use crate::error::Failure;

/// A window that has begun.
#[derive(Debug)]
pub(crate) struct Window {
    mark: Option<u32>,
    cpu: Usage,
    begun: Instant,
}

/// A window that has ended.
#[derive(Debug)]
pub(crate) struct Passed {
    pub(crate) time: Duration,
    pub(crate) cpu: Cpu,
}

impl Window {
    pub(crate) fn begin(mark: Option<u32>) -> Result<Self, Failure> {
        let cpu = usage()?;
        let begun = Instant::now();
        if let Some(window) = mark {
            mark::begin(window);
        }
        Ok(Self { mark, cpu, begun })
    }

    pub(crate) fn end(self) -> Result<Passed, Failure> {
        if let Some(window) = self.mark {
            mark::end(window);
        }
        let time = self.begun.elapsed();
        let (before, after) = (self.cpu, usage()?);
        let nanoseconds = |of: fn(&Usage) -> nix::sys::time::TimeVal| {
            u64::try_from(of(&after).num_nanoseconds() - of(&before).num_nanoseconds()).unwrap_or_default()
        };
        let difference = |of: fn(&Usage) -> i64| u64::try_from(of(&after) - of(&before)).unwrap_or_default();
        Ok(Passed {
            time,
            cpu: Cpu {
                user_nanoseconds: nanoseconds(Usage::user_time),
                system_nanoseconds: nanoseconds(Usage::system_time),
                voluntary_switches: difference(Usage::voluntary_context_switches),
                involuntary_switches: difference(Usage::involuntary_context_switches),
            },
        })
    }
}

fn usage() -> Result<Usage, Failure> {
    getrusage(UsageWho::RUSAGE_SELF).map_err(|errno| Failure::call("reading the CPU time", errno))
}

/// How long this thread sleeps.
#[derive(Debug)]
pub(crate) struct Sleep {
    begun: Instant,
    busy: Option<Duration>,
}

impl Sleep {
    pub(crate) fn begin() -> Self {
        Self { busy: busy(), begun: Instant::now() }
    }

    /// Nanoseconds in which the thread neither was on a CPU nor waited for one; none if the kernel does not tell.
    pub(crate) fn end(&self) -> Option<u64> {
        let time = self.begun.elapsed();
        let busy = busy()?.checked_sub(self.busy?)?;
        u64::try_from(time.saturating_sub(busy).as_nanos()).ok()
    }
}

/// Time on a CPU and in wait for one: the first two numbers of Documentation/scheduler/sched-stats.rst.
fn busy() -> Option<Duration> {
    let text = fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    let mut numbers = text.split_ascii_whitespace().map_while(|number| number.parse::<u64>().ok());
    Some(Duration::from_nanos(numbers.next()? + numbers.next()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_that_sleeps_is_blocked_and_one_that_works_is_not() {
        if busy().is_none() {
            return assert_eq!(Sleep::begin().end(), None);
        }
        let sleep = Sleep::begin();
        let (_sender, nothing) = std::sync::mpsc::channel::<()>();
        let _ = nothing.recv_timeout(Duration::from_millis(50));
        let slept = sleep.end().unwrap();
        assert!(slept >= 45_000_000, "{slept}");

        let work = Sleep::begin();
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_millis(50) {}
        assert!(work.end().unwrap() < slept, "busy all the time");
    }
}
