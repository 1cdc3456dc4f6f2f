//! What is asked of an agent, written down while it is asked, and found again in what a guest played.

use std::collections::{HashMap, VecDeque};

use protocol::{Awaited, FrameError, FromAgent, Id, MOST_PLAYED, Perturb, Step, ToAgent};
use tokio::io::{AsyncRead, AsyncReadExt};

use super::connection::read_message;
use crate::SessionError;

/// All that was asked of an agent, in order, and what was waited for in between.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Script(Vec<Step>);

impl Script {
    /// As the agent reads it: see [`protocol::SCRIPT_FILE`].
    ///
    /// # Errors
    /// If a step does not fit a frame.
    pub fn to_bytes(&self) -> Result<Vec<u8>, FrameError> {
        let frames = self.0.iter().map(protocol::encode).collect::<Result<Vec<_>, _>>()?;
        Ok(frames.concat())
    }

    /// Reads one back.
    ///
    /// # Errors
    /// If the bytes are not frames of steps from beginning to end.
    pub fn from_bytes(mut bytes: &[u8]) -> Result<Self, FrameError> {
        let mut steps = Vec::new();
        loop {
            match protocol::read_frame(&mut bytes) {
                Ok(step) => steps.push(step),
                Err(FrameError::Closed) => return Ok(Self(steps)),
                Err(error) => return Err(error),
            }
        }
    }

    /// The same with this in the place of every perturbation.
    #[must_use]
    pub(crate) fn perturbed(&self, perturb: Perturb) -> Self {
        let step = |step: &Step| match step {
            Step::Ask(ToAgent::Perturb(id, _)) => Step::Ask(ToAgent::Perturb(*id, perturb)),
            other => other.clone(),
        };
        Self(self.0.iter().map(step).collect())
    }

    /// Notes a request.
    pub(super) fn ask(&mut self, message: &ToAgent) {
        self.0.push(Step::Ask(message.clone()));
    }

    /// Notes that so much of an answer has been waited for; once.
    pub(super) fn wait(&mut self, id: Id, awaited: Awaited) {
        let step = Step::Await(id, awaited);
        if !self.0.contains(&step) {
            self.0.push(step);
        }
    }
}

/// How a conversation is held.
#[derive(Clone, Debug)]
pub(crate) enum Manner {
    /// Question and answer.
    Live,
    /// The same, and the questions are written down.
    Written,
    /// The agent has played this before it was heard: questions are answered from what it then said, as long as they are
    /// the script's.
    Played(Script),
}

/// What an agent answered while it played a script.
#[derive(Debug)]
pub(super) struct Playback {
    asked: VecDeque<ToAgent>,
    answers: HashMap<Id, Vec<FromAgent>>,
}

impl Playback {
    /// Reads all that was answered.
    pub(super) async fn read(
        script: Script,
        reader: &mut (impl AsyncRead + Unpin),
    ) -> Result<Self, SessionError> {
        let asked = script.0.into_iter().filter_map(|step| match step {
            Step::Ask(request) => Some(request),
            Step::Await(..) => None,
        });
        let asked = asked.collect();
        // The agent keeps no more than this, and says so before it is exceeded.
        let mut reader = reader.take(2 * MOST_PLAYED as u64);
        let mut answers: HashMap<Id, Vec<FromAgent>> = HashMap::new();
        loop {
            let message = read_message(&mut reader)
                .await
                .map_err(|how| SessionError::Closed { awaited: "the answers to its script".into(), how })?;
            match message.id() {
                Some(id) => answers.entry(id).or_default().push(message),
                None if message == FromAgent::Played => return Ok(Self { asked, answers }),
                None => {
                    let message = "among the answers to its script is one that answers nothing".into();
                    return Err(SessionError::Protocol { message });
                }
            }
        }
    }

    /// What was answered to this request, if the script is not at its end; then it must be the one that comes next in it.
    pub(super) fn answers(&mut self, request: &ToAgent) -> Result<Option<Vec<FromAgent>>, String> {
        match self.asked.pop_front() {
            None => Ok(None),
            Some(scripted) if scripted == *request => {
                Ok(Some(self.answers.remove(&request.id()).unwrap_or_default()))
            }
            Some(scripted) => Err(format!("{scripted:?}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_survives_the_round_trip_and_a_cut_one_is_refused() {
        let mut script = Script::default();
        script.ask(&ToAgent::KernelLog(1));
        script.wait(1, Awaited::Ended);
        script.wait(1, Awaited::Ended);
        script.ask(&ToAgent::PowerOff(2));
        let bytes = script.to_bytes().unwrap();
        assert_eq!(Script::from_bytes(&bytes).unwrap(), script);
        assert_eq!(script.0.len(), 3, "what was waited for is waited for once");
        let steps: Vec<usize> = script.0.iter().map(|step| protocol::encode(step).unwrap().len()).collect();
        let whole = [0, steps[0], steps[0] + steps[1]];
        for cut in 0..bytes.len() {
            assert_eq!(Script::from_bytes(&bytes[..cut]).is_ok(), whole.contains(&cut), "cut at {cut}");
        }
    }

    #[test]
    fn only_perturbations_are_replaced() {
        let mut script = Script::default();
        script.ask(&ToAgent::KernelLog(1));
        script.ask(&ToAgent::Perturb(2, Perturb::default()));
        let perturb = Perturb { held: 7, wait_us: 412 };
        let expected = [ToAgent::KernelLog(1), ToAgent::Perturb(2, perturb)].map(Step::Ask);
        assert_eq!(script.perturbed(perturb).0, expected);
    }

    #[tokio::test]
    async fn only_what_was_scripted_is_answered_and_in_its_order() {
        let mut script = Script::default();
        for id in [1, 2] {
            script.ask(&ToAgent::KernelLog(id));
        }
        let said = [
            FromAgent::Done(2),
            FromAgent::Failed(1, "no such log".into()),
            FromAgent::Played,
            FromAgent::Done(3),
        ];
        let frames: Vec<u8> = said.iter().flat_map(|message| protocol::encode(message).unwrap()).collect();
        let mut reader = frames.as_slice();
        let mut playback = Playback::read(script.clone(), &mut reader).await.unwrap();
        assert_eq!(
            reader.len(),
            protocol::encode(&said[3]).unwrap().len(),
            "what follows is left for others"
        );
        let refused = playback.answers(&ToAgent::KernelLog(7)).unwrap_err();
        assert_eq!(refused, "KernelLog(1)");
        assert_eq!(playback.answers(&ToAgent::KernelLog(2)).unwrap(), Some(vec![FromAgent::Done(2)]));
        assert_eq!(playback.answers(&ToAgent::KernelLog(3)).unwrap(), None, "beyond the script");
        let other = protocol::encode(&FromAgent::Unfit("no such option".into())).unwrap();
        let refused = Playback::read(script, &mut other.as_slice()).await.unwrap_err();
        assert!(matches!(refused, SessionError::Protocol { .. }), "{refused}");
    }
}
