//! A caller's base and series in place of a scenario's, with every check on the result.

use std::path::{Path, PathBuf};

use plan::{Base, Flavour, PatchFile, Plan, Series};
use scenario::{Overrides, Problems, Project, base, candidate, load};

const TAIL: &str = "\
workloads:
  tcp: { tool: iperf3 }
gates:
  - { workload: tcp, metric: throughput, margin: 2% }
";

/// A scenario with these arms, in a folder of its own; the project is the checkout.
fn scenario(arms: &str) -> (tempfile::TempDir, PathBuf) {
    let room = tempfile::tempdir().expect("a folder can be made");
    let path = room.path().join("question.yaml");
    std::fs::write(&path, format!("# Is it faster?\nschema: 1\n{arms}{TAIL}"))
        .expect("the file can be written");
    (room, path)
}

fn project() -> Project {
    Project::at(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}

fn base_named(name: &str) -> Base {
    base(name, &project()).unwrap_or_else(|problems| panic!("{problems}"))
}

fn mine() -> Series {
    let folder = PathBuf::from("/series/mine");
    let patches = vec![PatchFile { path: folder.join("0001-x.patch"), sha256: "00".into() }];
    Series { name: "mine".into(), folder, patches }
}

fn with_series(arm: Option<&str>) -> Overrides {
    Overrides { base: None, arm: arm.map(str::to_owned), series: Some(vec![mine()]), flavour: None }
}

fn read(arms: &str, overrides: &Overrides) -> Result<Plan, Problems> {
    let (_room, path) = scenario(arms);
    load(&path, &project(), overrides)
}

/// Each arm and the names of its series.
fn series_of(plan: &Plan) -> Vec<(String, String)> {
    let names = |arm: &plan::Arm| {
        arm.kernel.series.iter().map(|series| series.name.clone()).collect::<Vec<_>>().join("+")
    };
    plan.arms.iter().map(|arm| (arm.name.clone(), names(arm))).collect()
}

fn assert_series(arms: &str, overrides: &Overrides, expected: &[(&str, &str)]) {
    let plan = read(arms, overrides).unwrap_or_else(|problems| panic!("{problems}"));
    let found = series_of(&plan);
    let found: Vec<(&str, &str)> = found.iter().map(|(arm, names)| (arm.as_str(), names.as_str())).collect();
    assert_eq!(found, expected);
}

#[test]
fn a_series_goes_to_the_candidate() {
    let arms = "base: debian-6.12\narms:\n  baseline: {}\n  other: {}\n  candidate: {}\n";
    assert_series(arms, &with_series(None), &[("baseline", ""), ("other", ""), ("candidate", "mine")]);
    assert_series(
        arms,
        &with_series(Some("other")),
        &[("baseline", ""), ("other", "mine"), ("candidate", "")],
    );
    let two = "base: debian-6.12\narms:\n  before: {}\n  after: {}\n";
    assert_series(two, &with_series(None), &[("before", ""), ("after", "mine")]);
}

#[test]
fn an_arms_own_series_is_replaced_without_being_read_and_the_scenarios_stays() {
    let arms =
        "base: debian-6.12\nseries: iommu-hooks\narms:\n  baseline: {}\n  candidate: { series: gone }\n";
    assert_series(
        arms,
        &with_series(None),
        &[("baseline", "iommu-hooks"), ("candidate", "iommu-hooks+mine")],
    );
}

#[test]
fn a_single_arm_gets_a_candidate_beside_it_that_differs_by_the_series_only() {
    let arms = "base: debian-6.12\narms:\n  all: { series: iommu-hooks, cmdline: [quiet] }\n";
    assert_series(arms, &with_series(None), &[("all", "iommu-hooks"), ("candidate", "iommu-hooks+mine")]);
    let plan = read(arms, &with_series(Some("new"))).unwrap();
    assert_eq!((plan.arms[1].name.as_str(), &plan.arms[1].cmdline), ("new", &plan.arms[0].cmdline));
    let alone = read(arms, &Overrides::default()).unwrap_err().to_string();
    assert!(alone.contains("gates"), "without a series the file's own arms are checked: {alone}");
}

#[test]
fn which_arm_is_meant_must_be_clear() {
    let three = "base: debian-6.12\narms:\n  baseline: {}\n  red: {}\n  blue: {}\n";
    let problems = read(three, &with_series(None)).unwrap_err().to_string();
    assert_eq!(
        problems,
        "--series: the scenario has several arms that a series could go to (with --arm: red or blue)"
    );
    let problems = read(three, &with_series(Some("blu"))).unwrap_err().to_string();
    assert!(problems.starts_with("--arm: there is no arm `blu`"), "{problems}");
    assert!(problems.contains("baseline, red or blue"), "{problems}");
    let single = "base: debian-6.12\narms:\n  all: {}\n";
    let problems = read(single, &with_series(Some("No Name"))).unwrap_err().to_string();
    assert!(problems.starts_with("--arm: `No Name` is no name"), "{problems}");
}

#[test]
fn a_base_replaces_that_of_every_arm() {
    let arms = "arms:\n  baseline: { base: gone }\n  candidate: {}\n";
    let overrides = Overrides { base: Some(base_named("debian-7.3")), ..with_series(None) };
    let plan = read(arms, &overrides).unwrap_or_else(|problems| panic!("{problems}"));
    assert!(plan.arms.iter().all(|arm| arm.kernel.base.name == "debian-7.3"));
}

#[test]
fn what_is_put_in_is_checked_like_the_rest() {
    let arms = "base: debian-6.12\narms:\n  baseline: {}\n  candidate: {}\n";
    let overrides = Overrides { base: Some(base_named("debian-cloud")), ..with_series(None) };
    let problems = read(arms, &overrides).unwrap_err().to_string();
    assert!(problems.starts_with("--series: `debian-cloud` is prebuilt"), "{problems}");
    let hooks = "arms:\n  baseline: {}\n  candidate: { series: planted-slowdown }\n";
    let overrides = Overrides { base: Some(base_named("debian-7.3")), ..Overrides::default() };
    let problems = read(hooks, &overrides).unwrap_err().to_string();
    assert!(problems.contains("has no patches for the base `debian-7.3`"), "{problems}");
}

#[test]
fn the_candidates_base_is_known_before_its_series() {
    let ask = |arms: &str, overrides: &Overrides| {
        let (_room, path) = scenario(arms);
        candidate(&path, &project(), overrides).map(|(arm, base)| (arm, base.name))
    };
    let arms = "base: debian-6.12\narms:\n  baseline: {}\n  candidate: { base: debian-7.3 }\n";
    assert_eq!(ask(arms, &Overrides::default()).unwrap(), ("candidate".into(), "debian-7.3".into()));
    let single = "base: debian-6.12\narms:\n  all: {}\n";
    assert_eq!(ask(single, &Overrides::default()).unwrap(), ("candidate".into(), "debian-6.12".into()));
    for (arms, expected) in [
        ("arms: {}\n", vec!["0 arms"]),
        ("", vec!["`arms` is missing"]),
        ("arms:\n  baseline: {}\n  candidate: {}\nboots: many\n", vec!["no base", "many"]),
    ] {
        let problems = ask(arms, &Overrides::default()).unwrap_err().to_string();
        for text in expected {
            assert!(problems.contains(text), "{text}: {problems}");
        }
    }
    let nowhere = candidate(Path::new("/nowhere.yaml"), &project(), &Overrides::default());
    assert!(nowhere.unwrap_err().to_string().contains("/nowhere.yaml"));
}

#[test]
fn a_debug_flavour_is_every_arms_and_takes_memory_and_patience() {
    let arms =
        "base: debian-6.12\nboot-deadline: 60s\narms:\n  baseline: { cmdline: [quiet] }\n  candidate: {}\n";
    let overrides = Overrides { flavour: Some(Flavour::Debug), ..with_series(None) };
    let plan = read(arms, &overrides).unwrap_or_else(|problems| panic!("{problems}"));
    assert_eq!(plan.flavour(), Flavour::Debug);
    for arm in &plan.arms {
        let names: Vec<&str> =
            arm.kernel.base.config.fragments.iter().map(|fragment| fragment.name.as_str()).collect();
        assert_eq!(names.last(), Some(&"debug"));
        let plan::Machine::Qemu(machine) = &arm.machine else { panic!("guests of QEMU") };
        assert_eq!(machine.memory_mib, 1024);
    }
    assert_eq!(plan.arms[0].cmdline, ["kasan_multi_shot", "page_poison=1", "quiet"]);
    assert_eq!(plan.design.boot_deadline_s, 240);
    // What the caller says holds, and otherwise what the scenario says.
    let own = format!("flavour: debug\nboots: 1\n{arms}");
    let debug = read(&own, &with_series(None)).unwrap_or_else(|problems| panic!("{problems}"));
    assert_eq!(
        (debug.flavour(), debug.design.boots),
        (Flavour::Debug, 1),
        "too few boots for a gate that is set aside"
    );
    let plain = read(
        &format!("flavour: debug\n{arms}"),
        &Overrides { flavour: Some(Flavour::Plain), ..with_series(None) },
    );
    assert_eq!(plain.unwrap_or_else(|problems| panic!("{problems}")).flavour(), Flavour::Plain);
    let text = serde_json::to_string(&debug).unwrap();
    assert_eq!(serde_json::from_str::<Plan>(&text).unwrap(), debug);
}

#[test]
fn a_prebuilt_kernel_has_no_other_flavour() {
    let arms = "base: debian-cloud\narms:\n  baseline: {}\n  candidate: { cmdline: [quiet] }\n";
    let overrides = Overrides { flavour: Some(Flavour::Debug), ..Overrides::default() };
    let problems = read(arms, &overrides).unwrap_err().to_string();
    assert_eq!(
        problems,
        "--flavour: `debian-cloud` is prebuilt: it has no debug flavour (a base that is built from source)"
    );
}
