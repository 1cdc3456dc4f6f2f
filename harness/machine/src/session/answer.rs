//! What has come back for one request so far.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use protocol::{CHUNK, FileContent, FromAgent, HowEnded, Moment, Stream, WINDOW};

use super::{
    FileReadings, matches,
    words::{PATH, SENTENCE, clean},
};

/// How a request ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// A command ended.
    Command { how: HowEnded, elapsed: Duration },
    /// The request is done.
    Done,
    /// The agent could not do it.
    Failed(String),
    /// More came back than was allowed.
    TooMuch,
    /// The agent broke the protocol.
    Broken(String),
    /// The connection ended first.
    Closed(Arc<str>),
}

/// What has come back for one request. Bounded: a guest cannot make the harness hold more than `limit` bytes.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) pid: Option<u32>,
    pub(super) stdout: Vec<u8>,
    pub(super) stderr: Vec<u8>,
    pub(super) now: FileReadings,
    pub(super) before: FileReadings,
    pub(super) after: FileReadings,
    pub(super) end: Option<End>,
    /// What was asked for: no other file comes.
    patterns: Vec<String>,
    /// The file whose parts are coming, so that parts of two files cannot be mixed up.
    open_file: Option<(Moment, String)>,
    limit: usize,
    held: usize,
    /// For a request whose output is taken while it comes.
    flow: Option<Flow>,
}

/// A stream to the guest and two from it, each within the protocol's window.
#[derive(Debug)]
struct Flow {
    /// Bytes of input that may still be sent.
    room: usize,
    output: VecDeque<(Stream, Vec<u8>)>,
}

/// Most bytes of output that wait to be taken: the window, and the last chunk of each stream.
const MAX_WAITING: usize = WINDOW + 2 * CHUNK;

/// Most files of one reading. cpuidle has three for each state of each core.
const MOST_FILES: usize = 50_000;

/// What a file costs beside its content: many empty files must be bounded as well.
const FILE_OVERHEAD: usize = 256;

impl Answer {
    pub(super) fn new(limit: usize) -> Self {
        Self {
            pid: None,
            stdout: Vec::new(),
            stderr: Vec::new(),
            now: FileReadings::new(),
            before: FileReadings::new(),
            after: FileReadings::new(),
            end: None,
            patterns: Vec::new(),
            open_file: None,
            limit,
            held: 0,
            flow: None,
        }
    }

    /// For a request for files.
    pub(super) fn of_files(self, patterns: &[String]) -> Self {
        // The agent joins the components of a path anew.
        let joined = |pattern: &String| {
            let parts: Vec<&str> = pattern.split('/').filter(|part| !part.is_empty()).collect();
            if pattern.starts_with('/') { format!("/{}", parts.join("/")) } else { pattern.clone() }
        };
        // What matches nothing comes back as it was asked for.
        Self { patterns: patterns.iter().cloned().chain(patterns.iter().map(joined)).collect(), ..self }
    }

    /// For a request whose output is taken while it comes.
    pub(super) fn flowing() -> Self {
        Self { flow: Some(Flow { room: WINDOW, output: VecDeque::new() }), ..Self::new(MAX_WAITING) }
    }

    /// Takes room for at most `wanted` bytes of input: as soon as there is any, or nobody reads any more (none).
    pub(super) fn reserve(&mut self, wanted: usize) -> Option<Option<usize>> {
        if self.end.is_some() {
            return Some(None);
        }
        let flow = self.flow.as_mut()?;
        let reserved = wanted.min(flow.room);
        flow.room -= reserved;
        (reserved > 0).then_some(Some(reserved))
    }

    /// The next output, as soon as there is some, or the request has ended without any (none).
    pub(super) fn take_output(&mut self) -> Option<Option<(Stream, Vec<u8>)>> {
        let next = self.flow.as_mut().and_then(|flow| flow.output.pop_front());
        match next {
            Some((stream, bytes)) => {
                self.held = self.held.saturating_sub(bytes.len());
                Some(Some((stream, bytes)))
            }
            None => self.end.is_some().then_some(None),
        }
    }

    pub(super) fn limit(&self) -> usize {
        self.limit
    }

    /// Takes in one message of this request. Says whether a waiter has something new to look at.
    pub(super) fn apply(&mut self, message: FromAgent) -> bool {
        if self.end.is_some() {
            return false;
        }
        match message {
            FromAgent::Started { pid, .. } => self.pid = Some(pid),
            FromAgent::Output { stream, bytes, .. } => {
                if self.hold(bytes.len()) {
                    if let Some(flow) = &mut self.flow {
                        flow.output.push_back((stream, bytes));
                        return true;
                    }
                    match stream {
                        Stream::Stdout => self.stdout.extend_from_slice(&bytes),
                        Stream::Stderr => self.stderr.extend_from_slice(&bytes),
                    }
                    return false;
                }
            }
            FromAgent::File { path, moment, content, .. } => {
                let content = match content {
                    FileContent::Unreadable(why) => FileContent::Unreadable(clean(&why, SENTENCE)),
                    part @ FileContent::Part { .. } => part,
                };
                self.file(&path, moment, content);
                return self.end.is_some();
            }
            FromAgent::Ended { how, elapsed_ns, .. } => {
                self.finish(End::Command { how, elapsed: Duration::from_nanos(elapsed_ns) });
            }
            FromAgent::Done(_) => self.finish(End::Done),
            FromAgent::Failed(_, message) => self.end = Some(End::Failed(clean(&message, SENTENCE))),
            FromAgent::Taken(_, bytes) => match &mut self.flow {
                Some(flow) if bytes as usize <= WINDOW - flow.room => flow.room += bytes as usize,
                _ => self.end = Some(End::Broken("it took more than it was sent".into())),
            },
            FromAgent::Ready { .. } | FromAgent::Unfit(_) | FromAgent::Played => {
                self.end = Some(End::Broken("it said twice that it is ready".into()));
            }
        }
        true
    }

    fn finish(&mut self, end: End) {
        self.end = Some(match &self.open_file {
            Some((_, path)) => End::Broken(format!("it ended a request in the middle of `{path}`")),
            None => end,
        });
    }

    fn file(&mut self, path: &str, moment: Moment, content: FileContent) {
        let asked = self.patterns.iter().any(|pattern| matches(pattern, path));
        let path = clean(path, PATH);
        if !asked {
            self.end = Some(End::Broken(format!("it sent `{path}`, which nobody asked for")));
            return;
        }
        if let Some((open_moment, open_path)) = &self.open_file
            && (*open_moment != moment || *open_path != path)
        {
            self.end = Some(End::Broken(format!("it began `{path}` in the middle of `{open_path}`")));
            return;
        }
        if self.now.len().max(self.before.len()).max(self.after.len()) >= MOST_FILES {
            self.end = Some(End::TooMuch);
            return;
        }
        let cost = FILE_OVERHEAD
            + path.len()
            + match &content {
                FileContent::Part { bytes, .. } => bytes.len(),
                FileContent::Unreadable(why) => why.len(),
            };
        if !self.hold(cost) {
            return;
        }
        let continued = self.open_file.take().is_some();
        let readings = match moment {
            Moment::Now => &mut self.now,
            Moment::Before => &mut self.before,
            Moment::After => &mut self.after,
        };
        match content {
            FileContent::Part { bytes, last } => {
                if continued && let Some(Ok(have)) = readings.get_mut(&path) {
                    have.extend_from_slice(&bytes);
                } else {
                    readings.insert(path.clone(), Ok(bytes));
                }
                if !last {
                    self.open_file = Some((moment, path));
                }
            }
            FileContent::Unreadable(why) => {
                readings.insert(path, Err(why));
            }
        }
    }

    /// Counts `bytes` against the limit; ends the answer when it is passed.
    fn hold(&mut self, bytes: usize) -> bool {
        self.held = self.held.saturating_add(bytes);
        if self.held > self.limit {
            self.end = Some(End::TooMuch);
        }
        self.held <= self.limit
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(path: &str, bytes: &[u8], last: bool) -> FromAgent {
        FromAgent::File {
            id: 1,
            path: path.into(),
            moment: Moment::Before,
            content: FileContent::Part { bytes: bytes.to_vec(), last },
        }
    }

    #[test]
    fn parts_of_a_file_are_joined_and_a_second_reading_replaces_the_first() {
        let mut answer = Answer::new(10_000).of_files(&["/*".into()]);
        answer.apply(part("/a", b"one ", false));
        answer.apply(part("/a", b"two", true));
        answer.apply(part("/b", b"old", true));
        answer.apply(part("/b", b"new", true));
        assert_eq!(answer.before["/a"].as_deref(), Ok(b"one two".as_slice()));
        assert_eq!(answer.before["/b"].as_deref(), Ok(b"new".as_slice()));
        assert_eq!(answer.end, None);
    }

    #[test]
    fn a_file_that_never_ends_is_not_taken_for_a_whole_one() {
        let mut answer = Answer::new(10_000).of_files(&["/*".into()]);
        answer.apply(part("/a", b"one", false));
        answer.apply(FromAgent::Ended { id: 1, how: HowEnded::Exited(0), elapsed_ns: 1 });
        assert!(matches!(answer.end, Some(End::Broken(_))), "{:?}", answer.end);
    }

    #[test]
    fn parts_of_two_files_cannot_be_mixed() {
        let mut answer = Answer::new(10_000).of_files(&["/*".into()]);
        answer.apply(part("/a", b"one", false));
        answer.apply(part("/b", b"two", true));
        assert!(matches!(answer.end, Some(End::Broken(_))), "{:?}", answer.end);
    }

    #[test]
    fn a_file_that_nobody_asked_for_is_none() {
        for path in ["/etc/shadow", "/proc/../etc/shadow", "/proc/a/stat", "stat", ""] {
            let mut answer = Answer::new(10_000).of_files(&["/proc//*".into(), "clock:monotonic".into()]);
            answer.apply(part("/proc/stat", b"x", true));
            answer.apply(part("/proc//*", b"", true));
            answer.apply(part("clock:monotonic", b"1", true));
            assert_eq!(answer.end, None);
            answer.apply(part(path, b"x", true));
            assert!(matches!(answer.end, Some(End::Broken(_))), "{path}: {:?}", answer.end);
        }
    }

    #[test]
    fn output_beyond_the_limit_ends_the_answer_and_is_not_kept() {
        let mut answer = Answer::new(5);
        let output =
            |bytes: &[u8]| FromAgent::Output { id: 1, stream: Stream::Stdout, bytes: bytes.to_vec() };
        assert!(!answer.apply(output(b"12345")));
        assert!(answer.apply(output(b"6")));
        assert_eq!(answer.end, Some(End::TooMuch));
        assert_eq!(answer.stdout, b"12345");
    }

    #[test]
    fn empty_files_without_end_are_bounded_too() {
        let mut answer = Answer::new(100_000).of_files(&["/*".into()]);
        let mut sent = 0;
        while answer.end.is_none() {
            answer.apply(part(&format!("/{sent}"), b"", true));
            sent += 1;
            assert!(sent < 1000, "{} files are held", answer.before.len());
        }
        assert_eq!(answer.end, Some(End::TooMuch));
    }

    #[test]
    fn output_that_is_taken_makes_room_for_more_and_what_is_not_taken_is_bounded() {
        let mut answer = Answer::flowing();
        let output =
            |bytes: usize| FromAgent::Output { id: 1, stream: Stream::Stdout, bytes: vec![0; bytes] };
        for _ in 0..MAX_WAITING / CHUNK {
            assert!(answer.apply(output(CHUNK)));
        }
        assert_eq!(answer.take_output().unwrap().unwrap().1.len(), CHUNK);
        answer.apply(output(CHUNK));
        assert_eq!(answer.end, None);
        answer.apply(output(1));
        assert_eq!(answer.end, Some(End::TooMuch));
    }

    #[test]
    fn input_has_as_much_room_as_the_guest_took() {
        let mut answer = Answer::flowing();
        assert_eq!(answer.reserve(WINDOW - 1), Some(Some(WINDOW - 1)));
        assert_eq!(answer.reserve(10), Some(Some(1)));
        assert_eq!(answer.reserve(10), None);
        answer.apply(FromAgent::Taken(1, 4));
        assert_eq!(answer.reserve(10), Some(Some(4)));
        answer.apply(FromAgent::Taken(1, u32::MAX));
        assert!(matches!(answer.end, Some(End::Broken(_))), "{:?}", answer.end);
        assert_eq!(answer.reserve(10), Some(None), "nobody waits for an answer that has ended");
    }
}
