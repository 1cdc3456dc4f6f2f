//! `assay exec`: one command in one guest.

use std::{process::ExitCode, time::Duration};

use machine::InteractiveCommand;

use crate::{
    arguments::{self, Places},
    bisect,
    failure::Failure,
    guest::{UserGuest, status, with_guest},
    talk,
};

pub(crate) fn exec(places: &Places, arguments: &arguments::Exec) -> Result<ExitCode, Failure> {
    let end = with_guest(places, &arguments.guest, async |guest| command(&guest, arguments).await);
    if arguments.bisect {
        return Ok(bisect::of_guest(end, arguments.crash));
    }
    status(end?)
}

async fn command(guest: &UserGuest<'_>, arguments: &arguments::Exec) -> Result<u8, Failure> {
    // A debugger may hold the guest for as long as it likes.
    let deadline = match arguments.guest.gdb {
        None => Duration::from_secs(arguments.deadline.into()),
        Some(_) => Duration::MAX,
    };
    let (program, rest) = arguments.command.split_first().expect("clap wants at least one word");
    let command = guest.place.put(InteractiveCommand::new(program).args(rest));
    let conversation = talk::start(guest.session()?, command, program, arguments.guest.root).await?;
    // Its input is empty, so that `exec` in a loop does not eat the loop's.
    conversation.end_input().await?;
    tokio::select! {
        how = tokio::time::timeout(deadline, talk::show(&conversation)) => match how {
            Ok(how) => Ok(talk::status(how?)),
            // It ends with its guest.
            Err(_elapsed) => {
                eprintln!("assay: the command did not end within {} s", arguments.deadline);
                Ok(talk::TIMED_OUT)
            }
        },
        never = guest.tell_crashes("\n") => never,
    }
}
