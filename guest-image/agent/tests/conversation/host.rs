//! The host's side of a conversation with the real binary, run as an ordinary process with `--stdio`.

#![expect(
    clippy::disallowed_methods,
    reason = "the agent is what is tested: no supervisor stands in between"
)]

use std::{
    io::Write,
    process::{Child, ChildStdin, Command, ExitStatus, Stdio},
    sync::mpsc::{Receiver, RecvTimeoutError, channel},
    thread,
    time::{Duration, Instant},
};

use protocol::{Exec, FileContent, FromAgent, HowEnded, Id, Moment, Stream, ToAgent};

/// No answer in these tests takes nearly as long.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// An agent, and the frames that it sends. Killed when dropped.
pub(crate) struct Host {
    child: Child,
    to_agent: Option<ChildStdin>,
    from_agent: Receiver<FromAgent>,
}

/// A file with all its parts, or why it could not be read.
pub(crate) type File = (Moment, String, Result<Vec<u8>, String>);

/// What came of a command.
#[derive(Debug, Default)]
pub(crate) struct Ran {
    pub(crate) pid: u32,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: Vec<u8>,
    pub(crate) files: Vec<File>,
    pub(crate) how: Option<HowEnded>,
    pub(crate) elapsed: Duration,
}

impl Host {
    /// Starts an agent and hears that it is ready.
    pub(crate) fn new() -> Self {
        let mut child = start();
        let mut stdout = child.stdout.take().expect("it is piped");
        let (sender, from_agent) = channel();
        thread::spawn(move || {
            while let Ok(message) = protocol::read_frame(&mut stdout) {
                if sender.send(message).is_err() {
                    break;
                }
            }
        });
        let host = Self { to_agent: child.stdin.take(), child, from_agent };
        match host.next() {
            FromAgent::Ready { version, uptime_ns, release } => {
                assert_eq!(version, protocol::VERSION);
                assert!(uptime_ns > 0 && !release.is_empty());
            }
            other => panic!("not ready: {other:?}"),
        }
        host
    }

    /// Starts an agent and reads nothing of what it says.
    pub(crate) fn deaf() -> Self {
        let (_nothing, from_agent) = channel();
        let mut child = start();
        Self { to_agent: child.stdin.take(), child, from_agent }
    }

    pub(crate) fn send(&mut self, message: &ToAgent) {
        self.send_bytes(&protocol::encode(message).expect("a request fits a frame"));
    }

    /// Sends bytes as they are. That the agent has gone meanwhile is for the caller to find out.
    pub(crate) fn send_bytes(&mut self, bytes: &[u8]) {
        let _ = self.to_agent.as_mut().expect("not closed").write_all(bytes);
    }

    pub(crate) fn next(&self) -> FromAgent {
        self.from_agent.recv_timeout(PATIENCE).expect("an answer")
    }

    /// Closes the host's end and waits for the agent's.
    pub(crate) fn close(&mut self) -> ExitStatus {
        self.to_agent = None;
        let deadline = Instant::now() + PATIENCE;
        // The agent's standard output ends with it.
        loop {
            match self.from_agent.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(_) => {}
                Err(RecvTimeoutError::Disconnected) => return self.child.wait().expect("it is our child"),
                Err(RecvTimeoutError::Timeout) => panic!("the agent did not end"),
            }
        }
    }

    /// Runs a command to its end; nothing else may be going on.
    pub(crate) fn run(&mut self, id: Id, exec: Exec) -> Result<Ran, String> {
        self.send(&ToAgent::Exec(id, exec));
        self.collect(id)
    }

    /// What comes for `id` until it has ended or failed.
    pub(crate) fn collect(&self, id: Id) -> Result<Ran, String> {
        let mut ran = Ran::default();
        loop {
            match self.next() {
                FromAgent::Started { id: of, pid } if of == id => ran.pid = pid,
                FromAgent::Output { id: of, stream, bytes } if of == id => {
                    assert!(!bytes.is_empty() && bytes.len() <= protocol::CHUNK);
                    match stream {
                        Stream::Stdout => ran.stdout.extend(bytes),
                        Stream::Stderr => ran.stderr.extend(bytes),
                    }
                }
                FromAgent::File { id: of, path, moment, content } if of == id => {
                    file(&mut ran.files, moment, path, content);
                }
                FromAgent::Ended { id: of, how, elapsed_ns } if of == id => {
                    ran.how = Some(how);
                    ran.elapsed = Duration::from_nanos(elapsed_ns);
                    return Ok(ran);
                }
                FromAgent::Done(of) if of == id => return Ok(ran),
                FromAgent::Failed(of, reason) if of == id => return Err(reason),
                other => panic!("unexpected: {other:?}"),
            }
        }
    }

    /// Sends a request that is answered by `Done` or `Failed`, with files or output before.
    pub(crate) fn ask(&mut self, id: Id, request: &ToAgent) -> Result<Ran, String> {
        self.send(request);
        self.collect(id)
    }
}

fn start() -> Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_assay-agent"));
    command.arg("--stdio").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("the agent starts")
}

impl Drop for Host {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Puts the parts of files together.
fn file(files: &mut Vec<File>, moment: Moment, path: String, content: FileContent) {
    match content {
        FileContent::Unreadable(reason) => files.push((moment, path, Err(reason))),
        FileContent::Part { bytes, .. } => match files.last_mut() {
            Some((when, name, Ok(whole))) if *when == moment && *name == path => whole.extend(bytes),
            _ => files.push((moment, path, Ok(bytes))),
        },
    }
}

/// A command with a generous deadline.
pub(crate) fn exec(argv: &[&str]) -> Exec {
    Exec {
        argv: argv.iter().map(|&word| word.to_owned()).collect(),
        deadline_ms: u64::try_from(PATIENCE.as_millis()).expect("seconds, not ages"),
        ..Exec::default()
    }
}

/// A command of the shell.
pub(crate) fn shell(script: &str) -> Exec {
    exec(&["sh", "-c", script])
}
