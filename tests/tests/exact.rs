//! Instruction counts are right: real guests under icount, with the counting plugin in QEMU.
//!
//! The guest is `assay-mark` as its first process: fixed work whose results it knows, in two marked windows. It needs
//! `libinsncount.so` and `assay-mark` beside `assay` (`cargo xtask setup`).
#![expect(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "a test starts programs by itself and ends at what it did not expect"
)]

#[path = "exact/guest.rs"]
mod guest;
#[path = "exact/modules.rs"]
mod modules;
#[path = "exact/older.rs"]
mod older;
#[path = "exact/planted.rs"]
mod planted;
#[path = "exact/repeats.rs"]
mod repeats;

use guest::{Boot, Plugin, Ran};
use profile::{Context, Profile};
use tests::can_boot;

fn profile(ran: &Ran, window: u64) -> Profile {
    let counts = ran.counts();
    assert!(counts.powered_off);
    let window = counts.windows.iter().find(|found| found.number == window).unwrap();
    assert_eq!(window.oddities, [""; 0]);
    let profile = Profile::new(window, &guest::symbols());
    assert_eq!(profile.instructions + profile.string_passes, window.executed);
    profile
}

/// The time stamp counter is the guest's view of icount. The window never sleeps and is interrupted, faults pages in, and
/// calls the kernel.
#[test]
fn a_windows_total_is_what_the_guests_own_counter_says() {
    if !can_boot() {
        return;
    }
    let ran = Boot::new().run();
    assert_eq!(
        profile(&ran, 2).instructions + profile(&ran, 2).string_passes,
        ran.ticks() + mark::BEYOND_TICKS
    );
}

#[test]
fn functions_contexts_programs_and_strings_are_told_apart() {
    if !can_boot() {
        return;
    }
    let ran = Boot::new().run();
    let awake = profile(&ran, 2);
    // One call a round.
    assert_eq!(awake.entries("__x64_sys_getppid"), 50);
    // 25 MiB of new memory, but for what was there before.
    let faults = awake.entries("asm_exc_page_fault");
    assert!((5_000..=6_500).contains(&faults), "{faults}");
    assert_eq!(awake.in_context(Context::Idle).instructions, 0);
    assert!(awake.in_context(Context::Hardirq).instructions > 0);
    // Twice 4 MiB and more go over loopback, and sent data is received in softirqs.
    let work = profile(&ran, 1);
    for context in [Context::Task, Context::Softirq, Context::Hardirq] {
        assert!(work.in_context(context).instructions > 10_000, "{context:?}");
    }
    let receive =
        work.functions.iter().find(|row| row.symbol.as_ref().is_some_and(|it| it.name == "tcp_v4_rcv"));
    let in_softirq = receive.unwrap().parts[&(0, Context::Softirq)];
    assert_eq!(in_softirq, receive.unwrap().total, "packets are received in softirqs only");
    let [init] = &work.programs[..] else { panic!("{:?}", work.programs) };
    assert_eq!(init.name, "init");
    let clear =
        work.functions.iter().find(|row| row.symbol.as_ref().is_some_and(|it| it.name == "clear_page_erms"));
    let strings = clear.unwrap().total.strings;
    assert_eq!(strings.bytes, strings.executions() * 4096, "pages are cleared whole");
    assert_eq!(strings.executions(), clear.unwrap().total.entries);
    assert!(work.functions.iter().all(|row| row.symbol.is_some()), "all code has a name");
}

#[test]
fn the_same_boot_counts_the_same_to_the_last_digit_on_a_busy_machine_too() {
    if !can_boot() {
        return;
    }
    let alone = Boot::new().run();
    let ran: Vec<_> = std::thread::scope(|scope| {
        let boots: Vec<_> = (0..3).map(|_| scope.spawn(|| Boot::new().run())).collect();
        boots.into_iter().map(|boot| boot.join().unwrap()).collect()
    });
    for other in &ran {
        assert!(other.file() == alone.file(), "the files of counts differ");
        assert_eq!(other.console, alone.console);
    }
}

/// Windows are the same whether the plugin counted before them or not; a second one follows the first.
#[test]
fn a_window_does_not_depend_on_what_was_counted_before_it() {
    if !can_boot() {
        return;
    }
    let (with, without) =
        (Boot::new().run(), Boot { plugin: Plugin::WindowsWithoutPrelude, ..Boot::new() }.run());
    assert_eq!(with.counts().windows.len(), 2);
    assert!(with.file() == without.file(), "the files of counts differ");
    assert_eq!(with.console, without.console);
}

/// `query-replay` has QEMU's own count of executed instructions.
#[test]
fn a_whole_boots_total_is_what_qemu_counted() {
    if !can_boot() {
        return;
    }
    let ran = Boot { plugin: Plugin::Whole, asks_qemu: true, ..Boot::new() }.run();
    let whole = profile(&ran, 0);
    assert_eq!(Some(whole.instructions + whole.string_passes), ran.qemu_counted);
}

#[test]
fn a_guest_does_not_notice_the_plugin() {
    if !can_boot() {
        return;
    }
    for vcpus in [1, 2] {
        let with = Boot { vcpus, ..Boot::new() }.run();
        let without = Boot { vcpus, plugin: Plugin::None, ..Boot::new() }.run();
        if vcpus == 1 {
            // To the digit: times of the kernel's messages, and ticks of the guest's counter.
            assert_eq!(with.console, without.console);
        }
        assert_eq!(with.sum(), without.sum());
    }
}
