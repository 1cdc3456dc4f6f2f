//! `assay shell`: a terminal in a guest.

use std::process::ExitCode;

use anyhow::Context;
use machine::{Conversation, InteractiveCommand, SessionError};
use protocol::HowEnded;
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::mpsc,
};

use crate::{
    arguments::{self, Places, Root},
    escape::{Escape, Typed},
    failure::Failure,
    guest::{UserGuest, status, with_guest},
    keyboard::{self, Input, Raw},
    talk, terminal,
};

/// What `Ctrl-] q` ends it with: as for any other way to be stopped.
const QUIT: u8 = 130;

/// Pieces of input, of at most 4 KiB each, that may wait for a guest that does not read.
const MAX_PENDING: usize = 256;

pub(crate) fn shell(places: &Places, arguments: &arguments::Shell) -> Result<ExitCode, Failure> {
    status(with_guest(places, &arguments.guest, async |guest| attend(&guest, arguments).await)?)
}

async fn attend(guest: &UserGuest<'_>, arguments: &arguments::Shell) -> Result<u8, Failure> {
    let interactive = keyboard::is_interactive();
    let conversation = start(guest, &arguments.command, arguments.guest.root, interactive).await?;
    if !interactive {
        return Ok(talk::status(fed(&conversation).await?));
    }
    let release = &guest.release;
    if !terminal::quiet() {
        eprintln!(
            "assay: a terminal in a guest with kernel {release}; `Ctrl-] q` or the shell's own end ends it"
        );
    }
    typed_to(&conversation, guest).await
}

/// Starts the command, or the best shell there is.
async fn start(
    guest: &UserGuest<'_>,
    command: &[String],
    root: Root,
    interactive: bool,
) -> Result<Conversation, Failure> {
    let dressed = |command: InteractiveCommand| {
        let command = guest.place.put(command);
        if interactive { on_terminal(command, &guest.release) } else { command }
    };
    let session = guest.session()?;
    if let Some((program, rest)) = command.split_first() {
        let command = dressed(InteractiveCommand::new(program).args(rest));
        return talk::start(session, command, program, root).await;
    }
    // No personal start-up files: with the host's root they are the user's, for another machine. Without a terminal a
    // shell reads its commands from its input.
    let bash = InteractiveCommand::new("bash").args(["--noprofile", "--norc"]);
    match session.interact(dressed(bash)).await {
        Err(SessionError::Guest { .. }) => {
            Ok(session.interact(dressed(InteractiveCommand::new("sh"))).await?)
        }
        started => Ok(started?),
    }
}

/// As on the user's own terminal, with a prompt that says where one is, and without a history of it.
fn on_terminal(command: InteractiveCommand, release: &str) -> InteractiveCommand {
    command
        .terminal(Some(keyboard::size()))
        .env("TERM", std::env::var("TERM").unwrap_or_else(|_| "vt100".into()))
        .env("LC_ALL", "C.UTF-8")
        .env("PS1", format!(r"{release}:\w\$ "))
        .env("HISTFILE", "")
}

/// A script, or any other input that nobody types.
async fn fed(conversation: &Conversation) -> Result<HowEnded, Failure> {
    let mut input = Input::start()?;
    let feeding = async {
        while let Some(bytes) = input.next().await? {
            conversation.say(&bytes).await?;
        }
        conversation.end_input().await?;
        Ok(std::future::pending().await)
    };
    tokio::select! {
        how = talk::show(conversation) => how,
        failed = feeding => failed,
    }
}

async fn typed_to(conversation: &Conversation, guest: &UserGuest<'_>) -> Result<u8, Failure> {
    let listen = |kind| signal(kind).context("listening for signals");
    let mut resized = listen(SignalKind::window_change())?;
    let mut continued = listen(SignalKind::from_raw(nix::libc::SIGCONT))?;
    let mut quit = listen(SignalKind::quit())?;
    // Before the first key is read, so that none is echoed.
    let raw = Raw::enter()?;
    let mut input = Input::start()?;
    // It may have changed since the command was started.
    conversation.resize(keyboard::size()).await?;
    let following = async {
        loop {
            tokio::select! {
                _ = resized.recv() => {}
                _ = continued.recv() => raw.again()?,
            }
            conversation.resize(keyboard::size()).await?;
        }
    };
    // Between the two, so that the escape is seen although the guest does not read.
    let (typed, mut pending) = mpsc::channel::<Vec<u8>>(MAX_PENDING);
    let typing = async {
        let mut escape = Escape::default();
        while let Some(bytes) = input.next().await? {
            let Typed { bytes, quit } = escape.take(&bytes);
            if quit || typed.send(bytes).await.is_err() {
                break;
            }
        }
        // The user is done with it, or the terminal is gone.
        Ok(QUIT)
    };
    let sending = async {
        while let Some(bytes) = pending.recv().await {
            conversation.say(&bytes).await?;
        }
        Ok(std::future::pending().await)
    };
    let ended = tokio::select! {
        how = talk::show(conversation) => how.map(talk::status),
        status = typing => status,
        failed = sending => failed,
        failed = following => failed,
        _ = quit.recv() => Err(Failure::Interrupted("quit".into())),
        never = guest.tell_crashes("\r\n") => never,
    };
    drop(raw);
    if matches!(ended, Ok(QUIT)) {
        eprintln!();
    }
    ended
}
