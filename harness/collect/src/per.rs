//! What counts are divided by: the time between two readings, and the pages of payload that moved.

use measure::{SideFiles, Traffic, Window};

use crate::files::{both, float, grown, number};

/// The guest's monotonic clock, read with the files: a source of the agent's, in nanoseconds.
pub(crate) const CLOCK: &str = "clock:monotonic";

/// Bytes of a page of payload.
pub(crate) const PAGE: f64 = 4096.0;

pub(crate) const NO_BULK: &str = "the workload moves no bulk payload";
pub(crate) const UNCOUNTED: &str = "the workload's tool does not account for all payload of its warm-up";

/// Divisors for the counts of one side.
pub(crate) struct Per {
    seconds: Result<f64, String>,
    pages: Result<f64, String>,
}

impl Per {
    pub(crate) fn of(window: &Window, files: &SideFiles) -> Self {
        Self { seconds: seconds(files), pages: pages(window) }
    }

    /// A count in a second.
    pub(crate) fn second(&self, count: Result<f64, String>) -> Result<f64, String> {
        Ok(count? / self.seconds.clone()?)
    }

    /// A count for each page of payload.
    pub(crate) fn page(&self, count: Result<f64, String>) -> Result<f64, String> {
        Ok(count? / self.pages.clone()?)
    }
}

/// Seconds between the two readings of a side. The client's command took a little less; on the server's side the client's
/// start and end lie between as well.
pub(crate) fn seconds(files: &SideFiles) -> Result<f64, String> {
    let (before, after) = both(files, CLOCK)?;
    let nanoseconds = |text: &str| number(text.trim_end()).map_err(|why| format!("{CLOCK}: {why}"));
    let passed = grown("the clock", nanoseconds(before)?, nanoseconds(after)?)?;
    Ok(float(passed) / 1e9)
}

/// Whether payload moved of which pages could be counted.
pub(crate) fn is_bulk(window: &Window) -> bool {
    matches!(window.traffic, Traffic::Bulk(_))
}

/// Pages of payload that were received, in both directions together. Where one kernel has both sides, each page counts
/// once, though it is handled twice.
pub(crate) fn pages(window: &Window) -> Result<f64, String> {
    let Traffic::Bulk(payload) = window.traffic else {
        return Err(NO_BULK.to_owned());
    };
    let moved = payload.client_to_server.zip(payload.server_to_client).ok_or(UNCOUNTED)?;
    Ok((float(moved.0) + float(moved.1)) / PAGE)
}
