//! The parts of iperf3's JSON that are read: 3.12 (Debian 12) and 3.18 (Debian 13) write them alike.

use serde::Deserialize;

use crate::ParseError;

/// How far the warm-up's intervals may be from their sum, in seconds: timers fire late by some milliseconds, and a missing
/// interval is at least 0.1 s.
const WARMUP_TOLERANCE_S: f64 = 0.05;

/// One process's report.
#[derive(Debug, Deserialize)]
pub(super) struct Report {
    #[serde(default)]
    pub(super) intervals: Vec<Interval>,
    #[serde(default)]
    pub(super) end: End,
    /// Why it failed. The exit status does not tell: 3.12 exits with 0 after every error when it writes JSON.
    error: Option<String>,
}

/// One reporting interval.
#[derive(Debug, Deserialize)]
pub(super) struct Interval {
    pub(super) streams: Vec<IntervalStream>,
}

/// One stream in one interval.
#[derive(Debug, Deserialize)]
pub(super) struct IntervalStream {
    /// Names the stream within this process.
    pub(super) socket: u32,
    pub(super) seconds: f64,
    pub(super) bytes: u64,
    /// Whether it belongs to the warm-up.
    pub(super) omitted: bool,
    /// Whether this process sends on it.
    pub(super) sender: bool,
}

/// The summary; empty when the test did not come to its end.
#[derive(Debug, Default, Deserialize)]
pub(super) struct End {
    #[serde(default)]
    pub(super) streams: Vec<EndStream>,
    pub(super) sum_sent: Option<Sum>,
    pub(super) sum_received: Option<Sum>,
    pub(super) sum_sent_bidir_reverse: Option<Sum>,
    pub(super) sum_received_bidir_reverse: Option<Sum>,
}

/// One stream over the whole test, warm-up excluded.
#[derive(Debug, Deserialize)]
pub(super) struct EndStream {
    pub(super) receiver: Sum,
}

/// A sum over the whole test, warm-up excluded.
#[derive(Debug, Deserialize)]
pub(super) struct Sum {
    pub(super) bytes: u64,
    pub(super) bits_per_second: f64,
    /// Only on the sending side, and only where the kernel has `TCP_INFO`.
    pub(super) retransmits: Option<u64>,
    /// Whether this process is the one that sends.
    pub(super) sender: bool,
}

impl Report {
    /// Reads a whole report. `tool` names the side for messages.
    pub(super) fn read(tool: &'static str, json: &[u8]) -> Result<Self, ParseError> {
        Self::parse(tool, json)?.unless_failed(tool)
    }

    /// Reads the server's report of a test whose client came to its end, with a warm-up of so many seconds.
    ///
    /// Each side ends the warm-up by a timer of its own, and nobody waits for the other's. A server that gets no processor for
    /// long takes the client's end of the test first: what it then tells as the test's bytes are the warm-up's. Whether it says
    /// so is chance: where its timer (`server_omit_timer_proc` in iperf3's `iperf_server_api.c`) comes due before it ends, it
    /// asks for the `TCP_INFO` of a socket that it has closed and reports `getsockopt - Bad file descriptor`.
    pub(super) fn read_server(tool: &'static str, json: &[u8], warmup_s: u32) -> Result<Self, ParseError> {
        let read = Self::parse(tool, json)?;
        let mut streams = read.intervals.iter().flat_map(|interval| &interval.streams).peekable();
        if warmup_s > 0 && streams.peek().is_some() && streams.all(|stream| stream.omitted) {
            return Err(ParseError::WarmupNotOver { tool, warmup_s });
        }
        read.unless_failed(tool)
    }

    fn parse(tool: &'static str, json: &[u8]) -> Result<Self, ParseError> {
        serde_json::from_slice(json).map_err(|source| {
            if source.is_eof() {
                ParseError::Incomplete { tool, missing: "the end of its JSON".to_owned() }
            } else {
                ParseError::Json { tool, source }
            }
        })
    }

    fn unless_failed(mut self, tool: &'static str) -> Result<Self, ParseError> {
        match self.error.take() {
            Some(message) => Err(ParseError::Tool { tool, message }),
            None => Ok(self),
        }
    }

    /// Bytes that this process received during a warm-up of so many seconds; `None` if its intervals leave a part out,
    /// as 3.12 does when a report is due at the very moment at which the warm-up ends.
    pub(super) fn received_in_warmup(&self, warmup_s: u32) -> Option<u64> {
        let mut seconds = 0.0;
        let mut bytes = 0;
        for interval in &self.intervals {
            let received = || interval.streams.iter().filter(|stream| stream.omitted && !stream.sender);
            seconds += received().map(|stream| stream.seconds).fold(0.0, f64::max);
            bytes += received().map(|stream| stream.bytes).sum::<u64>();
        }
        (seconds > f64::from(warmup_s) - WARMUP_TOLERANCE_S).then_some(bytes)
    }
}
