//! What was counted, as a report.

use flow::{Counters, NicState, Report, Side};

use crate::{tally::Tally, window::Passed};

/// What a report has beside what its threads counted.
#[derive(Debug)]
pub(crate) struct Around {
    pub(crate) nic: Option<NicState>,
    pub(crate) before: Counters,
    pub(crate) after: Counters,
}

#[expect(clippy::cast_precision_loss, reason = "a rate is not exact")]
pub(crate) fn put_together(side: Side, flows: u16, tally: Tally, passed: Passed, around: Around) -> Report {
    let bytes = tally.total();
    let seconds = passed.time.as_secs_f64();
    Report {
        side,
        flows,
        bytes,
        nanoseconds: u64::try_from(passed.time.as_nanos()).unwrap_or(u64::MAX),
        bits_per_second: if seconds > 0.0 { bytes as f64 * 8.0 / seconds } else { 0.0 },
        zero_copy_bytes: tally.zero_copy,
        copied_bytes: bytes.saturating_sub(tally.zero_copy),
        verified_bytes: tally.verified,
        system_calls: tally.calls(),
        fragments: tally.fragments,
        call_bytes: tally.call_bytes,
        returns: tally.returns,
        completions: tally.completions,
        ring_overflows: tally.ring_overflows,
        zcrx_copies: tally.zcrx_copies,
        blocked_nanoseconds: tally.blocked,
        cpu: passed.cpu,
        nic: around.nic,
        before: around.before,
        after: around.after,
    }
}
