//! What the levels of a machine did over time.

use measure::{Dims, Timeline, TimelineRow, Unit};
use report::{Model, Outcome};

use crate::{baseline, check};

fn row(level: &str, what: &str, unit: Unit, values: Vec<f64>) -> TimelineRow {
    TimelineRow { level: level.into(), what: what.into(), unit, values }
}

/// A workload that begins after a second and ends after three; its invalidations come with its payload.
fn traced() -> Model {
    let mut lab = baseline(&["hooks"]).boots("hooks", 0.001, -0.002, 1.0);
    let during = |rate: f64| (0..40).map(|at| if (10..30).contains(&at) { rate } else { 0.0 }).collect();
    let timeline = |rate: f64| Timeline {
        dims: Dims::from([("workload".into(), "tcp".into())]),
        seconds: 0.1,
        clock_errors: [("host".into(), 0.000_31), ("server".into(), 0.002_4)].into(),
        rows: vec![
            row("qemu of host", "invalidations", Unit::PerSecond, during(rate)),
            row("host", "invalidations", Unit::PerSecond, during(rate)),
            row("host", "exits", Unit::PerSecond, (0..40).map(|at| f64::from(at) * 25.0).collect()),
            row("server", "received", Unit::BitsPerSecond, during(4.1e7)),
        ],
    };
    // A later traced boot of the same arm stays in its record.
    for (arm, rate) in [("baseline", 412.0), ("hooks", 433.0), ("hooks", 9.0)] {
        let kind = lab.trials[0].end.clone();
        lab.push(arm, 0, kind);
        let trial = lab.trials.last_mut().expect("it was pushed");
        trial.traced = true;
        trial.end.samples_mut().expect("it was measured").clear();
        trial.timelines.push(timeline(rate));
    }
    lab.model()
}

#[test]
fn levels_are_rows_under_one_axis() {
    let model = traced();
    check("over-time", &model, Outcome::Holds);
    assert_eq!(model.timelines.len(), 2);
}

#[test]
fn a_page_has_a_panel_for_each_thing_that_is_done() {
    let page = report::html(&traced());
    let (_, page) = page.split_once("<section id=\"time\">").expect("there is a section");
    let (page, _) = page.split_once("</section>").expect("it ends");
    for what in ["invalidations", "exits", "received"] {
        assert_eq!(page.matches(&format!("<figcaption>{what}</figcaption>")).count(), 2, "{what}");
    }
    // Levels keep their colours from panel to panel.
    assert_eq!(page.matches("class=\"a1\"><path class=\"curve\"").count(), 4);
    assert!(page.contains("clocks to within 0.31 ms (host), 2.4 ms (server)"));
}
