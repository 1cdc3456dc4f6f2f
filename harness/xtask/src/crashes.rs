//! `cargo xtask crashes`: provokes every kind of crash in real guests, and stores the consoles as fixtures.
//!
//! What is expected of the fixtures is in `harness/crash/tests`: after a capture, its snapshots are read and accepted.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};

use crate::{
    run::{self, Run},
    setup,
};

/// The bases that crashes are provoked on, and what their fixtures' folders are called.
const BASES: [(&str, &str); 2] = [("debian-6.12", "6.12"), ("debian-7.3", "7.3")];

/// What the laboratory's kernel has beyond its base: LKDTM, and the module that locks up. Few files are compiled for it.
const OPTIONS: [&str; 3] = ["RUNTIME_TESTING_MENU=y", "LKDTM=y", "TEST_LOCKUP=m"];

/// The base with the detector of data races that belongs to a base.
const RACES: [(&str, &str); 1] = [("debian-6.12", "debian-6.12-races")];

fn races(base: &str) -> Option<&'static str> {
    RACES.iter().find(|(of, _)| *of == base).map(|(_, races)| *races)
}

/// Which kernel a crash needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kernel {
    /// The base with [`OPTIONS`].
    Laboratory,
    /// The debug flavour, which has all of them.
    DebugFlavour,
    /// A base with the detector of data races, which excludes KASAN: that of [`RACES`].
    Races,
}

/// How the guest ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// The kernel dies of it, or is given up: exit status 1.
    Dies,
    /// It goes on: the script's own exit status, 0.
    Lives,
}

use End::{Dies, Lives};
use Kernel::{DebugFlavour, Laboratory, Races};

/// One crash.
struct Crash {
    /// Its fixture's name.
    name: &'static str,
    kernel: Kernel,
    end: End,
    vcpus: u32,
    /// Further flags of `assay exec`.
    flags: &'static [&'static str],
    /// What provokes it, for the guest's shell.
    script: Script,
}

enum Script {
    /// A crash type of `drivers/misc/lkdtm`.
    Lkdtm(&'static str),
    /// As it is.
    Shell(&'static str),
}

use Script::{Lkdtm, Shell};

const fn crash(name: &'static str, kernel: Kernel, end: End, script: Script) -> Crash {
    Crash { name, kernel, end, vcpus: 1, flags: &[], script }
}

const fn with(crash: Crash, vcpus: u32, flags: &'static [&'static str]) -> Crash {
    Crash { vcpus, flags, ..crash }
}

/// Detectors that need not be waited for as long as in production. Lines of a command line that only shorten waits.
const QUICK: &[&str] = &["--cmdline", "watchdog_thresh=4"];
const STALL: &[&str] = &["--cmdline", "nowatchdog", "--cmdline", "rcupdate.rcu_cpu_stall_timeout=6"];
const WORK: &[&str] = &[
    "--cmdline",
    "nowatchdog",
    "--cmdline",
    "workqueue.watchdog_thresh=6",
    "--cmdline",
    "rcupdate.rcu_cpu_stall_suppress=1",
];

/// Everything that is provoked.
static CRASHES: &[Crash] = &[
    crash("panic", Laboratory, Dies, Lkdtm("PANIC")),
    crash("sysrq-crash", Laboratory, Dies, Shell("echo c > /proc/sysrq-trigger")),
    crash("bug", Laboratory, Dies, Lkdtm("BUG")),
    crash("warning", Laboratory, Lives, Lkdtm("WARNING")),
    crash("warning-with-words", Laboratory, Lives, Lkdtm("WARNING_MESSAGE")),
    crash("null-write", Laboratory, Dies, Lkdtm("EXCEPTION")),
    crash("null-read", Laboratory, Dies, Lkdtm("ACCESS_NULL")),
    crash("null-call", Laboratory, Dies, Lkdtm("EXEC_NULL")),
    crash("write-to-read-only", Laboratory, Dies, Lkdtm("WRITE_RO")),
    crash("execute-data", Laboratory, Dies, Lkdtm("EXEC_DATA")),
    crash("stack-exhausted", Laboratory, Dies, Lkdtm("EXHAUST_STACK")),
    crash("stack-smashed", Laboratory, Dies, Lkdtm("CORRUPT_STACK")),
    crash("stack-guard-page", Laboratory, Dies, Lkdtm("STACK_GUARD_PAGE_LEADING")),
    crash("refcount-overflow", Laboratory, Lives, Lkdtm("REFCOUNT_INC_OVERFLOW")),
    crash("refcount-zero", Laboratory, Lives, Lkdtm("REFCOUNT_INC_ZERO")),
    crash("usercopy", Laboratory, Dies, Lkdtm("USERCOPY_SLAB_SIZE_TO")),
    with(crash("soft-lockup", Laboratory, Dies, Lkdtm("SOFTLOCKUP")), 1, QUICK),
    with(crash("hard-lockup", DebugFlavour, Dies, Lkdtm("HARDLOCKUP")), 2, QUICK),
    with(
        crash(
            "spin-lockup",
            Laboratory,
            Dies,
            Shell("cd /sys/kernel/debug/provoke-crash; echo SPINLOCKUP > DIRECT; echo SPINLOCKUP > DIRECT"),
        ),
        1,
        QUICK,
    ),
    crash(
        "hung-task",
        Laboratory,
        Dies,
        Shell(
            "echo 5 > /proc/sys/kernel/hung_task_timeout_secs; echo HUNG_TASK > /sys/kernel/debug/provoke-crash/DIRECT",
        ),
    ),
    with(
        crash(
            "rcu-stall",
            Laboratory,
            Dies,
            Shell(
                // Somebody has to wait for a grace period.
                "modprobe test_lockup time_secs=60 lock_rcu=1 disable_preempt=1 & sleep 1; ip link add d0 type dummy; ip link del d0; wait",
            ),
        ),
        2,
        STALL,
    ),
    with(crash("workqueue-lockup", DebugFlavour, Dies, Lkdtm("SOFTLOCKUP")), 2, WORK),
    with(crash("out-of-memory", Laboratory, Lives, Shell("tail /dev/zero; true")), 1, &["--memory", "256"]),
    with(
        crash("triple-fault", Laboratory, Dies, Shell("echo b > /proc/sysrq-trigger")),
        1,
        &["--cmdline", "reboot=t"],
    ),
    crash("power-off", Laboratory, Dies, Shell("echo o > /proc/sysrq-trigger; sleep 60")),
    with(crash("silent-hang", Laboratory, Dies, Lkdtm("HARDLOCKUP")), 1, &["--deadline", "15"]),
    crash("kasan-read-after-free", DebugFlavour, Lives, Lkdtm("READ_AFTER_FREE")),
    crash("kasan-write-after-free", DebugFlavour, Lives, Lkdtm("WRITE_AFTER_FREE")),
    crash("kasan-overflow", DebugFlavour, Lives, Lkdtm("SLAB_LINEAR_OVERFLOW")),
    crash("kasan-vmalloc-overflow", DebugFlavour, Lives, Lkdtm("VMALLOC_LINEAR_OVERFLOW")),
    crash("kasan-double-free", DebugFlavour, Lives, Lkdtm("SLAB_FREE_DOUBLE")),
    crash(
        "kasan-stack",
        DebugFlavour,
        Lives,
        Shell("modprobe kunit filter_glob=kasan.kasan_stack_oob; modprobe kasan_test"),
    ),
    crash(
        "kasan-global",
        DebugFlavour,
        Lives,
        Shell("modprobe kunit filter_glob=kasan.kasan_global_oob_right; modprobe kasan_test"),
    ),
    crash("kasan-null", DebugFlavour, Dies, Lkdtm("ACCESS_NULL")),
    crash("ubsan-bounds", DebugFlavour, Lives, Lkdtm("ARRAY_BOUNDS")),
    crash("ubsan-shift", DebugFlavour, Lives, Shell("modprobe test_ubsan; true")),
    crash("list-add", DebugFlavour, Lives, Lkdtm("CORRUPT_LIST_ADD")),
    crash("list-del", DebugFlavour, Lives, Lkdtm("CORRUPT_LIST_DEL")),
    // The lock stays held when the inner shell goes on, which may not survive it.
    crash(
        "scheduling-while-atomic",
        DebugFlavour,
        Lives,
        Shell("cd /sys/kernel/debug/provoke-crash; (echo SPINLOCKUP > DIRECT); true"),
    ),
    crash(
        "lockdep-inconsistent",
        DebugFlavour,
        Lives,
        Shell(
            // Taken by the timer's interrupt, and here with interrupts on. The module never stays.
            "modprobe test_lockup time_nsecs=1000 lock_spinlock_ptr=0x$(grep ' jiffies_lock$' /proc/kallsyms | cut -d' ' -f1); true",
        ),
    ),
    crash(
        "lockdep-circular",
        DebugFlavour,
        Lives,
        Shell(
            // The other way round than `register_netdevice_notifier` (net/core/dev.c) at every boot.
            "modprobe test_lockup time_nsecs=1000 lock_mutex_ptr=0x$(grep ' rtnl_mutex$' /proc/kallsyms | cut -d' ' -f1) lock_rwsem_ptr=0x$(grep ' pernet_ops_rwsem$' /proc/kallsyms | cut -d' ' -f1); true",
        ),
    ),
    // The detector's own tests, which race until it has seen what they wait for.
    with(
        crash(
            "kcsan-race",
            Races,
            Lives,
            Shell("modprobe kunit filter_glob=kcsan.test_basic; modprobe kcsan_test; true"),
        ),
        4,
        &[],
    ),
    with(
        crash(
            "kcsan-unknown-origin",
            Races,
            Lives,
            Shell("modprobe kunit filter_glob=kcsan.test_unknown_origin; modprobe kcsan_test; true"),
        ),
        4,
        &[],
    ),
];

/// Provokes those that are asked for, all by default.
pub(crate) fn crashes(bases: &[String], only: &[String], assay: Option<PathBuf>) -> Result<()> {
    let known = |names: &[String], all: &mut dyn Iterator<Item = &'static str>, what: &str| -> Result<()> {
        let all: Vec<&str> = all.collect();
        match names.iter().find(|name| !all.contains(&name.as_str())) {
            Some(name) => bail!("there is no {what} `{name}`: {}", all.join(", ")),
            None => Ok(()),
        }
    };
    known(bases, &mut BASES.iter().map(|(base, _)| *base), "base")?;
    known(only, &mut CRASHES.iter().map(|crash| crash.name), "crash")?;
    let assay = match assay {
        Some(assay) => assay,
        None => {
            setup::everything()?;
            run::assay()
        }
    };
    let mut strange = Vec::new();
    for (base, folder) in
        BASES.iter().filter(|(base, _)| bases.is_empty() || bases.iter().any(|one| one == base))
    {
        let folder = run::top().join("tests/fixtures/console").join(folder);
        fs::create_dir_all(&folder).with_context(|| format!("creating {}", folder.display()))?;
        let is_asked = |crash: &&Crash| only.is_empty() || only.iter().any(|name| name == crash.name);
        let has_kernel = |crash: &&Crash| crash.kernel != Races || races(base).is_some();
        for crash in CRASHES.iter().filter(is_asked).filter(has_kernel) {
            if let Some(why) = provoke(&assay, base, crash, &folder)? {
                strange.push(format!("{base}, {}: {why}", crash.name));
            }
        }
    }
    if strange.is_empty() {
        return Ok(());
    }
    bail!("not as expected:\n  {}", strange.join("\n  "))
}

/// Provokes one, and says what was not as expected of it.
fn provoke(assay: &Path, base: &str, crash: &Crash, folder: &Path) -> Result<Option<String>> {
    let script = match crash.script {
        Lkdtm(kind) => format!("echo {kind} > /sys/kernel/debug/provoke-crash/DIRECT"),
        Shell(script) => script.to_owned(),
    };
    let script =
        format!("mountpoint -q /sys/kernel/debug || mount -t debugfs none /sys/kernel/debug; {script}");
    let (console, told) =
        (folder.join(format!("{}.txt", crash.name)), folder.join(format!("{}.told.txt", crash.name)));
    let base = if crash.kernel == Races { races(base).unwrap_or(base) } else { base };
    let mut flags: Vec<&str> = vec!["exec", "--base", base, "--accel", "tcg"];
    match crash.kernel {
        Races => {}
        DebugFlavour => flags.extend(["--flavour", "debug"]),
        Laboratory => flags.extend(OPTIONS.iter().flat_map(|option| ["--option", option])),
    }
    if !crash.flags.contains(&"--deadline") {
        flags.extend(["--deadline", "120"]);
    }
    flags.extend(crash.flags);
    println!("{base}: {}", crash.name);
    let ended = Run::new(assay)
        .args(&flags)
        .args(["--vcpus", &crash.vcpus.to_string(), "--console"])
        .args([&console])
        .args(["--", "sh", "-c", &script])
        .errors_to(fs::File::create(&told).with_context(|| format!("creating {}", told.display()))?)
        .ended()?;
    keep_what_was_told(&told)?;
    let expected = match crash.end {
        Dies => 1,
        Lives => 0,
    };
    let why = || format!("exit status {:?} in place of {expected}; see {}", ended.code, told.display());
    Ok((ended.code != Some(expected)).then(why))
}

/// Leaves what `assay` told of the crash: its stack and its title, without progress and without paths of this machine.
fn keep_what_was_told(path: &Path) -> Result<()> {
    let text = fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?;
    let is_told = |line: &&str| {
        (line.starts_with("| ") || line.starts_with("assay: "))
            && !line.starts_with("assay: its whole console")
    };
    let kept: String = text.lines().filter(is_told).flat_map(|line| [line, "\n"]).collect();
    fs::write(path, kept).with_context(|| format!("writing {}", path.display()))
}
