//! What comes from a guest's agent, from a host to the agent, and from QEMU.

use std::cell::LazyCell;

use protocol::{FromAgent, ToAgent};
use serde::{Serialize, de::DeserializeOwned};
use tokio::runtime::{Builder, Runtime};

thread_local! {
    static RUNTIME: LazyCell<Runtime> = LazyCell::new(|| {
        Builder::new_current_thread().enable_all().build().expect("a runtime can be made")
    });
}

/// One input: its first byte says who speaks, the rest is the stream.
pub fn run(input: &[u8]) {
    let Some((who, stream)) = input.split_first() else { return };
    match who {
        b'a' => agent(stream),
        b'h' => frames::<ToAgent>(stream),
        b'p' => played(stream),
        b's' => machine::fuzzing::script(stream),
        b'g' => block_on(machine::fuzzing::session(stream, b"")),
        b'm' => {
            if let Ok(events) = block_on(machine::fuzzing::monitor(stream)) {
                assert!(events.len() <= stream.len(), "events that nobody named");
            }
        }
        b'e' => {
            let (kept, logged) = machine::fuzzing::standard_error(stream);
            assert!(
                kept <= 40 * 4 * 4097 && logged <= stream.len() + 1,
                "{kept} bytes kept, {logged} logged"
            );
        }
        _ => {}
    }
}

/// What an agent says after its greeting: as frames, and to a session that has asked it five things.
fn agent(stream: &[u8]) {
    frames::<FromAgent>(stream);
    block_on(machine::fuzzing::session(&greeting(), stream));
}

/// What the agent of a closed world says after its greeting, before it is heard.
fn played(stream: &[u8]) {
    block_on(machine::fuzzing::played(&greeting(), stream));
}

fn greeting() -> Vec<u8> {
    let ready = FromAgent::Ready { version: protocol::VERSION, uptime_ns: 1, release: "6.12".into() };
    protocol::encode(&ready).expect("it is small")
}

/// Reads frames until one is none. What was read is written and read again as the same.
fn frames<T: Serialize + DeserializeOwned + PartialEq + std::fmt::Debug>(mut stream: &[u8]) {
    while let Ok(message) = protocol::read_frame::<T>(&mut stream) {
        let frame = protocol::encode(&message).expect("what was read can be written");
        let again: T = protocol::read_frame(&mut frame.as_slice()).expect("what was written can be read");
        assert_eq!(again, message);
    }
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    RUNTIME.with(|runtime| runtime.block_on(future))
}
