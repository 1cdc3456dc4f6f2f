//! The process of a fake machine: speaks the agent's protocol over the socket, with the console on its standard output.

use std::{
    collections::HashMap,
    ffi::OsString,
    io::{BufReader, Read, Write},
    os::unix::net::UnixStream,
    path::Path,
    process::ExitCode,
    sync::{Arc, Condvar, Mutex, PoisonError},
    time::Duration,
};

use protocol::{
    CHUNK, Exec, FileContent, FrameError, FromAgent, HowEnded, Id, Interact, Moment, Stream, ToAgent,
    read_frame, write_frame,
};

use super::{
    hostile,
    numbers::{drawn, scale},
    script::{Command, Content, Kernel, Outcome, Script},
};
use crate::session::matches;

/// Commands that are fed while they run have no deadline; a script's end long before this.
const A_LONG_TIME: Duration = Duration::from_secs(86_400);

/// Serves until the machine is powered off, crashes, or the host is gone.
pub(crate) fn serve(
    script: &Path,
    kernel: &Path,
    socket: &Path,
    trial: &Path,
    words: &[OsString],
) -> ExitCode {
    match run(script, kernel, socket, trial, words) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("fake machine: {why}");
            ExitCode::FAILURE
        }
    }
}

fn run(script: &Path, kernel: &Path, socket: &Path, trial: &Path, words: &[OsString]) -> Result<(), String> {
    let script = Script::load(script)?;
    let image = std::fs::read(kernel).map_err(|error| format!("reading `{}`: {error}", kernel.display()))?;
    let name = String::from_utf8_lossy(&image).trim().to_owned();
    let mut kernel = script.kernels.get(&name).cloned().unwrap_or_default();
    let factors = words.iter().filter_map(|word| script.words.get(word.to_str()?));
    kernel.factor *= factors.product::<f64>();
    let stream = UnixStream::connect(socket).map_err(|error| format!("connecting: {error}"))?;
    match &kernel.boot {
        Outcome::Ready => {}
        Outcome::Stops { console, times } => {
            if times.is_none_or(|times| made_before(trial) < times) {
                return print(console);
            }
        }
        Outcome::Hangs { console } => {
            print(console)?;
            // Until the host gives up and closes it.
            let mut rest = Vec::new();
            return (&stream).take(1).read_to_end(&mut rest).map(|_| ()).map_err(|error| error.to_string());
        }
        Outcome::Hostile { does } => return hostile::serve(*does, &script.release, stream),
    }
    let writer = stream.try_clone().map_err(|error| error.to_string())?;
    // The folder's name is the trial's, so that its noise is its own and is the same when the trial is repeated.
    let of_trial = trial.file_name().unwrap_or_default();
    let draw = drawn(script.seed, &[name.as_bytes(), of_trial.as_encoded_bytes()]);
    let guest = Arc::new(Guest {
        script,
        kernel,
        draw,
        writer: Mutex::new(writer),
        killed: Mutex::default(),
        kill: Condvar::new(),
    });
    guest.answer_all(BufReader::new(stream))
}

/// How many boots of this trial were set aside, and made again: each one has left a folder.
fn made_before(trial: &Path) -> usize {
    let entries = std::fs::read_dir(trial).into_iter().flatten().flatten();
    entries.filter(|entry| entry.file_name().to_string_lossy().starts_with("set-aside-")).count()
}

fn print(console: &Content) -> Result<(), String> {
    let mut stdout = std::io::stdout().lock();
    stdout
        .write_all(console.text().as_bytes())
        .and_then(|()| stdout.flush())
        .map_err(|error| error.to_string())
}

struct Guest {
    script: Script,
    kernel: Kernel,
    /// This trial's draw, from -1 to 1.
    draw: f64,
    writer: Mutex<UnixStream>,
    /// Running commands, and the signal that each was sent.
    killed: Mutex<HashMap<Id, Option<i32>>>,
    kill: Condvar,
}

impl Guest {
    fn send(&self, message: &FromAgent) -> Result<(), String> {
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        write_frame(&mut *writer, message).map_err(|error| error.to_string())
    }

    fn answer_all(self: &Arc<Self>, mut reader: impl Read) -> Result<(), String> {
        let release = self.script.release.clone();
        self.send(&FromAgent::Ready { version: protocol::VERSION, uptime_ns: 0, release })?;
        loop {
            match read_frame::<ToAgent>(&mut reader) {
                Ok(ToAgent::PowerOff(_)) | Err(FrameError::Closed) => return Ok(()),
                Ok(message) => self.answer(message)?,
                Err(error) => return Err(error.to_string()),
            }
        }
    }

    fn answer(self: &Arc<Self>, message: ToAgent) -> Result<(), String> {
        match message {
            ToAgent::Exec(id, exec) => {
                self.killed.lock().unwrap_or_else(PoisonError::into_inner).insert(id, None);
                let guest = Arc::clone(self);
                std::thread::Builder::new()
                    .name("command".into())
                    .spawn(move || {
                        if let Err(why) = guest.exec(id, &exec) {
                            eprintln!("fake machine: {why}");
                        }
                    })
                    .map_err(|error| error.to_string())?;
                Ok(())
            }
            ToAgent::Kill(id, target, signal) => {
                let mut killed = self.killed.lock().unwrap_or_else(PoisonError::into_inner);
                let answer = match killed.get_mut(&target) {
                    Some(sent) => {
                        sent.get_or_insert(signal);
                        self.kill.notify_all();
                        FromAgent::Done(id)
                    }
                    None => FromAgent::Failed(id, "that command has ended".into()),
                };
                drop(killed);
                self.send(&answer)
            }
            // Nothing reads what is written to a fake machine.
            ToAgent::Put { id, .. } => self.send(&FromAgent::Done(id)),
            ToAgent::Read { id, patterns, limit } => {
                self.send_files(id, &patterns, Moment::Now, limit as usize)?;
                self.send(&FromAgent::Done(id))
            }
            ToAgent::KernelLog(id) => {
                self.send_output(id, Stream::Stdout, self.script.kernel_log.text())?;
                self.send(&FromAgent::Done(id))
            }
            ToAgent::WaitListening(id, _) | ToAgent::WaitFile(id, _) => self.send(&FromAgent::Done(id)),
            // It reads nothing, and sends what the script has for the command.
            ToAgent::Interact(id, Interact { argv, env, .. }) => {
                let deadline_ms = A_LONG_TIME.as_millis().try_into().unwrap_or(u64::MAX);
                self.answer(ToAgent::Exec(id, Exec { argv, env, deadline_ms, ..Exec::default() }))
            }
            ToAgent::Input { id, bytes } => {
                self.send(&FromAgent::Taken(id, u32::try_from(bytes.len()).unwrap_or(u32::MAX)))
            }
            ToAgent::Mount(id, _) => {
                self.send(&FromAgent::Failed(id, "a fake machine shares no folders".into()))
            }
            ToAgent::Perturb(id, _) => {
                self.send(&FromAgent::Failed(id, "a fake machine has no memory to be shifted".into()))
            }
            ToAgent::SetRing(id, _) => self.send(&FromAgent::Failed(id, "a fake machine has no NIC".into())),
            ToAgent::InputEnd(_) | ToAgent::Taken(..) | ToAgent::Resize(..) | ToAgent::PowerOff(_) => Ok(()),
        }
    }

    fn exec(&self, id: Id, exec: &Exec) -> Result<(), String> {
        let commands = self.kernel.commands.iter().chain(&self.script.commands);
        let Some(command) = commands.into_iter().find(|command| command.answers(&exec.argv)) else {
            self.forget(id);
            let program = exec.argv.first().map_or("", String::as_str);
            return self.send(&FromAgent::Failed(id, format!("`{program}` is not in the script")));
        };
        self.send_files(id, &exec.snapshot, Moment::Before, usize::MAX)?;
        self.send(&FromAgent::Started { id, pid: id })?;
        let how = self.take_time(id, command, Duration::from_millis(exec.deadline_ms));
        if let Some(crash) = &command.crash {
            print(crash)?;
            std::process::exit(0);
        }
        let by = self.kernel.factor * self.draw.mul_add(command.noise, 1.0);
        self.send_output(id, Stream::Stdout, &scale(command.stdout.text(), &command.numbers, by))?;
        self.send_output(id, Stream::Stderr, command.stderr.text())?;
        self.send_files(id, &exec.snapshot, Moment::After, usize::MAX)?;
        self.forget(id);
        let elapsed_ns = command.delay_ms.saturating_mul(1_000_000);
        self.send(&FromAgent::Ended { id, how, elapsed_ns })
    }

    /// Lets a command last as long as it does: its delay, or until it is killed, but never past its deadline.
    fn take_time(&self, id: Id, command: &Command, deadline: Duration) -> HowEnded {
        let delay = Duration::from_millis(command.delay_ms);
        let lasts = if command.until_killed { deadline } else { delay.min(deadline) };
        let killed = self.killed.lock().unwrap_or_else(PoisonError::into_inner);
        let waited =
            self.kill.wait_timeout_while(killed, lasts, |killed| matches!(killed.get(&id), Some(None)));
        let (killed, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
        match killed.get(&id) {
            Some(Some(signal)) => HowEnded::Signalled(*signal),
            _ if timeout.timed_out() && (command.until_killed || delay > deadline) => {
                HowEnded::DeadlinePassed
            }
            _ => HowEnded::Exited(command.exit),
        }
    }

    fn forget(&self, id: Id) {
        self.killed.lock().unwrap_or_else(PoisonError::into_inner).remove(&id);
    }

    fn send_output(&self, id: Id, stream: Stream, text: &str) -> Result<(), String> {
        for bytes in text.as_bytes().chunks(CHUNK) {
            self.send(&FromAgent::Output { id, stream, bytes: bytes.to_vec() })?;
        }
        Ok(())
    }

    fn send_files(&self, id: Id, patterns: &[String], moment: Moment, limit: usize) -> Result<(), String> {
        for pattern in patterns {
            let mut any = false;
            for (path, content) in self.script.files.iter().filter(|(path, _)| matches(pattern, path)) {
                any = true;
                let later = self.script.files_after.get(path).filter(|_| moment == Moment::After);
                let bytes = later.unwrap_or(content).text().as_bytes();
                let bytes = &bytes[..bytes.len().min(limit)];
                let mut chunks = bytes.chunks(CHUNK).peekable();
                if chunks.peek().is_none() {
                    let content = FileContent::Part { bytes: vec![], last: true };
                    self.send(&FromAgent::File { id, path: path.clone(), moment, content })?;
                }
                while let Some(chunk) = chunks.next() {
                    let content = FileContent::Part { bytes: chunk.to_vec(), last: chunks.peek().is_none() };
                    self.send(&FromAgent::File { id, path: path.clone(), moment, content })?;
                }
            }
            if !any {
                let content = FileContent::Unreadable("nothing matches".into());
                self.send(&FromAgent::File { id, path: pattern.clone(), moment, content })?;
            }
        }
        Ok(())
    }
}
