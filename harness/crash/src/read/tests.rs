use measure::ComplaintKind;
use proptest::prelude::*;

use super::*;

/// A console captured from a real boot.
macro_rules! console {
    ($name:literal) => {
        include_bytes!(concat!("../../../../tests/fixtures/console/", $name, ".txt")).as_slice()
    };
}

fn only(console: &[u8]) -> Complaint {
    let mut all = read("guest", console);
    assert_eq!(all.len(), 1, "{:?}", all.iter().map(|c| &c.title).collect::<Vec<_>>());
    all.remove(0)
}

fn functions(complaint: &Complaint) -> Vec<&str> {
    complaint.frames.iter().filter(|frame| frame.certain).map(|frame| frame.function.as_str()).collect()
}

#[test]
fn a_fault_that_panics_is_one_fatal_complaint() {
    let oops = only(console!("oops-null-pointer"));
    assert_eq!((oops.kind, oops.fatal), (ComplaintKind::Oops, true));
    assert_eq!(oops.title, "NULL pointer dereference in crasher_init");
    assert_eq!(oops.words, "BUG: kernel NULL pointer dereference, address: 0000000000000000");
    assert_eq!(functions(&oops)[..3], ["crasher_init", "do_one_initcall", "do_init_module"]);
    let oops = only(console!("oops-general-protection"));
    assert_eq!(oops.title, "general protection fault in crasher_init");
    let bug = only(console!("bug"));
    assert_eq!(
        (bug.kind, bug.title.as_str(), bug.fatal),
        (ComplaintKind::Bug, "kernel BUG in crasher_init", true)
    );
}

#[test]
fn a_panic_of_its_own_has_its_reason_as_its_title() {
    let panic = only(console!("no-init"));
    assert_eq!(panic.title, "panic: VFS: Unable to mount root fs on unknown-block");
    assert!(panic.fatal);
    assert_eq!(functions(&panic)[..2], ["panic", "mount_root_generic"]);
    assert_eq!(only(console!("panic-late-initcall")).kind, ComplaintKind::Panic);
}

#[test]
fn the_same_warning_twice_is_one_with_a_count() {
    let warning = only(console!("warning"));
    assert_eq!((warning.times, warning.fatal), (2, false));
    assert_eq!(warning.title, "WARNING in crasher_init: crasher: a warning");
    assert!(warning.excerpt.contains("cut here"));
}

#[test]
fn detectors_of_stalls() {
    let lockup = only(console!("soft-lockup"));
    assert_eq!(
        (lockup.kind, lockup.title.as_str()),
        (ComplaintKind::SoftLockup, "soft lockup in crasher_init")
    );
    let hung = only(console!("hung-task"));
    assert_eq!((hung.kind, hung.title.as_str()), (ComplaintKind::HungTask, "hung task busybox"));
    let stall = only(console!("hang-late-initcall-smp"));
    assert_eq!(stall.kind, ComplaintKind::RcuStall);
    assert!(stall.title.starts_with("RCU stall in "), "{}", stall.title);
}

#[test]
fn a_healthy_console_and_a_silent_hang_have_none() {
    assert_eq!(read("guest", console!("hang-late-initcall")), vec![]);
    assert_eq!(
        read("guest", b"[    0.1] systemd: no Kernel panic - not syncing here\n[    0.2] DEBUG: x\n"),
        vec![]
    );
}

#[test]
fn what_one_boot_can_say_is_bounded() {
    let console: String =
        (0..500).map(|n| format!("Kernel panic - not syncing: reason {}\n", letters(n))).collect();
    assert_eq!(read("guest", console.as_bytes()).len(), MOST);
}

fn letters(number: usize) -> String {
    number.to_string().bytes().map(|digit| char::from(digit - b'0' + b'a')).collect()
}

#[test]
fn the_ends_of_a_flooded_console_are_read() {
    let panic = b"Kernel panic - not syncing: first\n".as_slice();
    let flood = b"\n".repeat(3 * MOST_READ);
    let last = b"\nKernel panic - not syncing: last".as_slice();
    let titles: Vec<String> =
        read("guest", &[panic, &flood, last].concat()).into_iter().map(|complaint| complaint.title).collect();
    assert_eq!(titles, ["panic: first", "panic: last"]);
}

#[test]
fn a_guest_that_only_complains_is_not_listened_to_for_ever() {
    let console = b"Kernel panic - not syncing: again\n".repeat(3 * LOOKED_AT);
    let all = read("guest", &console);
    assert_eq!((all.len(), all[0].times as usize), (1, LOOKED_AT));
}

/// Cut at every line, a console never makes it panic, and what it says is a beginning of what the whole says.
#[test]
fn a_console_may_end_anywhere() {
    let whole = console!("oops-null-pointer");
    for (end, _) in whole.iter().enumerate().filter(|(_, byte)| **byte == b'\n') {
        assert!(read("guest", &whole[..end]).len() <= 1);
    }
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..3000)) {
        prop_assert!(read("guest", &bytes).len() <= MOST);
    }

    /// Pieces of real complaints in any order.
    #[test]
    fn no_order_of_lines_makes_it_panic(order in proptest::collection::vec(0_usize..10_000, 0..300)) {
        let all: Vec<&[u8]> = [console!("warning"), console!("soft-lockup"), console!("bug")]
            .into_iter()
            .flat_map(|console| console.split(|byte| *byte == b'\n'))
            .collect();
        let lines: Vec<&[u8]> = order.iter().map(|index| all[index % all.len()]).collect();
        for complaint in read("guest", &lines.join(&b'\n')) {
            prop_assert!(complaint.excerpt.lines().count() <= LINES + BEFORE + AFTER + 10);
        }
    }
}
