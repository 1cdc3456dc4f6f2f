//! Flags of `assay import`.

use std::path::PathBuf;

use clap::Args;

#[derive(Debug, Args)]
pub(crate) struct Import {
    /// Files and folders, each of which becomes a run.
    #[arg(required = true, value_name = "FILE|DIR")]
    pub(crate) paths: Vec<PathBuf>,
    /// What the files are [default: what their content tells]: run-metrics, iperf3, iperf3-json, sockperf, bpftrace, perf-trace,
    /// perf-report, perf-stat, pcm-iio, sysstat, or notes with any of these and tables in them.
    #[arg(long, value_name = "FORMAT")]
    pub(crate) format: Option<import::Format>,
    /// What the run is called, and its scenario in `runs` and `trend` [default: the file's or the folder's name].
    #[arg(long, value_name = "NAME")]
    pub(crate) name: Option<String>,
    /// As JSON.
    #[arg(long)]
    pub(crate) json: bool,
}
