use measure::{Dims, Unit};
use plan::{FakeMachine, Machine};
use stats::Draws;

use super::*;

fn key(metric: &str) -> SeriesKey {
    SeriesKey { workload: Some("tcp".into()), metric: metric.into(), dims: Dims::new(), at: Dims::new() }
}

/// A session of so many blocks that began at this second: the level of its time, then what blocks and boots add.
fn session(draws: &mut Draws, began: u64, blocks: usize, level: f64) -> Session {
    let mut block = |index: usize| {
        let of_block = level + 0.005 * draws.normal();
        let mut boot = || Some((of_block + 0.01 * draws.normal()).exp());
        SessionBlock { began: began + 30 * index as u64, first: boot(), second: boot() }
    };
    Session {
        format: SESSION_FORMAT,
        run: format!("run-{began}"),
        started: format!("{began:012}"),
        scenario: "net".into(),
        base: "debian-6.12".into(),
        cpu: "cpu".into(),
        cpus: 2,
        qemu: "qemu".into(),
        cmdline: vec![],
        machine: Machine::Fake(FakeMachine { script: "/script".into() }),
        workloads: vec![],
        collectors: vec![],
        alpha: 0.05,
        boots: 2 * blocks,
        series: vec![SessionSeries {
            series: key("throughput"),
            unit: Unit::BitsPerSecond,
            better: measure::Better::Higher,
            margin: Some(0.05),
            blocks: (0..blocks).map(&mut block).collect(),
            within: Some(WithinBoots { variance: 0.0004, freedom: 100, parts: 4.0, runs: false }),
        }],
    }
}

fn noise(days: u64) -> Noise {
    let mut draws = Draws::new(9);
    let sessions: Vec<Session> = (0..days)
        .map(|day| {
            let level = 20.0 + 0.02 * draws.normal();
            session(&mut draws, 86_400 * (10 + day) + 1800, 30, level)
        })
        .collect();
    Noise::of(sessions).unwrap().unwrap()
}

#[test]
fn what_was_put_in_is_found_again() {
    let noise = noise(6);
    assert_eq!((noise.boots(), noise.sessions.len()), (360, 6));
    let series = &noise.series[0];
    assert!((0.01..0.04).contains(&series.spread.time.unwrap()), "{:?}", series.spread);
    assert!((0.003..0.008).contains(&series.spread.block.unwrap()), "{:?}", series.spread);
    // Boots spread by 1 %, of which four intervals of 2 % explain all.
    assert!(series.spread.boot.unwrap() < 0.005, "{:?}", series.spread);
    assert_eq!(series.spread.part, Some(0.02));
    let alarms = noise.alarms.unwrap();
    // 25 + 23 + 19 + 11 of each session.
    assert_eq!(alarms.comparisons, 6 * 78);
    assert!(alarms.alarms < 60, "{alarms:?}");
    assert_eq!((noise.judged.comparisons, noise.judged.wrong), (6 * 78, 0));
    let seen: Vec<f64> = series.seen.iter().map(|(_, seen)| *seen).collect();
    assert!(seen.len() == 4 && seen.is_sorted_by(|a, b| a > b) && seen[3] > 0.005, "{seen:?}");
    let needed: Vec<u32> = series.needed.iter().map(|(_, boots)| boots.unwrap()).collect();
    assert!(needed.is_sorted_by(|a, b| a > b) && needed[2] <= 7, "{needed:?}");
}

#[test]
fn a_session_is_cut_where_an_hour_begins() {
    let mut draws = Draws::new(1);
    // Ten minutes before a full hour, 40 blocks of 30 s.
    let one = Noise::of(vec![session(&mut draws, 36_000 - 600, 40, 20.0)]).unwrap().unwrap();
    let boots: Vec<usize> = one.series[0].times.iter().map(|time| time.boots).collect();
    assert_eq!(boots, [40, 40]);
    // A rest of two blocks is no time of its own.
    let short = Noise::of(vec![session(&mut draws, 36_000 - 60, 20, 20.0)]).unwrap().unwrap();
    assert_eq!(short.series[0].times.len(), 1);
    assert_eq!(short.series[0].spread.time, None);
}

#[test]
fn times_are_covered_by_days_or_by_hours_or_not_at_all() {
    let throughput = key("throughput");
    let day = |day: u64| 86_400 * day + 3_600;
    let six = noise(6);
    let between = six.between(&throughput, day(11), day(14)).unwrap();
    assert_eq!(between.freedom, 5);
    assert!((0.01..0.04).contains(&between.spread), "{between:?}");
    assert!(six.between(&throughput, day(9), day(12)).unwrap_err().contains("covers"));
    assert!(six.between(&key("latency"), day(11), day(12)).is_err());
    let two = noise(2);
    assert!(two.between(&throughput, day(10), day(11) - 1_000).unwrap_err().contains("2 days"));
}

#[test]
fn what_is_kept_is_read_again_and_damage_is_seen() {
    let noise = noise(2);
    let text = serde_json::to_string(&noise).unwrap();
    let again: Noise = serde_json::from_str(&text).unwrap();
    assert!(again == noise && again.is_sound());
    let mut damaged = session(&mut Draws::new(1), 1_000, 12, 20.0);
    assert!(damaged.is_sound());
    damaged.series[0].blocks[3].first = Some(-1.0);
    assert!(!damaged.is_sound());
}

#[test]
fn a_machine_that_is_too_noisy_is_told_so_and_what_could_answer() {
    let mut draws = Draws::new(3);
    let mut loud = session(&mut draws, 10_000, 30, 20.0);
    for block in &mut loud.series[0].blocks {
        block.first = Some((20.0 + 0.6 * draws.normal()).exp());
    }
    let text = noise_text(&Noise::of(vec![loud]).unwrap().unwrap());
    assert!(text.contains("too noisy for tcp throughput") && text.contains("evidence: exact"), "{text}");
    assert!(!noise_text(&noise(1)).contains("too noisy"));
    assert!(noise_text(&noise(1)).contains("unknown from one time alone"));
}
