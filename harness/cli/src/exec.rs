//! `assay exec`: one command in one guest.

use std::{io::Write, process::ExitCode, time::Duration};

use anyhow::Context;
use machine::Running;
use measure::CrashReport;

use crate::{
    arguments::{self, Places},
    builds::describe,
    failure::Failure,
    guest::{GuestEnd, with_guest},
};

pub(crate) fn exec(places: &Places, arguments: &arguments::Exec) -> Result<ExitCode, Failure> {
    status(with_guest(places, &arguments.guest, async |running| command(running, arguments).await)?)
}

/// What a command in a guest ends with: its own status, or 1 if the kernel failed.
fn status(end: GuestEnd<ExitCode>) -> Result<ExitCode, Failure> {
    match end {
        GuestEnd::Used(status) => Ok(status),
        GuestEnd::NotBuilt(failed) => {
            eprintln!("{}", describe(&failed));
            Ok(ExitCode::FAILURE)
        }
        GuestEnd::NotTestable(message) => Err(Failure::user(format!("assay: {message}"))),
        GuestEnd::Crashed(report) => Ok(crashed(&report)),
    }
}

async fn command(running: &Running, arguments: &arguments::Exec) -> Result<ExitCode, Failure> {
    let deadline = Duration::from_secs(arguments.deadline.into());
    let (program, rest) = arguments.command.split_first().expect("clap wants at least one word");
    let command = machine::GuestCommand::new(program).args(rest).deadline(deadline);
    let executed = running.client().session.exec(command).await?;
    std::io::stdout().write_all(&executed.stdout).context("writing the command's output")?;
    std::io::stderr().write_all(&executed.stderr).context("writing the command's error output")?;
    Ok(match executed.how {
        protocol::HowEnded::Exited(status) => ExitCode::from(u8::try_from(status).unwrap_or(1)),
        protocol::HowEnded::Signalled(signal) => ExitCode::from(u8::try_from(128 + signal).unwrap_or(1)),
        protocol::HowEnded::DeadlinePassed => {
            eprintln!("assay: the command did not end within {} s", arguments.deadline);
            ExitCode::from(124)
        }
    })
}

/// The kernel's failure is the answer, not an error of ours.
fn crashed(report: &CrashReport) -> ExitCode {
    eprintln!("{}", report.excerpt);
    eprintln!("assay: the kernel crashed: {}", report.title);
    ExitCode::FAILURE
}
