//! QEMU's machine protocol: one command at a time, events beside it.

use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{
        UnixStream,
        unix::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::{Mutex, mpsc, watch},
};

use crate::{MachineError, process::Stopped};

/// QEMU answers from its main loop, in milliseconds; this bounds a host that swaps.
const DEADLINE: Duration = Duration::from_secs(30);
/// Most bytes of a line. The longest answer that is asked for is a list of trace events.
const LINE: u64 = 4 * 1024 * 1024;

/// Answers that may wait for whoever asked: one is asked for at a time.
const WAITING: usize = 16;

/// A connected monitor.
#[derive(Debug)]
pub(crate) struct Monitor {
    guest: String,
    stream: Mutex<Stream>,
}

#[derive(Debug)]
struct Stream {
    /// Numbers the commands, so that the answer to one that was given up is not taken for another's.
    next: u64,
    answers: mpsc::Receiver<std::io::Result<Line>>,
    writer: OwnedWriteHalf,
}

/// One line from QEMU.
#[derive(Debug, Deserialize)]
struct Line {
    id: Option<u64>,
    #[serde(rename = "return")]
    result: Option<Value>,
    error: Option<Refusal>,
    event: Option<String>,
    data: Option<Value>,
}

impl Line {
    /// Why the machine stops, if that is what QEMU tells (qapi/run-state.json, `SHUTDOWN`).
    fn stopped(&self) -> Option<Stopped> {
        if self.event.as_deref() != Some("SHUTDOWN") {
            return None;
        }
        Some(match self.data.as_ref()?.get("reason")?.as_str()? {
            "guest-reset" => Stopped::Reset,
            "guest-shutdown" => Stopped::PowerOff,
            _ => Stopped::Otherwise,
        })
    }
}

#[derive(Debug, Deserialize)]
struct Refusal {
    desc: String,
}

impl Monitor {
    /// Takes over a connection that QEMU has made. When this returns, QEMU has made all of its devices and listens on
    /// its sockets: it answers from its main loop only. Why it stops goes to `stopped`.
    pub(crate) async fn establish(
        guest: &str,
        stream: UnixStream,
        stopped: watch::Sender<Option<Stopped>>,
    ) -> Result<Self, MachineError> {
        let (reader, writer) = stream.into_split();
        let (sender, answers) = mpsc::channel(WAITING);
        // Ends with the connection, and so with QEMU.
        tokio::spawn(listen(BufReader::new(reader), sender, stopped));
        let stream = Mutex::new(Stream { next: 1, answers, writer });
        let monitor = Self { guest: guest.to_owned(), stream };
        monitor.execute("qmp_capabilities", Value::Null).await?;
        Ok(monitor)
    }

    /// Runs a command and gives what it returns.
    pub(crate) async fn execute(&self, command: &str, arguments: Value) -> Result<Value, MachineError> {
        match self.try_execute(command, arguments).await? {
            Ok(value) => Ok(value),
            Err(message) => Err(self.error(command, message)),
        }
    }

    /// Runs a command; QEMU's refusal is a value.
    pub(crate) async fn try_execute(
        &self,
        command: &str,
        arguments: Value,
    ) -> Result<Result<Value, String>, MachineError> {
        let mut message = json!({ "execute": command });
        if !arguments.is_null() {
            message["arguments"] = arguments;
        }
        let mut stream = self.stream.lock().await;
        let answer = tokio::time::timeout(DEADLINE, stream.exchange(message)).await;
        match answer {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) => Err(self.error(command, error.to_string())),
            Err(_elapsed) => Err(MachineError::SilentMonitor {
                guest: self.guest.clone(),
                command: command.to_owned(),
                after: DEADLINE,
            }),
        }
    }

    fn error(&self, command: &str, message: String) -> MachineError {
        MachineError::Monitor { guest: self.guest.clone(), command: command.to_owned(), message }
    }
}

impl Stream {
    /// Sends one command, and waits for its answer.
    async fn exchange(&mut self, mut command: Value) -> std::io::Result<Result<Value, String>> {
        let id = self.next;
        self.next += 1;
        command["id"] = id.into();
        self.writer.write_all(format!("{command}\n").as_bytes()).await?;
        loop {
            let line = self.answers.recv().await.ok_or(std::io::ErrorKind::UnexpectedEof)??;
            match line {
                Line { id: Some(own), error: Some(refusal), .. } if own == id => {
                    return Ok(Err(refusal.desc));
                }
                Line { id: Some(own), result: Some(value), .. } if own == id => return Ok(Ok(value)),
                Line { .. } => {}
            }
        }
    }
}

/// Reads all that QEMU says: answers for whoever asked, and why it stops; the greeting and other events are passed over.
async fn listen(
    mut reader: BufReader<OwnedReadHalf>,
    answers: mpsc::Sender<std::io::Result<Line>>,
    stopped: watch::Sender<Option<Stopped>>,
) {
    loop {
        match line(&mut reader).await {
            Ok(line) => {
                if let Some(why) = line.stopped() {
                    stopped.send_replace(Some(why));
                }
                if line.id.is_some() && answers.send(Ok(line)).await.is_err() {
                    // The monitor was dropped: only the end is still of interest.
                    continue;
                }
            }
            Err(error) => {
                // Nobody may be asking any more.
                let _ = answers.send(Err(error)).await;
                return;
            }
        }
    }
}

async fn line(reader: &mut BufReader<OwnedReadHalf>) -> std::io::Result<Line> {
    let mut text = Vec::new();
    reader.take(LINE).read_until(b'\n', &mut text).await?;
    if !text.ends_with(b"\n") {
        return Err(std::io::ErrorKind::UnexpectedEof.into());
    }
    Ok(serde_json::from_slice(&text)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A line of a real QEMU 10.0 each.
    #[test]
    fn why_a_machine_stops_is_told() {
        let stopped = |text: &str| serde_json::from_str::<Line>(text).unwrap().stopped();
        let event = |name: &str, reason: &str| {
            format!(
                r#"{{"timestamp": {{"seconds": 1, "microseconds": 2}}, "event": "{name}", "data": {{"guest": true, "reason": "{reason}"}}}}"#
            )
        };
        assert_eq!(stopped(&event("SHUTDOWN", "guest-reset")), Some(Stopped::Reset));
        assert_eq!(stopped(&event("SHUTDOWN", "guest-shutdown")), Some(Stopped::PowerOff));
        assert_eq!(stopped(&event("SHUTDOWN", "host-signal")), Some(Stopped::Otherwise));
        assert_eq!(stopped(&event("RESET", "guest-reset")), None);
        assert_eq!(stopped(r#"{"return": {}, "id": 1}"#), None);
    }
}
