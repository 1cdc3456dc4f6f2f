//! Where the cores' time went.

use maud::{Markup, html};
use measure::Dims;

use super::{
    Section,
    chart::{self, Bar, Part},
    data::{self, Series},
    text,
};
use crate::{BootValue, Model, describe, number};

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

/// More workloads and places of a matrix than this are in the JSON only.
const MOST: usize = 48;
/// More cores than this, likewise.
const CORES: usize = 64;

pub(super) fn section(model: &Model) -> Option<Section> {
    let all = data::all(model);
    let of_cpu: Vec<&Series<'_>> =
        all.iter().filter(|series| KINDS.iter().any(|(metric, ..)| *metric == series.key.metric)).collect();
    let places = places(model, &of_cpu);
    if places.is_empty() {
        return None;
    }
    let body = html! {
        p.lead { "Means over boots, so that parts add up to the whole; from " code { "/proc/stat" } " of the guest." }
        ul.legend {
            @for (_, name, class) in KINDS { li { span class={ "key part " (class) } {} (name) } }
            li { span class={ "key part " (IDLE.1) } {} (IDLE.0) }
        }
        div.grid.thirds { @for place in places.iter().take(MOST) { (card(model, &of_cpu, place)) } }
        @if places.len() > MOST { p.muted { (places.len() - MOST) " more are in report.json." } }
    };
    Some(Section { id: "cpu", short: "CPU", heading: "CPU time", body })
}

/// Around which workload, and where in the matrix.
#[derive(Debug, PartialEq, Eq)]
struct Place<'a> {
    workload: Option<&'a str>,
    at: &'a Dims,
}

impl<'a> Place<'a> {
    fn of(series: &'a Series<'_>) -> Self {
        Self { workload: series.key.workload.as_deref(), at: &series.key.at }
    }

    fn name(&self) -> String {
        let workload = self.workload.unwrap_or("every boot");
        if self.at.is_empty() {
            return workload.to_owned();
        }
        format!("{workload} at {}", describe::place(self.at))
    }
}

/// In the order of the plan's workloads.
fn places<'a>(model: &Model, of_cpu: &[&'a Series<'a>]) -> Vec<Place<'a>> {
    let mut places: Vec<Place<'a>> = Vec::new();
    for series in of_cpu {
        let place = Place::of(series);
        if !places.contains(&place) {
            places.push(place);
        }
    }
    places.sort_by_key(|place| {
        model.plan.workloads.iter().position(|known| Some(known.group.as_str()) == place.workload)
    });
    places
}

/// The guest or the end of the wire that the time is of.
fn end<'a>(series: &'a Series<'_>) -> &'a str {
    series.key.dims.get("side").map_or("", String::as_str)
}

fn core<'a>(series: &'a Series<'_>) -> &'a str {
    series.key.dims.get("core").map_or("all", String::as_str)
}

fn card(model: &Model, of_cpu: &[&Series<'_>], place: &Place<'_>) -> Markup {
    let here: Vec<&Series<'_>> =
        of_cpu.iter().copied().filter(|series| Place::of(series) == *place).collect();
    let mut ends: Vec<&str> = here.iter().map(|series| end(series)).collect();
    ends.sort_unstable();
    ends.dedup();
    let name = place.name();
    let all: Vec<Bar<'_>> = ends.iter().flat_map(|end| bars(model, &here, end, "all")).collect();
    html! {
        article.card {
            h3 { (text::line(&name)) }
            figure { (chart::stack(&all, &format!("CPU time of {name}, all cores"), &spoken(&all))) }
            @for end in ends { (cores(model, &here, &name, end)) }
        }
    }
}

/// Each core for itself.
fn cores(model: &Model, here: &[&Series<'_>], name: &str, of_end: &str) -> Markup {
    let mut cores: Vec<&str> = here
        .iter()
        .filter(|series| end(series) == of_end)
        .map(|series| core(series))
        .filter(|core| *core != "all")
        .collect();
    cores.sort_by_key(|core| (core.parse::<u32>().unwrap_or(u32::MAX), *core));
    cores.dedup();
    if cores.len() < 2 {
        return Markup::default();
    }
    let bars: Vec<Bar<'_>> =
        cores.iter().take(CORES).flat_map(|core| bars(model, here, of_end, core)).collect();
    let title = format!("CPU time of {name}, {of_end}, by core");
    html! {
        details {
            summary { (of_end) ": " (cores.len()) " cores, each for itself" }
            figure { (chart::stack(&bars, &title, &spoken(&bars))) }
            @if cores.len() > CORES { p.muted { (cores.len() - CORES) " more are in report.json." } }
        }
    }
}

/// A bar for each side of the comparison that has all that is needed for one.
fn bars<'a>(model: &'a Model, here: &[&Series<'a>], of_end: &str, of_core: &str) -> Vec<Bar<'a>> {
    let mut heading =
        Some(if of_core == "all" { of_end.to_owned() } else { format!("{of_end} core {of_core}") });
    let mut bars = Vec::new();
    for side in model.sides() {
        let mut parts = Vec::new();
        for (metric, name, class) in KINDS {
            let lane = here
                .iter()
                .filter(|series| series.key.metric == metric)
                .filter(|series| end(series) == of_end && core(series) == of_core)
                .flat_map(|series| &series.lanes)
                .find(|lane| lane.name == side);
            parts.extend(lane.and_then(|lane| mean(lane.boots)).map(|share| Part { name, class, share }));
        }
        if parts.is_empty() {
            continue;
        }
        let idle = 100.0 - parts.iter().map(|part| part.share).sum::<f64>();
        // Less than nothing is rounding, or a counter that went back.
        parts.push(Part { name: IDLE.0, class: IDLE.1, share: idle.max(0.0) });
        bars.push(Bar { heading: heading.take(), name: side, parts });
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
            .map(|part| format!("{} {} %", part.name, number::decimals(part.share, 1)))
            .collect();
        format!("{}: {}", bar.name, parts.join(", "))
    };
    bars.iter().map(bar).collect::<Vec<_>>().join("; ")
}
