//! What tools in a guest print: iperf3, sockperf, commands, the kernel's own tests.

use measure::{Files, Sample, SideFiles};
use plan::{
    Amount, Find, Iperf3, Iperf3Direction, Ktap, Sockperf, SockperfMode, Stream, Transport, Which, Workload,
    WorkloadKind,
};
use workload::{
    Findings,
    command::Ran,
    iperf3, ktap, sockperf,
    stream::{Reports, not_taken},
};

use crate::sections::{Section, get, split, text};

/// Most runs of a command.
const RUNS: usize = 4;

/// One input: the section `workload` is the workload in JSON, as in a plan; one that does not parse is guessed from its text.
pub fn run(input: &[u8]) {
    let sections = split(input);
    let params = get(&sections, "workload");
    let workload: Workload = match serde_json::from_slice(params) {
        Ok(workload) => workload,
        Err(_) => Workload { name: "x".into(), cell: None, kind: guess(params) },
    };
    match &workload.kind {
        WorkloadKind::Iperf3(params) => {
            let parsed = iperf3::parse(params, get(&sections, "client"), get(&sections, "server"));
            check(parsed.map_err(|error| error.to_string()));
        }
        WorkloadKind::Sockperf(params) => {
            check(sockperf::parse(params, get(&sections, "client")).map_err(|error| error.to_string()));
        }
        WorkloadKind::Command(params) => {
            let compiles = params.metrics.iter().all(|metric| match &metric.find {
                Find::Regex(pattern) => plan::value_regex(pattern).is_ok(),
                Find::Json(_) => true,
            });
            if !compiles {
                return;
            }
            let runs: Vec<Ran> = sections
                .iter()
                .filter(|(name, _)| *name == "stdout")
                .take(RUNS)
                .map(|run| ran(run, &sections))
                .collect();
            let findings = workload::command::read(params, &runs);
            let each = params.metrics.iter().any(|metric| metric.which == Which::Each);
            assert!(each || findings.samples.len() <= params.metrics.len() + 2, "a sample for each metric");
            check(Ok(findings));
        }
        WorkloadKind::Ktap(params) => tests(params, &sections),
        WorkloadKind::Stream(params) => streams(params, &sections),
        // Nothing runs, so nothing is read.
        WorkloadKind::Imported(_) => {}
    }
}

fn guess(text: &[u8]) -> WorkloadKind {
    if text.starts_with(b"s") {
        let (mode, transport) = (SockperfMode::PingPong, Transport::Tcp);
        WorkloadKind::Sockperf(Sockperf { mode, transport, message_bytes: 64, seconds: 1 })
    } else {
        WorkloadKind::Iperf3(Iperf3 {
            flows: 1,
            direction: Iperf3Direction::Both,
            amount: Amount::Seconds(1),
            warmup_s: 0,
            message_bytes: 1000,
            congestion: None,
        })
    }
}

fn ran((_, stdout): &Section<'_>, sections: &[Section<'_>]) -> Ran {
    let files = sections.iter().filter_map(|(name, content)| {
        let path = name.strip_prefix("file ")?;
        Some((path.to_owned(), Ok(content.to_vec())))
    });
    Ran {
        stdout: stdout.to_vec(),
        stderr: get(sections, "stderr").to_vec(),
        files: files.collect(),
        status: 0,
        seconds: 1.0,
    }
}

/// A stream is void, or its numbers are taken.
fn streams(params: &Stream, sections: &[Section<'_>]) {
    let reports = Reports::read(get(sections, "server"), get(sections, "client"));
    let read = |name| Files::from([("/proc/stat".to_owned(), Ok(get(sections, name).to_vec()))]);
    let files = SideFiles { before: read("before"), after: read("after") };
    check(reports.map_err(|error| error.to_string()).map(|reports| {
        let void = not_taken(params, &reports.receiver, &reports.sender);
        assert!(void.is_none_or(|why| !why.is_empty() && why.len() < 4096), "a sentence");
        workload::stream::parse(params, &reports, &[&files])
    }));
}

fn tests(params: &Ktap, sections: &[Section<'_>]) {
    let output = text(sections, "output");
    let ended =
        if output.len().is_multiple_of(2) { ktap::Ended::ByItself } else { ktap::Ended::DeadlinePassed };
    let outcomes = ktap::outcomes("tests", "net:a.sh", &output, 1.0, ended);
    assert!(outcomes.len() <= output.lines().count() + 1, "no more tests than lines");
    let held: usize = outcomes.iter().map(|outcome| outcome.test.len() + outcome.message.len()).sum();
    assert!(held <= 64 * output.len() + 4096, "{held} bytes of {} bytes of output", output.len());
    if let Ok((programs, missing)) =
        ktap::select(params, &text(sections, "list"), &text(sections, "not-built"))
    {
        assert!(!programs.is_empty() || !missing.is_empty());
    }
}

/// What a tool says becomes finite numbers, under names and provenances of ours, or a complaint in words.
fn check(parsed: Result<Findings, String>) {
    match parsed {
        Ok(findings) => {
            for Sample { value, .. } in &findings.samples {
                assert!(value.is_finite(), "{value}");
            }
        }
        Err(said) => {
            assert!(!said.is_empty() && said.len() < 64 * 1024, "{} bytes of complaint", said.len());
        }
    }
}
