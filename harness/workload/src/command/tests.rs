//! Reading what commands write.

use measure::{Better, Unit};
use plan::{AcceptedExit, CommandServer, Find, GuestFile, OutputOf, Side, Transport};
use proptest::prelude::*;

use super::*;

fn metric(find: Find, which: Which, scale: f64) -> CommandMetric {
    CommandMetric {
        name: "rate".into(),
        unit: Unit::OperationsPerSecond,
        better: Better::Higher,
        from: OutputOf::Stdout,
        find,
        which,
        scale,
    }
}

fn by_regex(pattern: &str, which: Which) -> CommandMetric {
    metric(Find::Regex(pattern.into()), which, 1.0)
}

fn command(metrics: Vec<CommandMetric>) -> Command {
    Command {
        run: vec!["bench".into()],
        side: Side::Client,
        server: None,
        files: vec![],
        env: BTreeMap::new(),
        stdin: String::new(),
        deadline_s: 60,
        exit: AcceptedExit::OneOf(vec![0]),
        repeat: 1,
        metrics,
    }
}

fn wrote(stdout: &str) -> Ran {
    Ran { stdout: stdout.into(), seconds: 1.0, ..Ran::default() }
}

/// OpenSSL's `speed` and fio's JSON, cut down to a few lines.
const TABLE: &str = "type 16 bytes\nrate: 1,234.5 op/s\nnoise\nrate: 1e3 op/s\n  rate: 7 op/s\n";

#[test]
fn a_regular_expression_yields_the_value_that_is_asked_for() {
    let of = |which| extract(&by_regex(r"^\s*rate: (?<value>\S+) op", which), &wrote(TABLE)).unwrap();
    assert_eq!(of(Which::First), [1234.5]);
    assert_eq!(of(Which::Last), [7.0]);
    assert_eq!(of(Which::Min), [7.0]);
    assert_eq!(of(Which::Max), [1234.5]);
    assert_eq!(of(Which::Sum), [2241.5]);
    assert_eq!(of(Which::Mean), [2241.5 / 3.0]);
    assert_eq!(of(Which::Each), [1234.5, 1000.0, 7.0]);
}

#[test]
fn what_is_not_there_is_told_and_never_zero() {
    let why = |find, text: &str| extract(&metric(find, Which::Last, 1.0), &wrote(text)).unwrap_err();
    let regex = |pattern: &str| Find::Regex(pattern.into());
    assert_eq!(why(regex("rate: (.*)"), "none\n"), "`rate: (.*)` matches nothing in standard output");
    assert_eq!(why(regex("rate: (.*)"), "rate: fast\n"), "`fast` is no number in standard output");
    assert_eq!(why(regex("r(.)"), "rnan").as_str(), "`n` is no number in standard output");
    assert_eq!(why(regex("r(.*)"), "rinf"), "inf in standard output is no finite number");
    let json = |pointer: &str| Find::Json(pointer.into());
    assert_eq!(why(json("/a/b"), r#"{"a": {}}"#), "nothing is at /a/b in standard output");
    assert_eq!(why(json("/a"), r#"{"a": null}"#), "`null` at /a is no number in standard output");
    assert!(why(json("/a"), "bench: error").starts_with("there is no JSON document ("));
    assert_eq!(why(json("/a"), r#"{"a": []}"#), "no value in standard output");
}

#[test]
fn json_pointers_find_numbers_arrays_of_them_and_quoted_ones() {
    let text = r#"{"jobs": [{"iops": 12.5}, {"iops": 3}], "lat": [1, 2, 3], "note": "1,000"}"#;
    let at = |pointer: &str, which, scale| {
        extract(&metric(Find::Json(pointer.into()), which, scale), &wrote(text)).unwrap()
    };
    assert_eq!(at("/jobs/0/iops", Which::Last, 1000.0), [12_500.0]);
    assert_eq!(at("/lat", Which::Mean, 1.0), [2.0]);
    assert_eq!(at("/note", Which::Last, 1.0), [1000.0]);
}

#[test]
fn a_file_that_cannot_be_read_is_told() {
    let mut in_file = by_regex("(.*)", Which::Last);
    in_file.from = OutputOf::File("/tmp/out".into());
    let mut ran = wrote("");
    ran.files.insert("/tmp/out".into(), Err("nothing matches".into()));
    assert_eq!(extract(&in_file, &ran), Err("/tmp/out cannot be read: nothing matches".into()));
    ran.files.insert("/tmp/out".into(), Ok(b"5".to_vec()));
    assert_eq!(extract(&in_file, &ran), Ok(vec![5.0]));
}

#[test]
fn runs_of_one_boot_become_their_median() {
    let params = command(vec![by_regex("r=(.*)", Which::Last)]);
    let runs = ["r=5", "r=1", "r=3"].map(wrote);
    let findings = read(&params, &runs);
    let values: Vec<_> =
        findings.samples.iter().map(|s| (s.metric.as_str(), s.value, s.provenance)).collect();
    assert_eq!(values, [("rate", 3.0, Provenance::Command), ("command-time", 1.0, Provenance::Clock)]);
    let lacking = read(&params, &[wrote("r=5"), wrote("")]);
    assert_eq!(lacking.unavailable, ["rate: in run 2 of 2: `r=(.*)` matches nothing in standard output"]);
    assert_eq!(median(vec![4.0, 1.0]), Some(2.5));
}

#[test]
fn each_value_keeps_its_place_over_all_runs() {
    let params = command(vec![by_regex(r"(\d+)", Which::Each)]);
    let findings = read(&params, &[wrote("1 10"), wrote("3 30"), wrote("2 20")]);
    let values: Vec<_> = findings
        .samples
        .iter()
        .filter(|sample| sample.metric == "rate")
        .map(|sample| (sample.dims[OCCURRENCE].as_str(), sample.value))
        .collect();
    assert_eq!(values, [("0", 2.0), ("1", 20.0)]);
    let uneven = read(&params, &[wrote("1 10"), wrote("3")]);
    assert_eq!(uneven.unavailable, ["rate: run 2 yielded 1 values, and the first one 2"]);
}

#[test]
fn an_exit_status_is_a_sample_only_where_it_can_tell_something() {
    let mut params = command(vec![]);
    let metrics = |params: &Command| -> Vec<String> {
        let runs = [Ran { status: 0, ..wrote("") }, Ran { status: 3, ..wrote("") }];
        read(params, &runs).samples.into_iter().map(|s| format!("{} {}", s.metric, s.value)).collect()
    };
    assert_eq!(metrics(&params), ["command-time 1"]);
    params.exit = AcceptedExit::Any;
    assert_eq!(metrics(&params), ["command-time 1", "exit-status 3"]);
}

#[test]
fn placeholders_are_filled_in_once_and_files_are_found() {
    let mut params = command(vec![]);
    params.server = Some(CommandServer { run: vec![], port: 7, transport: Transport::Tcp });
    let file =
        GuestFile { path: "/x/bench".into(), sha256: String::new(), name: "bench".into(), executable: true };
    params.files = vec![file];
    let words = ["bench", "{server}:{port}", "{files}/data", "{other}{", "{{port}}"].map(str::to_owned);
    let filled = argv(&words, "w", &params, IpAddr::from([10, 0, 0, 1]));
    assert_eq!(filled, ["/opt/assay/w/bench", "10.0.0.1:7", "/opt/assay/w/data", "{other}{", "{7}"]);
    assert_eq!(argv(&["ls".to_owned()], "w", &params, IpAddr::from([10, 0, 0, 1])), ["ls"]);
}

proptest! {
    #[test]
    fn whatever_a_guest_writes_is_read_without_a_fuss(
        stdout in proptest::collection::vec(any::<u8>(), 0..400), which in 0..7usize, json in any::<bool>(),
    ) {
        let which = [
            Which::First, Which::Last, Which::Min, Which::Max, Which::Mean, Which::Sum, Which::Each,
        ][which];
        let find = if json { Find::Json("/0".into()) } else { Find::Regex(r"([-+.,\w]+)".into()) };
        let ran = Ran { stdout, ..Ran::default() };
        if let Ok(values) = extract(&metric(find, which, 1.0), &ran) {
            prop_assert!(!values.is_empty() && values.iter().all(|value| value.is_finite()));
        }
    }

    #[test]
    fn a_printed_number_is_read_back(value in -1e12..1e12f64) {
        let ran = wrote(&format!("x = {value} s"));
        prop_assert_eq!(extract(&by_regex(r"x = (\S+)", Which::Last), &ran), Ok(vec![value]));
    }
}
