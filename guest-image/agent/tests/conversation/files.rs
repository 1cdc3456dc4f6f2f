//! Files, logs and sockets, through the real binary; and what hostile bytes do to it.

use std::{fs, net::TcpListener, os::unix::fs::PermissionsExt};

use crate::host::{Host, exec};
use proptest::prelude::*;
use protocol::{CHUNK, FromAgent, Listen, Moment, ToAgent, Transport};

fn put(id: u32, path: &str, offset: u64, bytes: Vec<u8>, last: bool) -> ToAgent {
    ToAgent::Put { id, path: path.to_owned(), mode: 0o755, offset, bytes, last }
}

#[test]
fn a_large_file_goes_there_and_back() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("large");
    let name = path.to_str().unwrap();
    let content: Vec<u8> = (0..3 * CHUNK + 17).map(|index| u8::try_from(index % 251).unwrap()).collect();
    let mut host = Host::new();
    let parts = content.chunks(CHUNK).count();
    for (index, part) in content.chunks(CHUNK).enumerate() {
        assert!(!path.exists());
        let offset = u64::try_from(index * CHUNK).unwrap();
        host.ask(1, &put(1, name, offset, part.to_vec(), index + 1 == parts)).unwrap();
    }
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o755);
    let read = ToAgent::Read { id: 2, patterns: vec![name.to_owned()], limit: u32::MAX };
    assert_eq!(host.ask(2, &read).unwrap().files, [(Moment::Now, name.to_owned(), Ok(content))]);
}

#[test]
fn what_was_put_can_be_run() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("script");
    let name = path.to_str().unwrap();
    let mut host = Host::new();
    host.ask(1, &put(1, name, 0, b"#!/bin/sh\necho ran\n".to_vec(), true)).unwrap();
    assert_eq!(host.run(2, exec(&[name])).unwrap().stdout, b"ran\n");
}

#[test]
fn reading_says_what_it_could_not() {
    let mut host = Host::new();
    let patterns = vec!["/proc/self/comm".into(), "/no/such".into(), "/proc/self/no*".into()];
    let files = host.ask(1, &ToAgent::Read { id: 1, patterns, limit: 5 }).unwrap().files;
    assert_eq!(files[0], (Moment::Now, "/proc/self/comm".into(), Ok(b"assay".to_vec())));
    assert!(files[1].2.as_ref().unwrap_err().contains("No such file"));
    assert_eq!(files[2], (Moment::Now, "/proc/self/no*".into(), Err("nothing matches".into())));
    let relative = ToAgent::Read { id: 2, patterns: vec!["etc/passwd".into()], limit: 5 };
    assert!(host.ask(2, &relative).unwrap_err().contains("not an absolute path"));
}

#[test]
fn a_listening_socket_is_awaited() {
    let mut host = Host::new();
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let listen = |deadline_ms| Listen { netns: None, transport: Transport::Tcp, port, deadline_ms };
    let end = host.ask(1, &ToAgent::WaitListening(1, listen(20))).unwrap_err();
    assert_eq!(end, format!("nothing listens on Tcp port {port} after 20 ms"));
    host.send(&ToAgent::WaitListening(2, listen(20_000)));
    let _server = TcpListener::bind(("127.0.0.1", port)).unwrap();
    assert_eq!(host.next(), FromAgent::Done(2));
}

#[test]
fn somebody_elses_machine_is_not_powered_off() {
    let mut host = Host::new();
    assert!(host.ask(1, &ToAgent::PowerOff(1)).unwrap_err().contains("not the agent's"));
}

#[test]
fn malformed_frames_end_the_agent_with_its_own_code() {
    let whole = protocol::encode(&ToAgent::Exec(1, exec(&["true"]))).unwrap();
    let cut = &whole[..whole.len() - 1];
    let mut left_over = protocol::encode(&ToAgent::KernelLog(1)).unwrap();
    left_over.push(0);
    left_over[0] += 1;
    let hostile: [&[u8]; 6] =
        [&[0; 4], &[0xff; 4], &[1, 0, 0, 0, 0xff], &(1024 * 1024 + 1_u32).to_le_bytes(), cut, &left_over];
    for bytes in hostile {
        let mut host = Host::new();
        host.send_bytes(bytes);
        assert_eq!(host.close().code(), Some(65), "{bytes:?}");
    }
}

#[test]
fn a_closed_stream_is_a_clean_end() {
    assert_eq!(Host::new().close().code(), Some(0));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn random_bytes_never_hang_or_crash_it(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let mut host = Host::new();
        host.send_bytes(&bytes);
        let code = host.close().code();
        prop_assert!(code == Some(0) || code == Some(65), "{:?}", code);
    }

    #[test]
    fn random_bodies_in_sound_frames_never_hang_or_crash_it(
        // Not 0, which would run commands; not 2, which would write files.
        kind in prop_oneof![Just(1_u8), 3..16_u8],
        body in proptest::collection::vec(any::<u8>(), 0..100),
    ) {
        let mut host = Host::new();
        let mut frame = u32::try_from(body.len() + 1).unwrap().to_le_bytes().to_vec();
        frame.push(kind);
        frame.extend(body);
        host.send_bytes(&frame);
        let code = host.close().code();
        prop_assert!(code == Some(0) || code == Some(65), "{:?}", code);
    }
}
