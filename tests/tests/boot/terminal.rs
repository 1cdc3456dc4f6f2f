//! `assay shell` on a terminal of its own.

use std::{
    fs::File,
    io::{Read, Write},
    process::{Child, Command, ExitStatus, Stdio},
    sync::mpsc::{Receiver, RecvTimeoutError, channel},
    time::{Duration, Instant},
};

use nix::{
    fcntl::{FcntlArg, FdFlag, fcntl},
    pty::{Winsize, openpty},
    sys::termios::{Termios, tcgetattr},
};
use tests::{Room, can_boot, said};

/// No step of these tests takes nearly as long.
const PATIENCE: Duration = Duration::from_secs(120);

/// `assay shell` and the terminal that it has.
struct Terminal {
    // Its folders, for as long as it runs.
    _room: Room,
    child: Child,
    /// What a person types and sees.
    person: File,
    /// What `assay` has.
    assays: File,
    before: Termios,
    shown: Receiver<Vec<u8>>,
    text: String,
}

impl Terminal {
    fn start(arguments: &[&str]) -> Self {
        let size = Winsize { ws_row: 24, ws_col: 80, ws_xpixel: 0, ws_ypixel: 0 };
        let ends = openpty(&size, None).unwrap();
        // The child gets the copies that are meant for it, and no other.
        for end in [&ends.master, &ends.slave] {
            fcntl(end, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC)).unwrap();
        }
        let (person, assays) = (File::from(ends.master), File::from(ends.slave));
        let before = tcgetattr(&assays).unwrap();
        let room = Room::new();
        let assay = room.sharing_command();
        let stdio = || Stdio::from(assays.try_clone().unwrap());
        let child = Command::new("setsid")
            .arg("--ctty")
            .arg(assay.get_program())
            .args(assay.get_args())
            .arg("shell")
            .args(arguments)
            .current_dir(assay.get_current_dir().unwrap())
            .env("TERM", "xterm")
            .stdin(stdio())
            .stdout(stdio())
            .stderr(stdio())
            .spawn()
            .unwrap();
        let mut reader = person.try_clone().unwrap();
        let (send, shown) = channel();
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(count) = reader.read(&mut buffer) {
                if send.send(buffer[..count].to_vec()).is_err() {
                    break;
                }
            }
        });
        Self { _room: room, child, person, assays, before, shown, text: String::new() }
    }

    fn types(&mut self, text: &str) {
        self.person.write_all(text.as_bytes()).unwrap();
    }

    fn hear(&mut self, deadline: Instant, awaited: &str) {
        match self.shown.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            Ok(bytes) => self.text.push_str(&String::from_utf8_lossy(&bytes)),
            Err(RecvTimeoutError::Timeout) => panic!("{awaited:?} does not come:\n{}", self.text),
            Err(RecvTimeoutError::Disconnected) => panic!("the terminal is gone:\n{}", self.text),
        }
    }

    /// Waits for `text`, and forgets all that came until then.
    fn until(&mut self, text: &str) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(at) = self.text.find(text) {
                self.text.drain(..at + text.len());
                return;
            }
            self.hear(deadline, text);
        }
    }

    /// A line typed at the prompt; comes back with the next prompt.
    fn line(&mut self, line: &str, answer: &str) {
        self.types(&format!("{line}\r"));
        self.until(answer);
    }

    fn resize(&self, rows: u16, columns: u16) {
        let size = [rows, columns].map(|number| number.to_string());
        let status = Command::new("stty")
            .args(["rows", &size[0], "cols", &size[1]])
            .stdin(self.assays.try_clone().unwrap())
            .status();
        assert!(status.unwrap().success());
    }

    /// How it ended, and that the terminal is as it was.
    fn ended(&mut self) -> ExitStatus {
        let deadline = Instant::now() + PATIENCE;
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            assert!(Instant::now() < deadline, "it does not end:\n{}", self.text);
            if let Ok(bytes) = self.shown.recv_timeout(Duration::from_millis(100)) {
                self.text.push_str(&String::from_utf8_lossy(&bytes));
            }
        };
        while let Ok(bytes) = self.shown.recv_timeout(Duration::from_millis(100)) {
            self.text.push_str(&String::from_utf8_lossy(&bytes));
        }
        assert!(tcgetattr(&self.assays).unwrap() == self.before, "the terminal stays changed");
        status
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // It has ended, but for a test that fails.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_shell_has_a_terminal_with_a_size_and_control_c_and_its_status_is_ours() {
    if !can_boot() {
        return;
    }
    let mut terminal = Terminal::start(&[]);
    terminal.until("Ctrl-] q");
    terminal.until("6.12.");
    terminal.until("# ");
    terminal.line("stty size", "24 80");
    terminal.resize(50, 132);
    // The size reaches the guest on its own way: it is asked for until it has come.
    terminal.line("until stty size | grep 132; do :; done", "\n50 132");
    terminal.line("echo is-$((1+1)); sleep 100", "is-2");
    terminal.types("\u{3}");
    terminal.line("echo status-$?", "status-130");
    terminal.types("exit 7\r");
    assert_eq!(terminal.ended().code(), Some(7), "{}", terminal.text);
}

#[test]
fn the_escape_ends_a_shell_whatever_runs_in_it() {
    if !can_boot() {
        return;
    }
    let mut terminal =
        Terminal::start(&["--", "sh", "-c", "trap '' INT QUIT HUP TERM; echo deaf; sleep 1000"]);
    terminal.until("deaf");
    terminal.types("\u{3}\u{1d}q");
    assert_eq!(terminal.ended().code(), Some(130), "{}", terminal.text);
}

#[test]
fn a_kernel_that_crashes_ends_a_shell_with_its_report() {
    if !can_boot() {
        return;
    }
    let mut terminal = Terminal::start(&[]);
    terminal.until("# ");
    terminal.types("echo c > /proc/sysrq-trigger\r");
    assert_eq!(terminal.ended().code(), Some(1), "{}", terminal.text);
    assert!(terminal.text.contains("the kernel crashed: panic: sysrq triggered crash"), "{}", terminal.text);
}

#[test]
fn a_script_is_run_when_nobody_types() {
    if !can_boot() {
        return;
    }
    let room = Room::new();
    let mut child = room
        .sharing_command()
        .arg("shell")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let script = "uname -r; echo oops >&2; test -t 0 || exit 5\n";
    child.stdin.take().unwrap().write_all(script.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(5), "{}", said(&output));
    let stdout = String::from_utf8_lossy(&output.stdout);
    assert!(stdout.starts_with("6.12.") && stdout.lines().count() == 1, "{}", said(&output));
    assert_eq!(String::from_utf8_lossy(&output.stderr), "oops\n");
}
