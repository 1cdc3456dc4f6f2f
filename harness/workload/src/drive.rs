//! Runs a workload on two endpoints.

use std::time::Duration;

use machine::{Endpoint, Executed, GuestCommand, RunningCommand, Session, SessionError};
use measure::{RawFile, Sample, SideFiles, Sides, Window, Within};
use plan::{Workload, WorkloadKind};
use protocol::HowEnded;

use crate::{
    Failure, Findings, ParseError, WorkloadError, command,
    ktap::{self, Tests},
    recipe::{Pair, Recipe, window_files},
    stream,
};

/// How long a server may take until it listens. Emulated, on a host with eight times more to do than it could, an iperf3 took more than 30 s.
pub(crate) const LISTEN_DEADLINE: Duration = Duration::from_secs(120);

/// Most bytes of the symbols of modules: a guest with every driver of a distribution loaded has a tenth.
const MOST_SYMBOLS: usize = 16 << 20;
/// A guest under emulation lists some hundred thousand symbols in seconds; idle ones count here, too.
const LISTING: Duration = Duration::from_secs(600);

/// What came of a workload that ran to its end.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// The numbers, without the dimension `workload`.
    pub samples: Vec<Sample>,
    /// What the tool's output does not tell, and why.
    pub unavailable: Vec<String>,
    /// Some of the numbers, part by part, without the dimension `workload`.
    pub within: Vec<Within>,
    /// The tools' own output and the files of the window, as they were read.
    pub raw: Vec<RawFile>,
    /// What `collect` reduces.
    pub window: Window,
    /// Why its numbers say nothing about what was asked: the path was not taken. There are then no samples, and nothing is to be
    /// made of the window.
    pub void: Option<String>,
}

/// What happens around a workload's client.
#[derive(Clone, Copy, Debug, Default)]
pub struct Around<'a> {
    /// Patterns of files that are read before and after.
    pub snapshots: &'a [String],
    /// The number of the window in which its instructions are counted, if they are.
    pub window: Option<u32>,
    /// Cores of each guest.
    pub vcpus: u32,
    /// Whether its NICs can lead flows to a queue.
    pub steers: bool,
}

impl Around<'_> {
    pub(crate) fn of(&self, command: GuestCommand) -> GuestCommand {
        let command = command.snapshot(self.snapshots);
        match self.window {
            Some(number) => command.window(number),
            None => command,
        }
    }
}

/// Runs `workload` between two endpoints of a running machine.
///
/// The files of `around.snapshots` are read on both sides immediately before the client starts and immediately after
/// it has ended, while the server is idle; where both sides are one namespace, once. Around the kernel's own tests nothing
/// is read; `tests` is told what they say.
///
/// # Errors
/// [`WorkloadError::Failed`] if a tool fails in a guest that lives; [`WorkloadError::Session`] if an agent cannot be
/// talked to, as when its guest has crashed. Every wait has a deadline.
pub async fn run(
    workload: &Workload,
    server: &Endpoint<'_>,
    client: &Endpoint<'_>,
    sides: Sides,
    around: &Around<'_>,
    tests: &dyn Tests,
) -> Result<Outcome, WorkloadError> {
    match &workload.kind {
        WorkloadKind::Iperf3(params) => {
            run_pair(workload, Pair::Iperf3(params), server, client, sides, around).await
        }
        WorkloadKind::Sockperf(params) => {
            run_pair(workload, Pair::Sockperf(params), server, client, sides, around).await
        }
        WorkloadKind::Command(params) => {
            command::run(workload, params, &Ends { server, client, sides }, around).await
        }
        WorkloadKind::Stream(params) => {
            stream::run(workload, params, &Ends { server, client, sides }, around).await
        }
        WorkloadKind::Ktap(params) => {
            ktap::run(workload, params, &Ends { server, client, sides }, tests).await
        }
        WorkloadKind::Imported(_) => Err(WorkloadError::Failed(Box::new(Failure {
            workload: workload.name.clone(),
            message: "it was run elsewhere, and how is not known".to_owned(),
            raw: vec![],
        }))),
    }
}

/// The two ends of the network, and what they share.
pub(crate) struct Ends<'a> {
    pub(crate) server: &'a Endpoint<'a>,
    pub(crate) client: &'a Endpoint<'a>,
    pub(crate) sides: Sides,
}

async fn run_pair(
    workload: &Workload,
    pair: Pair<'_>,
    server: &Endpoint<'_>,
    client: &Endpoint<'_>,
    sides: Sides,
    around: &Around<'_>,
) -> Result<Outcome, WorkloadError> {
    let snapshots = around.snapshots;
    let recipe = Recipe::new(workload, pair, server);
    let lost = |endpoint: &Endpoint<'_>, doing| {
        let guest = endpoint.guest.to_owned();
        move |source| WorkloadError::Session { workload: workload.name.clone(), guest, doing, source }
    };

    let serving = server
        .session
        .start(recipe.server_command(server).snapshot(of_program(snapshots).0))
        .await
        .map_err(lost(server, "starting the server"))?;
    let listening =
        await_listener(&recipe, server).await.map_err(lost(server, "waiting until the server listens"))?;
    if let Err(refusal) = listening {
        let served = stop(serving, &recipe).await.map_err(lost(server, "stopping the server"))?;
        let message = format!("{refusal}; the server: {}", last_words(&served));
        return Err(recipe.failure(message, recipe.tool_output("server", &served)));
    }

    let idle = observe(server, sides, snapshots).await.map_err(lost(server, "reading the server's files"))?;
    let executed = client
        .session
        .exec(around.of(recipe.client_command(client)))
        .await
        .map_err(lost(client, "running the client"))?;
    let done = observe(server, sides, snapshots).await.map_err(lost(server, "reading the server's files"))?;

    let completed = executed.how == HowEnded::Exited(0);
    let served = if completed && recipe.server_ends_after(&executed.stdout) {
        serving.wait().await.map_err(lost(server, "waiting for the server's end"))?
    } else {
        stop(serving, &recipe).await.map_err(lost(server, "stopping the server"))?
    };

    let mut raw = recipe.tool_output("client", &executed);
    raw.extend(recipe.tool_output("server", &served));
    let findings = match recipe.parse(&executed.stdout, &served.stdout) {
        Ok(findings) if completed => findings,
        Ok(_) => return Err(recipe.failure(last_words(&executed), raw)),
        // A tool that was killed has no words of its own.
        Err(error @ (ParseError::Incomplete { .. } | ParseError::Json { .. })) if !completed => {
            return Err(recipe.failure(format!("{} ({})", last_words(&executed), chain(&error)), raw));
        }
        Err(error) => return Err(recipe.failure(chain(&error), raw)),
    };
    let mut window = Window {
        // Of each observation the reading that lies on the window's side: the command in between is outside.
        server: SideFiles { before: idle.after, after: done.before },
        client: SideFiles { before: executed.before, after: executed.after },
        elapsed: executed.elapsed,
        traffic: findings.traffic,
        ..Window::empty(sides)
    };
    window.server.after.extend(of_server(&served));
    raw.extend(window_files(&workload.name, &window));
    let Findings { samples, unavailable, within, .. } = findings;
    Ok(Outcome { samples, unavailable, within, raw, window, void: None })
}

/// Waits until the server listens. The inner error is the guest's: nothing listened in time.
async fn await_listener(
    recipe: &Recipe<'_>,
    server: &Endpoint<'_>,
) -> Result<Result<(), String>, SessionError> {
    let waited =
        server.session.wait_listening(server.netns, recipe.transport, recipe.port, LISTEN_DEADLINE).await;
    match waited {
        Ok(()) => Ok(Ok(())),
        Err(error @ SessionError::Guest { .. }) => Ok(Err(chain(&error))),
        Err(error) => Err(error),
    }
}

/// Which of the patterns are of a command itself: they go with each side's program, and with nothing that is done beside it.
pub(crate) fn of_program(snapshots: &[String]) -> (Vec<String>, Vec<String>) {
    snapshots.iter().cloned().partition(|pattern| pattern.starts_with("trace:"))
}

/// What was said of a server's own program.
pub(crate) fn of_server(served: &Executed) -> impl Iterator<Item = (String, Result<Vec<u8>, String>)> {
    let followed = served.after.iter().filter(|(pattern, _)| pattern.starts_with("trace:"));
    followed.map(|(pattern, content)| (pattern.clone(), content.clone()))
}

/// Reads the server's files in its namespace, twice, around a command that does nothing: a plain read of the protocol is
/// not done within a namespace.
pub(crate) async fn observe(
    server: &Endpoint<'_>,
    sides: Sides,
    snapshots: &[String],
) -> Result<SideFiles, SessionError> {
    let (_, snapshots) = of_program(snapshots);
    if sides == Sides::OneNamespace || snapshots.is_empty() {
        return Ok(SideFiles::default());
    }
    let executed = server.session.exec(server.command("true").snapshot(snapshots)).await?;
    Ok(SideFiles { before: executed.before, after: executed.after })
}

/// Files of a guest that is no side, as they are now, read as those of the sides are.
///
/// # Errors
/// If the guest cannot be talked to.
pub async fn files_now(
    guest: &str,
    session: &Session,
    snapshots: &[String],
) -> Result<measure::Files, WorkloadError> {
    let command = GuestCommand::new("true").snapshot(snapshots);
    match session.exec(command).await {
        Ok(executed) => Ok(executed.after),
        Err(source) => Err(WorkloadError::Session {
            workload: "the host's files".into(),
            guest: guest.to_owned(),
            doing: "reading its files",
            source,
        }),
    }
}

/// Where the functions of modules are in a guest, as its `/proc/kallsyms` lists them; nothing where none is loaded.
///
/// # Errors
/// [`WorkloadError::Failed`] if the guest cannot list them; [`WorkloadError::Session`] if it cannot be talked to.
pub async fn module_symbols(endpoint: &Endpoint<'_>) -> Result<Vec<u8>, WorkloadError> {
    const NAME: &str = "modules";
    let list = GuestCommand::new("grep").args(["-F", "[", "/proc/kallsyms"]);
    let listed = endpoint.session.exec(list.deadline(LISTING).max_output(MOST_SYMBOLS)).await;
    let listed = listed.map_err(|source| WorkloadError::Session {
        workload: NAME.to_owned(),
        guest: endpoint.guest.to_owned(),
        doing: "listing the functions of modules",
        source,
    })?;
    // 1: no line has a bracket.
    if matches!(listed.how, HowEnded::Exited(0 | 1)) {
        return Ok(listed.stdout);
    }
    Err(WorkloadError::Failed(Box::new(Failure {
        workload: NAME.to_owned(),
        message: format!("listing their functions: {}", last_words(&listed)),
        raw: vec![],
    })))
}

/// Writes a line to a file of a guest's kernel. What the kernel refuses is left as it was.
///
/// # Errors
/// If the guest cannot be talked to.
pub async fn write_setting(
    guest: &str,
    session: &Session,
    path: &str,
    line: &str,
) -> Result<(), WorkloadError> {
    match session.put(path, 0o600, line.as_bytes()).await {
        Ok(()) | Err(SessionError::Guest { .. }) => Ok(()),
        Err(source) => Err(WorkloadError::Session {
            workload: "tracing".into(),
            guest: guest.to_owned(),
            doing: "setting it up",
            source,
        }),
    }
}

/// Makes the server report and end. Its deadline in the guest bounds the wait.
async fn stop(running: RunningCommand, recipe: &Recipe<'_>) -> Result<Executed, SessionError> {
    match running.kill(recipe.stop_signal).await {
        // It may have ended by itself meanwhile.
        Ok(()) | Err(SessionError::Guest { .. }) => running.wait().await,
        Err(error) => Err(error),
    }
}

/// How a tool ended, and the last that it wrote.
pub(crate) fn last_words(executed: &Executed) -> String {
    let how = match executed.how {
        HowEnded::Exited(status) => format!("exit status {status}"),
        HowEnded::Signalled(signal) => format!("killed by signal {signal}"),
        HowEnded::DeadlinePassed => format!("not done after {} s", executed.elapsed.as_secs()),
    };
    let written = if executed.stderr.is_empty() { &executed.stdout } else { &executed.stderr };
    let text = String::from_utf8_lossy(written);
    match text.lines().rev().find(|line| !line.trim().is_empty()) {
        Some(line) => format!("{how}: {}", line.trim()),
        None => how,
    }
}

/// An error and its causes in one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(source) = cause {
        text = format!("{text}: {source}");
        cause = source.source();
    }
    text
}

/// The session with a guest has ended while something was done there.
pub(crate) fn lost(
    workload: &Workload,
    endpoint: &Endpoint<'_>,
    doing: &'static str,
) -> impl FnOnce(SessionError) -> WorkloadError + use<> {
    let (workload, guest) = (workload.name.clone(), endpoint.guest.to_owned());
    move |source| WorkloadError::Session { workload, guest, doing, source }
}

/// A workload came to no result, in its own words.
pub(crate) fn failure(workload: &Workload, message: String, raw: Vec<RawFile>) -> WorkloadError {
    WorkloadError::Failed(Box::new(Failure { workload: workload.name.clone(), message, raw }))
}
