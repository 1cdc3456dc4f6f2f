//! The client half of `guest-image/protocol`: many requests at once over one byte stream.

mod answer;
mod command;
mod connection;
mod conversation;
mod pattern;
mod script;
mod words;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use protocol::{CHUNK, FromAgent, Listen, ToAgent, Transport, WaitFile};
use tokio::io::{AsyncRead, AsyncWrite};

pub use command::{Executed, GuestCommand, RunningCommand};
pub use conversation::{Conversation, Heard, InteractiveCommand};
pub(crate) use pattern::matches;
pub(crate) use script::Manner;
pub use script::Script;

use crate::SessionError;
use answer::{Answer, End};
use connection::{Connection, Course};
use script::Playback;

/// Path to what was read, or why it could not be read.
pub type FileReadings = BTreeMap<String, Result<Vec<u8>, String>>;

/// How long the agent may take over a request that does not itself wait. Generous: a guest under TCG on a busy host
/// is slow, and a guest that lives answers in milliseconds.
pub(crate) const ANSWER_DEADLINE: Duration = Duration::from_secs(30);

/// Longest release of a kernel, `__NEW_UTS_LEN` (include/uapi/linux/utsname.h).
const RELEASE: usize = 64;

/// Most bytes that a `read` or a kernel log may bring back.
const READ_LIMIT: usize = 64 * 1024 * 1024;

/// What the agent said of itself when it came up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Greeting {
    /// `uname -r`.
    pub(crate) release: String,
}

/// What the agent's first message made of a stream.
#[derive(Debug)]
pub(crate) enum Established {
    /// It answers.
    Ready(Session, Greeting),
    /// Its kernel cannot be what the machine was made for, in words for the user.
    Unfit(String),
}

/// A conversation with the agent of one guest. Requests may be made from many tasks at once.
#[derive(Debug)]
pub struct Session {
    connection: Arc<Connection>,
}

impl Session {
    /// Takes over a connected stream and waits for the agent to say that it is ready.
    ///
    /// The caller bounds the wait: an agent that never speaks is a boot that hangs.
    /// `patience` is how long the agent may take over a request that does not itself wait: [`ANSWER_DEADLINE`], or
    /// `Duration::MAX` where a debugger may hold the guest.
    pub(crate) async fn establish(
        stream: impl AsyncRead + AsyncWrite + Send + 'static,
        patience: Duration,
        manner: Manner,
    ) -> Result<Established, SessionError> {
        let (mut reader, writer) = tokio::io::split(stream);
        let first = connection::read_message(&mut reader)
            .await
            .map_err(|how| SessionError::Closed { awaited: "the agent's first message".into(), how })?;
        let (version, release) = match first {
            FromAgent::Ready { version, release, uptime_ns: _ } => (version, words::clean(&release, RELEASE)),
            FromAgent::Unfit(why) => return Ok(Established::Unfit(words::clean(&why, words::SENTENCE))),
            _ => {
                return Err(SessionError::Protocol {
                    message: "its first message was not that it is ready".into(),
                });
            }
        };
        if version != protocol::VERSION {
            return Err(SessionError::OtherBuild { theirs: version, ours: protocol::VERSION });
        }
        let course = match manner {
            Manner::Live => Course::Live,
            Manner::Written => Course::Written(Mutex::default()),
            Manner::Played(script) => Course::Played(Mutex::new(Playback::read(script, &mut reader).await?)),
        };
        let session = Self { connection: Connection::open(reader, writer, patience, course) };
        Ok(Established::Ready(session, Greeting { release }))
    }

    /// Runs a command to its end. Any exit status is `Ok`.
    ///
    /// # Errors
    /// If the guest cannot start it, if it writes too much, or if the guest is gone or does not answer in time.
    pub async fn exec(&self, command: GuestCommand) -> Result<Executed, SessionError> {
        self.start(command).await?.wait().await
    }

    /// Starts a command; returns once the guest has said that it runs.
    ///
    /// # Errors
    /// As for [`Session::exec`].
    pub async fn start(&self, command: GuestCommand) -> Result<RunningCommand, SessionError> {
        command::start(&self.connection, command).await
    }

    /// Starts a command that is fed while it runs; returns once the guest has said that it runs.
    ///
    /// # Errors
    /// If the guest cannot start it, is gone, or does not answer in time.
    pub async fn interact(&self, command: InteractiveCommand) -> Result<Conversation, SessionError> {
        conversation::start(&self.connection, command).await
    }

    /// Mounts a folder that the machine shares under `tag`.
    ///
    /// # Errors
    /// [`SessionError::Guest`] if its kernel cannot; otherwise as for [`Session::read`].
    pub(crate) async fn mount(&self, share: protocol::Share) -> Result<(), SessionError> {
        let request = format!("sharing {}", share.target);
        let answer = self.connection.request(&request, 4096, |id| ToAgent::Mount(id, share)).await?;
        answer.done(self.patience()).await?;
        Ok(())
    }

    /// Shifts what comes after: its moment, and the state of memory.
    ///
    /// # Errors
    /// [`SessionError::Guest`] if it cannot; otherwise as for [`Session::read`].
    pub(crate) async fn perturb(&self, perturb: protocol::Perturb) -> Result<(), SessionError> {
        let answer = self.connection.request("perturbing", 4096, |id| ToAgent::Perturb(id, perturb)).await?;
        let wait = Duration::from_micros(perturb.wait_us.into());
        answer.done(self.patience().saturating_add(wait)).await?;
        Ok(())
    }

    /// Gives an interface's receive queues rings of so many descriptors.
    ///
    /// # Errors
    /// [`SessionError::Guest`] if the driver does not; otherwise as for [`Session::read`].
    pub(crate) async fn set_ring(&self, asked: protocol::SetRing) -> Result<(), SessionError> {
        let request = format!("setting the ring of `{}`", asked.interface);
        let answer =
            self.connection.request(&request, READ_LIMIT, |id| ToAgent::SetRing(id, asked.clone())).await?;
        answer.done(self.patience()).await?;
        Ok(())
    }

    fn patience(&self) -> Duration {
        self.connection.patience()
    }

    /// Writes a file in the guest. It appears under its name when it is complete.
    ///
    /// # Errors
    /// If the guest cannot write it, is gone, or does not answer in time.
    pub async fn put(&self, path: &str, mode: u32, bytes: &[u8]) -> Result<(), SessionError> {
        let parts = bytes.len().div_ceil(CHUNK).max(1);
        for part in 0..parts {
            let start = part * CHUNK;
            let end = (start + CHUNK).min(bytes.len());
            let request = format!("writing `{path}`");
            let answer = self.connection.request(&request, READ_LIMIT, |id| ToAgent::Put {
                id,
                path: path.to_owned(),
                mode,
                offset: start as u64,
                bytes: bytes[start..end].to_vec(),
                last: part + 1 == parts,
            });
            answer.await?.done(self.patience()).await?;
        }
        Ok(())
    }

    /// Reads files. Each pattern is an absolute path in which `*` matches within one component; a pattern that matches
    /// nothing is in the result as unreadable. At most `limit` bytes of each file.
    ///
    /// # Errors
    /// If the guest is gone or does not answer in time. A file that cannot be read is in the result, with the reason.
    pub async fn read(&self, patterns: &[String], limit: u32) -> Result<FileReadings, SessionError> {
        let request = format!("reading {}", patterns.join(", "));
        let message = |id| ToAgent::Read { id, patterns: patterns.to_vec(), limit };
        let answer = Answer::new(READ_LIMIT).of_files(patterns);
        let request = self.connection.request_with(&request, answer, message).await?;
        Ok(request.done(self.patience()).await?.now)
    }

    /// The kernel's log since boot, as `/dev/kmsg` gives it.
    ///
    /// # Errors
    /// As for [`Session::read`].
    pub async fn kernel_log(&self) -> Result<Vec<u8>, SessionError> {
        let answer = self.connection.request("reading the kernel's log", READ_LIMIT, ToAgent::KernelLog);
        Ok(answer.await?.done(self.patience()).await?.stdout)
    }

    /// Waits until something listens on a port, without connecting to it.
    ///
    /// # Errors
    /// [`SessionError::Guest`] when the deadline passes, otherwise as for [`Session::read`].
    pub async fn wait_listening(
        &self,
        netns: Option<&str>,
        transport: Transport,
        port: u16,
        deadline: Duration,
    ) -> Result<(), SessionError> {
        let listen = Listen {
            netns: netns.map(str::to_owned),
            transport,
            port,
            deadline_ms: u64::try_from(deadline.as_millis()).unwrap_or(u64::MAX),
        };
        let request = format!("waiting for a listener on port {port}");
        let answer = self.connection.request(&request, READ_LIMIT, |id| ToAgent::WaitListening(id, listen));
        answer.await?.done(deadline.saturating_add(self.patience())).await?;
        Ok(())
    }

    /// Waits until a file reads as it should, white space at its end apart; in a network namespace, /sys shows that one's
    /// devices.
    ///
    /// # Errors
    /// As for [`Session::wait_listening`].
    pub(crate) async fn wait_file(
        &self,
        netns: Option<&str>,
        path: &str,
        content: &str,
        deadline: Duration,
    ) -> Result<(), SessionError> {
        let awaited = WaitFile {
            netns: netns.map(str::to_owned),
            path: path.to_owned(),
            content: content.to_owned(),
            deadline_ms: u64::try_from(deadline.as_millis()).unwrap_or(u64::MAX),
        };
        let request = format!("waiting until {path} is `{content}`");
        let answer = self.connection.request(&request, READ_LIMIT, |id| ToAgent::WaitFile(id, awaited));
        answer.await?.done(deadline.saturating_add(self.patience())).await?;
        Ok(())
    }

    /// All that was asked so far, if it is written down.
    pub(crate) fn script(&self) -> Option<Script> {
        self.connection.script()
    }

    /// Asks the guest to power off. That it will is seen from outside: there is no answer.
    ///
    /// # Errors
    /// If the agent refuses, or is gone before the request could be made.
    pub(crate) async fn power_off(&self) -> Result<(), SessionError> {
        let answer = self.connection.request("powering off", READ_LIMIT, ToAgent::PowerOff).await?;
        match answer.end(self.patience()).await {
            // The machine's end is the answer.
            Ok(End::Done) | Err(SessionError::Closed { .. }) => Ok(()),
            Ok(_) => Err(SessionError::Protocol { message: "it answered a power-off like a command".into() }),
            Err(error) => Err(error),
        }
    }
}

#[cfg(test)]
mod tests;
