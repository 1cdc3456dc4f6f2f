//! Whatever stands in a file, reading it ends in a plan or in problems: never in a panic, and never silently.

use std::{path::Path, time::Instant};

use proptest::prelude::*;
use scenario::{Overrides, Project, base, load, series};
use tempfile::TempDir;

/// Loads `bytes` as a scenario of the test project. That a file without a plan has problems is an invariant of the
/// crate, which panics when it is broken.
fn load_bytes(folder: &TempDir, bytes: &[u8]) -> bool {
    let path = folder.path().join("scenario.yaml");
    std::fs::write(&path, bytes).expect("a temporary folder can be written");
    match load(&path, &Project::at("tests/project"), &Overrides::default()) {
        Ok(_) => true,
        Err(problems) => {
            assert!(problems.iter().count() > 0);
            false
        }
    }
}

#[test]
fn a_scenario_cut_anywhere_is_a_plan_or_has_problems() {
    let text = std::fs::read("tests/good/everything.yaml").unwrap();
    let folder = tempfile::tempdir().unwrap();
    assert!(load_bytes(&folder, &text));
    let plans = (0..text.len()).filter(|&cut| load_bytes(&folder, &text[..cut])).count();
    assert!(plans < text.len() / 4, "{plans} of {} cuts gave a plan: cuts go unnoticed", text.len());
}

#[test]
fn a_base_and_a_series_cut_anywhere_have_problems_or_not() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    std::fs::create_dir_all(root.join("kernels/fragments")).unwrap();
    std::fs::create_dir_all(root.join("patches/flat")).unwrap();
    std::fs::copy("tests/project/kernels/fragments/lab.config", root.join("kernels/fragments/lab.config"))
        .unwrap();
    std::fs::copy("tests/project/patches/flat/0001-one.patch", root.join("patches/flat/0001-one.patch"))
        .unwrap();
    let project = Project::at(root);
    let mut refused = 0;
    let text = std::fs::read("tests/project/kernels/tree.yaml").unwrap();
    for cut in 0..text.len() {
        std::fs::write(root.join("kernels/tree.yaml"), &text[..cut]).unwrap();
        refused += u32::from(base("tree", &project).is_err());
    }
    let text = std::fs::read("tests/project/patches/flat/series.yaml").unwrap();
    for cut in 0..text.len() {
        std::fs::write(root.join("patches/flat/series.yaml"), &text[..cut]).unwrap();
        refused += u32::from(series("flat", "tree", &project).is_err());
    }
    assert!(refused > 0);
}

#[test]
fn large_and_hostile_files_are_refused_in_little_time() {
    let folder = tempfile::tempdir().unwrap();
    let megabyte = 1 << 20;
    let hostile = [
        ("too large", vec![b'#'; megabyte + 1]),
        ("deep", b"[".repeat(megabyte)),
        ("wide", [b"# Q?\nx: [".as_slice(), &b"1,".repeat(megabyte / 2 - 10)].concat()),
        ("many keys", (0..90_000).flat_map(|key| format!("k{key}: 1\n").into_bytes()).collect()),
        ("long key", [&b"k".repeat(megabyte - 10), b": 1\n".as_slice()].concat()),
        ("many documents", b"--- 1\n".repeat(megabyte / 6)),
        ("aliases", b"a: &a [*a, *a, *a, *a, *a, *a, *a, *a]\n".to_vec()),
        ("not UTF-8", b"# Q?\nschema: 1\nbase: \xff\n".to_vec()),
        ("NUL", b"# Q?\nschema: 1\0\n".to_vec()),
        ("flow mappings", b"{? ".repeat(megabyte / 3)),
    ];
    for (what, bytes) in hostile {
        let started = Instant::now();
        assert!(!load_bytes(&folder, &bytes), "{what}");
        // Generous, for a debug build on a busy machine: what is to be seen is the difference to minutes.
        assert!(started.elapsed().as_secs() < 10, "{what} took {:?}", started.elapsed());
    }
}

#[test]
fn a_folder_and_a_missing_file_are_problems() {
    for path in ["tests/good", "tests/good/nowhere.yaml"] {
        let problems =
            load(Path::new(path), &Project::at("tests/project"), &Overrides::default()).unwrap_err();
        assert!(problems.to_string().contains("cannot read"), "{problems}");
    }
}

/// Lines of scenarios, and lines that are nearly so.
fn line() -> impl Strategy<Value = String> {
    let words = prop::sample::select(vec![
        "schema",
        "base",
        "series",
        "config",
        "cmdline",
        "sysctls",
        "machine",
        "arms",
        "workloads",
        "collect",
        "boots",
        "gates",
        "tool",
        "iperf3",
        "sockperf",
        "tree",
        "hooks",
        "server",
        "iommu",
        "strict",
        "margin",
        "metric",
        "throughput",
        "fake",
        "1",
        "5%",
        "90s",
        "512M",
        "~",
        "{}",
        "[]",
        "[cpu, iotlb]",
        "- x",
        "&a",
        "*a",
        "!!str",
        "\"q\"",
        "|",
        ">",
        "?",
        "-",
        "{ tool: iperf3 }",
        "{ mode: strict }",
        "é",
        "\t",
    ]);
    (0_usize..5, words.clone(), words)
        .prop_map(|(indent, key, value)| format!("{}{key}: {value}", "  ".repeat(indent)))
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        load_bytes(&tempfile::tempdir().unwrap(), &bytes);
    }

    #[test]
    fn arbitrary_text_never_panics(text in "[ -~\n\u{e4}]{0,400}") {
        load_bytes(&tempfile::tempdir().unwrap(), text.as_bytes());
    }

    #[test]
    fn lines_in_any_order_never_panic(lines in prop::collection::vec(line(), 0..30)) {
        load_bytes(&tempfile::tempdir().unwrap(), format!("# Is it?\n{}\n", lines.join("\n")).as_bytes());
    }

    #[test]
    fn a_value_replaced_by_anything_never_panics(seed in any::<prop::sample::Index>(), value in "[ -~]{0,20}") {
        let text = std::fs::read_to_string("tests/good/everything.yaml").unwrap();
        let colons: Vec<usize> = text.match_indices(": ").map(|(at, _)| at).collect();
        let at = colons[seed.index(colons.len())];
        let end = text[at..].find(['\n', ',', '}']).map_or(text.len(), |length| at + length);
        let text = format!("{}: {value}{}", &text[..at], &text[end..]);
        load_bytes(&tempfile::tempdir().unwrap(), text.as_bytes());
    }
}
