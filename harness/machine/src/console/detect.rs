//! Tells a crash from what a healthy kernel prints.

use std::collections::VecDeque;

use measure::CrashKind;

use crash::{plain, without_stamp};

/// Lines kept from before a crash; also the tail of a guest that says nothing.
const BEFORE: usize = 60;
/// Lines kept from a crash on.
const AFTER: usize = 300;
/// Most characters of a line: an endless line is bounded too.
const LINE: usize = 1024;
/// Warnings whose titles are kept.
const WARNINGS: usize = 20;

/// Reports that begin like a crash, and that the kernel goes on after: `crash` reads them when the boot is over.
const SURVIVED: &[&str] = &[
    "BUG: KASAN: ",
    "BUG: KCSAN: ",
    "BUG: KFENCE: ",
    "BUG: KMSAN: ",
    "BUG: Invalid wait context",
    "BUG: sleeping function called from invalid context",
    // kernel/sched/core.c, `__schedule_bug`: sets the count right and goes on.
    "BUG: scheduling while atomic",
    // lib/smp_processor_id.c.
    "BUG: using ",
    "BUG: held lock freed",
    // mm/page_alloc.c, `bad_page`: the page is leaked on purpose. kernel/fork.c, `check_mm`.
    "BUG: Bad page state",
    "BUG: Bad rss-counter state",
    // The tables of lockdep are full, which then turns itself off.
    "BUG: MAX_LOCK",
];

/// What a line begins with, after its time stamp, and what that means.
const MARKS: &[(&str, CrashKind)] = &[
    // Of the panic that follows when the agent dies, these are the cause.
    ("assay-agent: died: ", CrashKind::AgentDied),
    ("assay-agent: cannot boot", CrashKind::AgentDied),
    ("Kernel panic - not syncing", CrashKind::Panic),
    ("PANIC: ", CrashKind::Panic),
    ("traps: PANIC: ", CrashKind::Panic),
    ("watchdog: BUG: soft lockup", CrashKind::Stall),
    ("BUG: soft lockup", CrashKind::Stall),
    ("BUG: workqueue lockup", CrashKind::Stall),
    ("BUG: ", CrashKind::Oops),
    ("Oops: ", CrashKind::Oops),
    ("kernel BUG at ", CrashKind::Oops),
    ("general protection fault", CrashKind::Oops),
    ("Unable to handle kernel ", CrashKind::Oops),
    ("divide error: ", CrashKind::Oops),
    ("invalid opcode: ", CrashKind::Oops),
    ("stack segment: ", CrashKind::Oops),
];

/// Stalls have the name of a task or a flavour of RCU in their middle.
const STALLS: &[(&str, &str)] = &[
    ("INFO: task ", " blocked for more than "),
    ("INFO: rcu_", "detected stall"),
    ("INFO: rcu_", "self-detected stall"),
    ("INFO: rcu_", "detected expedited stalls"),
    ("rcu: INFO: rcu_", "detected stall"),
    ("rcu: INFO: rcu_", "self-detected stall"),
    ("rcu: INFO: rcu_", "detected expedited stalls"),
    // kernel/watchdog.c: in 7.3 the processor that noticed it is named between the two, in 6.12 it is not.
    ("watchdog: ", HARD_LOCKUP),
    ("NMI watchdog: ", HARD_LOCKUP),
];

const HARD_LOCKUP: &str = "Watchdog detected hard LOCKUP";

/// A crash as the console tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) kind: CrashKind,
    /// The kernel's first words of it, without their time stamp.
    pub(crate) title: String,
    /// The console around it.
    pub(crate) excerpt: String,
}

/// Reads a console as it comes.
#[derive(Debug, Default)]
pub(crate) struct Detector {
    partial: Vec<u8>,
    before: VecDeque<String>,
    crash: Option<Crash>,
    warnings: Vec<String>,
}

#[derive(Debug)]
struct Crash {
    kind: CrashKind,
    title: String,
    lines: Vec<String>,
    /// A call trace has begun and not ended.
    in_a_trace: bool,
    /// One has begun.
    traced: bool,
    complete: bool,
}

impl Detector {
    /// Takes in what the guest wrote next; a line counts when it has ended.
    pub(crate) fn feed(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            if byte == b'\n' {
                let line = std::mem::take(&mut self.partial);
                self.line(&plain(&line, LINE));
            } else if self.partial.len() < LINE {
                self.partial.push(byte);
            }
        }
    }

    /// Nothing more will come: what stands in the last line counts as well.
    pub(crate) fn finish(&mut self) {
        if !self.partial.is_empty() {
            self.feed(b"\n");
        }
    }

    fn line(&mut self, line: &str) {
        let words = without_stamp(line);
        match &mut self.crash {
            Some(crash) => {
                if words.starts_with("Kernel panic - not syncing") && crash.kind == CrashKind::Oops {
                    crash.kind = CrashKind::Panic;
                }
                match words {
                    "Call Trace:" | "<TASK>" | "<IRQ>" | "<NMI>" | "<SOFTIRQ>" => {
                        (crash.in_a_trace, crash.traced) = (true, true);
                    }
                    "</TASK>" | "</IRQ>" | "</NMI>" | "</SOFTIRQ>" => crash.in_a_trace = false,
                    _ => {}
                }
                if words.starts_with("---[ end Kernel panic") {
                    crash.complete = true;
                }
                if crash.lines.len() < AFTER {
                    crash.lines.push(line.to_owned());
                }
            }
            None => {
                if let Some(kind) = judge(words) {
                    let title = words.to_owned();
                    self.crash = Some(Crash {
                        kind,
                        title,
                        lines: vec![line.to_owned()],
                        in_a_trace: false,
                        traced: false,
                        complete: false,
                    });
                    return;
                }
                if words.starts_with("WARNING: ") && self.warnings.len() < WARNINGS {
                    self.warnings.push(words.to_owned());
                }
                if self.before.len() == BEFORE {
                    self.before.pop_front();
                }
                self.before.push_back(line.to_owned());
            }
        }
    }

    /// Whether a crash has begun.
    pub(crate) fn has_found(&self) -> bool {
        self.crash.is_some()
    }

    /// Whether the crash's text goes on, however long the next line takes.
    pub(crate) fn is_in_a_trace(&self) -> bool {
        self.crash.as_ref().is_some_and(|crash| crash.in_a_trace)
    }

    /// Whether one processor has told that another does not take interrupts, and waits for that one to say where it is.
    pub(crate) fn awaits_another(&self) -> bool {
        self.crash.as_ref().is_some_and(|crash| !crash.traced && crash.title.contains(HARD_LOCKUP))
    }

    /// Whether the kernel itself has said that the crash's text is over.
    pub(crate) fn is_complete(&self) -> bool {
        self.crash.as_ref().is_some_and(|crash| crash.complete)
    }

    /// The crash as far as it has been told.
    pub(crate) fn found(&self) -> Option<Found> {
        let crash = self.crash.as_ref()?;
        Some(Found { kind: crash.kind, title: crash.title.clone(), excerpt: self.tail() })
    }

    /// Titles of warnings so far.
    pub(crate) fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// The last lines, or those around a crash.
    pub(crate) fn tail(&self) -> String {
        let mut lines: Vec<&str> = self.before.iter().map(String::as_str).collect();
        lines.extend(self.crash.iter().flat_map(|crash| crash.lines.iter().map(String::as_str)));
        lines.join("\n")
    }

    /// The guest wrote more than is kept.
    pub(crate) fn flood(&self, most: u64) -> Found {
        self.found().unwrap_or_else(|| Found {
            kind: CrashKind::Stall,
            title: format!("the console was flooded: more than {} MiB", most / (1024 * 1024)),
            excerpt: self.tail(),
        })
    }
}

fn judge(words: &str) -> Option<CrashKind> {
    if SURVIVED.iter().any(|begin| words.starts_with(begin)) {
        return None;
    }
    let marked = MARKS.iter().find(|(mark, _)| words.starts_with(mark)).map(|(_, kind)| *kind);
    marked.or_else(|| {
        let stalled = STALLS.iter().any(|(begin, middle)| words.starts_with(begin) && words.contains(middle));
        stalled.then_some(CrashKind::Stall)
    })
}

#[cfg(test)]
mod tests;
