//! A process in another guest, whose streams that guest's agent carries: its standard input and output are the way to the
//! inner guest's agent, and what it writes to its standard error is the inner guest's console.
//!
//! Nothing new is asked of the outer agent: it is a command that is fed while it runs. So the inner guest's
//! [`crate::Session`] is a session over any session, and whoever runs the outer agent is nobody's concern here.

use std::{path::Path, sync::Arc, time::Duration};

use protocol::{HowEnded, Stream};
use subprocess::Ended;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, DuplexStream, ReadHalf, WriteHalf},
    net::unix::pipe,
    sync::{Notify, oneshot, watch},
};

use crate::{
    Conversation, Heard, InteractiveCommand, MachineError, SessionError,
    console::Console,
    errors::ErrorStream,
    guest::{Guest, Trouble, of_session_error},
    process::{Exited, Fate, Life, OnCrash, Process},
};

/// What is on its way between the inner session and the outer one.
const BUFFER: usize = protocol::WINDOW;

/// When the outer conversation has broken, the outer guest mostly is about to be known as crashed.
const OUTER_DEADLINE: Duration = Duration::from_secs(15);

/// Ends a process in another guest when it is dropped.
#[derive(Debug)]
pub(crate) struct Relay {
    end: Arc<Notify>,
}

impl Relay {
    /// Asks for its end; when it has come, the process is known to be gone.
    pub(crate) fn kill(&self) {
        self.end.notify_one();
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Starts `command` in `outer` as the process of the guest `name`. The stream leads to its agent.
pub(crate) async fn start(
    name: &str,
    command: InteractiveCommand,
    outer: &Guest,
    folder: &Path,
) -> Result<(Process, DuplexStream), Trouble> {
    let (console, console_end) = Console::create(&folder.join(format!("{name}.console.log")))?;
    // All that its QEMU complains of is on the console: this one stays empty, and is there for whoever looks for it.
    let (errors, _errors_end) = ErrorStream::create(&folder.join(format!("{name}.stderr.log")))?;
    let console_end = pipe::Sender::from_owned_fd(console_end).map_err(|source| MachineError::Io {
        action: "writing to the console of a guest within",
        path: folder.to_owned(),
        source,
    })?;
    let conversation = match outer.session.interact(command).await {
        Ok(conversation) => conversation,
        Err(error) => return Err(of_session_error(&outer.process, error).await),
    };
    let (ours, theirs) = tokio::io::duplex(BUFFER);
    let end = Arc::new(Notify::new());
    let (exited, exit) = oneshot::channel();
    let carrying = carry(conversation, theirs, console_end, Arc::clone(&end), outer.process.fate());
    tokio::spawn(async move {
        // Nobody listens any more if the machine was dropped.
        let _ = exited.send(carrying.await);
    });
    let process = Process::watched(
        name,
        Life::Within(Relay { end }),
        exit,
        (console, errors),
        OnCrash::Ends,
        watch::channel(None).1,
    );
    Ok((process, ours))
}

/// Carries bytes until the process has ended, or the outer guest has.
async fn carry(
    conversation: Conversation,
    stream: DuplexStream,
    console: pipe::Sender,
    end: Arc<Notify>,
    outer: watch::Receiver<Fate>,
) -> Exited {
    let (from_session, to_session) = tokio::io::split(stream);
    let killed = async {
        loop {
            end.notified().await;
            // One that has ended meanwhile is heard of below.
            drop(conversation.kill(nix::libc::SIGKILL).await);
        }
    };
    let ended = tokio::select! {
        ended = hear(&conversation, to_session, console) => ended,
        Err(error) = say(&conversation, from_session) => Err(error),
        () = killed => unreachable!("it is waited for without end"),
    };
    match ended {
        Ok(HowEnded::Exited(status)) => Exited::Reported(Ok(Ended::Exited(status))),
        Ok(HowEnded::Signalled(signal)) => Exited::Reported(Ok(Ended::Signalled(signal))),
        Ok(HowEnded::DeadlinePassed) => Exited::Reported(Ok(Ended::Signalled(nix::libc::SIGKILL))),
        Err(error) => Exited::WithOuter(fate_of(outer, &error).await),
    }
}

async fn hear(
    conversation: &Conversation,
    mut to_session: WriteHalf<DuplexStream>,
    mut console: pipe::Sender,
) -> Result<HowEnded, SessionError> {
    loop {
        match conversation.hear().await? {
            // A session that was dropped, or a console that is full, hears no more; the end of the process counts.
            Heard::Output(Stream::Stdout, bytes) => drop(to_session.write_all(&bytes).await),
            Heard::Output(Stream::Stderr, bytes) => drop(console.write_all(&bytes).await),
            Heard::Ended(how) => return Ok(how),
        }
    }
}

/// Never ends well: when the session has nothing more to say, the process goes on.
async fn say(
    conversation: &Conversation,
    mut from_session: ReadHalf<DuplexStream>,
) -> Result<std::convert::Infallible, SessionError> {
    let mut buffer = vec![0; protocol::CHUNK];
    loop {
        match from_session.read(&mut buffer).await {
            Ok(0) | Err(_) => return std::future::pending().await,
            Ok(count) => conversation.say(&buffer[..count]).await?,
        }
    }
}

/// What became of the outer guest, which is not heard of any more.
async fn fate_of(mut outer: watch::Receiver<Fate>, error: &SessionError) -> Fate {
    let ended = outer.wait_for(|fate| !matches!(fate, Fate::Runs));
    match tokio::time::timeout(OUTER_DEADLINE, ended).await {
        Ok(Ok(fate)) => fate.clone(),
        Ok(Err(_)) | Err(_) => Fate::Failed(Arc::new(MachineError::Relay { message: error.to_string() })),
    }
}
