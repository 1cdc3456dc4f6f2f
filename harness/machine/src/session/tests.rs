//! Both halves of a conversation, with an agent that does as each test wants.

mod conversations;

use std::time::Duration;

use protocol::{FileContent, FromAgent, HowEnded, Moment, Stream, ToAgent};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

use super::*;

/// The agent's end.
struct Agent(DuplexStream);

impl Agent {
    async fn send(&mut self, message: FromAgent) {
        self.0.write_all(&protocol::encode(&message).unwrap()).await.unwrap();
    }

    async fn hear(&mut self) -> ToAgent {
        let mut header = [0; 4];
        self.0.read_exact(&mut header).await.unwrap();
        let mut body = vec![0; u32::from_le_bytes(header) as usize];
        self.0.read_exact(&mut body).await.unwrap();
        protocol::decode(&body).unwrap()
    }

    async fn hear_exec(&mut self) -> (u32, protocol::Exec) {
        match self.hear().await {
            ToAgent::Exec(id, exec) => (id, exec),
            other => panic!("{other:?}"),
        }
    }
}

fn greeting(version: u32) -> FromAgent {
    FromAgent::Ready { version, uptime_ns: 1, release: "6.12.0".into() }
}

async fn connected() -> (Session, Agent) {
    let (ours, theirs) = tokio::io::duplex(1 << 20);
    let mut agent = Agent(theirs);
    agent.send(greeting(protocol::VERSION)).await;
    let Established::Ready(session, greeting) =
        Session::establish(ours, ANSWER_DEADLINE, Manner::Live).await.unwrap()
    else {
        panic!("it is fit");
    };
    assert_eq!(greeting.release, "6.12.0");
    (session, agent)
}

fn output(id: u32, stream: Stream, text: &str) -> FromAgent {
    FromAgent::Output { id, stream, bytes: text.into() }
}

fn file(id: u32, path: &str, moment: Moment, text: &str) -> FromAgent {
    let content = FileContent::Part { bytes: text.into(), last: true };
    FromAgent::File { id, path: path.into(), moment, content }
}

#[tokio::test]
async fn an_agent_of_another_build_is_refused() {
    let (ours, theirs) = tokio::io::duplex(1024);
    Agent(theirs).send(greeting(protocol::VERSION + 1)).await;
    let error = Session::establish(ours, ANSWER_DEADLINE, Manner::Live).await.unwrap_err();
    assert!(error.to_string().contains("another build's"), "{error}");
}

#[tokio::test]
async fn a_kernel_that_cannot_be_what_was_asked_for_says_so_itself() {
    let (ours, theirs) = tokio::io::duplex(1024);
    Agent(theirs).send(FromAgent::Unfit("this kernel has no CONFIG_9P_FS".into())).await;
    let established = Session::establish(ours, ANSWER_DEADLINE, Manner::Live).await.unwrap();
    assert!(matches!(established, Established::Unfit(why) if why.contains("CONFIG_9P_FS")));
}

#[tokio::test]
async fn a_command_brings_back_output_status_and_snapshots() {
    let (session, mut agent) = connected().await;
    let command = GuestCommand::new("iperf3").arg("-c").env("A", "b").netns(Some("client")).cpus(&[1]);
    let command = command.stdin("in").snapshot(["/proc/stat"]).deadline(Duration::from_secs(7));
    let (executed, ()) = tokio::join!(session.exec(command), async {
        let (id, exec) = agent.hear_exec().await;
        assert_eq!(exec.argv, ["iperf3", "-c"]);
        assert_eq!(exec.env, [("A".to_owned(), "b".to_owned())]);
        assert_eq!(
            (exec.netns.as_deref(), exec.cpus.as_slice(), exec.deadline_ms),
            (Some("client"), &[1][..], 7000)
        );
        assert_eq!(
            (exec.stdin.as_slice(), exec.snapshot.as_slice()),
            (&b"in"[..], &["/proc/stat".to_owned()][..])
        );
        agent.send(FromAgent::Started { id, pid: 42 }).await;
        agent.send(file(id, "/proc/stat", Moment::Before, "cpu 1")).await;
        agent.send(output(id, Stream::Stdout, "out ")).await;
        agent.send(output(id, Stream::Stderr, "err")).await;
        agent.send(output(id, Stream::Stdout, "put")).await;
        agent.send(file(id, "/proc/stat", Moment::After, "cpu 2")).await;
        agent.send(FromAgent::Ended { id, how: HowEnded::Exited(3), elapsed_ns: 1_500_000_000 }).await;
    });
    let reading = |text: &str| FileReadings::from([("/proc/stat".to_owned(), Ok(text.into()))]);
    let expected = Executed {
        how: HowEnded::Exited(3),
        stdout: b"out put".to_vec(),
        stderr: b"err".to_vec(),
        elapsed: Duration::from_millis(1500),
        before: reading("cpu 1"),
        after: reading("cpu 2"),
    };
    assert_eq!(executed.unwrap(), expected);
}

#[tokio::test]
async fn answers_find_their_requests_however_they_are_interleaved() {
    let (session, mut agent) = connected().await;
    let (first, second, ()) = tokio::join!(
        session.exec(GuestCommand::new("first")),
        session.exec(GuestCommand::new("second")),
        async {
            let (a, a_exec) = agent.hear_exec().await;
            let (b, _) = agent.hear_exec().await;
            let (first, second) = if a_exec.argv == ["first"] { (a, b) } else { (b, a) };
            for id in [second, first] {
                agent.send(FromAgent::Started { id, pid: id }).await;
            }
            agent.send(output(second, Stream::Stdout, "2")).await;
            agent.send(output(first, Stream::Stdout, "1")).await;
            for id in [second, first] {
                agent.send(FromAgent::Ended { id, how: HowEnded::Exited(0), elapsed_ns: 0 }).await;
            }
        }
    );
    assert_eq!((first.unwrap().stdout, second.unwrap().stdout), (b"1".to_vec(), b"2".to_vec()));
}

#[tokio::test]
async fn what_the_agent_cannot_do_comes_back_in_its_own_words() {
    let (session, mut agent) = connected().await;
    let (error, ()) = tokio::join!(session.exec(GuestCommand::new("iperf4")), async {
        let (id, _) = agent.hear_exec().await;
        agent.send(FromAgent::Failed(id, "no such program".into())).await;
    });
    assert_eq!(error.unwrap_err().to_string(), "`iperf4`: no such program");
}

#[tokio::test]
async fn a_command_that_writes_too_much_is_killed() {
    let (session, mut agent) = connected().await;
    let (error, ()) = tokio::join!(session.exec(GuestCommand::new("yes").max_output(4)), async {
        let (id, _) = agent.hear_exec().await;
        agent.send(FromAgent::Started { id, pid: 1 }).await;
        agent.send(output(id, Stream::Stdout, "y\ny\ny\n")).await;
        match agent.hear().await {
            ToAgent::Kill(kill, target, 9) if target == id => agent.send(FromAgent::Done(kill)).await,
            other => panic!("{other:?}"),
        }
    });
    assert!(matches!(error, Err(SessionError::TooMuch { limit: 4, .. })), "{error:?}");
}

#[tokio::test]
async fn a_guest_that_goes_away_ends_every_request_and_refuses_new_ones() {
    let (session, mut agent) = connected().await;
    let patterns = ["/a".to_owned()];
    let (executed, read, ()) =
        tokio::join!(session.exec(GuestCommand::new("x")), session.read(&patterns, 10), async {
            agent.hear().await;
            agent.hear().await;
            drop(agent);
        });
    assert!(matches!(executed, Err(SessionError::Closed { .. })), "{executed:?}");
    assert!(matches!(read, Err(SessionError::Closed { .. })), "{read:?}");
    let late = session.exec(GuestCommand::new("x")).await;
    assert!(matches!(late, Err(SessionError::Closed { .. })), "{late:?}");
}

#[tokio::test]
async fn garbage_ends_the_conversation_and_nothing_hangs() {
    for garbage in [&[0, 0, 0, 0][..], &[255; 64], &[3, 0, 0, 0, 9, 9, 9], &[8, 0, 0, 0, 1]] {
        let (session, mut agent) = connected().await;
        let (executed, ()) = tokio::join!(session.exec(GuestCommand::new("x")), async {
            agent.hear().await;
            agent.0.write_all(garbage).await.unwrap();
            drop(agent);
        });
        assert!(matches!(executed, Err(SessionError::Closed { .. })), "{garbage:?}: {executed:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_guest_that_does_not_answer_is_a_deadline_that_names_what_was_awaited() {
    let (session, _agent) = connected().await;
    let error = session.read(&["/proc/stat".into()], 10).await.unwrap_err();
    assert!(matches!(error, SessionError::Deadline { .. }), "{error:?}");
    assert!(error.to_string().contains("/proc/stat"), "{error}");
}

#[tokio::test]
async fn a_large_file_is_put_in_parts_that_join_to_it() {
    let (session, mut agent) = connected().await;
    let content: Vec<u8> = (0..2 * CHUNK + 7).map(|at| u8::try_from(at % 251).unwrap()).collect();
    let (put, received) = tokio::join!(session.put("/tmp/x", 0o755, &content), async {
        let mut received = Vec::new();
        loop {
            match agent.hear().await {
                ToAgent::Put { id, path, mode, offset, bytes, last } => {
                    assert_eq!((path.as_str(), mode, offset), ("/tmp/x", 0o755, received.len() as u64));
                    received.extend(bytes);
                    agent.send(FromAgent::Done(id)).await;
                    if last {
                        return received;
                    }
                }
                other => panic!("{other:?}"),
            }
        }
    });
    put.unwrap();
    assert_eq!(received, content);
}

#[tokio::test]
async fn a_server_is_killed_and_waited_for() {
    let (session, mut agent) = connected().await;
    let (running, id) = tokio::join!(session.start(GuestCommand::new("iperf3").arg("-s")), async {
        let (id, _) = agent.hear_exec().await;
        agent.send(FromAgent::Started { id, pid: 7 }).await;
        id
    });
    let running = running.unwrap();
    assert_eq!(running.pid(), 7);
    let (killed, ()) = tokio::join!(running.kill(15), async {
        match agent.hear().await {
            ToAgent::Kill(kill, target, 15) if target == id => agent.send(FromAgent::Done(kill)).await,
            other => panic!("{other:?}"),
        }
        agent.send(FromAgent::Ended { id, how: HowEnded::Signalled(15), elapsed_ns: 5 }).await;
    });
    killed.unwrap();
    assert_eq!(running.wait().await.unwrap().how, HowEnded::Signalled(15));
}
