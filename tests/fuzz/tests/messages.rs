//! Inputs that are messages of the protocol: made from its types, so that they stay messages when the protocol changes.

use std::{fs, path::PathBuf};

use protocol::{
    Awaited, Exec, FromAgent, Interact, Listen, Perturb, SetRing, Share, Step, TerminalSize, ToAgent,
    Transport, WaitFile,
};

/// One of everything that can be asked, in an order in which it makes sense.
fn requests() -> Vec<ToAgent> {
    let exec = Exec {
        argv: vec!["iperf3".into(), "-c".into()],
        env: vec![("A".into(), "b".into())],
        netns: Some("client".into()),
        cpus: vec![1, 2],
        stdin: b"in".to_vec(),
        snapshot: vec!["/proc/stat".into()],
        window: Some(1),
        deadline_ms: 7000,
    };
    let interact = Interact {
        argv: vec!["sh".into()],
        env: vec![("TERM".into(), "vt100".into())],
        directory: Some("/".into()),
        terminal: Some(TerminalSize { rows: 24, columns: 80 }),
    };
    let file = WaitFile {
        netns: None,
        path: "/sys/class/net/eth0/carrier".into(),
        content: "1".into(),
        deadline_ms: 5000,
    };
    vec![
        ToAgent::Exec(1, exec),
        ToAgent::Kill(2, 1, 9),
        ToAgent::Put {
            id: 3,
            path: "/tmp/x".into(),
            mode: 0o644,
            offset: 0,
            bytes: b"abc".to_vec(),
            last: true,
        },
        ToAgent::Read { id: 4, patterns: vec!["/proc/*".into(), "clock:monotonic".into()], limit: 10 },
        ToAgent::KernelLog(5),
        ToAgent::WaitListening(
            6,
            Listen { netns: None, transport: Transport::Tcp, port: 5201, deadline_ms: 1000 },
        ),
        ToAgent::WaitFile(7, file),
        ToAgent::Interact(8, interact),
        ToAgent::Input { id: 8, bytes: b"x".to_vec() },
        ToAgent::Taken(8, 3),
        ToAgent::Resize(8, TerminalSize { rows: 50, columns: 132 }),
        ToAgent::InputEnd(8),
        ToAgent::Mount(9, Share { tag: "share0".into(), target: "/mnt".into(), read_only: true }),
        ToAgent::Perturb(10, Perturb { held: 7, wait_us: 412 }),
        ToAgent::SetRing(11, SetRing { netns: None, interface: "eth0".into(), receive: 512 }),
        ToAgent::PowerOff(12),
    ]
}

fn path(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("corpus/wire").join(name)
}

/// Holds an input against its messages, or writes it anew.
fn check(name: &str, who: u8, frames: impl Iterator<Item = Vec<u8>>) {
    let bytes = [vec![who], frames.flatten().collect()].concat();
    if std::env::var_os("ASSAY_UPDATE_REFERENCE").is_some() {
        fs::write(path(name), &bytes).expect("the corpus can be written");
    }
    let kept = fs::read(path(name)).expect("the corpus is there");
    assert!(kept == bytes, "{name} is of another protocol: ASSAY_UPDATE_REFERENCE=1 writes it anew");
}

#[test]
fn what_is_asked_is_what_can_be_asked() {
    let frame = |request: &ToAgent| protocol::encode(request).expect("it is small");
    check("host-all", b'h', requests().iter().map(frame));
    let steps = requests().into_iter().flat_map(|request| {
        let id = request.id();
        [Step::Ask(request), Step::Await(id, if id == 1 { Awaited::Started } else { Awaited::Ended })]
    });
    check("script", b's', steps.map(|step| protocol::encode(&step).expect("it is small")));
}

#[test]
fn what_an_agent_said_is_read_to_its_end() {
    for name in ["agent-all", "played-all"] {
        let kept = fs::read(path(name)).expect("the corpus is there");
        let mut stream = &kept[1..];
        let mut count = 0;
        while !stream.is_empty() {
            let read = protocol::read_frame::<FromAgent>(&mut stream);
            read.unwrap_or_else(|error| panic!("message {count} of {name}: {error}"));
            count += 1;
        }
        assert!(count > 9, "{name} has {count} messages");
    }
}
