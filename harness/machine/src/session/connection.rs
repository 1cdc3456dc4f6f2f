//! The stream to the agent: one task writes whole frames, one reads them and hands them to their requests.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use protocol::{Awaited, FromAgent, Id, MAX_FRAME, ToAgent};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    sync::{Notify, mpsc},
    task::JoinHandle,
};

use super::{
    answer::{Answer, End},
    script::{Playback, Script},
};
use crate::SessionError;

/// One request's answer and the bell that rings when something came.
#[derive(Debug)]
struct Slot {
    answer: Mutex<Answer>,
    changed: Notify,
}

impl Slot {
    fn lock(&self) -> MutexGuard<'_, Answer> {
        // An answer is changed by whole messages only, so a panic elsewhere leaves it consistent.
        self.answer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn close(&self, how: &Arc<str>) {
        self.lock().end.get_or_insert_with(|| End::Closed(Arc::clone(how)));
        self.changed.notify_waiters();
    }
}

#[derive(Debug, Default)]
struct Open {
    slots: HashMap<Id, Arc<Slot>>,
    /// How the connection ended, once it has.
    closed: Option<Arc<str>>,
}

/// The requests that are open, shared with the reading task.
#[derive(Debug, Default)]
struct Requests(Mutex<Open>);

impl Requests {
    fn lock(&self) -> MutexGuard<'_, Open> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn close(&self, how: String) {
        let how: Arc<str> = how.into();
        let mut open = self.lock();
        let how = Arc::clone(open.closed.get_or_insert(how));
        for slot in open.slots.values() {
            slot.close(&how);
        }
        open.slots.clear();
    }

    /// Hands a message to its request. A message for a request that nobody waits for any more is dropped.
    fn dispatch(&self, message: FromAgent) -> Result<(), String> {
        let Some(id) = message.id() else {
            return Err("the agent said twice that it is ready: it restarted".into());
        };
        let mut open = self.lock();
        if let Some(slot) = open.slots.get(&id) {
            let slot = Arc::clone(slot);
            let (changed, ended) = {
                let mut answer = slot.lock();
                (answer.apply(message), answer.end.is_some())
            };
            if ended {
                open.slots.remove(&id);
            }
            if changed {
                slot.changed.notify_waiters();
            }
        }
        Ok(())
    }
}

/// What is kept of a conversation, or was said before it.
#[derive(Debug)]
pub(super) enum Course {
    /// Nothing.
    Live,
    /// What is asked.
    Written(Mutex<Script>),
    /// What was answered while nobody listened.
    Played(Mutex<Playback>),
}

/// The stream and its two tasks.
#[derive(Debug)]
pub(super) struct Connection {
    course: Course,
    outgoing: mpsc::Sender<Vec<u8>>,
    requests: Arc<Requests>,
    next: AtomicU32,
    /// How long the agent may take over a request that does not itself wait.
    patience: Duration,
    tasks: [JoinHandle<()>; 2],
}

impl Drop for Connection {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

impl Connection {
    pub(super) fn open(
        mut reader: impl AsyncRead + Unpin + Send + 'static,
        mut writer: impl AsyncWrite + Unpin + Send + 'static,
        patience: Duration,
        course: Course,
    ) -> Arc<Self> {
        let requests = Arc::new(Requests::default());
        let (outgoing, mut frames) = mpsc::channel::<Vec<u8>>(16);
        let reading = {
            let requests = Arc::clone(&requests);
            tokio::spawn(async move {
                let how = loop {
                    match read_message(&mut reader).await {
                        Ok(message) => {
                            if let Err(how) = requests.dispatch(message) {
                                break how;
                            }
                        }
                        Err(how) => break how,
                    }
                };
                requests.close(how);
            })
        };
        let writing = {
            let requests = Arc::clone(&requests);
            tokio::spawn(async move {
                // Whole frames, in a task of its own: a request that is given up must not leave half a frame behind.
                while let Some(frame) = frames.recv().await {
                    if let Err(error) = writer.write_all(&frame).await {
                        requests.close(format!("writing to it: {error}"));
                        return;
                    }
                }
            })
        };
        Arc::new(Self {
            course,
            outgoing,
            requests,
            next: AtomicU32::new(1),
            patience,
            tasks: [reading, writing],
        })
    }

    /// How long the agent may take over a request that does not itself wait.
    pub(super) fn patience(&self) -> Duration {
        self.patience
    }

    /// Sends the message that `message` makes of a fresh id. `what` names the request in errors, `limit` bounds what may
    /// come back.
    pub(super) async fn request(
        self: &Arc<Self>,
        what: &str,
        limit: usize,
        message: impl FnOnce(Id) -> ToAgent,
    ) -> Result<Request, SessionError> {
        self.request_with(what, Answer::new(limit), message).await
    }

    /// The same, with what gathers the answer.
    pub(super) async fn request_with(
        self: &Arc<Self>,
        what: &str,
        answer: Answer,
        message: impl FnOnce(Id) -> ToAgent,
    ) -> Result<Request, SessionError> {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let message = message(id);
        let slot = Arc::new(Slot { answer: Mutex::new(answer), changed: Notify::new() });
        let answered = self.scripted(what, &message, &slot)?;
        let frame = protocol::encode(&message).map_err(|error| SessionError::Request {
            request: what.to_owned(),
            message: error.to_string(),
        })?;
        if slot.lock().end.is_none() {
            let mut open = self.requests.lock();
            if let Some(how) = &open.closed {
                return Err(SessionError::Closed { awaited: what.to_owned(), how: how.to_string() });
            }
            open.slots.insert(id, Arc::clone(&slot));
        }
        // From here on, dropping the request forgets the slot.
        let request = Request { connection: Arc::clone(self), slot, id, what: what.to_owned() };
        if !answered {
            request.send(frame).await?;
        }
        Ok(request)
    }

    /// Writes a request down, or fills in what was answered to it before it was made; says whether it was.
    fn scripted(&self, what: &str, message: &ToAgent, slot: &Slot) -> Result<bool, SessionError> {
        match &self.course {
            Course::Live => Ok(false),
            Course::Written(script) => {
                locked(script).ask(message);
                Ok(false)
            }
            Course::Played(playback) => match locked(playback).answers(message) {
                Ok(None) => Ok(false),
                Ok(Some(answers)) => {
                    let mut answer = slot.lock();
                    for said in answers {
                        answer.apply(said);
                    }
                    Ok(true)
                }
                Err(scripted) => {
                    Err(SessionError::Diverged { asked: what.to_owned(), scripted: shortened(&scripted) })
                }
            },
        }
    }

    /// Writes down that so much of an answer was waited for.
    fn waited(&self, id: Id, awaited: Awaited) {
        if let Course::Written(script) = &self.course {
            locked(script).wait(id, awaited);
        }
    }

    /// What has been asked so far, if it is written down.
    pub(super) fn script(&self) -> Option<Script> {
        match &self.course {
            Course::Written(script) => Some(locked(script).clone()),
            Course::Live | Course::Played(_) => None,
        }
    }
}

/// What is behind it is changed by whole steps only, so a panic elsewhere leaves it consistent.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A request may hold a whole file.
fn shortened(text: &str) -> String {
    const MOST: usize = 200;
    if text.chars().count() <= MOST {
        text.into()
    } else {
        text.chars().take(MOST).chain("...".chars()).collect()
    }
}

/// A request that is open; dropping it forgets it, and what still comes back for it is ignored.
#[derive(Debug)]
pub(super) struct Request {
    connection: Arc<Connection>,
    slot: Arc<Slot>,
    id: Id,
    what: String,
}

impl Drop for Request {
    fn drop(&mut self) {
        self.connection.requests.lock().slots.remove(&self.id);
    }
}

impl Request {
    pub(super) fn id(&self) -> Id {
        self.id
    }

    pub(super) fn what(&self) -> &str {
        &self.what
    }

    /// How long the agent may take over a request that does not itself wait.
    pub(super) fn patience(&self) -> Duration {
        self.connection.patience
    }

    /// Sends a message about this request that has no answer of its own.
    pub(super) async fn post(&self, message: &ToAgent) -> Result<(), SessionError> {
        let frame = protocol::encode(message).map_err(|error| SessionError::Request {
            request: self.what.clone(),
            message: error.to_string(),
        })?;
        self.send(frame).await
    }

    async fn send(&self, frame: Vec<u8>) -> Result<(), SessionError> {
        let patience = self.connection.patience;
        match tokio::time::timeout(patience, self.connection.outgoing.send(frame)).await {
            Ok(Ok(())) => Ok(()),
            // The writing task is gone; it has said why in the slot.
            Ok(Err(_)) => match self.end(patience).await {
                Err(error) => Err(error),
                Ok(_) => Err(SessionError::Closed {
                    awaited: self.what.clone(),
                    how: "writing to it failed".into(),
                }),
            },
            Err(_) => Err(SessionError::Deadline { awaited: self.what.clone(), after: patience }),
        }
    }

    /// Sends a signal to the process group of the command that this request started.
    pub(super) async fn kill(&self, signal: i32) -> Result<(), SessionError> {
        let what = format!("sending signal {signal} to {}", self.what);
        let target = self.id;
        let request = self.connection.request(&what, 4096, |id| ToAgent::Kill(id, target, signal)).await?;
        request.done(self.connection.patience).await?;
        Ok(())
    }

    /// Waits until the command runs, or the request has ended.
    pub(super) async fn started(&self, within: Duration) -> Result<u32, SessionError> {
        self.until(within, |answer| answer.pid.is_some() || answer.end.is_some()).await?;
        let (pid, end, limit) = {
            let answer = self.slot.lock();
            (answer.pid, answer.end.clone(), answer.limit())
        };
        self.connection.waited(self.id, Awaited::Started);
        match (pid, end) {
            (Some(pid), _) => Ok(pid),
            (None, Some(end)) => match self.judge(end, limit) {
                Ok(_) => Err(SessionError::Protocol {
                    message: "it ended a command that it had not started".into(),
                }),
                Err(error) => Err(error),
            },
            (None, None) => Err(SessionError::Deadline { awaited: self.what.clone(), after: within }),
        }
    }

    /// Waits for the end, and says how the request ended.
    pub(super) async fn end(&self, within: Duration) -> Result<End, SessionError> {
        self.until(within, |answer| answer.end.is_some()).await?;
        let (end, limit) = {
            let answer = self.slot.lock();
            (answer.end.clone(), answer.limit())
        };
        self.connection.waited(self.id, Awaited::Ended);
        match end {
            Some(end) => self.judge(end, limit),
            None => Err(SessionError::Deadline { awaited: self.what.clone(), after: within }),
        }
    }

    /// Waits for `Done`, and gives everything that came before it.
    pub(super) async fn done(self, within: Duration) -> Result<Answer, SessionError> {
        match self.end(within).await? {
            End::Done => Ok(self.take()),
            other => {
                Err(SessionError::Protocol { message: format!("it answered {} with {other:?}", self.what) })
            }
        }
    }

    /// Everything that came back.
    pub(super) fn take(&self) -> Answer {
        let mut answer = self.slot.lock();
        let empty = Answer::new(answer.limit());
        std::mem::replace(&mut *answer, empty)
    }

    fn judge(&self, end: End, limit: usize) -> Result<End, SessionError> {
        let request = self.what.clone();
        match end {
            End::Command { .. } | End::Done => Ok(end),
            End::Failed(message) => Err(SessionError::Guest { request, message }),
            End::TooMuch => Err(SessionError::TooMuch { request, limit }),
            End::Broken(message) => Err(SessionError::Protocol { message }),
            End::Closed(how) => Err(SessionError::Closed { awaited: request, how: how.to_string() }),
        }
    }

    async fn until(&self, within: Duration, holds: impl Fn(&Answer) -> bool) -> Result<(), SessionError> {
        self.when(within, |answer| holds(answer).then_some(())).await
    }

    /// Waits until `take` finds something in the answer.
    pub(super) async fn when<T>(
        &self,
        within: Duration,
        mut take: impl FnMut(&mut Answer) -> Option<T>,
    ) -> Result<T, SessionError> {
        let waiting = async {
            loop {
                let changed = self.slot.changed.notified();
                tokio::pin!(changed);
                // Listen first, look second: a change between the two is not missed.
                changed.as_mut().enable();
                if let Some(taken) = take(&mut self.slot.lock()) {
                    return taken;
                }
                changed.await;
            }
        };
        tokio::time::timeout(within, waiting)
            .await
            .map_err(|_elapsed| SessionError::Deadline { awaited: self.what.clone(), after: within })
    }
}

/// Reads one frame. The error says how the connection ended, in words for [`SessionError::Closed`].
pub(super) async fn read_message(reader: &mut (impl AsyncRead + Unpin)) -> Result<FromAgent, String> {
    let mut header = [0; 4];
    match reader.read(&mut header[..1]).await {
        Ok(0) => return Err("closed by the guest's side".into()),
        Ok(_) => {}
        Err(error) => return Err(error.to_string()),
    }
    reader
        .read_exact(&mut header[1..])
        .await
        .map_err(|error| format!("in the middle of a frame: {error}"))?;
    let length = u32::from_le_bytes(header) as usize;
    if length == 0 || length > MAX_FRAME {
        return Err(protocol::FrameError::Length { length }.to_string());
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).await.map_err(|error| format!("in the middle of a frame: {error}"))?;
    protocol::decode(&body).map_err(|error| error.to_string())
}
