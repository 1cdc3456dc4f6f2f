//! Runs both sides of a stream.

use std::time::Duration;

use std::path::Path;

use machine::{Endpoint, Executed, GuestCommand, RunningCommand, SessionError};
use measure::{RawFile, SideFiles, Window};
use plan::{Stream, Workload};
use protocol::{HowEnded, Transport};

use super::{PORT, Placement, Reports, deadline, not_taken, parse, receiver, sender, stat::STAT};
use crate::{
    Findings, Outcome, WorkloadError,
    drive::{self, Around, Ends, chain, last_words, observe, of_program, of_server},
    recipe::{MAX_OUTPUT, SIGTERM, SLACK, window_files},
};

/// Where the program is in the guest.
pub const GUEST_PATH: &str = "/tmp/assay-bench";

/// What interfaces are made with: `GSO_LEGACY_MAX_SIZE`, `GRO_LEGACY_MAX_SIZE` of include/linux/netdevice.h.
const LEGACY_MAX_SIZE: u32 = 65_536;

/// How long a receiver may take until it listens: it changes the NIC and binds memory to a queue before, and did that for more than 30 s in an
/// emulated guest on a host with six times more to do than it could.
const SETUP_DEADLINE: Duration = Duration::from_secs(120);

/// Puts the program into the guest of `endpoint`, once before its streams.
///
/// # Errors
/// If it cannot be read here, or the guest cannot be talked to.
pub async fn furnish(endpoint: &Endpoint<'_>, program: &Path) -> Result<(), WorkloadError> {
    let workload = flow::PROGRAM.to_owned();
    let bytes = std::fs::read(program).map_err(|source| WorkloadError::HostFile {
        workload: workload.clone(),
        path: program.to_owned(),
        source,
    })?;
    let put = endpoint.session.put(GUEST_PATH, 0o755, &bytes).await;
    put.map_err(|source| WorkloadError::Session {
        workload,
        guest: endpoint.guest.to_owned(),
        doing: "putting assay-bench there",
        source,
    })
}

pub(crate) async fn run(
    workload: &Workload,
    params: &Stream,
    ends: &Ends<'_>,
    around: &Around<'_>,
) -> Result<Outcome, WorkloadError> {
    let job = Job { workload, params, ends, around };
    let outcome = match job.sizes(true).await? {
        Ok(()) => job.run().await,
        Err(why) => Ok(job.void(why, vec![])),
    };
    // Whatever came of it: the next workload is not this one's.
    let put_back = job.sizes(false).await;
    let outcome = outcome?;
    if let Err(why) = put_back? {
        return Err(job.failure(why, outcome.raw));
    }
    Ok(outcome)
}

struct Job<'a> {
    workload: &'a Workload,
    params: &'a Stream,
    ends: &'a Ends<'a>,
    around: &'a Around<'a>,
}

/// Both sides, ended.
struct Ended {
    server: Executed,
    client: Executed,
    idle: SideFiles,
    done: SideFiles,
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

    /// An outcome without numbers.
    fn void(&self, why: String, raw: Vec<RawFile>) -> Outcome {
        let window = Window::empty(self.ends.sides);
        Outcome { samples: vec![], unavailable: vec![], within: vec![], raw, window, void: Some(why) }
    }

    /// Sets the largest packets above both NICs, or puts back what interfaces are made with. The inner error is what the guest
    /// said.
    async fn sizes(&self, set: bool) -> Result<Result<(), String>, WorkloadError> {
        let asked = [
            (self.ends.server, "gro", self.params.big_tcp.gro_max_bytes),
            (self.ends.client, "gso", self.params.big_tcp.gso_max_bytes),
        ];
        for (endpoint, what, size) in asked {
            let Some(size) = size else { continue };
            let size = if set { size } else { LEGACY_MAX_SIZE }.to_string();
            // That of IPv6 first: a small one sets both.
            for name in [format!("{what}_max_size"), format!("{what}_ipv4_max_size")] {
                let command =
                    endpoint.command("ip").args(["link", "set", "dev", endpoint.interface, &name, &size]);
                let executed = match endpoint.session.exec(command).await {
                    Err(error @ SessionError::Guest { .. }) => return Ok(Err(chain(&error))),
                    other => other.map_err(self.lost(endpoint, "setting sizes of packets"))?,
                };
                if executed.how != HowEnded::Exited(0) {
                    let words = last_words(&executed);
                    return Ok(Err(format!("setting {name} of {} to {size}: {words}", endpoint.interface)));
                }
            }
        }
        Ok(Ok(()))
    }

    fn command(&self, endpoint: &Endpoint<'_>, ask: &flow::Ask) -> GuestCommand {
        endpoint.command(GUEST_PATH).args(ask.arguments()).max_output(MAX_OUTPUT)
    }

    fn output(&self, side: &str, executed: &Executed) -> Vec<RawFile> {
        let name = |suffix: &str| format!("{}.{}-{side}.{suffix}", self.workload.name, flow::PROGRAM);
        let mut files = vec![RawFile { name: name("json"), bytes: executed.stdout.clone() }];
        if !executed.stderr.is_empty() {
            files.push(RawFile { name: name("stderr"), bytes: executed.stderr.clone() });
        }
        files
    }

    async fn run(&self) -> Result<Outcome, WorkloadError> {
        let (server, client) = (self.ends.server, self.ends.client);
        let Around { vcpus, steers, window, .. } = *self.around;
        let placement = Placement { vcpus, steers, window };
        let receive = self.command(server, &receiver(self.params, server, placement));
        let receive = receive
            .deadline(deadline(self.params) + SETUP_DEADLINE + 2 * SLACK)
            .snapshot(of_program(self.around.snapshots).0);
        let serving = match server.session.start(receive).await {
            // The guest has no such program.
            Err(error @ SessionError::Guest { .. }) => return Err(self.failure(chain(&error), vec![])),
            other => other.map_err(self.lost(server, "starting the receiver"))?,
        };
        if let Err(refusal) = self.await_listener(&serving).await? {
            let served = self.stop(serving).await?;
            let raw = self.output("server", &served);
            if unavailable(&served) {
                return Ok(self.void(sentence(&served), raw));
            }
            return Err(self.failure(format!("{refusal}; the receiver: {}", last_words(&served)), raw));
        }
        let ended = self.transfer(client, &sender(self.params, server, client, placement), serving).await?;
        self.outcome(ended)
    }

    /// The patterns of files that are read around the sender.
    fn snapshots(&self) -> Vec<String> {
        let mut snapshots = self.around.snapshots.to_vec();
        // Where instructions are counted, nothing else is done.
        if self.around.window.is_none() && !snapshots.iter().any(|pattern| pattern == STAT) {
            snapshots.push(STAT.to_owned());
        }
        snapshots
    }

    async fn transfer(
        &self,
        client: &Endpoint<'_>,
        ask: &flow::Ask,
        serving: RunningCommand,
    ) -> Result<Ended, WorkloadError> {
        let server = self.ends.server;
        let snapshots = self.snapshots();
        let observe = async || {
            let observed = observe(server, self.ends.sides, &snapshots).await;
            observed.map_err(self.lost(server, "reading the receiver's files"))
        };
        let idle = observe().await?;
        let command = self.command(client, ask).snapshot(&snapshots).deadline(deadline(self.params) + SLACK);
        let executed = client.session.exec(command).await.map_err(self.lost(client, "running the sender"))?;
        let done = observe().await?;
        // It ends when its peer has; one that was refused or failed may have left it waiting.
        let served = if executed.how == HowEnded::Exited(0) {
            serving.wait().await.map_err(self.lost(server, "waiting for the receiver's end"))?
        } else {
            self.stop(serving).await?
        };
        Ok(Ended { server: served, client: executed, idle, done })
    }

    fn outcome(&self, ended: Ended) -> Result<Outcome, WorkloadError> {
        let Ended { server, client, idle, done } = ended;
        let mut raw = self.output("client", &client);
        raw.extend(self.output("server", &server));
        let corrupt = |executed: &&Executed| executed.how == HowEnded::Exited(flow::exit::CORRUPT);
        if let Some(side) = [&server, &client].into_iter().find(corrupt) {
            return Err(self.failure(sentence(side), raw));
        }
        if let Some(side) = [&server, &client].into_iter().find(|executed| unavailable(executed)) {
            return Ok(self.void(sentence(side), raw));
        }
        for (name, side) in [("the receiver", &server), ("the sender", &client)] {
            // A side that was ended because of the other has nothing to say.
            if !matches!(side.how, HowEnded::Exited(0) | HowEnded::Signalled(SIGTERM)) {
                return Err(self.failure(format!("{name}: {}", last_words(side)), raw));
            }
        }
        let reports = match Reports::read(&server.stdout, &client.stdout) {
            Ok(reports) => reports,
            Err(error) => return Err(self.failure(chain(&error), raw)),
        };
        let mut window = Window {
            server: SideFiles { before: idle.after, after: done.before },
            client: SideFiles { before: client.before, after: client.after },
            elapsed: client.elapsed,
            ..Window::empty(self.ends.sides)
        };
        window.server.after.extend(of_server(&server));
        raw.extend(window_files(&self.workload.name, &window));
        if let Some(why) = not_taken(self.params, &reports.receiver, &reports.sender) {
            return Ok(self.void(why, raw));
        }
        let guests: &[&SideFiles] = match self.ends.sides {
            measure::Sides::TwoGuests => &[&window.server, &window.client],
            measure::Sides::TwoNamespaces | measure::Sides::OneNamespace => &[&window.client],
        };
        let Findings { samples, unavailable, traffic, within } = parse(self.params, &reports, guests);
        window.traffic = traffic;
        Ok(Outcome { samples, unavailable, within, raw, window, void: None })
    }

    /// Waits until the receiver listens for its last flow. The inner error is the guest's: nothing listened in time, or the
    /// receiver ended before.
    async fn await_listener(&self, serving: &RunningCommand) -> Result<Result<(), String>, WorkloadError> {
        let server = self.ends.server;
        let last = PORT + super::flows(self.params).saturating_sub(1);
        let listening = server.session.wait_listening(server.netns, Transport::Tcp, last, SETUP_DEADLINE);
        let waited = tokio::select! {
            // A closed world has answered both by now, and the receiver's end came later.
            biased;
            waited = listening => waited,
            () = serving.ended() => return Ok(Err("the receiver ended before it listened".to_owned())),
        };
        match waited {
            Ok(()) => Ok(Ok(())),
            Err(error @ SessionError::Guest { .. }) => Ok(Err(chain(&error))),
            Err(error) => Err(self.lost(server, "waiting until the receiver listens")(error)),
        }
    }

    /// Ends the receiver, which puts the NIC back.
    async fn stop(&self, serving: RunningCommand) -> Result<Executed, WorkloadError> {
        let server = self.ends.server;
        serving.stop(SIGTERM, SLACK).await.map_err(self.lost(server, "stopping the receiver"))
    }
}

/// Whether a side says that what was asked is not to be had here.
fn unavailable(executed: &Executed) -> bool {
    executed.how == HowEnded::Exited(flow::exit::UNAVAILABLE)
}

/// What a side says on its way out: one sentence on standard error.
fn sentence(executed: &Executed) -> String {
    let text = String::from_utf8_lossy(&executed.stderr);
    let last = text.lines().rev().find(|line| !line.trim().is_empty());
    let said = |line: &str| {
        let line = line.trim();
        line.strip_prefix(flow::PROGRAM).and_then(|rest| rest.strip_prefix(": ")).unwrap_or(line).to_owned()
    };
    last.map_or_else(|| last_words(executed), said)
}
