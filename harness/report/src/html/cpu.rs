//! Where the cores' time went.

use maud::{Markup, html};
use measure::Dims;

use super::{
    Section,
    chart::{self, Bar, Part},
    data::{self, Series},
    text,
};
use crate::{BootValue, Model, describe};

/// A kind of time: its metric, its name, its colour.
type Kind = (&'static str, &'static str, &'static str);

/// In the order of the bar. What `cpu-guest` counts is in `cpu-app` already; waiting for I/O is idle, but told apart.
const KINDS: [Kind; 5] = [
    ("cpu-app", "user", "c-user"),
    ("cpu-system", "system", "c-system"),
    ("cpu-softirq", "irq + softirq", "c-softirq"),
    ("cpu-steal", "steal", "c-steal"),
    ("cpu-iowait", "iowait", "c-iowait"),
];
const IDLE: (&str, &str) = ("idle", "c-idle");

/// More workloads and sides than this are in the JSON only.
const MOST: usize = 24;
/// More cores than this, likewise.
const CORES: usize = 64;

pub(super) fn section(model: &Model) -> Option<Section> {
    let all = data::all(model);
    let of_cpu: Vec<&Series<'_>> =
        all.iter().filter(|series| KINDS.iter().any(|(m, ..)| *m == series.key.metric)).collect();
    let mut places: Vec<Place<'_>> = Vec::new();
    for workload in &model.plan.workloads {
        for series in of_cpu.iter().filter(|s| s.key.workload.as_ref() == Some(&workload.group)) {
            let place = Place::of(series);
            if !places.contains(&place) {
                places.push(place);
            }
        }
    }
    if places.is_empty() {
        return None;
    }
    let body = html! {
        p.lead { "Means over boots, so that parts add up to the whole; from " code { "/proc/stat" } " of the guest." }
        ul.legend {
            @for (_, name, class) in KINDS { li { span class={ "key part " (class) } {} (name) } }
            li { span class={ "key part " (IDLE.1) } {} (IDLE.0) }
        }
        div.grid {
            @for place in places.iter().take(MOST) { (card(model, &of_cpu, place)) }
        }
        @if places.len() > MOST { p.muted { (places.len() - MOST) " more are in report.json." } }
    };
    Some(Section { id: "cpu", heading: "CPU time", body })
}

/// Where time is spent: around which workload, on which side, where in the matrix.
#[derive(Debug, PartialEq, Eq)]
struct Place<'a> {
    workload: Option<&'a str>,
    side: &'a str,
    at: &'a Dims,
}

impl<'a> Place<'a> {
    fn of(series: &'a Series<'_>) -> Self {
        Self { workload: series.key.workload.as_deref(), side: side(series), at: &series.key.at }
    }

    fn name(&self) -> String {
        let mut name = format!("{} {}", self.workload.unwrap_or_default(), self.side);
        if !self.at.is_empty() {
            name.push_str(&format!(" at {}", describe::place(self.at)));
        }
        name
    }
}

fn side<'a>(series: &'a Series<'_>) -> &'a str {
    series.key.dims.get("side").map_or("", String::as_str)
}

fn core<'a>(series: &'a Series<'_>) -> &'a str {
    series.key.dims.get("core").map_or("all", String::as_str)
}

fn card(model: &Model, of_cpu: &[&Series<'_>], place: &Place<'_>) -> Markup {
    let here: Vec<&Series<'_>> =
        of_cpu.iter().copied().filter(|series| Place::of(series) == *place).collect();
    let mut cores: Vec<&str> = here.iter().map(|series| core(series)).filter(|core| *core != "all").collect();
    cores.sort_by_key(|core| core.parse::<u32>().unwrap_or(u32::MAX));
    cores.dedup();
    let name = place.name();
    let all = bars(model, &here, "all", None);
    let single: Vec<Bar<'_>> = cores
        .iter()
        .take(CORES)
        .flat_map(|core| bars(model, &here, core, Some(format!("core {core}"))))
        .collect();
    html! {
        article.card {
            h3 { (text::line(&name)) }
            figure { (chart::stack(&all, &format!("CPU time of {name}, all cores"), &spoken(&all))) }
            @if cores.len() > 1 {
                details {
                    summary { (cores.len()) " cores, each for itself" }
                    figure { (chart::stack(&single, &format!("CPU time of {name}, by core"), &spoken(&single))) }
                    @if cores.len() > CORES { p.muted { (cores.len() - CORES) " more are in report.json." } }
                }
            }
        }
    }
}

/// A bar for each side that has all that is needed for one.
fn bars<'a>(model: &'a Model, here: &[&Series<'a>], of_core: &str, heading: Option<String>) -> Vec<Bar<'a>> {
    let mut heading = heading;
    let mut bars = Vec::new();
    for of_side in model.sides() {
        let mut parts = Vec::new();
        for (metric, name, class) in KINDS {
            let lane = here
                .iter()
                .filter(|series| series.key.metric == metric && core(series) == of_core)
                .flat_map(|series| &series.lanes)
                .find(|lane| lane.name == of_side);
            parts.extend(lane.and_then(|lane| mean(lane.boots)).map(|share| Part { name, class, share }));
        }
        if parts.is_empty() {
            continue;
        }
        let idle = 100.0 - parts.iter().map(|part| part.share).sum::<f64>();
        // Less than nothing is rounding, or a counter that went back.
        parts.push(Part { name: IDLE.0, class: IDLE.1, share: idle.max(0.0) });
        bars.push(Bar { heading: heading.take(), name: of_side, parts });
    }
    bars
}

fn mean(boots: &[BootValue]) -> Option<f64> {
    #[expect(clippy::cast_precision_loss, reason = "a number of boots")]
    let count = boots.len() as f64;
    (!boots.is_empty()).then(|| boots.iter().map(|boot| boot.value).sum::<f64>() / count)
}

fn spoken(bars: &[Bar<'_>]) -> String {
    let bar = |bar: &Bar<'_>| {
        let parts: Vec<_> = bar
            .parts
            .iter()
            .filter(|part| part.share >= 0.05)
            .map(|part| format!("{} {} %", part.name, crate::number::decimals(part.share, 1)))
            .collect();
        format!("{}: {}", bar.name, parts.join(", "))
    };
    bars.iter().map(bar).collect::<Vec<_>>().join("; ")
}
