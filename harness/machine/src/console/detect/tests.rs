use proptest::prelude::*;

use super::*;

/// A console captured from a real boot.
macro_rules! console {
    ($name:literal) => {
        include_bytes!(concat!("../../../../../tests/fixtures/console/", $name, ".txt")).as_slice()
    };
}

fn read(console: &[u8]) -> Detector {
    let mut detector = Detector::default();
    detector.feed(console);
    detector.finish();
    detector
}

fn found(console: &[u8]) -> (CrashKind, String) {
    let found = read(console).found().expect("a crash");
    assert!(found.excerpt.contains(&found.title), "{found:?}");
    (found.kind, found.title)
}

#[test]
fn a_trace_is_waited_for_to_its_end() {
    let mut detector = Detector::default();
    detector.feed(b"[    1.0] watchdog: Watchdog detected hard LOCKUP on cpu 0\n");
    assert!(detector.has_found() && !detector.is_in_a_trace());
    assert_eq!(judge("watchdog: CPU1: Watchdog detected hard LOCKUP on cpu 0"), Some(CrashKind::Stall));
    detector.feed(b"[    1.1] Call Trace:\n[    1.1]  <TASK>\n[    1.1]  f+0x1/0x2\n");
    assert!(detector.is_in_a_trace());
    detector.feed(b"[    1.2]  </TASK>\n");
    assert!(!detector.is_in_a_trace());
}

#[test]
fn a_hard_lockup_is_told_when_the_other_processor_has_said_where_it_is() {
    let mut detector = Detector::default();
    detector.feed(
        b"[   15.1] watchdog: CPU1: Watchdog detected hard LOCKUP on cpu 0\n[   15.2] Modules linked in:\n",
    );
    assert!(detector.awaits_another());
    detector.feed(b"[   16.1] Call Trace:\n");
    assert!(!detector.awaits_another() && detector.is_in_a_trace());
    let mut detector = Detector::default();
    detector.feed(b"[   15.1] watchdog: BUG: soft lockup - CPU#0 stuck for 22s!\n");
    assert!(detector.has_found() && !detector.awaits_another());
}

#[test]
fn what_a_kernel_goes_on_after_does_not_end_its_boot() {
    for survived in
        ["BUG: scheduling while atomic: sh/45/0x00000002", "BUG: Bad page state in process sh  pfn:1"]
    {
        assert_eq!(judge(survived), None, "{survived}");
    }
    assert_eq!(judge("BUG: stack guard page was hit"), Some(CrashKind::Oops));
}

#[test]
fn a_panic_has_the_kernels_words_as_its_title() {
    let (kind, title) = found(console!("panic-late-initcall"));
    assert_eq!(kind, CrashKind::Panic);
    assert!(title.starts_with("Kernel panic - not syncing: "), "{title}");
    let title = "Kernel panic - not syncing: VFS: Unable to mount root fs on unknown-block(0,0)";
    assert_eq!(found(console!("no-init")), (CrashKind::Panic, title.into()));
}

#[test]
fn an_oops_that_becomes_a_panic_is_a_panic_titled_by_the_oops() {
    let title = "BUG: kernel NULL pointer dereference, address: 0000000000000000";
    assert_eq!(found(console!("oops-null-pointer")), (CrashKind::Panic, title.into()));
    let title = "Oops: general protection fault, probably for non-canonical address 0x8000000000000000: 0000 [#1] SMP NOPTI";
    assert_eq!(found(console!("oops-general-protection")), (CrashKind::Panic, title.into()));
    assert_eq!(found(console!("bug")), (CrashKind::Panic, "kernel BUG at crasher.c:15!".into()));
}

#[test]
fn an_oops_that_is_survived_is_an_oops() {
    let whole = String::from_utf8_lossy(console!("oops-null-pointer"));
    let (survived, _) = whole.split_once("Kernel panic").expect("it panicked");
    assert_eq!(found(survived.as_bytes()).0, CrashKind::Oops);
}

#[test]
fn stalls_are_told_from_panics() {
    let title = "watchdog: BUG: soft lockup - CPU#0 stuck for 26s! [busybox:43]";
    assert_eq!(found(console!("soft-lockup")), (CrashKind::Stall, title.into()));
    let title = "INFO: task busybox:43 blocked for more than 2 seconds.";
    assert_eq!(found(console!("hung-task")), (CrashKind::Stall, title.into()));
    let (kind, title) = found(console!("hang-late-initcall-smp"));
    assert_eq!(kind, CrashKind::Stall);
    assert!(title.starts_with("rcu: INFO: rcu_"), "{title}");
}

#[test]
fn an_agent_that_cannot_boot_is_the_cause_of_the_panic_that_follows() {
    let title = "assay-agent: cannot boot: /dev/vdz did not appear within 20s";
    assert_eq!(found(console!("no-root-disk")), (CrashKind::AgentDied, title.into()));
}

#[test]
fn a_silent_hang_and_a_warning_are_no_crashes() {
    assert_eq!(read(console!("hang-late-initcall")).found(), None);
    let warned = read(console!("warning"));
    assert_eq!(warned.found(), None);
    let title = "WARNING: CPU: 0 PID: 43 at crasher.c:17 crasher_init+0xc7/0xff0 [crasher]";
    assert_eq!(warned.warnings(), [title, title]);
}

#[test]
fn words_in_the_middle_of_a_line_are_no_crash() {
    let healthy =
        b"[    0.1] systemd: no Kernel panic - not syncing here\n[    0.2] DEBUG: x\n[    0.3] Oopsie\n";
    assert_eq!(read(healthy).found(), None);
}

#[test]
fn the_lines_before_a_crash_are_in_its_excerpt_and_all_is_bounded() {
    let mut console = Vec::new();
    for line in 0..1000 {
        console.extend(format!("[    0.{line:06}] line {line}\n").bytes());
    }
    console.extend(b"Kernel panic - not syncing: x\n");
    for line in 0..10_000 {
        console.extend(format!("after {line}\n").bytes());
    }
    let excerpt = read(&console).found().expect("a crash").excerpt;
    assert!(excerpt.contains("line 999\nKernel panic") && !excerpt.contains("line 900\n"), "{excerpt}");
    assert_eq!(excerpt.lines().count(), BEFORE + AFTER);
}

#[test]
fn an_endless_line_is_bounded() {
    let detector = read(&vec![b'x'; 1 << 20]);
    assert_eq!(detector.tail().len(), LINE);
}

proptest! {
    #[test]
    fn how_the_bytes_are_cut_makes_no_difference(cuts in proptest::collection::vec(1_usize..400, 1..80)) {
        let console = console!("oops-null-pointer");
        let mut detector = Detector::default();
        let mut rest = console;
        for cut in cuts.iter().cycle() {
            let (now, later) = rest.split_at((*cut).min(rest.len()));
            detector.feed(now);
            rest = later;
            if rest.is_empty() {
                break;
            }
        }
        detector.finish();
        prop_assert_eq!(detector.found(), read(console).found());
    }

    #[test]
    fn no_bytes_make_it_panic_or_print_control_characters(bytes in proptest::collection::vec(any::<u8>(), 0..2000)) {
        let tail = read(&bytes).tail();
        prop_assert!(tail.chars().all(|character| character == '\n' || !character.is_control()));
    }
}
