//! Commands that are fed while they run.

use protocol::{FromAgent, HowEnded, Interact, Stream, TerminalSize, ToAgent, WINDOW};

use super::{Agent, connected, output};
use crate::{Conversation, Heard, InteractiveCommand, Session, SessionError};

const SIZE: TerminalSize = TerminalSize { rows: 24, columns: 80 };

async fn talking() -> (Session, Agent, Conversation, u32) {
    let (session, mut agent) = connected().await;
    let command = InteractiveCommand::new("sh").args(["-i"]).env("TERM", "vt100").terminal(Some(SIZE));
    let (conversation, id) = tokio::join!(session.interact(command), async {
        let ToAgent::Interact(id, command) = agent.hear().await else { panic!("another request") };
        let expected = Interact {
            argv: vec!["sh".into(), "-i".into()],
            env: vec![("TERM".into(), "vt100".into())],
            directory: None,
            terminal: Some(SIZE),
        };
        assert_eq!(command, expected);
        agent.send(FromAgent::Started { id, pid: 1 }).await;
        id
    });
    (session, agent, conversation.unwrap(), id)
}

#[tokio::test]
async fn output_is_heard_as_it_comes_and_the_guest_is_told_that_it_was_taken() {
    let (_session, mut agent, conversation, id) = talking().await;
    agent.send(output(id, Stream::Stdout, "one")).await;
    assert_eq!(conversation.hear().await.unwrap(), Heard::Output(Stream::Stdout, b"one".to_vec()));
    assert_eq!(agent.hear().await, ToAgent::Taken(id, 3));
    agent.send(output(id, Stream::Stdout, "last")).await;
    agent.send(FromAgent::Ended { id, how: HowEnded::Exited(7), elapsed_ns: 1 }).await;
    assert_eq!(conversation.hear().await.unwrap(), Heard::Output(Stream::Stdout, b"last".to_vec()));
    assert_eq!(conversation.hear().await.unwrap(), Heard::Ended(HowEnded::Exited(7)));
}

#[tokio::test]
async fn input_waits_for_a_guest_that_does_not_read_and_other_requests_do_not() {
    let (session, mut agent, conversation, id) = talking().await;
    let input = vec![b'x'; WINDOW + 1];
    let guest = async {
        let mut got = 0;
        while got < WINDOW {
            match agent.hear().await {
                ToAgent::Input { id: of, bytes } if of == id => got += bytes.len(),
                other => panic!("{other:?}"),
            }
        }
        // The window is full: what comes next is the other request.
        match agent.hear().await {
            ToAgent::Read { id, .. } => agent.send(FromAgent::Done(id)).await,
            other => panic!("{other:?}"),
        }
        agent.send(FromAgent::Taken(id, 1)).await;
        assert_eq!(agent.hear().await, ToAgent::Input { id, bytes: vec![b'x'] });
    };
    let patterns = ["/proc/stat".to_owned()];
    let (said, read, ()) = tokio::join!(conversation.say(&input), session.read(&patterns, 10), guest);
    said.unwrap();
    read.unwrap();
}

#[tokio::test]
async fn input_for_a_command_that_has_ended_goes_nowhere() {
    let (_session, mut agent, conversation, id) = talking().await;
    agent.send(FromAgent::Ended { id, how: HowEnded::Exited(0), elapsed_ns: 1 }).await;
    assert_eq!(conversation.hear().await.unwrap(), Heard::Ended(HowEnded::Exited(0)));
    conversation.say(&vec![b'x'; 2 * WINDOW]).await.unwrap();
}

#[tokio::test]
async fn a_guest_that_sends_more_than_was_taken_is_cut_off() {
    let (session, mut agent, conversation, id) = talking().await;
    let chunk = "y".repeat(protocol::CHUNK);
    let patterns = ["/proc/stat".to_owned()];
    let (read, ()) = tokio::join!(session.read(&patterns, 10), async {
        let ToAgent::Read { id: read, .. } = agent.hear().await else { panic!("another request") };
        for _ in 0..5 {
            agent.send(output(id, Stream::Stdout, &chunk)).await;
        }
        // Frames are read in order: when this is answered, all of them were.
        agent.send(FromAgent::Done(read)).await;
    });
    read.unwrap();
    for _ in 0..4 {
        assert!(matches!(conversation.hear().await, Ok(Heard::Output(..))));
    }
    assert!(matches!(conversation.hear().await, Err(SessionError::TooMuch { .. })));
}

#[tokio::test]
async fn a_size_and_the_end_of_input_are_told_and_a_signal_is_answered() {
    let (_session, mut agent, conversation, id) = talking().await;
    let larger = TerminalSize { rows: 50, columns: 132 };
    conversation.resize(larger).await.unwrap();
    assert_eq!(agent.hear().await, ToAgent::Resize(id, larger));
    conversation.end_input().await.unwrap();
    assert_eq!(agent.hear().await, ToAgent::InputEnd(id));
    let (killed, ()) = tokio::join!(conversation.kill(1), async {
        match agent.hear().await {
            ToAgent::Kill(kill, target, 1) if target == id => agent.send(FromAgent::Done(kill)).await,
            other => panic!("{other:?}"),
        }
    });
    killed.unwrap();
}

#[tokio::test]
async fn a_guest_that_goes_away_is_heard_of_after_its_last_words() {
    let (_session, mut agent, conversation, id) = talking().await;
    agent.send(output(id, Stream::Stdout, "BUG")).await;
    drop(agent);
    assert_eq!(conversation.hear().await.unwrap(), Heard::Output(Stream::Stdout, b"BUG".to_vec()));
    assert!(matches!(conversation.hear().await, Err(SessionError::Closed { .. })));
}
