//! What the kernel's tracepoints say of one command: its system calls, from its first to its last.
//!
//! Each command has an instance of tracefs, with rings of its own, that follows it and what it forks and nobody else
//! (Documentation/trace/ftrace.rst, `instances`, `set_event_pid`, `event-fork`).

#![expect(
    unsafe_code,
    reason = "a new process says for itself that it is to be followed, before it is the command"
)]

mod calls;
mod ring;

use std::{
    fs::{self, File},
    io::{self, Read, Write},
    os::unix::{fs::OpenOptionsExt, process::CommandExt},
    path::{Path, PathBuf},
    process::Command,
};

use nix::fcntl::OFlag;
use protocol::Id;

use self::calls::{Edge, Kinds};
use crate::read::Reading;

/// What a snapshot asks for.
pub(crate) const SYSCALLS: &str = "trace:syscalls";

const TRACEFS: &str = "/sys/kernel/tracing";

/// Room for a core's entries, in KiB: some 150,000 calls. A guest with little memory grants less.
const RING_KIB: u64 = 16 * 1024;

/// At most this part of the memory for the rings of all cores.
const PART_OF_MEMORY: u64 = 16;

/// More than any page of a ring has.
const LARGEST_PAGE: usize = 64 * 1024;

/// Follows one command; its instance goes with it.
pub(crate) struct Trace {
    instance: PathBuf,
    kinds: Kinds,
}

impl Drop for Trace {
    fn drop(&mut self) {
        // It is empty but for what the kernel put there; one that is left costs memory and nothing else.
        let _left = fs::remove_dir(&self.instance);
    }
}

impl Trace {
    /// Makes the instance, and has `command` followed from before its first instruction.
    pub(crate) fn follow(id: Id, command: &mut Command) -> Result<Self, String> {
        let events = Path::new(TRACEFS).join("events/raw_syscalls");
        if !events.is_dir() {
            return Err("the kernel has no tracepoints of system calls (CONFIG_FTRACE_SYSCALLS)".to_owned());
        }
        let kinds = Kinds { enter: kind(&events, "sys_enter")?, exit: kind(&events, "sys_exit")? };
        let instance = Path::new(TRACEFS).join(format!("instances/assay-{id}"));
        fs::create_dir(&instance).map_err(|error| format!("making {}: {error}", instance.display()))?;
        let trace = Self { instance, kinds };
        trace.set("options/overwrite", "0")?;
        trace.set("options/event-fork", "1")?;
        // One for all cores, in nanoseconds.
        trace.set("trace_clock", "mono")?;
        trace.set("buffer_size_kb", &ring_kib()?.to_string())?;
        let mut followed = trace.open("set_event_pid")?;
        let mut switch = trace.open("events/raw_syscalls/enable")?;
        let hook = move || {
            let mut digits = [0; 20];
            followed.write_all(decimal(std::process::id(), &mut digits))?;
            switch.write_all(b"1")
        };
        // SAFETY: between fork and exec the hook does two writes to files that are open, from memory on its stack: it takes no
        // lock and allocates nothing. `std::process::id` is getpid.
        unsafe { command.pre_exec(hook) };
        Ok(trace)
    }

    fn table(&self) -> Result<Vec<u8>, String> {
        self.set("events/raw_syscalls/enable", "0")?;
        let mut edges = Vec::new();
        let mut lost = 0;
        let cores = self.instance.join("per_cpu");
        let listed = fs::read_dir(&cores)
            .and_then(|folders| folders.collect::<io::Result<Vec<_>>>())
            .map_err(told(&cores))?;
        for core in listed {
            let raw = core.path().join("trace_pipe_raw");
            drain(&raw, &mut |page| {
                let entries = ring::entries(page).ok_or("it has a page that is none")?;
                edges.extend(entries.iter().filter_map(|entry| Edge::of(entry, self.kinds)));
                Ok(())
            })
            .map_err(told(&raw))?;
            let stats = core.path().join("stats");
            lost += fs::read_to_string(&stats).map_err(told(&stats)).and_then(|text| lost_entries(&text))?;
        }
        Ok(calls::table(&calls::costs(edges), lost).into_bytes())
    }

    fn open(&self, file: &str) -> Result<File, String> {
        let path = self.instance.join(file);
        File::options().write(true).open(&path).map_err(told(&path))
    }

    fn set(&self, file: &str, value: &str) -> Result<(), String> {
        let path = self.instance.join(file);
        self.open(file)?.write_all(value.as_bytes()).map_err(told(&path))
    }
}

/// Ends it, and tells what was seen, or why nothing was.
pub(crate) fn reading(trace: Result<Trace, String>) -> Reading {
    Reading { path: SYSCALLS.to_owned(), content: trace.and_then(|trace| trace.table()) }
}

/// Gives every page that a ring has to `take`.
fn drain(path: &Path, take: &mut dyn FnMut(&[u8]) -> Result<(), &'static str>) -> io::Result<()> {
    let mut file = File::options().read(true).custom_flags(OFlag::O_NONBLOCK.bits()).open(path)?;
    let mut page = vec![0; LARGEST_PAGE];
    loop {
        match file.read(&mut page) {
            Ok(0) => return Ok(()),
            Ok(length) => take(&page[..length]).map_err(io::Error::other)?,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
            Err(error) => return Err(error),
        }
    }
}

/// The number of an event.
fn kind(events: &Path, name: &str) -> Result<u16, String> {
    let path = events.join(name).join("id");
    let text = fs::read_to_string(&path).map_err(told(&path))?;
    text.trim().parse().map_err(|_| format!("{} is no number: `{}`", path.display(), text.trim()))
}

/// What a ring had no room for, from its `stats`.
fn lost_entries(stats: &str) -> Result<u64, String> {
    let of = |name: &str| {
        let value = stats.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
        value
            .and_then(|value| value.trim().parse::<u64>().ok())
            .ok_or_else(|| format!("no `{name}` in a ring's stats"))
    };
    Ok(of("overrun")?.saturating_add(of("dropped events")?))
}

/// Room for each core's entries.
fn ring_kib() -> Result<u64, String> {
    const MEMINFO: &str = "/proc/meminfo";
    let text = fs::read_to_string(MEMINFO).map_err(told(Path::new(MEMINFO)))?;
    let total =
        text.lines().find_map(|line| line.strip_prefix("MemTotal:")?.strip_suffix("kB")?.trim().parse().ok());
    let total: u64 = total.ok_or_else(|| format!("{MEMINFO} has no MemTotal"))?;
    let cores = std::thread::available_parallelism().map_or(1, |cores| cores.get() as u64);
    Ok((total / PART_OF_MEMORY / cores).min(RING_KIB))
}

/// A number in decimal digits, without an allocator.
fn decimal(mut number: u32, digits: &mut [u8; 20]) -> &[u8] {
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            return &digits[at..];
        }
    }
}

fn told(path: &Path) -> impl Fn(io::Error) -> String + '_ {
    move |error| format!("{}: {error}", path.display())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_without_an_allocator() {
        let written = |number| String::from_utf8(decimal(number, &mut [0; 20]).to_vec()).unwrap();
        assert_eq!([0, 7, 10, u32::MAX].map(written), ["0", "7", "10", "4294967295"]);
    }

    #[test]
    fn what_a_ring_lost_is_read_from_its_stats() {
        // `cat /sys/kernel/tracing/per_cpu/cpu0/stats` on 6.12.
        let stats = "entries: 12\noverrun: 3\ncommit overrun: 0\nbytes: 1148\noldest event ts:     1.000042\nnow ts:     \
                     1.234567\ndropped events: 4\nread events: 0\n";
        assert_eq!(lost_entries(stats), Ok(7));
        assert_eq!(lost_entries("entries: 1\n"), Err("no `overrun` in a ring's stats".to_owned()));
    }
}
