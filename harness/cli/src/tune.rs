//! `assay tune`: a quiet bench, and back again.

use std::{
    io::IsTerminal,
    os::fd::AsFd,
    path::{Path, PathBuf},
    pin::pin,
    process::ExitCode,
    time::Duration,
};

use anyhow::Context;
use host::{
    Distribution, Root,
    tune::{self, Foreign, Partition, Plan, Request, Restored, StateFile, Status, TuneError, Tuned, Turbo},
};
use jiff::Timestamp;
use subprocess::{Ended, Stdio, Stream, Supervisor, Tool, ToolError};

use crate::{arguments, failure::Failure, lab::supervisor, terminal};

/// How long a command may take to end when it is asked to: `assay run` ends its guests meanwhile.
const GRACE: Duration = Duration::from_secs(30);

pub(crate) fn tune(arguments: &arguments::Tune) -> Result<ExitCode, Failure> {
    let root = root(arguments.host_root.as_deref());
    let file = state_file();
    if arguments.restore {
        return restore(&root, &file, arguments);
    }
    let distribution = Distribution::of(&root, nix::unistd::geteuid().is_root());
    let plan = tune::plan(&root, &distribution, &request(arguments)).map_err(|problems| {
        Failure::user(problems.iter().map(|line| format!("assay: {line}")).collect::<Vec<_>>().join("\n"))
    })?;
    if arguments.apply {
        require_root(&root)?;
        return apply(&root, &file, &plan, arguments);
    }
    if arguments.json {
        print_json(&plan)?;
        return Ok(ExitCode::SUCCESS);
    }
    if let Some(note) = tuned_note(&root, &file)? {
        println!("{note}\n");
    }
    print!("{}", tune::plan_text(&plan));
    println!("\nNothing was changed. `assay tune --apply` does it, and `assay tune --restore` puts it back.");
    Ok(ExitCode::SUCCESS)
}

/// A tree of a test, or this machine.
pub(crate) fn root(given: Option<&Path>) -> Root {
    given.map_or_else(Root::machine, Root::at)
}

/// Where the machine's state is kept while it is tuned. Everybody may read it, so that runs can say so.
pub(crate) fn state_file() -> StateFile {
    let folder = std::env::var_os("ASSAY_STATE").map(PathBuf::from).filter(|folder| folder.is_absolute());
    StateFile::in_folder(&folder.unwrap_or_else(|| "/var/lib/assay".into()))
}

/// What to know about a machine that is tuned: since when, and how it is put back.
pub(crate) fn tuned_note(root: &Root, file: &StateFile) -> Result<Option<String>, TuneError> {
    Ok(match file.status(&tune::boot_id(root)?)? {
        Status::Untuned | Status::Rebooted(_) => None,
        Status::Tuned(state) => Some(format!(
            "note: this machine is tuned since {} ({} changes); `assay tune --restore` puts it back",
            state.since,
            state.changes.len()
        )),
    })
}

/// Since when this machine is tuned.
pub(crate) fn tuned_since(root: &Root, file: &StateFile) -> Result<Option<String>, TuneError> {
    Ok(match file.status(&tune::boot_id(root)?)? {
        Status::Untuned | Status::Rebooted(_) => None,
        Status::Tuned(state) => Some(state.since),
    })
}

fn request(arguments: &arguments::Tune) -> Request {
    // A command's threads are not bound to CPUs by us, and in an isolated partition nobody else spreads them.
    let alone = arguments.cores.as_ref().is_some_and(|cores| cores.len() == 1);
    let partition = match arguments.partition {
        Some(arguments::Partition::Isolated) => Partition::Isolated,
        Some(arguments::Partition::Root) => Partition::Root,
        None if arguments.command.is_empty() || alone => Partition::Isolated,
        None => Partition::Root,
    };
    Request {
        governor: arguments.governor.clone(),
        turbo: if arguments.keep_turbo { Turbo::Keep } else { Turbo::Off },
        idle_us: (!arguments.keep_idle).then_some(arguments.idle_us),
        smt_off: arguments.smt == arguments::Smt::Off,
        cores: arguments.cores.clone(),
        partition,
    }
}

fn require_root(root: &Root) -> Result<(), Failure> {
    if !root.is_machine() || nix::unistd::geteuid().is_root() {
        return Ok(());
    }
    let mut words: Vec<String> = std::env::args().map(|word| quoted(&word)).collect();
    // sudo searches a path of its own.
    if let (Some(program), Ok(us)) = (words.first_mut(), std::env::current_exe()) {
        *program = quoted(&us.to_string_lossy());
    }
    Err(Failure::user(format!(
        "assay: changing this machine's settings needs root; run:\n  sudo {}",
        words.join(" ")
    )))
}

/// A word as a shell wants it.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./=,:+@%".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', "'\\''"))
    }
}

fn restore(root: &Root, file: &StateFile, arguments: &arguments::Tune) -> Result<ExitCode, Failure> {
    let foreign = match (arguments.force, arguments.forget) {
        (true, _) => Foreign::Overwrite,
        (_, true) => Foreign::Forget,
        _ => Foreign::Report,
    };
    // Who is not root may still learn that there is nothing to do.
    if !matches!(file.status(&tune::boot_id(root)?)?, Status::Untuned) {
        require_root(root)?;
    } else {
        return restored(&Restored::Nothing, arguments.json);
    }
    restored(&tune::restore(root, file, foreign).map_err(of_tune)?, arguments.json)
}

fn restored(restored: &Restored, json: bool) -> Result<ExitCode, Failure> {
    if json {
        print_json(restored)?;
    } else {
        print!("{}", tune::restored_text(restored));
    }
    Ok(match restored {
        Restored::Changes { left, .. } if *left > 0 => {
            if !json {
                println!(
                    "{left} still to be put back: `assay tune --restore` tries again, with --force over what others wrote; \
                     --forget leaves that for good"
                );
            }
            ExitCode::FAILURE
        }
        _ => ExitCode::SUCCESS,
    })
}

fn print_json(value: &impl serde::Serialize) -> Result<(), Failure> {
    println!("{}", serde_json::to_string_pretty(value).context("writing JSON")?);
    Ok(())
}

/// What is the user's to mend among the ways in which tuning fails.
fn of_tune(error: TuneError) -> Failure {
    match error {
        TuneError::AlreadyTuned { .. } => {
            Failure::user(format!("assay: {error}; put it back first: assay tune --restore"))
        }
        TuneError::Busy { .. } => Failure::user(format!("assay: {error}")),
        error => error.into(),
    }
}

fn apply(
    root: &Root,
    file: &StateFile,
    plan: &Plan,
    arguments: &arguments::Tune,
) -> Result<ExitCode, Failure> {
    if arguments.command.is_empty() {
        let tuned = tune::apply(root, file, plan, now()).map_err(of_tune)?;
        if arguments.json {
            print_json(&tuned.applied)?;
        } else {
            print!("{}", report(plan, &tuned));
            println!("`assay tune --restore` puts it back; so does booting.");
        }
        return Ok(ExitCode::SUCCESS);
    }
    let (_, supervisor) = supervisor()?;
    let tokio = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("starting the asynchronous runtime")?;
    tokio.block_on(async {
        let mut stop = pin!(crate::interrupt::asked_to_stop());
        // From its first poll on, Ctrl-C no longer ends us: before anything is changed.
        tokio::select! {
            biased;
            () = &mut stop => return Err(Failure::Interrupted("interrupted before anything was changed".into())),
            () = std::future::ready(()) => {}
        }
        let tuned = tune::apply(root, file, plan, now()).map_err(of_tune)?;
        if !terminal::quiet() {
            eprint!("{}", report(plan, &tuned));
        }
        let ended = command(root, &supervisor, &tuned, &arguments.command, stop).await;
        // Whatever became of the command.
        let back = tuned.restore(root, file).map_err(of_tune)?;
        let left = match &back {
            Restored::Changes { left, .. } => *left,
            Restored::Nothing | Restored::Rebooted { .. } => 0,
        };
        if left > 0 || !terminal::quiet() {
            eprint!("{}", tune::restored_text(&back));
        }
        if left > 0 {
            eprintln!("assay: {left} settings are still to be put back: assay tune --restore");
        }
        ended
    })
}

/// RFC 3339, to the second.
fn now() -> String {
    Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

fn report(plan: &Plan, tuned: &Tuned) -> String {
    let mut text = tune::applied_text(plan, &tuned.applied);
    if tuned.after_reboot {
        text.push_str("The machine had been tuned before, and a boot since then had put it back.\n");
    }
    text
}

/// Runs the command to its end, in the group of CPUs if there is one; its exit status is ours.
async fn command(
    root: &Root,
    supervisor: &Supervisor,
    tuned: &Tuned,
    words: &[String],
    stop: impl Future<Output = ()>,
) -> Result<ExitCode, Failure> {
    // Children are born where their parent is, so the one that starts them goes there.
    let before = tune::group_of(root, supervisor.pid());
    tune::enter(root, &tuned.applied, supervisor.pid()).context("entering the group of CPUs")?;
    let ended = run(supervisor, words, stop).await;
    let left = before.map_or(Ok(()), |before| tune::move_to(root, &before, supervisor.pid()));
    // Why the command failed says more than that its parent is gone, too.
    let status = ended?;
    left.context("leaving the group of CPUs")?;
    Ok(status)
}

async fn run(
    supervisor: &Supervisor,
    words: &[String],
    stop: impl Future<Output = ()>,
) -> Result<ExitCode, Failure> {
    let (program, rest) = words.split_first().context("there is a command")?;
    let mut tool = Tool::new(program).args(rest);
    for (name, value) in std::env::vars_os() {
        tool = tool.env(name, value);
    }
    let ours = |fd: &dyn AsFd| fd.as_fd().try_clone_to_owned().map(Stream::Fd);
    // It is not in the terminal's foreground group, where it would be stopped for reading.
    let stdin = std::io::stdin();
    let stdin =
        if stdin.is_terminal() { Stream::Null } else { ours(&stdin).context("passing standard input on")? };
    let stdio = Stdio {
        stdin,
        stdout: ours(&std::io::stdout()).context("passing standard output on")?,
        stderr: ours(&std::io::stderr()).context("passing standard error on")?,
    };
    let child = match tool.start(supervisor, stdio) {
        Err(error @ (ToolError::NotFound { .. } | ToolError::Spawn { .. })) => {
            return Err(Failure::user(format!("assay: {error}")));
        }
        child => child?,
    };
    let (tell, mut told) = tokio::sync::oneshot::channel();
    child.on_exit(move |ended| {
        // Nobody listens any more only when we are on our way out.
        let _ = tell.send(ended);
    });
    let ended = tokio::select! {
        ended = &mut told => ended,
        () = stop => {
            child.terminate(GRACE)?;
            // The supervisor keeps the grace period.
            told.await.context("waiting for the command's end")??;
            return Err(Failure::Interrupted("interrupted: the command was ended".into()));
        }
    };
    Ok(match ended.context("waiting for the command's end")?? {
        Ended::Exited(status) => ExitCode::from(u8::try_from(status).unwrap_or(1)),
        other => {
            eprintln!("assay: `{program}` {other}");
            ExitCode::FAILURE
        }
    })
}
