//! What `assay` prints where: colours, quiet, and readers that go away.
#![expect(clippy::unwrap_used, reason = "a test ends at what it did not expect")]

use std::process::{Output, Stdio};

use tests::{Room, said};

const TWINS: &str = "tests/fixtures/fake/scenarios/twins.yaml";

fn output(room: &Room, arguments: &[&str], variables: &[(&str, &str)]) -> Output {
    let mut command = room.command();
    for name in ["NO_COLOR", "CLICOLOR", "CLICOLOR_FORCE"] {
        command.env_remove(name);
    }
    command.args(arguments).envs(variables.iter().copied()).output().unwrap()
}

#[test]
fn quiet_runs_print_the_report_and_nothing_else() {
    let room = Room::new();
    let quiet = output(&room, &["--quiet", "run", TWINS], &[]);
    assert_eq!(quiet.status.code(), Some(0), "{}", said(&quiet));
    assert_eq!(String::from_utf8_lossy(&quiet.stderr), "");
    assert!(!quiet.stdout.is_empty());
    let mistaken = output(&room, &["run", "no-such-scenario", "-q"], &[]);
    assert_eq!(mistaken.status.code(), Some(2));
    assert!(!mistaken.stderr.is_empty(), "errors are not progress");
}

#[test]
fn colours_go_where_they_are_wanted() {
    let room = Room::new();
    output(&room, &["run", TWINS], &[]);
    let coloured = |arguments: &[&str], variables: &[(&str, &str)]| {
        let report = output(&room, &[&["report"], arguments].concat(), variables);
        assert_eq!(report.status.code(), Some(0), "{}", said(&report));
        report.stdout.contains(&0x1b)
    };
    assert!(!coloured(&[], &[]), "a pipe");
    assert!(coloured(&[], &[("CLICOLOR_FORCE", "1")]));
    assert!(!coloured(&[], &[("CLICOLOR_FORCE", "1"), ("NO_COLOR", "1")]));
    assert!(coloured(&["--color", "always"], &[("NO_COLOR", "1")]));
    assert!(!coloured(&["--color=never"], &[("CLICOLOR_FORCE", "1")]));
    // What is kept beside the run is for editors and mail.
    let kept = std::fs::read(room.run().join("report.txt")).unwrap();
    assert!(!kept.contains(&0x1b));
    let usage = output(&room, &["rum", "--color", "always"], &[]);
    assert!(usage.stderr.contains(&0x1b), "{}", said(&usage));
}

#[test]
fn a_reader_that_has_seen_enough_is_no_failure() {
    let room = Room::new();
    for (stdout, stderr) in [(true, false), (false, true)] {
        let mut command = room.command();
        command.args(["run", TWINS]).stdout(Stdio::null()).stderr(Stdio::piped());
        let closed = || {
            let (reader, writer) = std::io::pipe().unwrap();
            drop(reader);
            Stdio::from(writer)
        };
        if stdout {
            command.stdout(closed());
        }
        if stderr {
            command.stderr(closed());
        }
        let ended = command.output().unwrap();
        assert_eq!(ended.status.code(), Some(0), "{}", said(&ended));
        assert!(!String::from_utf8_lossy(&ended.stderr).contains("panicked"), "{}", said(&ended));
    }
}

#[test]
fn a_full_disk_is_a_failure() {
    let room = Room::new();
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let schema = room.command().arg("schema").stdout(full).stderr(Stdio::piped()).output().unwrap();
    assert_eq!(schema.status.code(), Some(69), "{}", said(&schema));
    assert!(String::from_utf8_lossy(&schema.stderr).contains("No space left"), "{}", said(&schema));
}
