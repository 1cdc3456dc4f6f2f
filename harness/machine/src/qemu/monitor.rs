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
    sync::Mutex,
};

use crate::MachineError;

/// QEMU answers from its main loop, in milliseconds; this bounds a host that swaps.
const DEADLINE: Duration = Duration::from_secs(30);
/// Most bytes of a line. The longest answer that is asked for is a list of trace events.
const LINE: u64 = 4 * 1024 * 1024;

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
    reader: BufReader<OwnedReadHalf>,
    writer: OwnedWriteHalf,
}

/// One line from QEMU.
#[derive(Debug, Deserialize)]
struct Line {
    id: Option<u64>,
    #[serde(rename = "return")]
    result: Option<Value>,
    error: Option<Refusal>,
}

#[derive(Debug, Deserialize)]
struct Refusal {
    desc: String,
}

impl Monitor {
    /// Takes over a connection that QEMU has made. When this returns, QEMU has made all of its devices and listens on
    /// its sockets: it answers from its main loop only.
    pub(crate) async fn establish(guest: &str, stream: UnixStream) -> Result<Self, MachineError> {
        let (reader, writer) = stream.into_split();
        let stream = Mutex::new(Stream { next: 1, reader: BufReader::new(reader), writer });
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
            Err(_elapsed) => Err(self.error(command, format!("no answer within {} s", DEADLINE.as_secs()))),
        }
    }

    fn error(&self, command: &str, message: String) -> MachineError {
        MachineError::Monitor { guest: self.guest.clone(), command: command.to_owned(), message }
    }
}

impl Stream {
    /// Sends one command, and reads until its answer; the greeting and events are passed over.
    async fn exchange(&mut self, mut command: Value) -> std::io::Result<Result<Value, String>> {
        let id = self.next;
        self.next += 1;
        command["id"] = id.into();
        self.writer.write_all(format!("{command}\n").as_bytes()).await?;
        loop {
            let mut text = Vec::new();
            (&mut self.reader).take(LINE).read_until(b'\n', &mut text).await?;
            if !text.ends_with(b"\n") {
                return Err(std::io::ErrorKind::UnexpectedEof.into());
            }
            let line: Line = serde_json::from_slice(&text)?;
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
