//! Which tool wrote a file.

use crate::{
    bpftrace, iperf3_text, pcm_iio, perf_report, perf_stat, perf_trace, run_metrics, sockperf, sysstat,
    text::Line,
};

/// What wrote a file, or a part of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Format {
    /// "Run Metrics" blocks of IOMMU studies' scripts.
    RunMetrics,
    /// iperf3 for people.
    Iperf3,
    /// `iperf3 --json`.
    Iperf3Json,
    /// sockperf's client.
    Sockperf,
    /// Maps of bpftrace, `@total[...]: N`.
    Bpftrace,
    /// `perf trace -s`.
    PerfTrace,
    /// `perf report --stdio`.
    PerfReport,
    /// `perf stat -x,`.
    PerfStat,
    /// `pcm-iio -csv`.
    PcmIio,
    /// mpstat and sar.
    Sysstat,
    /// Somebody's text, with any of these and tables in it.
    Notes,
}

/// Whether a line is of a format.
type Is = fn(&str) -> bool;

impl Format {
    /// Every format, in the order of its documentation.
    pub const ALL: [Self; 11] = [
        Self::RunMetrics,
        Self::Iperf3,
        Self::Iperf3Json,
        Self::Sockperf,
        Self::Bpftrace,
        Self::PerfTrace,
        Self::PerfReport,
        Self::PerfStat,
        Self::PcmIio,
        Self::Sysstat,
        Self::Notes,
    ];

    /// Its name on command lines and in the dimension `tool`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::RunMetrics => "run-metrics",
            Self::Iperf3 => "iperf3",
            Self::Iperf3Json => "iperf3-json",
            Self::Sockperf => "sockperf",
            Self::Bpftrace => "bpftrace",
            Self::PerfTrace => "perf-trace",
            Self::PerfReport => "perf-report",
            Self::PerfStat => "perf-stat",
            Self::PcmIio => "pcm-iio",
            Self::Sysstat => "sysstat",
            Self::Notes => "notes",
        }
    }

    /// The format of a file by its content: the one that the first line of any is of. A text with headings may hold several.
    pub(crate) fn of(lines: &[Line]) -> Self {
        let texts = || lines.iter().map(|line| line.text.as_str()).filter(|text| !text.trim().is_empty());
        let Some(first) = texts().next() else { return Self::Notes };
        if first.trim_start().starts_with('{') {
            return Self::Iperf3Json;
        }
        // Headings and the logs of scripts may stand first.
        let head = || texts().take(40);
        if head().any(pcm_iio::is_heading) {
            Self::PcmIio
        } else if sysstat::is_title(first) || head().any(sysstat::is_heading) {
            Self::Sysstat
        } else if head().any(perf_stat::is_row) {
            Self::PerfStat
        } else {
            // What has no heading and no fence is one tool's alone.
            let is_notes = texts().any(|text| text.starts_with("```") || text.starts_with("## "));
            let of_lines: [(Self, Is); 6] = [
                (Self::RunMetrics, run_metrics::is_title),
                (Self::PerfReport, perf_report::is_start),
                (Self::Iperf3, iperf3_text::is_row),
                (Self::Sockperf, sockperf::is_line),
                (Self::Bpftrace, bpftrace::is_line),
                (Self::PerfTrace, perf_trace::is_start),
            ];
            let found: Vec<Self> =
                of_lines.into_iter().filter(|(_, is)| texts().any(is)).map(|(format, _)| format).collect();
            match found.as_slice() {
                [only] if !is_notes => *only,
                _ => Self::Notes,
            }
        }
    }
}

impl std::fmt::Display for Format {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

impl std::str::FromStr for Format {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|format| format.name() == text).ok_or_else(|| {
            let names: Vec<&str> = Self::ALL.iter().map(|format| format.name()).collect();
            format!("expected one of {}", names.join(", "))
        })
    }
}
