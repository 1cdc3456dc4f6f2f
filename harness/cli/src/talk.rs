//! A command in a guest and the user's standard streams.

use std::path::Path;

use anyhow::Context;
use machine::{Conversation, Heard, InteractiveCommand, Session, SessionError};
use protocol::{HowEnded, Stream};
use tokio::io::{AsyncWrite, AsyncWriteExt};

use crate::{arguments::Root, failure::Failure};

/// Starts a command in a guest. One that is not there is the user's to mend; `program` is looked for on the host, where they
/// may have meant it.
pub(crate) async fn start(
    session: &Session,
    command: InteractiveCommand,
    program: &str,
    root: Root,
) -> Result<Conversation, Failure> {
    session.interact(command).await.map_err(|error| match error {
        SessionError::Guest { message, .. } if root == Root::Image && is_on_host(program) => {
            Failure::user(format!("assay: {message}; `--root host` gives the guest the host's files"))
        }
        SessionError::Guest { message, .. } => Failure::user(format!("assay: {message}")),
        other => other.into(),
    })
}

fn is_on_host(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    Path::new(program).is_file()
        || (!program.contains('/')
            && std::env::split_paths(&path).any(|folder| folder.join(program).is_file()))
}

/// Shows what a command writes, as it comes, until it has ended.
pub(crate) async fn show(conversation: &Conversation) -> Result<HowEnded, Failure> {
    let (mut stdout, mut stderr) = (tokio::io::stdout(), tokio::io::stderr());
    loop {
        let written = match conversation.hear().await? {
            Heard::Output(Stream::Stdout, bytes) => write(&mut stdout, &bytes).await,
            Heard::Output(Stream::Stderr, bytes) => write(&mut stderr, &bytes).await,
            Heard::Ended(how) => return Ok(how),
        };
        match written {
            Ok(()) => {}
            // Nobody reads any more, as in `| head`: here, too, the writer ends by that.
            Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => {
                return Ok(HowEnded::Signalled(nix::libc::SIGPIPE));
            }
            Err(error) => return Err(error).context("writing the command's output")?,
        }
    }
}

async fn write(stream: &mut (impl AsyncWrite + Unpin), bytes: &[u8]) -> std::io::Result<()> {
    stream.write_all(bytes).await?;
    stream.flush().await
}

/// The exit status of a command in the guest as ours, by the shell's conventions.
pub(crate) fn status(how: HowEnded) -> u8 {
    match how {
        HowEnded::Exited(status) => u8::try_from(status).unwrap_or(1),
        HowEnded::Signalled(signal) => u8::try_from(128 + signal).unwrap_or(1),
        HowEnded::DeadlinePassed => TIMED_OUT,
    }
}

/// As timeout(1) has it.
pub(crate) const TIMED_OUT: u8 = 124;
