//! How fast this host's time stamp counter runs, which is what guests under TCG read as theirs (QEMU, `cpu_get_host_ticks`).

#![expect(unsafe_code, reason = "reading the counter is an intrinsic that the language calls unsafe")]

use std::time::{Duration, Instant};

/// Long enough for a few parts in a million.
const INTERVAL: Duration = Duration::from_millis(50);
/// A reading that was interrupted is seen by how long it took.
const TRIES: usize = 7;

/// The counter at a moment.
#[derive(Clone, Copy, Debug)]
struct Reading {
    at: Instant,
    ticks: u64,
    took: Duration,
}

fn reading() -> Reading {
    let once = || {
        let before = Instant::now();
        // SAFETY: the instruction exists on every x86-64 processor, and has no effect but its result.
        let ticks = unsafe { std::arch::x86_64::_rdtsc() };
        Reading { at: before, ticks, took: before.elapsed() }
    };
    let mut best = once();
    for _ in 1..TRIES {
        let next = once();
        if next.took < best.took {
            best = next;
        }
    }
    best
}

/// Its rate in kHz, measured against the monotonic clock; none if it does not run, or absurdly.
#[expect(clippy::disallowed_methods, reason = "nothing is waited for: a rate is ticks in an interval")]
pub(crate) async fn khz() -> Option<u32> {
    let first = reading();
    tokio::time::sleep(INTERVAL).await;
    rate(first, reading())
}

fn rate(first: Reading, last: Reading) -> Option<u32> {
    let nanoseconds = last.at.duration_since(first.at).as_nanos();
    let ticks = u128::from(last.ticks.checked_sub(first.ticks)?);
    let khz = (ticks * 1_000_000).checked_div(nanoseconds)?;
    u32::try_from(khz).ok().filter(|khz| (100_000..20_000_000).contains(khz))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_ticks_in_a_millisecond() {
        let at = Instant::now();
        let reading = |milliseconds, ticks| Reading {
            at: at + Duration::from_millis(milliseconds),
            ticks,
            took: Duration::ZERO,
        };
        assert_eq!(rate(reading(0, 1000), reading(10, 26_000_000 + 1000)), Some(2_600_000));
        assert_eq!(rate(reading(0, 1000), reading(10, 999)), None, "it went back");
        assert_eq!(rate(reading(0, 0), reading(0, 1000)), None, "no time passed");
        assert_eq!(rate(reading(0, 0), reading(10, 10)), None, "it stands still");
    }

    #[tokio::test]
    async fn the_counter_of_this_host_runs() {
        let (one, two) = (khz().await.unwrap(), khz().await.unwrap());
        assert!(one.abs_diff(two) < one / 100, "{one} {two}");
    }
}
