//! What the host's own tools and files say, and what a kernel tree and its builds do: a patched tree is somebody else's.

use std::path::{Component, Path};

use host::{
    CpuSet, Root,
    doctor::{self, Style},
    probe::{Device, Probes},
};

use crate::{
    scratch,
    sections::{get, split, text},
};

/// One input: the first section names the parser.
pub fn run(input: &[u8]) {
    let sections = split(input);
    let Some(&(first, content)) = sections.first() else { return };
    let said = String::from_utf8_lossy(content);
    match first {
        "apt" => {
            if let Err(error) = debian::fuzzing::apt(&said) {
                assert!(!error.is_empty() && error.len() < 4096 + 2 * said.len());
            }
        }
        "sources" => assert!(debian::fuzzing::sources(&said) <= said.len(), "more archives than text"),
        "config" => config(&said, &text(&sections, "fragment")),
        "kconfig" => {
            let folder = tree(&sections);
            let lines = kernel::fuzzing::explain(folder.path(), &said, &text(&sections, "asked"));
            assert!(lines.iter().all(|line| !line.is_empty()));
        }
        "elf" => {
            let folder = tree(&sections);
            // Any file will do, as long as it is answered.
            let _ = kernel_tree::fuzzing::has_pvh_entry(&folder.path().join("elf"));
        }
        "modules" => {
            let (_version, places) = kernel_tree::fuzzing::lines(&said);
            // `a../b` is a name.
            let inside = |place: &Path| place.components().all(|part| matches!(part, Component::Normal(_)));
            assert!(places.iter().all(|place| inside(place)), "a module leads out of its folder: {places:?}");
        }
        "refusal" => {
            let failure = kernel::fuzzing::refusal(&text(&sections, "patch"), &said);
            assert!(failure.hunk.is_none_or(|hunk| hunk.len() <= get(&sections, "patch").len() * 3 + 100));
        }
        "log" => {
            let (warnings, errors, _found) = kernel::fuzzing::build_log(&said);
            assert!(warnings.len() <= said.lines().count() && errors.len() <= said.len());
        }
        "cpus" => cpus(&said),
        "kvm" => {
            let folder = tree(&sections);
            let _ = machine::fuzzing::kvm_counters(&folder.path().join("debugfs"), 42);
        }
        "machine" => examined(&tree(&sections), &said),
        _ => {}
    }
}

fn tree(sections: &[crate::sections::Section<'_>]) -> tempfile::TempDir {
    let folder = scratch::folder();
    for (name, content) in sections {
        scratch::write(folder.path(), name, content);
    }
    folder
}

fn config(start: &str, fragment: &str) {
    let _lacking = kernel_tree::fuzzing::lacking(start);
    let _missing = kernel_tree::missing_fragment(start);
    match kernel::fuzzing::merge(start, fragment) {
        Ok(merged) => {
            let again = kernel::fuzzing::merge(&merged, fragment);
            assert_eq!(again.as_deref().map(sorted), Ok(sorted(&merged)), "merging twice changes something");
        }
        Err(said) => assert!(said.contains("line "), "{said}"),
    }
}

fn sorted(text: &str) -> Vec<&str> {
    let mut lines: Vec<&str> = text.lines().collect();
    lines.sort_unstable();
    lines
}

fn cpus(text: &str) {
    if let Ok(set) = text.parse::<CpuSet>() {
        assert_eq!(set.to_string().parse::<CpuSet>().ok(), Some(set));
    }
    if let Some(set) = CpuSet::from_mask(text) {
        assert_eq!(CpuSet::from_mask(&set.to_mask()), Some(set));
    }
}

/// The doctor's findings about a machine with these files; `said` is what its tools print.
fn examined(folder: &tempfile::TempDir, said: &str) {
    let root = Root::at(folder.path());
    let _probes = host::fuzzing::probes(&root, said);
    let _bench = host::bench(&root);
    let probes = Probes {
        is_root: false,
        release: "6.12".into(),
        kvm_device: Device::Absent,
        kvm: Err("none".into()),
        qemus: vec![],
        oldest_qemu: "8.1".into(),
        programs: Default::default(),
        namespaces: Ok(()),
        cycles: Ok(()),
        spaces: vec![],
        agent: ("/agent".into(), true),
        mirror_named: false,
        consumers: vec![],
    };
    let checkup = doctor::examine(&root, &probes);
    let shown = doctor::text(&checkup, Style { width: 80, colours: false });
    assert!(shown.chars().all(|c| !c.is_control() || c == '\n'), "control characters are shown");
}
