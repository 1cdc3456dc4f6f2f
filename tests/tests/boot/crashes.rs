//! A kernel that crashes in one arm of the demo: shown decoded in every format of the report, and no gate holds.

use tests::{Room, can_boot, said, top};

#[test]
fn a_crash_in_one_arm_of_the_demo_is_decoded_in_every_format_and_fails_the_gates_by_name() {
    if !can_boot() {
        return;
    }
    let room = Room::new();
    let scenario = top().join("tests/fixtures/scenarios/panics.yaml");
    let output = room.sharing_command().arg("run").arg(&scenario).output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    let formats = ["terminal", "markdown", "json", "html"].map(|format| {
        let report =
            room.sharing_command().args(["report", "--format", format]).arg(room.run()).output().unwrap();
        (format, String::from_utf8(report.stdout).unwrap())
    });
    for (format, text) in formats {
        // Lines are broken where they end.
        let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
        for evidence in [
            "planted panic",
            "planted_panic",
            "init/main.c",
            "do_one_initcall",
            "tcp throughput client-to-server, hooks: no value, every boot ended in panic",
        ] {
            assert!(words.contains(evidence), "{evidence:?} is missing in {format}:\n{text}");
        }
    }
}
