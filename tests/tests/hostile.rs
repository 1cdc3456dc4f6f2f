//! Guests that mean ill, on the fake machine: whatever they do is a result that says so, bounded in time, disk and memory; other
//! arms keep their data, and nothing is left behind.
#![expect(clippy::unwrap_used, reason = "a test ends at what it did not expect")]

use std::{
    fs,
    path::Path,
    time::{Duration, Instant},
};

use tests::{Room, said};

/// Exit statuses of `assay run`.
const HOLDS: i32 = 0;
const FAILS: i32 = 1;
const UNCLEAR: i32 = 3;

/// What a hostile guest does (`harness/machine/src/fake/script.rs`), the exit status, and words that the user must see of it.
const GUESTS: &[(&str, i32, &str)] = &[
    ("garbage", FAILS, "a frame that is not a message"),
    ("oversize", FAILS, "a frame of 4294967295 bytes"),
    ("endless", FAILS, "more than 67108864 bytes came back"),
    ("half", FAILS, "did not come within 30 s"),
    ("drip", FAILS, "did not come within 30 s"),
    ("mute", FAILS, "did not come within 30 s"),
    ("deaf", FAILS, "did not come within 30 s"),
    ("astray", FAILS, "did not come within 30 s"),
    ("echo", HOLDS, ""),
    ("stays", FAILS, "the guest did not power off within"),
    ("floods", FAILS, "the console was flooded: more than 64 MiB"),
    ("loud", UNCLEAR, "<script>alert(1)</script>"),
];

/// Two arms: a guest that is what it should be, and this one.
fn project(folder: &Path, does: &str) {
    let mark = |name: &str| format!("\u{7f}ELF Linux version 6.12.0-fake {name}\n");
    for (name, image) in [("steady", mark("steady")), ("hostile", mark(does))] {
        fs::create_dir_all(folder.join("kernels")).unwrap();
        fs::write(folder.join(format!("kernels/{name}.image")), image).unwrap();
        let base = format!(
            "schema: 1\nversion: \"6.12\"\nsource: {{ kind: prebuilt-image, image: {name}.image }}\n"
        );
        fs::write(folder.join(format!("kernels/{name}.yaml")), base).unwrap();
    }
    let script = serde_json::json!({
        "release": "6.12.0-fake",
        "commands": [{ "match": ["true"], "delay_ms": 1 }, { "match": ["sh"], "delay_ms": 1 }],
        "kernels": { mark(does).trim(): { "boot": { "outcome": "hostile", "does": does } } },
    });
    fs::write(folder.join("script.json"), script.to_string()).unwrap();
    let scenario = "# Is the other arm's data kept?\nschema: 1\nmachine: { fake: script.json }\narms:\n  baseline: { base: steady }\n  candidate: { base: hostile }\nworkloads:\n  nothing: { tool: command, run: [\"true\"] }\ncollect: []\nboots: 2\nboot-deadline: 20s\n";
    fs::write(folder.join("hostile.yaml"), scenario).unwrap();
}

/// No control character but line ends, and nothing that turns the direction of writing.
fn is_plain(text: &str) -> bool {
    text.chars().all(|c| c == '\n' || !(c.is_control() || ('\u{202a}'..='\u{202e}').contains(&c)))
}

fn size(folder: &Path) -> u64 {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.map(|path| if path.is_dir() { size(&path) } else { fs::metadata(&path).unwrap().len() }).sum()
}

fn one(does: &str, expected: i32, words: &str) {
    let (room, folder) = (Room::new(), tempfile::tempdir().unwrap());
    project(folder.path(), does);
    let began = Instant::now();
    let output = room.command().arg("run").arg(folder.path().join("hostile.yaml")).output().unwrap();
    let took = began.elapsed();
    let shown = said(&output);
    // Twice 30 s without an answer, a few for QEMU's stand-in to go; the rest is a busy machine's.
    assert!(took < Duration::from_secs(150), "{does}: {took:?}\n{shown}");
    assert_eq!(output.status.code(), Some(expected), "{does}: {shown}");
    assert!(shown.contains(words), "{does}: {words:?} is not in\n{shown}");
    assert!(is_plain(&String::from_utf8_lossy(&output.stdout)), "{does}: {shown:?}");
    assert!(is_plain(&String::from_utf8_lossy(&output.stderr)), "{does}: {shown:?}");
    assert!(shown.len() < 64 * 1024, "{does}: {} bytes are shown", shown.len());
    let samples = fs::read_to_string(room.run().join("samples.jsonl")).unwrap();
    let of_baseline = samples.lines().filter(|line| line.contains(r#""arm":"baseline""#)).count();
    assert!(of_baseline >= 2, "{does}: both boots of the baseline were measured:\n{samples}");
    // Two consoles of at most 64 MiB, and what is written about them.
    assert!(size(&room.run()) < 140 << 20, "{does}: {} bytes", size(&room.run()));
    for format in ["html", "markdown", "json", "terminal"] {
        let report = room.command().args(["report", "--format", format]).output().unwrap();
        assert!(report.status.code().is_some_and(|code| code == expected), "{does}: {}", said(&report));
        let text = String::from_utf8(report.stdout).unwrap();
        assert!(is_plain(&text), "{does}: {format}");
        let acts = |line: &str| match format {
            // Four spaces make it code; a backslash makes it text.
            "markdown" => !line.starts_with("    ") && line.replace("\\<", "").contains("<script"),
            "html" => line.contains("<script>alert"),
            _ => false,
        };
        assert!(!text.lines().any(acts), "{does}: {format}:\n{text}");
        assert!(text.len() < 1 << 20, "{does}: {format} has {} bytes", text.len());
    }
}

#[test]
fn whatever_a_guest_does_is_a_result_and_harms_nobody_else() {
    std::thread::scope(|scope| {
        let tests: Vec<_> = GUESTS
            .iter()
            .map(|(does, expected, words)| scope.spawn(|| one(does, *expected, words)))
            .collect();
        let failed = tests.into_iter().filter_map(|test| test.join().err()).count();
        assert_eq!(failed, 0, "their words stand above");
    });
}
