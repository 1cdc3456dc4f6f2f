//! What is to be done for a workload, decided before anything runs.

use std::time::Duration;

use machine::{Endpoint, Executed, GuestCommand};
use measure::{RawFile, SideFiles, Window};
use plan::{Iperf3, Sockperf, Workload};
use protocol::Transport;

use crate::{Failure, Findings, ParseError, WorkloadError, drive::LISTEN_DEADLINE, iperf3, sockperf};

/// Added to what a workload takes by its parameters: starting up, connecting and reporting under TCG on a busy host.
pub(crate) const SLACK: Duration = Duration::from_secs(60);

/// Most bytes that a tool may write, its snapshots included. iperf3 with 128 flows that reports ten times a second
/// writes 4 MiB in ten seconds.
pub(crate) const MAX_OUTPUT: usize = 64 * 1024 * 1024;

/// A tool whose two halves talk to each other.
#[derive(Clone, Copy)]
pub(crate) enum Pair<'a> {
    Iperf3(&'a Iperf3),
    Sockperf(&'a Sockperf),
}

/// Everything about a workload that does not depend on how it goes.
pub(crate) struct Recipe<'a> {
    workload: &'a Workload,
    pair: Pair<'a>,
    server: Vec<String>,
    client: Vec<String>,
    tool: &'static str,
    /// Suffix of files that hold the tool's output.
    extension: &'static str,
    pub(crate) port: u16,
    pub(crate) transport: Transport,
    /// For the client.
    deadline: Duration,
    /// Makes the server report and end.
    pub(crate) stop_signal: i32,
}

impl<'a> Recipe<'a> {
    pub(crate) fn new(workload: &'a Workload, pair: Pair<'a>, server: &Endpoint<'_>) -> Self {
        match pair {
            Pair::Iperf3(params) => Self {
                workload,
                pair,
                server: iperf3::server_argv(params),
                client: iperf3::client_argv(params, server.address),
                tool: "iperf3",
                extension: "json",
                port: iperf3::PORT,
                transport: Transport::Tcp,
                deadline: iperf3::duration(params) + SLACK,
                stop_signal: SIGTERM,
            },
            Pair::Sockperf(params) => Self {
                workload,
                pair,
                server: sockperf::server_argv(params, server.address),
                client: sockperf::client_argv(params, server.address),
                tool: "sockperf",
                extension: "txt",
                port: sockperf::PORT,
                transport: match params.transport {
                    plan::Transport::Tcp => Transport::Tcp,
                    plan::Transport::Udp => Transport::Udp,
                },
                deadline: sockperf::duration(params) + SLACK,
                stop_signal: SIGINT,
            },
        }
    }

    pub(crate) fn parse(&self, client: &[u8], server: &[u8]) -> Result<Findings, ParseError> {
        match self.pair {
            Pair::Iperf3(params) => iperf3::parse(params, client, server),
            Pair::Sockperf(params) => sockperf::parse(params, client),
        }
    }

    /// Whether the server ends by itself, given what the client wrote: iperf3's does, if the client came to its end.
    pub(crate) fn server_ends_after(&self, client: &[u8]) -> bool {
        match self.pair {
            Pair::Iperf3(_) => iperf3::is_complete(client),
            Pair::Sockperf(_) => false,
        }
    }

    pub(crate) fn server_command(&self, server: &Endpoint<'_>) -> GuestCommand {
        // It outlives the client by the wait for it and its own start.
        let deadline = self.deadline + LISTEN_DEADLINE + SLACK;
        server.command(&self.server[0]).args(&self.server[1..]).deadline(deadline).max_output(MAX_OUTPUT)
    }

    pub(crate) fn client_command(&self, client: &Endpoint<'_>) -> GuestCommand {
        client.command(&self.client[0]).args(&self.client[1..]).deadline(self.deadline).max_output(MAX_OUTPUT)
    }

    pub(crate) fn failure(&self, message: String, raw: Vec<RawFile>) -> WorkloadError {
        WorkloadError::Failed(Box::new(Failure { workload: self.workload.name.clone(), message, raw }))
    }

    /// What a tool wrote, as `tcp.iperf3-client.json` and, if there is any, `tcp.iperf3-client.stderr`.
    pub(crate) fn tool_output(&self, side: &str, executed: &Executed) -> Vec<RawFile> {
        let Self { workload, tool, extension, .. } = self;
        let name = |suffix: &str| format!("{}.{tool}-{side}.{suffix}", workload.name);
        let mut files = vec![RawFile { name: name(extension), bytes: executed.stdout.clone() }];
        if !executed.stderr.is_empty() {
            files.push(RawFile { name: name("stderr"), bytes: executed.stderr.clone() });
        }
        files
    }
}

/// The files of the window, as `tcp.client-before.proc-stat`. Those of sysfs are many, and mostly a line each: they stand
/// one after the other in `tcp.client-before.sys.txt`, each after a line with its path.
pub(crate) fn window_files(workload: &str, window: &Window) -> Vec<RawFile> {
    let mut files = side_files(workload, "client", &window.client);
    files.extend(side_files(workload, "server", &window.server));
    files
}

/// The files that were read around a workload in guests that are no side and carry one.
#[must_use]
pub fn carrier_files(workload: &str, window: &Window) -> Vec<RawFile> {
    window.carriers.iter().flat_map(|(name, files)| side_files(workload, name, files)).collect()
}

fn side_files(workload: &str, side: &str, read: &SideFiles) -> Vec<RawFile> {
    let mut files = Vec::new();
    for (moment, contents) in
        [(format!("{side}-before"), &read.before), (format!("{side}-after"), &read.after)]
    {
        let mut sysfs = Vec::new();
        for (path, content) in contents {
            let Ok(bytes) = content else { continue };
            if path.starts_with("/sys/") {
                sysfs.extend_from_slice(format!("== {path}\n").as_bytes());
                sysfs.extend_from_slice(bytes);
                continue;
            }
            let file = path.trim_start_matches('/').replace(['/', ':'], "-");
            files.push(RawFile { name: format!("{workload}.{moment}.{file}"), bytes: bytes.clone() });
        }
        if !sysfs.is_empty() {
            files.push(RawFile { name: format!("{workload}.{moment}.sys.txt"), bytes: sysfs });
        }
    }
    files
}

/// Signal numbers of x86-64 and every other architecture of interest; the guest's, so not from the host's headers.
const SIGINT: i32 = 2;
pub(crate) const SIGTERM: i32 = 15;
