//! Real kernels in QEMU.

use std::{fs, path::Path};

use anyhow::{Context, Result};
use nix::{
    mount::{MntFlags, MsFlags, mount, umount2},
    sys::signal::Signal,
};

use super::kills::{running_after, victim};
use crate::{
    census,
    child::{DEADLINE, Said, send, until},
    fault::{Chance, Ending, Fault, Then},
    scene::Scene,
    world::{OWN, World, to_the_end},
};

const fn fault(
    name: &'static str,
    injected: &'static str,
    whole: u32,
    inject: crate::fault::Inject,
) -> Fault {
    let ends = &[Ending::Exit(69)];
    Fault {
        name,
        injected,
        scene: Scene::Guests,
        short: 0,
        whole,
        ends,
        says: "",
        then: Then::Resume,
        inject,
    }
}

/// A kernel that fails is a result, and the run goes on to its end.
const fn crash(
    name: &'static str,
    injected: &'static str,
    says: &'static str,
    inject: crate::fault::Inject,
) -> Fault {
    let ends = &[Ending::Exit(1)];
    Fault {
        name,
        injected,
        scene: Scene::Guests,
        short: 0,
        whole: 1,
        ends,
        says,
        then: Then::Nothing,
        inject,
    }
}

pub(super) const FAULTS: &[Fault] = &[
    Fault {
        ends: &[Ending::Killed],
        ..fault(
            "boots-killed",
            "kill -9 of `assay run` at a random moment, while real guests boot and run",
            10,
            super::kills::harness,
        )
    },
    Fault {
        says: "was killed by SIGKILL",
        ..fault("qemu-killed", "kill -9 of QEMU", 3, |world, chance| {
            victim(world, chance, "qemu-system-x86_64")
        })
    },
    Fault {
        says: "and with it every child it had",
        ..fault("qemus-supervisor-killed", "kill -9 of the supervisor while QEMU runs", 2, |world, chance| {
            victim(world, chance, "__supervise")
        })
    },
    Fault {
        ends: &[Ending::Exit(130)],
        says: "go on with: assay run --resume",
        ..fault("boots-interrupted", "SIGINT while a real guest boots", 2, |world, chance| {
            super::signals::signals(world, chance, &[Signal::SIGINT])
        })
    },
    Fault {
        says: "bytes for jit buffer: Cannot allocate memory",
        ..fault("qemu-refuses", "RLIMIT_AS of 500 MB, so that QEMU does not start", 1, |world, _| {
            world.through = ["prlimit", "--as=500000000"].map(str::to_owned).into();
            to_the_end(world)
        })
    },
    crash(
        "guest-panics",
        "a guest's kernel panics: `echo c > /proc/sysrq-trigger` in the candidate's boots",
        "CRASHED",
        |world, _| in_the_candidate(world, "echo c > /proc/sysrq-trigger"),
    ),
    crash(
        "agent-killed",
        "the guest's agent, with everything but the first process: `echo i > /proc/sysrq-trigger`",
        "died: killed by SIGKILL",
        |world, _| in_the_candidate(world, "echo i > /proc/sysrq-trigger; sleep 100"),
    ),
    crash(
        "workload-hangs",
        "a workload never ends: an endless loop with real-time priority on the guest's one CPU",
        "FAILED: not done after 60 s",
        |world, _| {
            in_the_candidate(
                world,
                "echo -1 > /proc/sys/kernel/sched_rt_runtime_us; chrt -f 99 sh -c 'while :; do :; done'",
            )
        },
    ),
    Fault {
        says: "does not answer its monitor|the monitor of guest",
        ..fault(
            "qemu-stops",
            "QEMU is stopped (SIGSTOP): no guest that runs, and no monitor that answers",
            1,
            stopped,
        )
    },
    crash(
        "guest-silent",
        "the guest's agent is frozen while a workload runs, and nothing is said any more",
        "CRASHED: the guest stopped answering",
        |world, _| {
            let freeze = "mkdir -p /c/f; mount -t cgroup2 none /c; mkdir /c/f; echo $PPID > /c/f/cgroup.procs; echo 1 > /c/f/cgroup.freeze; sleep 1000";
            in_the_candidate(world, freeze)
        },
    ),
    // The guest's 9p client knows no better words.
    crash(
        "share-full",
        "the disk of a folder that a guest may write to is full",
        "I/O error|No space left on device",
        full_share,
    ),
    crash("guest-out-of-memory", "a guest's memory is used up", "out of memory", |world, _| {
        in_the_candidate(world, "tail /dev/zero")
    }),
    Fault {
        ends: &[Ending::Exit(0)],
        ..crash(
            "guest-clock-jumps",
            "the guest's clock jumps to 1990 while a workload runs",
            "measured",
            |world, _| in_the_candidate(world, "date -s 1990-01-01"),
        )
    },
];

const SCENARIO: &str = "\
# What becomes of a guest that breaks?
schema: 1
base: debian-6.12
machine: { topology: loopback }
arms:
  baseline: {}
  candidate: { cmdline: [breaks] }
workloads:
  breaks: { tool: command, run: [sh, -c, \"if grep -qw breaks /proc/cmdline; then COMMAND; fi; true\"], deadline: 60s }
collect: []
boots: 1
";

/// Stops QEMU in the middle of a run.
fn stopped(world: &mut World, chance: &mut Chance) -> Result<Said> {
    let mut assay = world.start()?;
    let trial = chance.trial(world);
    running_after(world, &mut assay, trial)?;
    let mut stopped = None;
    until(DEADLINE, || {
        for process in census::processes()? {
            if let Some((id, command)) = process.split_once(' ')
                && command.split(' ').any(|word| word.ends_with("qemu-system-x86_64"))
            {
                let id = id.parse().context("a process id")?;
                stopped = send(id, Signal::SIGSTOP).is_ok().then_some(id);
            }
        }
        Ok(stopped.is_some() || assay.ended()?)
    })
    .context("waiting for QEMU")?;
    assay.wait()
}

/// A guest writes to a folder of the host that has 64 KiB left.
fn full_share(world: &mut World, _: &mut Chance) -> Result<Said> {
    let folder = Path::new(OWN).join("full");
    fs::create_dir_all(&folder).context("creating a folder")?;
    mount(Some("tmpfs"), &folder, Some("tmpfs"), MsFlags::empty(), Some("size=64k,mode=777"))
        .context("mounting a small disk")?;
    let share = format!("{}:/full:rw", folder.display());
    let write = "head -c 1000000 /dev/zero > /full/file";
    let said = world.assay(&["exec", "--share", &share, "--", "sh", "-c", write])?.wait();
    umount2(&folder, MntFlags::empty()).context("unmounting a small disk")?;
    fs::remove_dir(&folder).context("removing a folder").and(said)
}

/// A run whose candidate's boots do something harmful in the guest.
fn in_the_candidate(world: &World, command: &str) -> Result<Said> {
    let scenario = format!("{OWN}/breaks.yaml");
    fs::write(&scenario, SCENARIO.replace("COMMAND", command)).context("writing a scenario")?;
    let said = world.assay(&["--project", ".", "run", &scenario])?.wait();
    fs::remove_file(&scenario).context("removing the scenario")?;
    said
}
