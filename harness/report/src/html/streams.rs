//! Ways of receiving beside each other, as the slides of "The Battle of the ZCs" show them: throughput, return on investment, and
//! where instructions are counted, what the stack executes; and the slides' own ratios beside ours.

use std::collections::BTreeSet;

use maud::{Markup, html};
use measure::{Dims, metric};

use super::{
    Section,
    chart::{self, ValueBar},
    data::{self, Series},
    text,
};
use crate::{BootValue, Model, describe, number};

/// The dimension that the bars of one chart are of.
const MODE: &str = "receive";
/// The one that they are split by.
const GRO: &str = "hardware-gro";

/// What is drawn, and what it is called.
const DRAWN: [(&str, &str); 4] = [
    (metric::THROUGHPUT.name, "Throughput"),
    (metric::ROI_CPU.name, "Return on investment: throughput over CPU"),
    (
        metric::STACK_INSTRUCTIONS_PER_KIB.name,
        "Instructions of the stack, without those that stand for hardware",
    ),
    (metric::STRING_BYTES_PER_BYTE.name, "Bytes of string instructions, for each byte of payload"),
];

/// More charts of one metric than this are in the JSON only.
const MOST: usize = 16;

pub(super) fn section(model: &Model) -> Option<Section> {
    let all = data::all(model);
    let of_streams = |name: &str| -> Vec<&Series<'_>> {
        all.iter()
            .filter(|series| series.key.metric == name && value_of(&series.key.at, MODE).is_some())
            .collect()
    };
    let drawn: Vec<Markup> =
        DRAWN.iter().filter_map(|(name, title)| charts(model, &of_streams(name), title)).collect();
    if drawn.is_empty() {
        return None;
    }
    let ratios = ratios(&of_streams(metric::THROUGHPUT.name));
    let body = html! {
        p.lead { "Medians over the boots of " (model.baseline_side()) "; charts of one metric have one scale. Void cells have no bar." }
        @for one in &drawn { (one) }
        @if let Some(ratios) = &ratios { (ratios) }
    };
    Some(Section { id: "streams", short: "Zero copy", heading: "Ways of receiving, beside each other", body })
}

/// A chart for each place that differs in something else than the bars do.
fn charts(model: &Model, series: &[&Series<'_>], title: &str) -> Option<Markup> {
    let unit = series.first()?.unit;
    let value = |one: &Series<'_>| one.lanes.first().and_then(|lane| median(lane.boots));
    let largest = series.iter().filter_map(|one| value(one)).fold(0.0, f64::max);
    let mut places: Vec<(Option<&str>, Dims)> = Vec::new();
    for one in series {
        let place = (one.key.workload.as_deref(), elsewhere(&one.key.at));
        if !places.contains(&place) {
            places.push(place);
        }
    }
    let card = |(workload, place): &(Option<&str>, Dims)| {
        let here = series
            .iter()
            .filter(|one| one.key.workload.as_deref() == *workload && elsewhere(&one.key.at) == *place);
        let mut bars: Vec<ValueBar> = here
            .map(|one| ValueBar {
                name: bar_name(&one.key.at),
                class: class(model, &one.key.at),
                value: value(one).ok_or("no value"),
            })
            .collect();
        let void = model.voids.iter().filter(|void| {
            void.arm == model.baseline_side()
                && Some(&*void.workload) == *workload
                && elsewhere(&void.at) == *place
        });
        bars.extend(void.filter(|void| void.boots == void.of).filter_map(|void| {
            let name = bar_name(&void.at);
            value_of(&void.at, MODE).is_some().then(|| ValueBar {
                name,
                class: class(model, &void.at),
                value: Err("void"),
            })
        }));
        let name = heading(*workload, place);
        let spoken: Vec<String> = bars
            .iter()
            .map(|bar| match bar.value {
                Ok(value) => format!("{} {}", bar.name, number::value(value, unit, None)),
                Err(said) => format!("{} {said}", bar.name),
            })
            .collect();
        html! {
            article.card {
                h4 { (text::line(&name)) }
                figure { (chart::bars(&bars, unit, largest, &format!("{title}: {name}"), &spoken.join(", "))) }
            }
        }
    };
    Some(html! {
        h3 { (title) }
        div.grid.thirds { @for place in places.iter().take(MOST) { (card(place)) } }
        @if places.len() > MOST { p.muted { (places.len() - MOST) " more are in report.json." } }
    })
}

fn heading(workload: Option<&str>, place: &Dims) -> String {
    let workload = workload.unwrap_or("stream");
    if place.is_empty() { workload.to_owned() } else { format!("{workload} at {}", describe::place(place)) }
}

/// Whether a dimension is the one of this key: where several workloads list it, its name begins with the workload's.
fn is_of(name: &str, key: &str) -> bool {
    name == key || name.strip_suffix(key).is_some_and(|path| path.ends_with('.'))
}

/// The value of the dimension of this key.
fn value_of<'a>(at: &'a Dims, key: &str) -> Option<&'a str> {
    at.iter().find(|(name, _)| is_of(name, key)).map(|(_, value)| value.as_str())
}

/// A place without what the bars of one chart differ in.
fn elsewhere(at: &Dims) -> Dims {
    at.iter()
        .filter(|(name, _)| !is_of(name, MODE) && !is_of(name, GRO))
        .map(|(k, v)| (k.clone(), v.clone()))
        .collect()
}

fn bar_name(at: &Dims) -> String {
    let mode = value_of(at, MODE).unwrap_or_default();
    match value_of(at, GRO) {
        Some("true") => format!("{mode}, HW GRO"),
        _ => mode.to_owned(),
    }
}

/// A colour for each mode, in the order in which the scenario lists them.
fn class(model: &Model, at: &Dims) -> &'static str {
    let modes = model.plan.dimensions.iter().filter(|dimension| is_of(&dimension.name, MODE));
    let mode = value_of(at, MODE);
    let position = modes.flat_map(|dimension| &dimension.values).position(|value| Some(&**value) == mode);
    chart::class(position.unwrap_or(0))
}

fn median(boots: &[BootValue]) -> Option<f64> {
    let mut values: Vec<f64> = boots.iter().map(|boot| boot.value).collect();
    values.sort_by(f64::total_cmp);
    let half = values.len() / 2;
    let upper = *values.get(half)?;
    Some(if values.len() % 2 == 1 { upper } else { f64::midpoint(values[half - 1], upper) })
}

/// A ratio that the slides give: of what, at how many cores, and theirs.
struct Slide {
    what: &'static str,
    mode: &'static str,
    cores: &'static str,
    /// Of hardware GRO over software GRO, which this report may have, or of batches of tokens, which two kernels have.
    gro: bool,
    theirs: f64,
}

/// Gbit/s of the slides divided: 111.95 over 118.47, 131.25 over 74.39, 190.06 over 139.46, 128.77 over 118.47, 92.42 over 74.39.
const SLIDES: [Slide; 5] = [
    Slide { what: "hardware over software GRO", mode: "devmem", cores: "two", gro: true, theirs: 0.945 },
    Slide { what: "hardware over software GRO", mode: "devmem", cores: "one", gro: true, theirs: 1.764 },
    Slide { what: "hardware over software GRO", mode: "zcrx", cores: "two", gro: true, theirs: 1.363 },
    Slide {
        what: "tokens in batches over one by one",
        mode: "devmem",
        cores: "two",
        gro: false,
        theirs: 1.087,
    },
    Slide {
        what: "tokens in batches over one by one",
        mode: "devmem",
        cores: "one",
        gro: false,
        theirs: 1.242,
    },
];

/// The slides' ratios beside ours, where there are any of ours.
fn ratios(throughput: &[&Series<'_>]) -> Option<Markup> {
    let ours = |slide: &Slide| -> Vec<f64> {
        let of = |gro: &'static str| {
            throughput.iter().filter(move |one| {
                let is = |name: &str, value: &str| value_of(&one.key.at, name) == Some(value);
                is(MODE, slide.mode) && is(GRO, gro) && is("cores", slide.cores)
            })
        };
        let value = |one: &Series<'_>| one.lanes.first().and_then(|lane| median(lane.boots));
        let pair = |hardware: &&Series<'_>| {
            let software = of("false").find(|one| elsewhere(&one.key.at) == elsewhere(&hardware.key.at))?;
            Some(value(hardware)? / value(software)?)
        };
        if slide.gro { of("true").filter_map(pair).collect() } else { Vec::new() }
    };
    let found: Vec<(&Slide, Vec<f64>)> = SLIDES.iter().map(|slide| (slide, ours(slide))).collect();
    if found.iter().all(|(_, ours)| ours.is_empty()) {
        return None;
    }
    let shown = |ours: &[f64]| {
        let texts: BTreeSet<String> = ours.iter().map(|ratio| number::decimals(*ratio, 3)).collect();
        match (texts.first(), texts.last()) {
            (Some(low), Some(high)) if low != high => format!("{low} to {high}, by BIG TCP"),
            (Some(one), _) => one.clone(),
            _ => "not in this run".to_owned(),
        }
    };
    Some(html! {
        h3 { "The slides' ratios of throughput, and ours" }
        div.card {
            p {
                "The slides are of another machine: kernel 6.14-rc1 on 48 cores with a 200 Gbit/s Intel IPU. Ours has a software NIC, whose "
                "hardware costs the same processors their time. What may be compared is the shape: which way a ratio goes."
            }
            table.plain {
                thead { tr { th { "ratio" } th { "receive" } th { "cores" } th.num { "another machine's" } th.num { "ours" } } }
                tbody {
                    @for (slide, ours) in &found {
                        tr {
                            td { (slide.what) } td { (slide.mode) } td { (slide.cores) }
                            td.num { (number::decimals(slide.theirs, 3)) } td.num { (shown(ours)) }
                        }
                    }
                }
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_slides_ratios_are_their_numbers_divided() {
        let divided = [111.95 / 118.47, 131.25 / 74.39, 190.06 / 139.46, 128.77 / 118.47, 92.42 / 74.39];
        for (slide, ratio) in SLIDES.iter().zip(divided) {
            assert!((slide.theirs - ratio).abs() < 0.0006, "{}: {ratio}", slide.theirs);
        }
    }

    #[test]
    fn bars_differ_by_mode_and_gro_and_by_nothing_else() {
        let at: Dims = [(MODE, "devmem"), (GRO, "true"), ("cores", "one")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into();
        assert_eq!(bar_name(&at), "devmem, HW GRO");
        assert_eq!(elsewhere(&at).keys().collect::<Vec<_>>(), ["cores"]);
        assert!(is_of("rx.receive", MODE) && is_of(MODE, MODE) && !is_of("unreceive", MODE));
    }
}
