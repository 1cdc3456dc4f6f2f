//! Plans of files that are right, with every default decided.

use std::path::{Path, PathBuf};

use plan::{Arm, Machine, QemuMachine, Topology, Wire};
use scenario::{
    Estimate, KernelWork, Known, Overrides, Project, base, distinct_kernels, estimate, load, remarks, series,
    series_file, to_yaml,
};

fn project() -> Project {
    Project::at("tests/project")
}

/// `value` as YAML, without the path of this checkout.
fn portable(value: &impl serde::Serialize) -> String {
    let here = std::fs::canonicalize("tests").expect("tests run in the crate's folder");
    let yaml = to_yaml(value).expect("plans can be written");
    yaml.replace(here.to_str().expect("the checkout's path is UTF-8"), "TESTS")
}

#[track_caller]
fn plan_of(name: &str) -> plan::Plan {
    let path = PathBuf::from(format!("tests/good/{name}.yaml"));
    load(&path, &project(), &Overrides::default()).unwrap_or_else(|problems| panic!("{problems}"))
}

fn qemu(arm: &Arm) -> &QemuMachine {
    match &arm.machine {
        Machine::Qemu(qemu) => qemu,
        Machine::Nested(_) | Machine::Fake(_) | Machine::Imported(_) => {
            panic!("{} has no guests of that kind", arm.name)
        }
    }
}

#[test]
fn the_shortest_scenario_has_every_default() {
    insta::assert_snapshot!(portable(&plan_of("shortest")));
}

#[test]
fn a_scenario_that_uses_every_key() {
    insta::assert_snapshot!(portable(&plan_of("everything")));
}

#[test]
fn programs_of_the_users_own_and_the_kernels_own_tests() {
    insta::assert_snapshot!(portable(&plan_of("commands")));
}

#[test]
fn a_level_boots_the_kernel_of_the_arm_that_it_names() {
    let plan = plan_of("nested-kernels");
    let hooks = plan.arm("hooks").expect("it is there");
    let of = |guest| plan.kernel_arm(hooks, guest).expect("it is there").name.as_str();
    assert_eq!(["host", "server", "neighbour", "client"].map(of), ["baseline", "hooks", "hooks", "baseline"]);
}

#[test]
fn a_nested_machine_has_levels_with_knobs_that_multiply() {
    let plan = plan_of("nested");
    let machines: Vec<_> = plan.arms.iter().map(|arm| (&arm.name, &arm.machine)).collect();
    insta::assert_snapshot!(portable(&machines));
    // A mode that caching mode takes away, and one that governs nothing.
    let said = remarks(&plan).join("\n");
    assert!(said.contains("may turn lazy into strict"), "{said}");
    assert!(!said.contains("governs what the host's own drivers map"), "{said}");
    let mut alike = plan;
    alike.arms.truncate(2);
    let [Machine::Nested(_), Machine::Nested(other)] = [&alike.arms[0].machine, &alike.arms[1].machine]
    else {
        panic!("both are nested");
    };
    let mut other = other.clone();
    other.vcpus = 2;
    other.host.iommu.mode = plan::IommuMode::Strict;
    alike.arms[1].machine = Machine::Nested(other);
    let said = remarks(&alike).join("\n");
    assert!(said.contains("differ in the mode of the host's IOMMU"), "{said}");
}

#[test]
fn a_wire_between_zcsim_devices_has_knobs_that_multiply() {
    let plan = plan_of("zcsim");
    assert!(plan.arms.iter().all(|arm| arm.machine.has_zcsim()));
    let wires: Vec<_> = plan.arms.iter().map(|arm| qemu(arm).knobs.wire).collect();
    let wire = |loss_ppm| Wire { rate_bps: 10_000_000_000, delay_ns: 50_000, loss_ppm };
    assert_eq!(wires, [wire(1_000), wire(10_000)]);
    let names: Vec<_> = plan.arms.iter().map(|arm| &*arm.name).collect();
    assert_eq!(names, ["baseline@loss=0.1_", "baseline@loss=1_"]);
}

#[test]
fn a_stream_has_every_default_of_its_modes() {
    insta::assert_snapshot!(portable(&plan_of("stream").workloads));
}

#[test]
fn a_fake_machine_is_all_that_it_is() {
    insta::assert_snapshot!(portable(&plan_of("fake")));
}

#[test]
fn arms_merge_maps_and_replace_everything_else() {
    let plan = plan_of("layers");
    let [baseline, candidate] = plan.arms.as_slice() else { panic!("two arms") };

    assert_eq!(baseline.cmdline, ["quiet"]);
    assert_eq!(candidate.cmdline, ["nosmt"], "lists are replaced");
    assert!(candidate.kernel.series.is_empty(), "an empty list replaces the scenario's series");
    assert_eq!(baseline.kernel.series.len(), 1);

    let options: Vec<String> = candidate.kernel.options.iter().map(ToString::to_string).collect();
    assert_eq!(
        options,
        [
            "# CONFIG_PREEMPT is not set",
            "CONFIG_HZ=1000",
            "CONFIG_PHYSICAL_START=0x1000000",
            "CONFIG_LOCALVERSION=\"-lab\""
        ]
    );

    let (base, mine) = (qemu(baseline), qemu(candidate));
    assert_eq!((base.vcpus, mine.vcpus, mine.memory_mib), (2, 2, 1024));
    assert_eq!(mine.knobs.sysctls.get("net.core.somaxconn").map(String::as_str), Some("64"));
    assert_eq!(mine.knobs.sysctls.get("net.ipv4.tcp_sack").map(String::as_str), Some("0"));
    let (Topology::TwoGuests { server: before, .. }, Topology::TwoGuests { server: after, .. }) =
        (&base.topology, &mine.topology)
    else {
        panic!("two guests");
    };
    assert_eq!(before.model, after.model, "the rest of a nested map stays");
    assert_ne!(before.iommu, after.iommu);
}

#[test]
fn in_one_guest_a_nic_takes_the_other_ones_iommu() {
    let plan = plan_of("one-guest");
    let Topology::TwoNamespaces { server, client } = &qemu(&plan.arms[0]).topology else {
        panic!("two namespaces")
    };
    assert_eq!(server.iommu, client.iommu);
    assert_eq!(server.iommu.mode, plan::IommuMode::Lazy);
}

#[test]
fn bases_of_every_kind() {
    for name in project().bases() {
        let base = base(&name, &project()).unwrap_or_else(|problems| panic!("{problems}"));
        insta::assert_snapshot!(format!("base-{name}"), portable(&base));
    }
}

#[test]
fn series_are_found_by_name_and_by_path() {
    let (by_name, file) = series("hooks", "tree", &project()).unwrap();
    assert_eq!(file.title.as_deref(), Some("net: hooks"));
    let (by_path, _) = series("tests/project/patches/hooks", "tree", &project()).unwrap();
    assert_eq!(by_name, by_path);
    let names: Vec<_> = by_name.patches.iter().map(|patch| patch.path.file_name().unwrap()).collect();
    assert_eq!(names, ["0001-one.patch", "0002-two.patch"], "the cover letter is not applied");
    assert!(by_name.patches.iter().all(|patch| patch.path.is_absolute() && patch.sha256.len() == 64));
}

#[test]
fn a_folder_of_patches_needs_no_series_file() {
    let (series, file) = series("tests/project/loose", "any-base", &project()).unwrap();
    assert_eq!((series.patches.len(), file.bases), (1, None));
}

#[test]
fn a_series_can_be_looked_at_without_a_base() {
    let bases: Vec<String> = series_file("flat", &project()).unwrap().bases.unwrap().into_keys().collect();
    assert_eq!(bases, ["other-tree", "tree"]);
}

#[test]
fn a_project_is_found_from_a_file_in_it() {
    let from_file = Project::containing(Path::new("tests/project/scripts/fake.json")).unwrap();
    assert_eq!(from_file.root, Path::new("tests/project"));
    let nowhere = tempfile::tempdir().unwrap();
    let problems = Project::containing(&nowhere.path().join("x.yaml")).unwrap_err();
    assert!(problems.to_string().contains("is in no project"), "{problems}");
}

#[test]
fn remarks_say_what_a_plan_is_and_cannot_show() {
    let of = |name: &str| format!("{name}:\n{}\n", remarks(&plan_of(name)).join("\n"));
    insta::assert_snapshot!(["shortest", "fake", "layers", "everything", "short"].map(of).join("\n"));
}

#[test]
fn an_estimate_counts_each_kernel_once_and_nothing_that_is_cached() {
    let plan = plan_of("everything");
    let kernels = distinct_kernels(&plan).len();
    assert_eq!((plan.arms.len(), kernels), (3, 2), "two arms share a kernel");

    let blind: Estimate = estimate(&plan, &Known::default());
    assert_eq!(blind.steps.len(), kernels + 2, "each kernel, the timed boots and the traced boots");
    let known = Known { kernels: vec![KernelWork::Cached, KernelWork::Takes(7.0)], boot_seconds: Some(1.0) };
    let warm = estimate(&plan, &known);
    assert_eq!(warm.steps[0].seconds, 7.0, "{:?}", warm.steps);
    assert_eq!(warm.steps.len(), kernels - 1 + 2);
    assert!(warm.seconds < blind.seconds && warm.bytes < blind.bytes);
}

#[test]
fn an_estimate_takes_nothing_for_what_is_there_already() {
    let fake = estimate(&plan_of("fake"), &Known::default());
    assert_eq!(fake.steps.len(), 1, "an image on disk is neither built nor fetched: {:?}", fake.steps);
    assert!(fake.seconds < 10.0, "canned output takes no time: {}", fake.seconds);
}

#[test]
fn as_many_boots_as_are_needed_are_enough() {
    let text = std::fs::read_to_string("tests/good/gated.yaml").unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("gated.yaml");
    let needed = stats::boots_needed(0.05, 2).unwrap();
    for (boots, enough) in [(needed - 1, false), (needed, true)] {
        std::fs::write(&path, text.replace("boots: 7", &format!("boots: {boots}"))).unwrap();
        assert_eq!(load(&path, &project(), &Overrides::default()).is_ok(), enough, "{boots} boots");
    }
}

#[test]
fn lists_are_multiplied_out() {
    let plan = plan_of("matrix");
    let dimensions: Vec<_> = plan.dimensions.iter().map(|d| (d.name.as_str(), d.values.join("|"))).collect();
    let expected = [
        ("vcpus", "1|2"),
        ("iommu", "lazy|mode=strict caching-mode=true"),
        ("cmdline", "none|nosmt quiet"),
        ("flows", "1|4|16"),
        ("tcp.direction", "client-to-server|both"),
    ];
    assert_eq!(dimensions, expected.map(|(name, values)| (name, values.to_owned())));
    assert!(plan.dimensions[0].is_numeric() && !plan.dimensions[1].is_numeric());

    assert_eq!(plan.arms.len(), 2 * 2 * 2 * 2);
    assert_eq!(plan.sides(), ["baseline", "candidate"]);
    let last = plan.arms.last().unwrap();
    assert_eq!(last.name, "candidate@vcpus=2,iommu=mode_strict_caching-mode_true,cmdline=nosmt_quiet");
    assert_eq!(last.cmdline, ["nosmt", "quiet"]);
    assert_eq!((qemu(last).vcpus, qemu(last).memory_mib), (2, 1024));
    assert_eq!(plan.baseline_of(last).unwrap().dims(), last.dims());
    let names: std::collections::BTreeSet<_> = plan.arms.iter().map(|arm| &arm.name).collect();
    assert_eq!(names.len(), plan.arms.len(), "names are unique");

    let workloads: Vec<_> = plan.workloads.iter().map(|workload| workload.name.as_str()).collect();
    assert_eq!(workloads.len(), 3 * 2 + 1);
    assert_eq!(workloads[0], "tcp@flows=1,tcp.direction=client-to-server");
    assert_eq!(workloads[6], "rtt", "a list of one value is that value");

    let judged: Vec<_> = plan.gates.iter().map(|gate| plan.comparisons(gate).count()).collect();
    // Both directions at two vCPUs and two IOMMU modes; everywhere.
    assert_eq!(judged, [2 * 2 * 2, 8]);
}
