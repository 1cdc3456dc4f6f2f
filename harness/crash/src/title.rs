//! One line for a complaint that is the same in every boot, and a fingerprint.

use measure::{ComplaintKind, Frame};
use sha2::{Digest, Sha256};

use crate::frame::{base, symbol, tells};

/// Innermost functions that take part in a fingerprint.
const FUNCTIONS: usize = 3;
/// Most characters of words that are taken over into a title.
const WORDS: usize = 120;

/// The title of a complaint whose lines are `own`, with those `before` that belong to it.
pub(crate) fn of(kind: ComplaintKind, before: &[&str], own: &[&str], frames: &[Frame]) -> String {
    let words = own.first().copied().unwrap_or_default();
    let place = place(words, frames).map(|function| format!(" in {function}")).unwrap_or_default();
    match kind {
        ComplaintKind::Panic => {
            let reason = words.strip_prefix("Kernel panic - not syncing").unwrap_or(words);
            format!("panic: {}", general(reason.trim_start_matches([':', ' '])))
        }
        ComplaintKind::Oops => format!("{}{place}", shadow(own).unwrap_or_else(|| fault(words))),
        ComplaintKind::Bug if words.starts_with("kernel BUG at ") => format!("kernel BUG{place}"),
        ComplaintKind::Bug | ComplaintKind::AtomicSleep => {
            let what = words.strip_prefix("BUG: ").unwrap_or(words);
            let what = what.split(" at ").next().unwrap_or(what).split(": ").next().unwrap_or(what);
            format!("BUG: {}{place}", general(what))
        }
        ComplaintKind::Warning => {
            // What `WARN(1, "...")` said stands before it.
            let said = before.iter().rev().find(|line| !line.is_empty() && !line.starts_with("---"));
            let said = said.map(|said| format!(": {}", general(said))).unwrap_or_default();
            format!("WARNING{place}{said}")
        }
        ComplaintKind::Kasan | ComplaintKind::Kcsan | ComplaintKind::Kfence => {
            let what = words.strip_prefix("BUG: ").unwrap_or(words);
            let (what, functions) = what.split_once(" in ").unwrap_or((what, ""));
            match functions.split_once(" / ") {
                // A race has two ends, which come in any order.
                Some((one, other)) => {
                    let mut ends = [one, other].map(|end| {
                        // The heading has no offsets, and a module's name behind its function.
                        let bare =
                            || base(end.split_ascii_whitespace().next().unwrap_or_default()).to_owned();
                        symbol(end).map_or_else(bare, |frame| base(&frame.function).to_owned())
                    });
                    ends.sort();
                    format!("{} in {} and {}", general(what), ends[0], ends[1])
                }
                None => format!("{}{place}", general(what)),
            }
        }
        ComplaintKind::Ubsan => {
            let what = words.split(" in ").next().unwrap_or(words);
            format!("{}{place}", general(what))
        }
        ComplaintKind::Lockdep => {
            let what = words.trim_matches(['[', ']', ' ']);
            let what = what.strip_prefix("WARNING: ").or_else(|| what.strip_prefix("BUG: ")).unwrap_or(what);
            let what = what.trim_end_matches(['!', '.']).trim_end_matches(" detected");
            format!("lockdep: {}{place}", general(what))
        }
        ComplaintKind::HungTask => {
            let task = words.strip_prefix("INFO: task ").and_then(|rest| rest.rsplit_once(" blocked"));
            let task = task.and_then(|(task, _)| task.rsplit_once(':')).map_or("", |(name, _)| name);
            format!("hung task {}{place}", general(of_any_cpu(task)))
        }
        ComplaintKind::SoftLockup
        | ComplaintKind::HardLockup
        | ComplaintKind::RcuStall
        | ComplaintKind::WorkqueueLockup => format!("{}{place}", kind.words()),
        ComplaintKind::OutOfMemory => {
            let name =
                words.split_once('(').and_then(|(_, rest)| rest.split_once(')')).map_or("", |(name, _)| name);
            format!("out of memory: killed {}", general(name))
        }
        ComplaintKind::Hang => format!("hang{place}"),
        ComplaintKind::MemoryLeak => "kmemleak: suspected memory leaks".into(),
    }
}

/// The function that a complaint is about: the one in its first line, or the innermost that does not report.
fn place(words: &str, frames: &[Frame]) -> Option<String> {
    let named = symbol(words).filter(tells).map(|frame| base(&frame.function).to_owned());
    named.or_else(|| about(frames).next().map(str::to_owned))
}

/// Functions of a stack that a complaint can be about, innermost first.
fn about(frames: &[Frame]) -> impl Iterator<Item = &str> {
    frames.iter().filter(|frame| frame.certain && tells(frame)).map(|frame| base(&frame.function))
}

/// What KASAN adds to a fault in its shadow, which says what the access itself would have been (`kasan_non_canonical_hook`,
/// mm/kasan/report.c).
fn shadow(own: &[&str]) -> Option<&'static str> {
    let bug = own.iter().take(3).find_map(|line| line.strip_prefix("KASAN: "))?;
    match bug.split(" in range ").next()? {
        "null-ptr-deref" => Some("NULL pointer dereference"),
        "probably user-memory-access" => Some("access to user memory"),
        "maybe wild-memory-access" => Some("wild memory access"),
        _ => None,
    }
}

/// A fault's name without its address and codes.
fn fault(words: &str) -> &'static str {
    const NAMES: &[(&str, &str)] = &[
        ("NULL pointer dereference", "NULL pointer dereference"),
        ("stack guard page", "stack overflow"),
        ("double fault", "double fault"),
        ("general protection fault", "general protection fault"),
        ("divide error", "division by zero"),
        ("invalid opcode", "invalid opcode"),
        ("stack segment", "stack segment fault"),
        ("int3", "breakpoint"),
        ("alignment check", "misaligned access"),
        ("page fault", "page fault"),
        ("paging request", "page fault"),
        ("PANIC", "fatal exception"),
    ];
    NAMES.iter().find(|(inside, _)| words.contains(inside)).map_or("oops", |(_, name)| name)
}

/// Words without what differs from boot to boot: numbers, addresses, offsets.
fn general(words: &str) -> String {
    let kept: Vec<String> = words
        .split_whitespace()
        .map(|word| word.split("+0x").next().unwrap_or(word))
        .map(|word| word.split("(0,").next().unwrap_or(word))
        .map(without_numbers)
        .collect();
    kept.join(" ").chars().take(WORDS).collect()
}

/// A word whose numbers are `N`, those within it included: `(next=ffffc900002dfc50).` is `(next=N).`
fn without_numbers(word: &str) -> String {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let mut plain = String::with_capacity(word.len());
    let mut rest = word;
    while let Some(first) = rest.chars().next() {
        let same = |c: char| is_part(c) == is_part(first);
        let (run, after) = rest.split_at(rest.find(|c| !same(c)).unwrap_or(rest.len()));
        plain.push_str(if is_number(run) { "N" } else { run });
        rest = after;
    }
    plain
}

/// Decimal, hexadecimal with its prefix, or so long that it is an address, a page's number or a hash.
fn is_number(text: &str) -> bool {
    const LONG: usize = 4;
    let hexadecimal = |text: &str| !text.is_empty() && text.chars().all(|c| c.is_ascii_hexdigit());
    text.starts_with(|c: char| c.is_ascii_digit()) && text.chars().all(|c| c.is_ascii_digit())
        || text.strip_prefix("0x").is_some_and(hexadecimal)
        || text.len() >= LONG && hexadecimal(text) && text.contains(|c: char| c.is_ascii_digit())
}

/// A kernel thread's name without its CPU and its number: `kworker/0:1`, `kworker/u8:2+events`, `ksoftirqd/3`.
fn of_any_cpu(task: &str) -> &str {
    match task.split_once('/') {
        Some((name, of)) if of.trim_start_matches('u').starts_with(|c: char| c.is_ascii_digit()) => name,
        _ => task,
    }
}

/// Twelve hexadecimal digits; see [`measure::Complaint::fingerprint`].
pub(crate) fn fingerprint(kind: ComplaintKind, title: &str, frames: &[Frame]) -> String {
    let mut hash = Sha256::new();
    hash.update(kind.words());
    hash.update([0]);
    hash.update(title);
    // Either end of a race may come first, with its stack; the title has both.
    let frames = if kind == ComplaintKind::Kcsan { &[] } else { frames };
    for function in about(frames).take(FUNCTIONS) {
        hash.update([0]);
        hash.update(function);
    }
    hash.finalize().iter().take(6).map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn title(kind: ComplaintKind, words: &str) -> String {
        of(kind, &[], &[words], &[])
    }

    #[test]
    fn what_differs_from_boot_to_boot_is_left_out() {
        let kasan = "BUG: KASAN: slab-use-after-free in ip_rcv.isra.0+0x12/0x34";
        assert_eq!(title(ComplaintKind::Kasan, kasan), "KASAN: slab-use-after-free in ip_rcv");
        let race = "BUG: KCSAN: data-race in b+0x1/0x2 / a+0x3/0x4";
        assert_eq!(title(ComplaintKind::Kcsan, race), "KCSAN: data-race in a and b");
        let race = "BUG: KCSAN: data-race in b.isra.0 [m] / a [m]";
        assert_eq!(title(ComplaintKind::Kcsan, race), "KCSAN: data-race in a and b");
        let lock = "WARNING: possible circular locking dependency detected";
        assert_eq!(title(ComplaintKind::Lockdep, lock), "lockdep: possible circular locking dependency");
        let hung = "INFO: task kworker/0:1:43 blocked for more than 122 seconds.";
        assert_eq!(title(ComplaintKind::HungTask, hung), "hung task kworker");
        let killed = "Out of memory: Killed process 123 (stress) total-vm:1kB";
        assert_eq!(title(ComplaintKind::OutOfMemory, killed), "out of memory: killed stress");
        let atomic = "BUG: sleeping function called from invalid context at mm/slab.h:12";
        assert_eq!(
            title(ComplaintKind::AtomicSleep, atomic),
            "BUG: sleeping function called from invalid context"
        );
    }

    #[test]
    fn a_fault_in_the_shadow_is_named_after_the_access() {
        let gpf = "Oops: general protection fault, probably for non-canonical address 0xdffffc0000000000: 0000 [#1] SMP KASAN";
        let range = "KASAN: null-ptr-deref in range [0x0000000000000000-0x0000000000000007]";
        assert_eq!(of(ComplaintKind::Oops, &[], &[gpf, range], &[]), "NULL pointer dereference");
        assert_eq!(of(ComplaintKind::Oops, &[], &[gpf], &[]), "general protection fault");
    }

    #[test]
    fn numbers_within_words_are_left_out() {
        let list = "list_add corruption. next->prev should be prev (ffffc900002dfc30), but was 0. (next=ffffc900002dfc50).";
        let expected = "list_add corruption. next->prev should be prev (N), but was N. (next=N).";
        assert_eq!(general(list), expected);
        assert_eq!(
            general("eth0: pfn:1a2b3 in d0 at 0xff, refcount_t 12%"),
            "eth0: pfn:N in d0 at N, refcount_t N%"
        );
        assert_eq!(of_any_cpu("kworker/u8:2+events_unbound"), "kworker");
        assert_eq!(of_any_cpu("a/b"), "a/b");
    }

    #[test]
    fn a_fingerprint_is_of_kind_title_and_the_innermost_functions() {
        let frame = |function: &str| symbol(&format!("{function}+0x1/0x2")).unwrap();
        let stack = |names: &[&str]| names.iter().map(|name| frame(name)).collect::<Vec<_>>();
        let one = fingerprint(ComplaintKind::Oops, "x", &stack(&["exc_page_fault", "a.cold", "b", "c", "d"]));
        assert_eq!(one, fingerprint(ComplaintKind::Oops, "x", &stack(&["a", "b", "c", "other"])));
        assert_ne!(one, fingerprint(ComplaintKind::Oops, "x", &stack(&["a", "b", "e"])));
        assert_ne!(one, fingerprint(ComplaintKind::Bug, "x", &stack(&["a", "b", "c"])));
        assert_eq!(one.len(), 12);
    }
}
