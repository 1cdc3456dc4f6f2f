//! Tuning captured machines, and putting them back whatever happens in between.

use std::{collections::BTreeMap, fs, path::PathBuf};

use host::{
    Distribution, Root,
    tune::{
        Applied, Attributes, Foreign, Outcome, Partition, Plan, Request, Restored, StateFile, Status,
        TuneError, Turbo, apply, enter, plan, plan_text, restore, restored_text,
    },
};
use proptest::prelude::*;

use crate::{
    sim::Sim,
    tree::{Tree, in_memory},
};

const NOW: &str = "2026-01-01T00:00:00Z";
const SERVER_BOOT: &str = "5d1f5c7e-0f11-4d52-8c0f-0b6f8f0f3c11";

fn everything() -> Request {
    Request { smt_off: true, cores: Some("2-3".parse().unwrap()), ..Request::default() }
}

fn plan_on(root: &Root, request: &Request) -> Result<Plan, Vec<String>> {
    plan(root, &Distribution::of(root, false), request)
}

/// A machine, its state file, and how it was.
struct Lab {
    tree: Tree,
    _folder: tempfile::TempDir,
    file: StateFile,
    before: BTreeMap<PathBuf, String>,
}

impl Lab {
    fn of(name: &str) -> Self {
        let tree = Tree::of(name);
        let folder = in_memory();
        let file = StateFile::in_folder(folder.path());
        let before = tree.contents();
        Self { tree, _folder: folder, file, before }
    }

    fn root(&self) -> Root {
        self.tree.root()
    }

    fn plan(&self, request: &Request) -> Plan {
        plan_on(&self.root(), request).unwrap()
    }

    fn apply(&self, kernel: &Sim, request: &Request) -> Vec<Applied> {
        apply(kernel, &self.file, &self.plan(request), NOW.into()).unwrap().applied
    }

    /// As `apply`, by a process that is killed after so many writes; gives whether it was.
    fn apply_killed(&self, request: &Request, writes: usize) -> bool {
        let kernel = Sim::killed_after(self.root(), writes);
        self.apply(&kernel, request);
        kernel.writes() == writes
    }

    /// As `restore`, by a process that is killed after so many writes: its last word about what is left is not written.
    fn restore_killed(&self, writes: usize) -> bool {
        let state = fs::read(self.file.path()).ok();
        let kernel = Sim::killed_after(self.root(), writes);
        restore(&kernel, &self.file, Foreign::Report).unwrap();
        let killed = kernel.writes() == writes;
        if let (true, Some(state)) = (killed, state) {
            fs::write(self.file.path(), state).unwrap();
        }
        killed
    }

    fn restore(&self, foreign: Foreign) -> Restored {
        restore(&Sim::new(self.root()), &self.file, foreign).unwrap()
    }

    fn assert_as_before(&self) {
        let now = self.tree.contents();
        for (path, text) in &self.before {
            assert_eq!(now.get(path), Some(text), "{}", path.display());
        }
        assert_eq!(now.len(), self.before.len());
        assert!(!self.file.path().exists());
    }
}

#[test]
fn what_it_would_do_on_each_machine() {
    for name in ["server", "laptop", "vm", "container"] {
        let lab = Lab::of(name);
        let request = if name == "server" { everything() } else { Request::default() };
        insta::assert_snapshot!(name, plan_text(&lab.plan(&request)));
        assert_eq!(lab.tree.contents(), lab.before, "a plan changes nothing");
    }
}

#[test]
fn everything_is_set_and_put_back() {
    let lab = Lab::of("server");
    let kernel = Sim::new(lab.root());
    let applied = lab.apply(&kernel, &everything());
    let refused: Vec<&str> =
        applied.iter().filter(|one| one.refused.is_some()).map(|one| one.change.path()).collect();
    assert_eq!(refused, [] as [&str; 0]);
    let root = lab.root();
    let read = |path: &str| root.read(path).unwrap();
    assert_eq!(read("/sys/devices/system/cpu/cpufreq/policy3/scaling_governor"), "performance");
    assert_eq!(read("/sys/kernel/mm/transparent_hugepage/enabled"), "always madvise [never]");
    assert_eq!(read("/sys/devices/system/cpu/cpu0/cpuidle/state3/disable"), "1");
    assert_eq!(read("/sys/devices/system/cpu/cpu0/cpuidle/state2/disable"), "0");
    assert_eq!(read("/proc/irq/24/smp_affinity_list"), "0-1,4-7");
    assert_eq!(read("/sys/devices/virtual/workqueue/cpumask"), "f3");
    assert_eq!(read("/sys/fs/cgroup/cgroup.subtree_control"), "cpuset cpu io memory pids");
    assert_eq!(read("/sys/fs/cgroup/assay/cpuset.cpus.partition"), "isolated");
    assert_eq!(read("/sys/devices/system/cpu/smt/control"), "off");

    enter(&kernel, &applied, 4711).unwrap();
    assert_eq!(read("/sys/fs/cgroup/assay/cgroup.procs"), "4711");
    assert!(matches!(lab.restore(Foreign::Report), Restored::Changes { left: 0, .. }));
    assert_eq!(read("/sys/fs/cgroup/cgroup.procs"), "2\n4711", "whoever was in the group lives on above it");
    fs::write(root.path("/sys/fs/cgroup/cgroup.procs"), "2\n").unwrap();
    lab.assert_as_before();
    assert_eq!(lab.restore(Foreign::Report), Restored::Nothing);
    lab.assert_as_before();
}

#[test]
fn interrupts_that_belong_to_a_driver_are_named_and_left() {
    let lab = Lab::of("server");
    let request = Request { cores: Some("4-7".parse().unwrap()), ..Request::default() };
    let applied = lab.apply(&Sim::new(lab.root()), &request);
    let refused: Vec<_> =
        applied.iter().filter_map(|one| Some((one.change.path(), one.refused.as_deref()?))).collect();
    assert_eq!(refused, [("/proc/irq/40/smp_affinity_list", "input/output error")]);
    // An interrupt that could only come to these CPUs goes to all others.
    assert_eq!(lab.root().read("/proc/irq/25/smp_affinity_list").unwrap(), "0-3");
    lab.restore(Foreign::Report);
    lab.assert_as_before();
}

#[test]
fn a_kill_between_any_two_writes_is_put_back() {
    for writes in 0.. {
        let lab = Lab::of("server");
        let killed = lab.apply_killed(&everything(), writes);
        let status = lab.file.status(SERVER_BOOT).unwrap();
        assert!(matches!(status, Status::Tuned(_)), "killed after {writes}: the next command is told");
        lab.restore(Foreign::Report);
        lab.assert_as_before();
        if !killed {
            assert!(writes > 30, "only {writes} writes");
            break;
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn kills_on_the_way_there_and_on_the_way_back_are_put_back(
        there in 0_usize..60,
        back in proptest::collection::vec(0_usize..60, 0..3),
        smt_off: bool,
        turbo_off: bool,
        cores in proptest::option::of(1_u32..4),
        balanced: bool,
        idle in proptest::option::of(0_u32..200),
    ) {
        let lab = Lab::of("server");
        let request = Request {
            smt_off,
            turbo: if turbo_off { Turbo::Off } else { Turbo::Keep },
            cores: cores.map(|cpu| format!("{cpu}").parse().unwrap()),
            partition: if balanced { Partition::Root } else { Partition::Isolated },
            idle_us: idle,
            ..Request::default()
        };
        lab.apply_killed(&request, there);
        for writes in back {
            lab.restore_killed(writes);
        }
        lab.restore(Foreign::Report);
        lab.assert_as_before();
    }
}

#[test]
fn what_somebody_else_has_changed_is_left_and_said() {
    let lab = Lab::of("server");
    let kernel = Sim::new(lab.root());
    lab.apply(&kernel, &Request::default());
    let swappiness = "/proc/sys/vm/swappiness";
    kernel.write(swappiness, "10").unwrap();
    let restored = lab.restore(Foreign::Report);
    let Restored::Changes { changes, left: 1 } = &restored else { panic!("{restored:?}") };
    let (_, outcome) = changes.iter().find(|(change, _)| change.path() == swappiness).unwrap();
    assert_eq!(*outcome, Outcome::Foreign { now: "10".into() });
    assert!(
        restored_text(&restored)
            .contains("swappiness: somebody else has made it 10 since (it was 60, and 0 while tuned)")
    );
    // Again: the same, and nothing else is touched.
    assert!(
        matches!(lab.restore(Foreign::Report), Restored::Changes { left: 1, changes } if changes.len() == 1)
    );
    assert_eq!(lab.root().read(swappiness).unwrap(), "10");
    let Restored::Changes { changes, left: 0 } = lab.restore(Foreign::Overwrite) else { panic!() };
    assert_eq!(changes[0].1, Outcome::Overwritten { was: "10".into() });
    lab.assert_as_before();
}

#[test]
fn what_somebody_else_has_changed_can_be_forgotten() {
    let lab = Lab::of("server");
    let kernel = Sim::new(lab.root());
    lab.apply(&kernel, &Request::default());
    kernel.write("/proc/sys/vm/swappiness", "10").unwrap();
    assert!(matches!(lab.restore(Foreign::Forget), Restored::Changes { left: 0, .. }));
    assert_eq!(lab.restore(Foreign::Report), Restored::Nothing);
    assert_eq!(lab.root().read("/proc/sys/vm/swappiness").unwrap(), "10");
}

#[test]
fn a_boot_has_put_everything_back() {
    let lab = Lab::of("server");
    lab.apply(&Sim::new(lab.root()), &Request::default());
    let governor = "/sys/devices/system/cpu/cpufreq/policy0/scaling_governor";
    fs::write(lab.root().path("/proc/sys/kernel/random/boot_id"), "another\n").unwrap();
    assert_eq!(lab.restore(Foreign::Report), Restored::Rebooted { since: NOW.into() });
    assert_eq!(lab.root().read(governor).unwrap(), "performance", "a value of this boot is not touched");
    assert_eq!(lab.restore(Foreign::Report), Restored::Nothing);
}

#[test]
fn a_cpu_that_is_gone_is_no_failure() {
    let lab = Lab::of("server");
    lab.apply(&Sim::new(lab.root()), &Request::default());
    fs::remove_dir_all(lab.root().path("/sys/devices/system/cpu/cpu7/cpuidle")).unwrap();
    let Restored::Changes { changes, left: 0 } = lab.restore(Foreign::Report) else { panic!() };
    let gone: Vec<&str> = changes
        .iter()
        .filter(|(_, outcome)| *outcome == Outcome::Gone)
        .map(|(change, _)| change.path())
        .collect();
    assert_eq!(gone, ["/sys/devices/system/cpu/cpu7/cpuidle/state3/disable"]);
}

#[test]
fn a_tuned_machine_is_not_tuned_again() {
    let lab = Lab::of("server");
    let kernel = Sim::new(lab.root());
    lab.apply(&kernel, &Request::default());
    let again = apply(&kernel, &lab.file, &lab.plan(&everything()), NOW.into());
    assert!(matches!(again, Err(TuneError::AlreadyTuned { since }) if since == NOW));
    lab.restore(Foreign::Report);
    lab.assert_as_before();
}

#[test]
fn nobody_restores_while_somebody_measures() {
    let lab = Lab::of("server");
    let kernel = Sim::new(lab.root());
    let tuned = apply(&kernel, &lab.file, &lab.plan(&Request::default()), NOW.into()).unwrap();
    assert!(matches!(restore(&kernel, &lab.file, Foreign::Report), Err(TuneError::Busy { .. })));
    tuned.restore(&kernel, &lab.file).unwrap();
    lab.assert_as_before();
}

#[test]
fn everything_that_is_wrong_with_a_request_is_said_at_once() {
    let lab = Lab::of("laptop");
    let request =
        Request { governor: "fast".into(), cores: Some("14-17".parse().unwrap()), ..Request::default() };
    let problems = plan_on(&lab.root(), &request).unwrap_err();
    assert_eq!(
        problems,
        [
            "--governor fast: not on this machine (allowed: performance, powersave)",
            "--cores 14-17: 16-17 not online (online: 0-15)",
        ]
    );
    let all = Request { cores: Some("0-15".parse().unwrap()), ..Request::default() };
    assert!(plan_on(&lab.root(), &all).unwrap_err()[0].contains("at least one CPU has to be left"));
    let container = Lab::of("container");
    let off = Request { smt_off: true, ..Request::default() };
    assert!(plan_on(&container.root(), &off).unwrap_err()[0].contains("--smt off"));
}
