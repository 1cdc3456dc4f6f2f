//! Guests that mean ill, for tests of what the host makes of them.

use std::{
    io::{BufReader, Write},
    os::unix::net::UnixStream,
    sync::mpsc,
    thread,
    time::Duration,
};

use protocol::{
    CHUNK, FileContent, FrameError, FromAgent, HowEnded, Id, MAX_FRAME, Moment, Stream, ToAgent, encode,
    read_frame,
};

use super::script::Hostility;

/// Between two bytes of [`Hostility::Drip`].
const DROP: Duration = Duration::from_secs(2);
/// Answers of [`Hostility::Echo`] to requests that nobody made, for each that somebody did.
const UNASKED: u32 = 100;
/// What clears a terminal, writes elsewhere on it, sets its title and turns the direction of writing.
const LOUD: &str =
    "\u{1b}[2J\u{1b}[1;1H\u{1b}]0;owned\u{7}\u{9b}31m\u{202e}<script>alert(1)</script>|`rm`\r\n";

/// Serves until the host is gone.
pub(super) fn serve(does: Hostility, release: &str, mut stream: UnixStream) -> Result<(), String> {
    let told = |error: FrameError| error.to_string();
    let release = if does == Hostility::Loud { LOUD.repeat(8000) } else { release.to_owned() };
    let ready = FromAgent::Ready { version: protocol::VERSION, uptime_ns: u64::MAX, release };
    stream.write_all(&encode(&ready).map_err(told)?).map_err(|error| error.to_string())?;
    match does {
        Hostility::Deaf => return for_ever(),
        Hostility::Floods => flood()?,
        _ => {}
    }
    let mut reader = BufReader::new(stream.try_clone().map_err(|error| error.to_string())?);
    loop {
        let request: ToAgent = match read_frame(&mut reader) {
            Ok(request) => request,
            // The host has had enough.
            Err(_) => return Ok(()),
        };
        if matches!(request, ToAgent::PowerOff(_)) && does != Hostility::Stays {
            return Ok(());
        }
        if is_silent(&request) {
            continue;
        }
        let id = request.id();
        let answers = answers(request, id);
        // Whoever does not listen any more is gone.
        if act(does, id, &answers, &mut stream).is_err() {
            return Ok(());
        }
    }
}

fn act(does: Hostility, id: Id, answers: &[FromAgent], stream: &mut UnixStream) -> std::io::Result<()> {
    let frames = |answers: &[FromAgent]| -> Vec<u8> {
        answers.iter().flat_map(|answer| encode(answer).expect("small answers can be written")).collect()
    };
    match does {
        Hostility::Garbage => stream.write_all(b"\x08\0\0\0\xff\xff\xff\xff\xff\xff\xff\xff"),
        Hostility::Oversize => stream.write_all(&u32::MAX.to_le_bytes()),
        Hostility::Endless => loop {
            let bytes = vec![b'x'; CHUNK];
            stream.write_all(&frames(&[FromAgent::Output { id, stream: Stream::Stdout, bytes }]))?;
        },
        Hostility::Half => {
            stream.write_all(&u32::try_from(MAX_FRAME).unwrap_or(u32::MAX).to_le_bytes())?;
            stream.write_all(b"half")
        }
        Hostility::Drip => {
            // Nobody else writes: a receiver that never comes makes this a wait.
            let (_sender, never) = mpsc::channel::<()>();
            for byte in frames(answers) {
                stream.write_all(&[byte])?;
                let _ = never.recv_timeout(DROP);
            }
            Ok(())
        }
        Hostility::Echo => {
            let unasked: Vec<FromAgent> =
                (0..UNASKED).map(|other| FromAgent::Done(u32::MAX - other)).collect();
            stream.write_all(&frames(&unasked))?;
            stream.write_all(&frames(answers))?;
            stream.write_all(&frames(answers))
        }
        Hostility::Astray => stream.write_all(&frames(&[FromAgent::Done(id.wrapping_add(1000))])),
        Hostility::Loud => stream.write_all(&frames(&[FromAgent::Failed(id, LOUD.repeat(1000))])),
        // The flood is to be seen before the workload is over.
        Hostility::Mute | Hostility::Deaf | Hostility::Floods => Ok(()),
        Hostility::Stays => stream.write_all(&frames(answers)),
    }
}

/// What a well-meaning agent would answer, as far as anybody waits for it.
fn answers(request: ToAgent, id: Id) -> Vec<FromAgent> {
    match request {
        ToAgent::Exec(..) | ToAgent::Interact(..) => vec![
            FromAgent::Started { id, pid: 1 },
            FromAgent::Ended { id, how: HowEnded::Exited(0), elapsed_ns: 1 },
        ],
        ToAgent::Read { patterns, .. } => {
            let content = || FileContent::Part { bytes: b"0\n".to_vec(), last: true };
            let file = |path| FromAgent::File { id, path, moment: Moment::Now, content: content() };
            patterns.into_iter().map(file).chain([FromAgent::Done(id)]).collect()
        }
        // It was asked to power off, and stays.
        ToAgent::PowerOff(_) => vec![],
        _ => vec![FromAgent::Done(id)],
    }
}

/// Whether the agent says nothing to it, whatever it is about.
fn is_silent(request: &ToAgent) -> bool {
    matches!(request, ToAgent::Input { .. } | ToAgent::InputEnd(_) | ToAgent::Taken(..) | ToAgent::Resize(..))
}

/// Fills the console, in a thread of its own.
fn flood() -> Result<(), String> {
    let lines = LOUD.repeat(1000).into_bytes();
    let write = move || while std::io::stdout().write_all(&lines).is_ok() {};
    thread::Builder::new().name("flood".into()).spawn(write).map(drop).map_err(|error| error.to_string())
}

/// Until it is killed.
fn for_ever() -> Result<(), String> {
    let (_sender, never) = mpsc::channel::<()>();
    never.recv().map_err(|error| error.to_string())
}
