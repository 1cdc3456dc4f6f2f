//! Commands that are fed while they run, by the real binary.

use std::time::{Duration, Instant};

use protocol::{CHUNK, FromAgent, HowEnded, Id, Interact, Stream, TerminalSize, ToAgent, WINDOW};

use crate::host::{Host, PATIENCE, exec};

const SIZE: TerminalSize = TerminalSize { rows: 24, columns: 80 };

fn script(text: &str, terminal: Option<TerminalSize>) -> Interact {
    Interact {
        argv: ["sh", "-c", text].map(str::to_owned).into(),
        env: vec![("TERM".into(), "dumb".into())],
        terminal,
        ..Interact::default()
    }
}

/// A conversation with one command, in which nothing else goes on.
struct Talk {
    host: Host,
    id: Id,
    stdout: Vec<u8>,
    stderr: Vec<u8>,
    /// Bytes of input that the command has taken.
    taken: usize,
    /// Whether output is taken as it comes.
    takes: bool,
}

impl Talk {
    fn start(command: Interact) -> Self {
        let mut host = Host::new();
        host.send(&ToAgent::Interact(1, command));
        assert!(matches!(host.next(), FromAgent::Started { id: 1, .. }));
        Self { host, id: 1, stdout: Vec::new(), stderr: Vec::new(), taken: 0, takes: true }
    }

    fn types(&mut self, text: &str) {
        self.host.send(&ToAgent::Input { id: self.id, bytes: text.into() });
    }

    /// The next message; says how the command ended if that was it.
    fn hear(&mut self) -> Option<HowEnded> {
        match self.host.next() {
            FromAgent::Output { id: 1, stream, bytes } => {
                let count = u32::try_from(bytes.len()).expect("a chunk is smaller");
                match stream {
                    Stream::Stdout => self.stdout.extend(bytes),
                    Stream::Stderr => self.stderr.extend(bytes),
                }
                if self.takes {
                    self.host.send(&ToAgent::Taken(1, count));
                }
                None
            }
            FromAgent::Taken(1, bytes) => {
                self.taken += bytes as usize;
                None
            }
            FromAgent::Ended { id: 1, how, .. } => Some(how),
            other => panic!("unexpected: {other:?}"),
        }
    }

    fn until(&mut self, text: &str) {
        let deadline = Instant::now() + PATIENCE;
        while !String::from_utf8_lossy(&self.stdout).contains(text) {
            assert!(Instant::now() < deadline, "{text:?} does not come: {:?}", self.shown());
            assert_eq!(self.hear(), None, "it ended before {text:?}: {:?}", self.shown());
        }
    }

    /// Waits until `cat` has the terminal: its line comes back twice, from the terminal and from it. What a shell prints
    /// says less: dash loses a SIGINT that comes between its own words and its child's `execve`.
    fn in_cat(&mut self) {
        self.types("here\n");
        self.until("here\r\nhere\r\n");
    }

    fn ended(&mut self) -> HowEnded {
        loop {
            if let Some(how) = self.hear() {
                return how;
            }
        }
    }

    fn shown(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }
}

#[test]
fn a_terminal_has_the_size_that_it_was_given_and_hears_of_another() {
    let command = script("trap 'stty size' WINCH; stty size; read line; stty size", Some(SIZE));
    let mut talk = Talk::start(command);
    talk.until("24 80");
    talk.host.send(&ToAgent::Resize(1, TerminalSize { rows: 50, columns: 132 }));
    talk.types("go on\n");
    talk.until("50 132");
    assert_eq!(talk.ended(), HowEnded::Exited(0));
}

#[test]
fn control_c_reaches_what_is_in_the_foreground() {
    let mut talk = Talk::start(script("cat; echo never", Some(SIZE)));
    talk.in_cat();
    talk.types("\u{3}");
    assert_eq!(talk.ended(), HowEnded::Signalled(2));
    assert!(!talk.shown().contains("never"));
}

#[test]
fn a_shell_on_a_terminal_controls_its_jobs_and_gives_its_status() {
    let mut talk = Talk::start(Interact {
        argv: ["sh", "-i"].map(str::to_owned).into(),
        env: vec![("PS1".into(), "ready> ".into()), ("ENV".into(), String::new())],
        terminal: Some(SIZE),
        ..Interact::default()
    });
    talk.until("ready> ");
    talk.types("cat\n");
    talk.in_cat();
    talk.types("\u{3}");
    // Whoever types before the prompt is back may lose it: the terminal and the shell throw input away after Ctrl-C.
    while talk.shown().matches("ready> ").count() < 2 {
        assert_eq!(talk.hear(), None);
    }
    talk.types("echo status $?\n");
    talk.until("status 130");
    talk.types("test -t 0 && test -t 2 && exit 7\n");
    assert_eq!(talk.ended(), HowEnded::Exited(7));
    let shown = talk.shown();
    assert!(!shown.contains("job control turned off"), "{shown}");
}

#[test]
fn without_a_terminal_input_is_read_to_its_end_and_the_streams_stay_apart() {
    let mut talk = Talk::start(script("tr a-z A-Z; echo done >&2", None));
    let line = "abcdefg\n".repeat(CHUNK / 8);
    for _ in 0..2 * WINDOW / CHUNK {
        while WINDOW - (talk.stdout.len().max(talk.taken) - talk.taken) < line.len() {
            talk.hear();
        }
        talk.types(&line);
        let sent_before = talk.taken;
        while talk.taken == sent_before {
            talk.hear();
        }
    }
    talk.host.send(&ToAgent::InputEnd(1));
    assert_eq!(talk.ended(), HowEnded::Exited(0));
    assert_eq!(talk.stdout.len(), 2 * WINDOW);
    assert!(talk.stdout.starts_with(b"ABCDEFG\n"));
    assert_eq!(talk.stderr, b"done\n");
}

#[test]
fn output_stops_at_the_window_and_other_requests_go_on() {
    let mut talk = Talk::start(script("exec yes", None));
    talk.takes = false;
    while talk.stdout.len() < WINDOW {
        assert_eq!(talk.hear(), None);
    }
    assert_eq!(talk.stdout.len(), WINDOW);
    // The next thing to come belongs to somebody else, although `yes` writes for ever.
    assert_eq!(talk.host.run(2, exec(&["true"])).unwrap().how, Some(HowEnded::Exited(0)));
    talk.host.send(&ToAgent::Taken(1, 10));
    while talk.stdout.len() < WINDOW + 10 {
        assert_eq!(talk.hear(), None);
    }
    assert_eq!(talk.stdout.len(), WINDOW + 10);
}

#[test]
fn a_command_that_does_not_read_holds_up_nobody_and_may_not_be_overfed() {
    let mut talk = Talk::start(script("sleep 100", None));
    for _ in 0..WINDOW / CHUNK {
        talk.types(&"x".repeat(CHUNK));
    }
    // What the pipe holds was taken.
    while talk.taken == 0 {
        assert_eq!(talk.hear(), None);
    }
    let taken = talk.taken;
    assert!(taken < WINDOW, "{taken}");
    assert_eq!(talk.host.run(2, exec(&["true"])).unwrap().how, Some(HowEnded::Exited(0)));
    for _ in 0..taken / CHUNK + 1 {
        talk.types(&"x".repeat(CHUNK));
    }
    assert!(talk.host.collect(1).unwrap_err().contains("more input"));
}

#[test]
fn input_that_nobody_reads_is_taken_all_the_same() {
    let mut talk = Talk::start(script("exec <&-; echo closed; sleep 100", None));
    talk.until("closed");
    talk.types(&"x".repeat(CHUNK));
    while talk.taken < CHUNK {
        assert_eq!(talk.hear(), None);
    }
    talk.host.send(&ToAgent::Kill(2, 1, 15));
    // Each has a thread of its own: which of the two is told first is open.
    let (mut done, mut ended) = (false, None);
    while !done || ended.is_none() {
        match talk.host.next() {
            FromAgent::Done(2) => done = true,
            FromAgent::Ended { id: 1, how, .. } => ended = Some(how),
            other => panic!("unexpected: {other:?}"),
        }
    }
    assert_eq!(ended, Some(HowEnded::Signalled(15)));
}

#[test]
fn the_last_words_come_although_the_window_is_full() {
    let mut talk = Talk::start(script(&format!("head -c {WINDOW} /dev/zero; echo last words"), None));
    talk.takes = false;
    assert_eq!(talk.ended(), HowEnded::Exited(0));
    assert!(talk.stdout.ends_with(b"last words\n"));
    assert_eq!(talk.stdout.len(), WINDOW + 11);
}

#[test]
fn it_runs_in_the_folder_that_it_was_given() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().to_str().unwrap();
    let in_folder = |directory: &str| Interact { directory: Some(directory.into()), ..script("pwd", None) };
    let mut talk = Talk::start(in_folder(place));
    assert_eq!(talk.ended(), HowEnded::Exited(0));
    assert_eq!(talk.shown().trim(), place);
    let mut host = Host::new();
    host.send(&ToAgent::Interact(1, in_folder("/no/such/folder")));
    assert!(host.collect(1).unwrap_err().contains("/no/such/folder"));
}

#[test]
fn what_is_left_on_a_terminal_ends_with_its_shell() {
    let mut talk = Talk::start(script("sleep 1000 & echo pid $!.; wait_for_nobody=1", Some(SIZE)));
    assert_eq!(talk.ended(), HowEnded::Exited(0));
    let shown = talk.shown();
    let pid = shown.split("pid ").nth(1).unwrap().split('.').next().unwrap();
    let deadline = Instant::now() + PATIENCE;
    let lives = || {
        std::fs::read_to_string(format!("/proc/{pid}/stat"))
            .is_ok_and(|stat| !stat.rsplit(')').next().unwrap_or_default().trim_start().starts_with('Z'))
    };
    while lives() {
        assert!(Instant::now() < deadline, "{pid} outlives its terminal");
        std::thread::park_timeout(Duration::from_millis(5));
    }
}
