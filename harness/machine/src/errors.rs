//! What a guest's process writes to its standard error: its own complaints, and trace events by the million.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{BufRead, BufReader, Write},
    os::fd::OwnedFd,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::sync::{oneshot, watch};

use crate::{
    MachineError,
    console::{large_pipe, plain},
};

/// The last complaints that are kept for messages.
const TAIL: usize = 40;
/// Most bytes of complaints that go to the log.
const MOST: usize = 16 * 1024 * 1024;
/// A line of a trace event or a complaint; longer ones are cut.
const LINE: usize = 4096;

/// The reading side of the stream. Lines that begin with the name of a watched event are counted; all others are kept.
#[derive(Clone, Debug)]
pub(crate) struct ErrorStream {
    shared: Arc<Shared>,
    /// Whether the stream has ended.
    ended: watch::Receiver<bool>,
    /// Our own copy of the writing end, for marks; absent once the process has ended.
    marks: Arc<Mutex<Option<File>>>,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Events that are watched, with how often each was seen.
    counts: BTreeMap<Vec<u8>, u64>,
    tail: std::collections::VecDeque<String>,
    next_mark: u64,
    waiting: BTreeMap<Vec<u8>, oneshot::Sender<BTreeMap<String, u64>>>,
}

impl ErrorStream {
    /// A stream that is kept in `path`, and the end that the process writes to.
    pub(crate) fn create(path: &Path) -> Result<(Self, OwnedFd), MachineError> {
        let failed = |source| MachineError::Io { action: "preparing the log", path: path.to_owned(), source };
        let (reader, writer) = large_pipe().map_err(failed)?;
        let marks = writer.try_clone().map_err(failed)?;
        let log = File::create(path).map_err(failed)?;
        let shared = Arc::new(Shared::default());
        let (ended_sender, ended) = watch::channel(false);
        let counting = Arc::clone(&shared);
        // A thread of its own: traced guests write hundreds of thousands of lines in a second.
        std::thread::Builder::new()
            .name("guest-stderr".into())
            .spawn(move || {
                counting.read(BufReader::with_capacity(256 * 1024, File::from(reader)), log);
                ended_sender.send_replace(true);
            })
            .map_err(failed)?;
        Ok((Self { shared, ended, marks: Arc::new(Mutex::new(Some(File::from(marks)))) }, writer))
    }

    /// Counts lines that begin with one of these words, from zero.
    pub(crate) fn watch(&self, events: &[String]) {
        let mut state = self.shared.lock();
        state.counts = events.iter().map(|event| (event.clone().into_bytes(), 0)).collect();
    }

    /// How often any of the watched events has been seen until now. Those that are still in the pipe are not among them.
    pub(crate) fn seen(&self) -> u64 {
        self.shared.lock().counts.values().sum()
    }

    /// The counts of everything that was written before this call; then nothing is counted any more.
    ///
    /// A mark is written into the same pipe. It comes after all that was written before, so when it has been read, all
    /// of that has been counted.
    pub(crate) async fn counts(&self, deadline: Duration) -> Result<BTreeMap<String, u64>, MachineError> {
        let late = || MachineError::Deadline { awaited: "the end of the trace".into(), after: deadline };
        let (sender, receiver) = oneshot::channel();
        let mark = {
            let mut state = self.shared.lock();
            state.next_mark += 1;
            let mark = format!("assay-mark-{}", state.next_mark).into_bytes();
            state.waiting.insert(mark.clone(), sender);
            mark
        };
        let marks = Arc::clone(&self.marks);
        // The pipe may be full, and the write then waits for the counting thread: not on a thread of the runtime.
        let written = tokio::task::spawn_blocking(move || {
            let mut line = mark;
            line.push(b'\n');
            match &mut *marks.lock().unwrap_or_else(PoisonError::into_inner) {
                Some(file) => file.write_all(&line),
                None => Err(std::io::ErrorKind::BrokenPipe.into()),
            }
        });
        let answer = async {
            match written.await {
                Ok(Ok(())) => receiver.await.map_err(|_ended| late()),
                Ok(Err(_)) | Err(_) => Err(late()),
            }
        };
        tokio::time::timeout(deadline, answer).await.map_err(|_elapsed| late())?
    }

    /// Waits until everything that the ended process wrote has been read, and gives the last complaints.
    pub(crate) async fn drained(&self, deadline: Duration) -> String {
        // Our own copy would keep the pipe open.
        self.marks.lock().unwrap_or_else(PoisonError::into_inner).take();
        let mut ended = self.ended.clone();
        // If it is late, what has been read so far is all that can be said.
        let _ = tokio::time::timeout(deadline, ended.wait_for(|ended| *ended)).await;
        self.tail()
    }

    /// The last complaints so far.
    pub(crate) fn tail(&self) -> String {
        self.shared.lock().tail.iter().cloned().collect::<Vec<_>>().join("\n")
    }
}

impl Shared {
    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn read(&self, mut stream: impl BufRead, mut log: impl Write) {
        let mut line = Vec::with_capacity(LINE);
        let mut logged = 0;
        loop {
            line.clear();
            match read_line(&mut stream, &mut line) {
                Ok(true) => {}
                Ok(false) | Err(_) => return,
            }
            let word = line.split(|byte| byte.is_ascii_whitespace()).next().unwrap_or_default();
            let mut state = self.lock();
            if let Some(count) = state.counts.get_mut(word) {
                *count += 1;
                continue;
            }
            if let Some(waiting) = state.waiting.remove(word) {
                let counts = std::mem::take(&mut state.counts)
                    .into_iter()
                    .map(|(event, count)| (String::from_utf8_lossy(&event).into_owned(), count))
                    .collect();
                // Whoever asked may have given up.
                let _ = waiting.send(counts);
                continue;
            }
            if state.tail.len() == TAIL {
                state.tail.pop_front();
            }
            state.tail.push_back(plain(&line, LINE));
            drop(state);
            logged += line.len() + 1;
            if logged <= MOST {
                line.push(b'\n');
                // A log that cannot be written loses a diagnosis, never a number: the tail is kept in memory.
                let _ = log.write_all(&line);
            }
        }
    }
}

/// Reads one line without its end, at most [`LINE`] bytes of it. `false` at the end of the stream.
fn read_line(stream: &mut impl BufRead, line: &mut Vec<u8>) -> std::io::Result<bool> {
    let mut any = false;
    loop {
        let available = match stream.fill_buf() {
            Ok(available) => available,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        if available.is_empty() {
            return Ok(any);
        }
        any = true;
        let end = available.iter().position(|&byte| byte == b'\n');
        let upto = end.unwrap_or(available.len());
        let room = LINE.saturating_sub(line.len());
        line.extend_from_slice(&available[..upto.min(room)]);
        stream.consume(end.map_or(upto, |end| end + 1));
        if end.is_some() {
            return Ok(true);
        }
    }
}

/// For [`crate::fuzzing::standard_error`].
#[cfg(feature = "fuzzing")]
pub(crate) fn fuzz(stream: impl BufRead) -> (usize, usize) {
    let shared = Shared::default();
    shared.lock().counts = BTreeMap::from([(b"vtd_hit".to_vec(), 0), (b"vtd_fill".to_vec(), 0)]);
    let (sender, _receiver) = oneshot::channel();
    shared.lock().waiting.insert(b"assay-mark-1".to_vec(), sender);
    let mut log = Vec::new();
    shared.read(stream, &mut log);
    let kept = shared.lock().tail.iter().map(String::len).sum();
    (kept, log.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stream(folder: &tempfile::TempDir) -> (ErrorStream, File) {
        let (stream, writer) = ErrorStream::create(&folder.path().join("stderr.log")).unwrap();
        (stream, File::from(writer))
    }

    #[tokio::test]
    async fn every_line_written_before_the_mark_is_counted_and_no_later_one() {
        let folder = tempfile::tempdir().unwrap();
        let (stream, mut writer) = stream(&folder);
        stream.watch(&["vtd_hit".into(), "vtd_fill".into(), "vtd_never".into()]);
        for number in 0..100_000 {
            writeln!(writer, "vtd_hit IOTLB page hit sid 0x{number:x}").unwrap();
            if number % 10 == 0 {
                writeln!(writer, "vtd_fill x\nvtd_hitting is another event").unwrap();
            }
        }
        let counts = stream.counts(Duration::from_secs(10)).await.unwrap();
        writeln!(writer, "vtd_hit late").unwrap();
        let expected = [("vtd_fill", 10_000), ("vtd_hit", 100_000), ("vtd_never", 0)];
        assert_eq!(counts, expected.map(|(event, count)| (event.to_owned(), count)).into());
        drop(writer);
        let tail = stream.drained(Duration::from_secs(10)).await;
        assert!(tail.ends_with("vtd_hitting is another event\nvtd_hit late"), "{tail}");
    }

    #[tokio::test]
    async fn complaints_are_kept_and_logged() {
        let folder = tempfile::tempdir().unwrap();
        let (stream, mut writer) = stream(&folder);
        writer.write_all(b"qemu: first\nqemu: \x1b[1mlast").unwrap();
        drop(writer);
        assert_eq!(stream.drained(Duration::from_secs(10)).await, "qemu: first\nqemu: last");
        let log = std::fs::read(folder.path().join("stderr.log")).unwrap();
        assert_eq!(log, b"qemu: first\nqemu: \x1b[1mlast\n");
    }

    #[tokio::test]
    async fn counts_of_a_process_that_has_ended_are_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let (stream, writer) = stream(&folder);
        drop(writer);
        stream.drained(Duration::from_secs(10)).await;
        assert!(stream.counts(Duration::from_secs(1)).await.is_err());
    }

    #[test]
    fn an_endless_line_is_cut() {
        let bytes = vec![b'x'; 3 * LINE];
        let mut line = Vec::new();
        assert!(read_line(&mut bytes.as_slice(), &mut line).unwrap());
        assert_eq!(line.len(), LINE);
    }
}
