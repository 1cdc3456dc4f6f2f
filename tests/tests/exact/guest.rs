//! A guest that checks itself, in a QEMU whose every input is fixed.

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    os::unix::net::{UnixListener, UnixStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use profile::{Counts, Symbols};
use serde_json::{Value, json};

/// Under TCG on a busy machine.
const DEADLINE: Duration = Duration::from_secs(240);

/// Which plugin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Plugin {
    None,
    Windows,
    /// Everything is instrumented from power-on, and not from the first window on.
    WindowsWithoutPrelude,
    Whole,
}

/// How the guest is to run.
#[derive(Clone, Debug)]
pub(crate) struct Boot {
    pub(crate) vcpus: u32,
    pub(crate) plugin: Plugin,
    /// Asks QEMU for its own count when the machine has powered off.
    pub(crate) asks_qemu: bool,
    /// The root of another QEMU than the one that tests use.
    pub(crate) qemu: Option<PathBuf>,
}

/// A guest that ran to its end.
#[derive(Debug)]
pub(crate) struct Ran {
    folder: tempfile::TempDir,
    pub(crate) console: String,
    pub(crate) qemu_counted: Option<u64>,
}

pub(crate) fn boot_folder() -> PathBuf {
    std::env::var_os("ASSAY_TEST_BOOT").unwrap().into()
}

fn map() -> PathBuf {
    fs::canonicalize(boot_folder().join("kernel")).unwrap().with_file_name("System.map")
}

fn beside_assay(name: &str) -> PathBuf {
    let path = fs::canonicalize(tests::assay()).unwrap().with_file_name(name);
    assert!(path.is_file(), "{} is missing: cargo xtask setup", path.display());
    path
}

/// The kernel's functions.
pub(crate) fn symbols() -> Symbols {
    let mut symbols = Symbols::default();
    symbols.add(&fs::read_to_string(map()).unwrap());
    symbols
}

impl Boot {
    pub(crate) fn new() -> Self {
        Self { vcpus: 1, plugin: Plugin::Windows, asks_qemu: false, qemu: None }
    }

    fn command(&self, folder: &Path) -> Command {
        let boot = boot_folder();
        let qemu = self.qemu.clone().unwrap_or_else(|| fs::canonicalize(boot.join("qemu")).unwrap());
        let argv = machine::Qemu::command_in_root(&qemu);
        let icount = if self.asks_qemu {
            format!("shift=0,rr=record,rrfile={}", folder.join("replay").display())
        } else {
            "shift=0,sleep=off".to_owned()
        };
        let mut command = Command::new(&argv[0]);
        command
            .args(&argv[1..])
            .args(["-nodefaults", "-no-user-config", "-no-reboot", "-display", "none", "-nic", "none"])
            .args(["-machine", "q35,smm=off,sata=off,usb=off,vmport=off", "-bios", "qboot.rom"])
            .args(["-accel", "tcg,thread=single", "-icount", &icount, "-seed", "1"])
            .args(["-cpu", "max,-rdrand,-rdseed", "-rtc", "base=2026-01-01,clock=vm", "-m", "512"])
            .args(["-smp", &self.vcpus.to_string()])
            .arg("-kernel")
            .arg(boot.join("kernel"))
            .arg("-initrd")
            .arg(folder.join("initramfs"))
            .args([
                "-append",
                "console=ttyS0 panic=-1 oops=panic loglevel=5 no_timer_check tsc=reliable nokaslr",
            ])
            .args(["-serial", &format!("file:{}", folder.join("console").display())]);
        if self.plugin != Plugin::None {
            let whole = match self.plugin {
                Plugin::Whole => ",whole=on",
                Plugin::WindowsWithoutPrelude => ",prelude=off",
                Plugin::None | Plugin::Windows => "",
            };
            let (plugin, out, map) = (beside_assay("libinsncount.so"), folder.join("counts"), map());
            command.arg("-plugin").arg(format!(
                "{},out={},map={}{whole}",
                plugin.display(),
                out.display(),
                map.display()
            ));
        }
        command
    }

    pub(crate) fn run(&self) -> Ran {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("initramfs"), initramfs(&fs::read(beside_assay("assay-mark")).unwrap()))
            .unwrap();
        let socket = folder.path().join("qmp");
        let listener = UnixListener::bind(&socket).unwrap();
        let mut command = self.command(folder.path());
        if self.asks_qemu {
            command.args(["-no-shutdown", "-qmp", &format!("unix:{}", socket.display())]);
        }
        let mut child = Guard(command.stdin(Stdio::null()).spawn().unwrap());
        let qemu_counted = self.asks_qemu.then(|| qemus_count(&listener.accept().unwrap().0));
        let deadline = Instant::now() + DEADLINE;
        let status = loop {
            match child.0.try_wait().unwrap() {
                Some(status) => break status,
                None => assert!(Instant::now() < deadline, "the guest did not power off"),
            }
            // A child that is not ours alone to wait for has no other way to be waited for with a deadline.
            std::thread::sleep(Duration::from_millis(20));
        };
        assert!(status.success(), "QEMU: {status}");
        let console = fs::read_to_string(folder.path().join("console")).unwrap();
        assert!(console.contains("mark: window 1: as expected"), "{console}");
        Ran { folder, console, qemu_counted }
    }
}

impl Ran {
    /// What the plugin wrote.
    pub(crate) fn file(&self) -> String {
        fs::read_to_string(self.folder.path().join("counts")).unwrap()
    }

    pub(crate) fn counts(&self) -> Counts {
        Counts::read(&self.file()).unwrap()
    }

    /// What the guest said of window 2.
    fn awake(&self) -> &str {
        self.console.split_once("mark: window 2: ").unwrap().1.lines().next().unwrap()
    }

    /// Ticks of the guest's counter in window 2.
    pub(crate) fn ticks(&self) -> u64 {
        self.awake().split_once(' ').unwrap().0.parse().unwrap()
    }

    /// The result of its computation.
    pub(crate) fn sum(&self) -> &str {
        self.awake().rsplit_once(' ').unwrap().1
    }
}

struct Guard(Child);

impl Drop for Guard {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Waits for the machine to power off and asks for the number of instructions it has executed.
fn qemus_count(mut monitor: &UnixStream) -> u64 {
    monitor.set_read_timeout(Some(DEADLINE)).unwrap();
    let mut lines = BufReader::new(monitor.try_clone().unwrap())
        .lines()
        .map(|line| serde_json::from_str::<Value>(&line.unwrap()).unwrap());
    // In one piece: QEMU obeys as soon as the braces are closed, and may be gone before a line end of its own.
    let mut ask =
        |command: &str| monitor.write_all(json!({ "execute": command }).to_string().as_bytes()).unwrap();
    ask("qmp_capabilities");
    lines.find(|line| line["event"] == "SHUTDOWN").unwrap();
    ask("query-replay");
    let answer = lines.find(|line| line["return"]["icount"].is_number()).unwrap();
    ask("quit");
    // QEMU forgets the commands of who hangs up.
    lines.find(|line| line["return"].is_object()).unwrap();
    answer["return"]["icount"].as_u64().unwrap()
}

/// An archive with a console and a first process (Documentation/driver-api/early-userspace/buffer-format.rst).
fn initramfs(init: &[u8]) -> Vec<u8> {
    let mut archive = Vec::new();
    let entries: [(&str, u32, u32, &[u8]); 4] = [
        ("dev", 0o40755, 0, b""),
        ("dev/console", 0o20600, 5, b""),
        ("init", 0o100_755, 0, init),
        ("TRAILER!!!", 0, 0, b""),
    ];
    for (index, (name, mode, major, data)) in entries.into_iter().enumerate() {
        let minor = u32::from(major != 0);
        let (size, name_size) = (data.len(), name.len() + 1);
        write!(archive, "070701{:08x}{mode:08x}{:08x}{:08x}{:08x}{:08x}{size:08x}", index + 1, 0, 0, 1, 0)
            .unwrap();
        write!(archive, "{:08x}{:08x}{major:08x}{minor:08x}{name_size:08x}{:08x}{name}\0", 0, 0, 0).unwrap();
        archive.resize(archive.len().next_multiple_of(4), 0);
        archive.extend_from_slice(data);
        archive.resize(archive.len().next_multiple_of(4), 0);
    }
    archive
}
