//! Commands that are fed while they run: on a terminal in the guest, or over pipes.

use std::{sync::Arc, time::Duration};

use protocol::{CHUNK, HowEnded, Interact, Stream, TerminalSize, ToAgent};

use super::{
    answer::{Answer, End},
    connection::{Connection, Request},
};
use crate::SessionError;

/// For waits that only the command ends, or the guest.
const FOR_EVER: Duration = Duration::MAX;

/// A command that is to be fed while it runs. Without a word to the contrary it runs in the agent's own folder and
/// environment, with pipes for its streams. It has no deadline.
#[derive(Clone, Debug)]
pub struct InteractiveCommand(Interact);

impl InteractiveCommand {
    /// Runs `program`, which is looked up in `PATH`: the agent's, or what [`InteractiveCommand::env`] makes it.
    #[must_use]
    pub fn new(program: impl Into<String>) -> Self {
        Self(Interact { argv: vec![program.into()], ..Interact::default() })
    }

    /// More arguments.
    #[must_use]
    pub fn args<S: Into<String>>(mut self, args: impl IntoIterator<Item = S>) -> Self {
        self.0.argv.extend(args.into_iter().map(Into::into));
        self
    }

    /// One more variable in its environment.
    #[must_use]
    pub fn env(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.0.env.push((name.into(), value.into()));
        self
    }

    /// The folder that it runs in, by its path in the guest.
    #[must_use]
    pub fn directory(mut self, directory: Option<String>) -> Self {
        self.0.directory = directory;
        self
    }

    /// On a terminal of its own: it leads a session, so that Ctrl-C and the like reach what is in the foreground.
    #[must_use]
    pub fn terminal(mut self, size: Option<TerminalSize>) -> Self {
        self.0.terminal = size;
        self
    }
}

/// What comes from a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Heard {
    /// Something that it wrote. On a terminal everything is standard output.
    Output(Stream, Vec<u8>),
    /// It has ended, and its output is complete.
    Ended(HowEnded),
}

/// A command that is fed while it runs. Dropping this does not end it; [`Conversation::kill`] does, or the machine.
///
/// All of it can be awaited at the same time, and given up at any time: neither input nor output is lost or doubled, but
/// for a [`Conversation::say`] that is given up, of which any part may have been sent.
#[derive(Debug)]
pub struct Conversation {
    request: Request,
}

pub(super) async fn start(
    connection: &Arc<Connection>,
    command: InteractiveCommand,
) -> Result<Conversation, SessionError> {
    let what = format!("`{}`", command.0.argv.join(" "));
    let request =
        connection.request_with(&what, Answer::flowing(), |id| ToAgent::Interact(id, command.0)).await?;
    request.started(connection.patience()).await?;
    Ok(Conversation { request })
}

impl Conversation {
    /// What it reads next. Waits while it does not read: at most [`protocol::WINDOW`] bytes are on their way.
    ///
    /// # Errors
    /// If the guest is gone. Input for a command that has ended is no error: its end is heard elsewhere.
    pub async fn say(&self, mut bytes: &[u8]) -> Result<(), SessionError> {
        while !bytes.is_empty() {
            let room = self.request.when(FOR_EVER, |answer| answer.reserve(bytes.len().min(CHUNK))).await?;
            let Some(room) = room else { return Ok(()) };
            let (now, later) = bytes.split_at(room);
            let id = self.request.id();
            self.request.post(&ToAgent::Input { id, bytes: now.to_vec() }).await?;
            bytes = later;
        }
        Ok(())
    }

    /// There is no more input. For commands without a terminal; on a terminal it is a character: 4, Ctrl-D.
    ///
    /// # Errors
    /// If the guest is gone.
    pub async fn end_input(&self) -> Result<(), SessionError> {
        self.request.post(&ToAgent::InputEnd(self.request.id())).await
    }

    /// Its terminal has another size.
    ///
    /// # Errors
    /// If the guest is gone.
    pub async fn resize(&self, size: TerminalSize) -> Result<(), SessionError> {
        self.request.post(&ToAgent::Resize(self.request.id(), size)).await
    }

    /// Waits for what it writes, or for its end.
    ///
    /// # Errors
    /// If the guest is gone, or breaks the protocol.
    pub async fn hear(&self) -> Result<Heard, SessionError> {
        let output = self.request.when(FOR_EVER, Answer::take_output).await?;
        if let Some((stream, bytes)) = output {
            let taken = u32::try_from(bytes.len()).expect("a frame is smaller");
            // A guest that has gone meanwhile is heard of after its last words.
            drop(self.request.post(&ToAgent::Taken(self.request.id(), taken)).await);
            return Ok(Heard::Output(stream, bytes));
        }
        match self.request.end(FOR_EVER).await? {
            End::Command { how, .. } => Ok(Heard::Ended(how)),
            other => Err(SessionError::Protocol {
                message: format!("it answered {} with {other:?}", self.request.what()),
            }),
        }
    }

    /// Sends a signal to its process group.
    ///
    /// # Errors
    /// [`SessionError::Guest`] if it has ended; otherwise if the guest is gone or does not answer in time.
    pub async fn kill(&self, signal: i32) -> Result<(), SessionError> {
        self.request.kill(signal).await
    }
}
