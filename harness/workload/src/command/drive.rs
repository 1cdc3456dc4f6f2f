//! Runs a command, and its server if it has one.

use std::{io, time::Duration};

use machine::{Endpoint, Executed, FileReadings, GuestCommand, RunningCommand, SessionError};
use measure::{RawFile, SideFiles, Sides, Window};
use plan::{Command, CommandServer, OutputOf, Side, Workload};
use protocol::{HowEnded, Transport};
use sha2::{Digest, Sha256};

use super::{Ran, argv, folder, read};
use crate::{
    Findings, Outcome, WorkloadError,
    drive::{self, Around, Ends, LISTEN_DEADLINE, chain, last_words, observe, of_program, of_server},
    recipe::{MAX_OUTPUT, SIGTERM, SLACK, window_files},
};

/// How long a server may take to end once it was asked to.
const GRACE: Duration = Duration::from_secs(5);

/// Most bytes of a file that metrics stand in.
const MAX_FILE: u32 = 16 * 1024 * 1024;

/// Runs a command as often as asked for.
pub(crate) async fn run(
    workload: &Workload,
    params: &Command,
    ends: &Ends<'_>,
    around: &Around<'_>,
) -> Result<Outcome, WorkloadError> {
    let snapshots = around.snapshots;
    let job = Job { workload, params, ends };
    job.furnish().await?;
    let serving = match &params.server {
        Some(server) => Some(job.serve(server, of_program(snapshots).0).await?),
        None => None,
    };
    let (own, other) = match params.side {
        Side::Client => (ends.client, ends.server),
        Side::Server => (ends.server, ends.client),
    };
    let idle = observe(other, ends.sides, snapshots).await.map_err(job.lost(other, "reading files"))?;
    let ended = job.repeat(own, around).await?;
    let done = observe(other, ends.sides, snapshots).await.map_err(job.lost(other, "reading files"))?;

    let mut raw = ended.raw;
    let mut followed = Vec::new();
    if let Some(serving) = serving {
        let stopping = serving.stop(SIGTERM, GRACE).await;
        let served = stopping.map_err(job.lost(ends.server, "stopping the server"))?;
        raw.extend(output(&format!("{}.server", workload.name), &served));
        followed.extend(of_server(&served));
    }
    if let Some(message) = ended.failure {
        return Err(job.failure(message, raw));
    }
    let findings = read(params, &ended.runs);
    let beside = SideFiles { before: idle.after, after: done.before };
    let around = SideFiles { before: ended.before, after: ended.after };
    let (server, client) = match (params.side, ends.sides) {
        // What both sides share is read as the client's.
        (Side::Client, _) | (Side::Server, Sides::OneNamespace) => (beside, around),
        (Side::Server, _) => (around, beside),
    };
    let mut window = Window {
        server,
        client,
        elapsed: ended.elapsed,
        traffic: findings.traffic,
        ..Window::empty(ends.sides)
    };
    window.server.after.extend(followed);
    raw.extend(window_files(&workload.name, &window));
    let Findings { samples, unavailable, within, .. } = findings;
    Ok(Outcome { samples, unavailable, within, raw, window, void: None })
}

struct Job<'a> {
    workload: &'a Workload,
    params: &'a Command,
    ends: &'a Ends<'a>,
}

/// All runs of one boot.
#[derive(Default)]
struct Repeated {
    runs: Vec<Ran>,
    raw: Vec<RawFile>,
    /// Before the first run.
    before: FileReadings,
    /// After the last run.
    after: FileReadings,
    elapsed: Duration,
    /// Why the last one that was made is no success.
    failure: Option<String>,
}

impl Job<'_> {
    fn lost(
        &self,
        endpoint: &Endpoint<'_>,
        doing: &'static str,
    ) -> impl FnOnce(SessionError) -> WorkloadError {
        drive::lost(self.workload, endpoint, doing)
    }

    fn failure(&self, message: String, raw: Vec<RawFile>) -> WorkloadError {
        drive::failure(self.workload, message, raw)
    }

    /// Puts the files into every guest.
    async fn furnish(&self) -> Result<(), WorkloadError> {
        if self.params.files.is_empty() {
            return Ok(());
        }
        let folder = folder(&self.workload.name);
        let (server, client) = (self.ends.server, self.ends.client);
        let same = server.guest == client.guest;
        for endpoint in if same { vec![client] } else { vec![client, server] } {
            let lost = |doing| self.lost(endpoint, doing);
            let make = GuestCommand::new("mkdir").args(["-p", folder.as_str()]);
            let made = endpoint.session.exec(make).await.map_err(lost("making a folder"))?;
            if made.how != HowEnded::Exited(0) {
                return Err(self.failure(format!("mkdir {folder}: {}", last_words(&made)), vec![]));
            }
            for file in &self.params.files {
                let wrong = |source| WorkloadError::HostFile {
                    workload: self.workload.name.clone(),
                    path: file.path.clone(),
                    source,
                };
                let bytes = std::fs::read(&file.path).map_err(wrong)?;
                let sha256: String =
                    Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
                if sha256 != file.sha256 {
                    return Err(wrong(io::Error::other("it has changed since the run was planned")));
                }
                let mode = if file.executable { 0o755 } else { 0o644 };
                let path = format!("{folder}/{}", file.name);
                endpoint.session.put(&path, mode, &bytes).await.map_err(lost("putting a file"))?;
            }
        }
        Ok(())
    }

    fn command(&self, endpoint: &Endpoint<'_>, run: &[String], deadline: Duration) -> GuestCommand {
        let argv = argv(run, &self.workload.name, self.params, self.ends.server.address);
        let mut command = endpoint.command(argv.first().cloned().unwrap_or_default());
        command = command.args(argv.into_iter().skip(1)).deadline(deadline).max_output(MAX_OUTPUT);
        self.params.env.iter().fold(command, |command, (name, value)| command.env(name, value))
    }

    /// Starts the server and waits until it listens.
    async fn serve(
        &self,
        params: &CommandServer,
        followed: Vec<String>,
    ) -> Result<RunningCommand, WorkloadError> {
        let server = self.ends.server;
        // It outlives all runs of the command, the wait for it and its own start.
        let runs = Duration::from_secs(self.params.deadline_s.into()) * self.params.repeat;
        let command = self.command(server, &params.run, runs + LISTEN_DEADLINE + SLACK).snapshot(followed);
        let serving = match server.session.start(command).await {
            Err(error @ SessionError::Guest { .. }) => {
                return Err(self.failure(format!("the server: {}", chain(&error)), vec![]));
            }
            other => other.map_err(self.lost(server, "starting the server"))?,
        };
        let transport = match params.transport {
            plan::Transport::Tcp => Transport::Tcp,
            plan::Transport::Udp => Transport::Udp,
        };
        match server.session.wait_listening(server.netns, transport, params.port, LISTEN_DEADLINE).await {
            Ok(()) => Ok(serving),
            Err(refusal @ SessionError::Guest { .. }) => {
                let stopping = serving.stop(SIGTERM, GRACE).await;
                let served = stopping.map_err(self.lost(server, "stopping the server"))?;
                let message = format!("{}; the server: {}", chain(&refusal), last_words(&served));
                Err(self.failure(message, output(&format!("{}.server", self.workload.name), &served)))
            }
            Err(error) => Err(self.lost(server, "waiting until the server listens")(error)),
        }
    }

    /// Runs the command as often as asked for, or until a run is no success.
    async fn repeat(&self, own: &Endpoint<'_>, around: &Around<'_>) -> Result<Repeated, WorkloadError> {
        let mut repeated = Repeated::default();
        for run in 0..self.params.repeat {
            let deadline = Duration::from_secs(self.params.deadline_s.into());
            let mut command =
                self.command(own, &self.params.run, deadline).stdin(self.params.stdin.clone().into_bytes());
            let (first, last) = (run == 0, run + 1 == self.params.repeat);
            // The window is every run's, the files are those around all of them.
            let snapshots: &[String] = if first || last { around.snapshots } else { &[] };
            command = Around { snapshots, ..*around }.of(command);
            let executed = match own.session.exec(command).await {
                // The guest has no such program.
                Err(error @ SessionError::Guest { .. }) => {
                    repeated.failure = Some(chain(&error));
                    return Ok(repeated);
                }
                other => other.map_err(self.lost(own, "running the command"))?,
            };
            let name = match self.params.repeat {
                1 => self.workload.name.clone(),
                _ => format!("{}.{}", self.workload.name, run + 1),
            };
            repeated.raw.extend(output(&name, &executed));
            let status = match executed.how {
                HowEnded::Exited(status) if self.params.exit.accepts(status) => status,
                _ => {
                    repeated.failure = Some(last_words(&executed));
                    return Ok(repeated);
                }
            };
            let files = self.output_files(own).await?;
            for (path, content) in &files {
                if let Ok(bytes) = content {
                    let file = path.trim_start_matches('/').replace('/', "-");
                    repeated.raw.push(RawFile { name: format!("{name}.{file}"), bytes: bytes.clone() });
                }
            }
            let Executed { stdout, stderr, elapsed, before, after, .. } = executed;
            if first {
                repeated.before = before;
            }
            if last {
                repeated.after = after;
            }
            repeated.elapsed += elapsed;
            repeated.runs.push(Ran { stdout, stderr, files, status, seconds: elapsed.as_secs_f64() });
        }
        Ok(repeated)
    }

    /// The files that metrics stand in.
    async fn output_files(&self, own: &Endpoint<'_>) -> Result<FileReadings, WorkloadError> {
        let paths: Vec<String> = self
            .params
            .metrics
            .iter()
            .filter_map(|metric| match &metric.from {
                OutputOf::File(path) => Some(path.clone()),
                OutputOf::Stdout | OutputOf::Stderr => None,
            })
            .collect();
        if paths.is_empty() {
            return Ok(FileReadings::new());
        }
        own.session.read(&paths, MAX_FILE).await.map_err(self.lost(own, "reading the command's files"))
    }
}

/// What a program wrote, as `NAME.stdout` and, if there is any, `NAME.stderr`.
fn output(name: &str, executed: &Executed) -> Vec<RawFile> {
    let mut files = vec![RawFile { name: format!("{name}.stdout"), bytes: executed.stdout.clone() }];
    if !executed.stderr.is_empty() {
        files.push(RawFile { name: format!("{name}.stderr"), bytes: executed.stderr.clone() });
    }
    files
}
