//! `assay exec`: one command in one guest.

use std::{io::Write, process::ExitCode, time::Duration};

use anyhow::Context;
use kernel_tree::TreeError;
use machine::Running;
use measure::CrashReport;

use crate::{
    arguments::{self, Places},
    bisect,
    builds::describe,
    failure::Failure,
    guest::{GuestEnd, with_guest},
    tree_build::of_tree,
};

pub(crate) fn exec(places: &Places, arguments: &arguments::Exec) -> Result<ExitCode, Failure> {
    let end = with_guest(places, &arguments.guest, async |running| command(running, arguments).await);
    if arguments.bisect {
        return Ok(bisect::of_guest(end, arguments.crash));
    }
    status(end?)
}

/// What a command in a guest ends with: its own status, or 1 if the kernel failed.
fn status(end: GuestEnd<u8>) -> Result<ExitCode, Failure> {
    match end {
        GuestEnd::Used(status) => Ok(ExitCode::from(status)),
        GuestEnd::NotBuilt(failed) => {
            eprintln!("{}", describe(&failed));
            Ok(ExitCode::FAILURE)
        }
        // make has told why.
        GuestEnd::NotInTree(error @ TreeError::MakeFailed { .. }) => {
            eprintln!("assay: {error}");
            Ok(ExitCode::FAILURE)
        }
        GuestEnd::NotInTree(error) => Err(of_tree(error)),
        GuestEnd::NotTestable(message) => Err(Failure::user(format!("assay: {message}"))),
        GuestEnd::Crashed(report) => {
            crashed(&report);
            Ok(ExitCode::FAILURE)
        }
    }
}

async fn command(running: &Running, arguments: &arguments::Exec) -> Result<u8, Failure> {
    let deadline = Duration::from_secs(arguments.deadline.into());
    let (program, rest) = arguments.command.split_first().expect("clap wants at least one word");
    let command = machine::GuestCommand::new(program).args(rest).deadline(deadline);
    let executed = running.client().session.exec(command).await?;
    std::io::stdout().write_all(&executed.stdout).context("writing the command's output")?;
    std::io::stderr().write_all(&executed.stderr).context("writing the command's error output")?;
    Ok(match executed.how {
        protocol::HowEnded::Exited(status) => u8::try_from(status).unwrap_or(1),
        protocol::HowEnded::Signalled(signal) => u8::try_from(128 + signal).unwrap_or(1),
        protocol::HowEnded::DeadlinePassed => {
            eprintln!("assay: the command did not end within {} s", arguments.deadline);
            124
        }
    })
}

/// The kernel's failure is the answer, not an error of ours.
pub(crate) fn crashed(report: &CrashReport) {
    eprintln!("{}", report.excerpt);
    eprintln!("assay: the kernel crashed: {}", report.title);
}
