//! Doors to what reads a guest: the session with its agent, QEMU's monitor, its standard error, the console.

use std::{collections::BTreeMap, io::BufReader, path::Path};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::UnixStream,
};

use crate::{
    GuestCommand, Heard, InteractiveCommand, MachineError, Script, SessionError,
    console::Detector,
    errors, exits, fake,
    qemu::{Monitor, known_events},
    session::{ANSWER_DEADLINE, Established, Manner, Session},
};

/// Most bytes that one of the session's requests may bring back here.
const LIMIT: usize = 1 << 20;

/// A session with five requests open at once, whose agent says `bytes` and goes away. Every request ends, and none holds more
/// than it may.
///
/// # Panics
/// If one does not, or if it is not called on a runtime of its own.
pub async fn session(greeting: &[u8], bytes: &[u8]) {
    let (ours, mut theirs) = tokio::io::duplex(1 << 16);
    // The requests to read before anything is said: their ids are 1 to 5.
    let agent = async move {
        // An agent that says no more than its greeting goes away at once: whoever waits for the rest of it would wait for ever.
        if theirs.write_all(greeting).await.is_err() || bytes.is_empty() {
            return drop(theirs);
        }
        for _ in 0..5 {
            let mut header = [0; 4];
            if theirs.read_exact(&mut header).await.is_err() {
                return;
            }
            let mut body = vec![0; u32::from_le_bytes(header) as usize];
            if theirs.read_exact(&mut body).await.is_err() {
                return;
            }
        }
        let (mut reader, mut writer) = tokio::io::split(theirs);
        // What the session says in between is read, or it would wait for it.
        let mut sink = tokio::io::sink();
        let said = async {
            let said = writer.write_all(bytes).await;
            drop(writer.shutdown().await);
            said
        };
        let _ = tokio::join!(said, tokio::io::copy(&mut reader, &mut sink));
    };
    let host = async {
        let Ok(Established::Ready(session, _greeting)) =
            Session::establish(ours, ANSWER_DEADLINE, Manner::Live).await
        else {
            return;
        };
        requests(&session).await;
    };
    tokio::join!(agent, host);
}

/// A closed world's session: the agent says `bytes` before it is heard, and the same requests are answered from that.
///
/// # Panics
/// If a request does not end, or if it is not called on a runtime of its own.
pub async fn played(greeting: &[u8], bytes: &[u8]) {
    let host = async |stream, manner| {
        let Ok(Established::Ready(session, _greeting)) =
            Session::establish(stream, ANSWER_DEADLINE, manner).await
        else {
            return None;
        };
        requests(&session).await;
        session.script()
    };
    // What is asked of an agent that goes away is what is asked of every other.
    let says = async |mut stream: tokio::io::DuplexStream, bytes: &[u8]| {
        // Whoever listens may have heard enough.
        let _ = stream.write_all(bytes).await;
        let _ = stream.shutdown().await;
        let _ = tokio::io::copy(&mut stream, &mut tokio::io::sink()).await;
    };
    let (ours, theirs) = tokio::io::duplex(1 << 16);
    let ((), script) = tokio::join!(says(theirs, greeting), host(ours, Manner::Written));
    let Some(script) = script else { return };
    let (ours, theirs) = tokio::io::duplex(1 << 16);
    let all = [greeting, bytes].concat();
    tokio::join!(says(theirs, &all), host(ours, Manner::Played(script)));
}

/// A closed world's script. What was read is written and read again as the same.
///
/// # Panics
/// If it is not.
pub fn script(bytes: &[u8]) {
    if let Ok(script) = Script::from_bytes(bytes) {
        let written = script.to_bytes().expect("what was read can be written");
        assert_eq!(Script::from_bytes(&written).expect("what was written can be read"), script);
        let perturb = protocol::Perturb { held: 1, wait_us: 2 };
        let perturbed = script.perturbed(perturb);
        assert_eq!(perturbed.perturbed(perturb), perturbed);
    }
}

/// A fake machine's script; what its commands write, with their numbers moved.
///
/// # Errors
/// What is wrong with it, in words.
pub fn fake_script(path: &Path) -> Result<usize, String> {
    fake::written(path)
}

/// KVM's counters of a process in a folder like debugfs'.
///
/// # Errors
/// Why there are none, in words.
pub fn kvm_counters(folder: &Path, pid: i32) -> Result<BTreeMap<String, u64>, String> {
    exits::read(folder, pid)
}

async fn requests(session: &Session) {
    let patterns = ["/proc/stat".to_owned()];
    let command = GuestCommand::new("a").snapshot(patterns.clone()).max_output(LIMIT);
    let executed = async {
        if let Ok(executed) = session.exec(command).await {
            let files = executed.before.len() + executed.after.len();
            let held = executed.stdout.len() + executed.stderr.len();
            assert!(held <= LIMIT && files <= LIMIT / 256, "{held} bytes and {files} files");
        }
    };
    let talked = async {
        let conversation = session.interact(InteractiveCommand::new("b")).await?;
        conversation.say(b"c").await?;
        loop {
            match conversation.hear().await? {
                Heard::Output(_, bytes) => assert!(bytes.len() <= protocol::MAX_FRAME),
                Heard::Ended(_) => return Ok::<(), SessionError>(()),
            }
        }
    };
    let read = session.read(&patterns, 10);
    let put = session.put("/x", 0o644, b"d");
    let log = session.kernel_log();
    let (_executed, _talked, _read, _put, _log) = tokio::join!(executed, talked, read, put, log);
}

/// What QEMU answers to the questions of a traced window: which trace events it knows.
///
/// # Errors
/// If the answers make no sense.
pub async fn monitor(bytes: &[u8]) -> Result<Vec<String>, MachineError> {
    let (ours, mut theirs) = UnixStream::pair().map_err(|error| MachineError::Monitor {
        guest: "guest".into(),
        command: "none".into(),
        message: error.to_string(),
    })?;
    let qemu = async {
        let (mut reader, mut writer) = theirs.split();
        let said = async {
            // Whoever listens may have heard enough.
            let _ = writer.write_all(bytes).await;
            let _ = writer.shutdown().await;
        };
        let mut sink = tokio::io::sink();
        let _ = tokio::join!(said, tokio::io::copy(&mut reader, &mut sink));
    };
    let asked = async {
        let monitor = Monitor::establish("guest", ours, tokio::sync::watch::channel(None).0).await?;
        known_events(&monitor).await
    };
    let ((), known) = tokio::join!(qemu, asked);
    known
}

/// A process's standard error with two watched events and a mark in it: how much of it is kept for messages, and how much
/// goes to the log.
#[must_use]
pub fn standard_error(bytes: &[u8]) -> (usize, usize) {
    errors::fuzz(BufReader::with_capacity(64, bytes))
}

/// A console, whole and in pieces: what is seen in it is the same and bounded.
///
/// # Panics
/// If it is not.
pub fn console(bytes: &[u8]) {
    let watch = |pieces: &mut dyn Iterator<Item = &[u8]>| {
        let mut detector = Detector::default();
        for piece in pieces {
            detector.feed(piece);
        }
        detector.finish();
        (detector.found(), detector.tail(), detector.warnings().to_vec())
    };
    let whole = watch(&mut std::iter::once(bytes));
    assert_eq!(whole, watch(&mut bytes.chunks(7)), "in pieces it is another console");
    let (found, tail, warnings) = whole;
    // 60 lines before a crash and 300 from it on, each of at most 1024 characters.
    assert!(tail.len() <= 360 * 4 * 1025 && warnings.len() <= 20, "{} bytes are held", tail.len());
    assert!(tail.chars().all(|c| !c.is_control() || matches!(c, '\n' | '\t')), "control characters are kept");
    assert!(found.is_none_or(|found| !found.title.contains(char::is_control)));
}
