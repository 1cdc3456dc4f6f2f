//! What was answered while there was no host.

use std::{collections::BTreeSet, io};

use protocol::{Awaited, FrameError, FromAgent, Id, MOST_PLAYED};

/// Answers in the order in which they were given.
#[derive(Default)]
pub(crate) struct Played {
    frames: Vec<u8>,
    started: BTreeSet<Id>,
    ended: BTreeSet<Id>,
}

impl Played {
    /// Keeps one more. Fails when there are [`MOST_PLAYED`] bytes of them.
    pub(crate) fn keep(&mut self, message: &FromAgent) -> Result<(), FrameError> {
        let frame = protocol::encode(message)?;
        if self.frames.len() + frame.len() > MOST_PLAYED {
            let full = format!("the answers to a script have more than {MOST_PLAYED} bytes");
            return Err(io::Error::other(full).into());
        }
        self.frames.extend_from_slice(&frame);
        match message {
            FromAgent::Started { id, .. } => {
                self.started.insert(*id);
            }
            FromAgent::Ended { id, .. } | FromAgent::Done(id) | FromAgent::Failed(id, _) => {
                self.ended.insert(*id);
            }
            FromAgent::Ready { .. }
            | FromAgent::Output { .. }
            | FromAgent::File { .. }
            | FromAgent::Taken(..)
            | FromAgent::Unfit(_)
            | FromAgent::Played => {}
        }
        Ok(())
    }

    /// Whether so much of the answer to `id` has been given.
    pub(crate) fn has(&self, id: Id, awaited: Awaited) -> bool {
        self.ended.contains(&id) || (awaited == Awaited::Started && self.started.contains(&id))
    }

    /// All of them, as frames.
    pub(crate) fn frames(&self) -> &[u8] {
        &self.frames
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_ended_counts_as_started_and_not_the_other_way_round() {
        let mut played = Played::default();
        played.keep(&FromAgent::Started { id: 1, pid: 7 }).unwrap();
        played.keep(&FromAgent::Failed(2, "no such program".into())).unwrap();
        assert!(played.has(1, Awaited::Started) && !played.has(1, Awaited::Ended));
        assert!(played.has(2, Awaited::Started) && played.has(2, Awaited::Ended));
        assert!(!played.has(3, Awaited::Started));
        let mut frames = played.frames();
        assert_eq!(
            protocol::read_frame::<FromAgent>(&mut frames).unwrap(),
            FromAgent::Started { id: 1, pid: 7 }
        );
    }

    #[test]
    fn answers_without_end_are_refused() {
        let mut played = Played { frames: vec![0; MOST_PLAYED], ..Played::default() };
        assert!(played.keep(&FromAgent::Done(1)).unwrap_err().to_string().contains("stream"));
        assert_eq!(played.frames().len(), MOST_PLAYED);
    }
}
