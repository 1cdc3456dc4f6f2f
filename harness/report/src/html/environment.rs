//! How it was measured: the boots, the kernels, the machines, the host, and how to repeat it.

use maud::{Markup, html};
use measure::BuildEnd;

use super::{
    Section,
    chart::{self, Boot, Mark},
    data, text,
};
use crate::{Arm, End, Model, describe, facts::facts, number};

/// A run with more boots is told of in numbers only.
const BOOTS: usize = 2000;
/// Arms whose kernels are described.
const ARMS: usize = 48;

pub(super) fn section(model: &Model) -> Option<Section> {
    let boots: usize = model.arms.iter().map(|arm| arm.trials.len()).sum();
    let body = html! {
        @if boots > 0 && boots <= BOOTS {
            article.card {
                h3 { (number::counted(boots, "boot")) " in the order of time" }
                p.muted { "Full: measured. Hollow: with tracing, nothing timed. Crossed: failed." }
                figure { (schedule(model)) }
            }
        }
        div.grid { @for arm in model.arms.iter().take(ARMS) { (kernel(model, arm)) } }
        @if model.arms.len() > ARMS { p.muted { (model.arms.len() - ARMS) " more arms are in report.json." } }
        article.card {
            h3 { "Machines, workloads, host" }
            dl.facts-list {
                @for (name, fact) in facts(model).iter().filter(|(name, _)| !name.starts_with("arm ")) {
                    div { dt { (text::line(name)) } dd { (text::line(fact)) } }
                }
            }
        }
        @if !model.run.repeat.is_empty() {
            article.card {
                h3 { "To repeat it" }
                (text::lines(&model.run.repeat))
                @if let Some(folder) = &model.run.folder {
                    p.muted { "Raw output, consoles and samples: " code { (text::line(&folder.display().to_string())) } }
                }
            }
        }
    };
    Some(Section { id: "environment", short: "How", heading: "How it was measured", body })
}

fn schedule(model: &Model) -> Markup {
    let boots = |arm: &Arm| -> Vec<Boot> {
        let boot = |trial: &crate::Trial| {
            let mark = match (&trial.end, trial.traced) {
                (End::Measured, false) => Mark::Measured,
                (End::Measured, true) => Mark::Traced,
                _ => Mark::Failed,
            };
            let ended = match &trial.end {
                End::Measured if trial.traced => "measured with tracing",
                End::Measured => "measured",
                End::Crashed { report } => describe::crash(report.kind),
                End::WorkloadFailed { .. } => "a workload failed",
                End::NotTestable { .. } => "not testable",
            };
            let took = number::duration(trial.took_seconds);
            let block = match trial.perturbation {
                Some(replicate) => replicate.to_string(),
                None => format!("block {}", trial.block + 1),
            };
            let words = format!("boot {}, {}, {block}: {ended}, {took}", trial.index + 1, arm.name);
            Boot { index: trial.index, mark, words: text::line(&words) }
        };
        arm.trials.iter().map(boot).collect()
    };
    let arms: Vec<_> =
        model.arms.iter().map(|arm| (arm.name.as_str(), data::class(model, &arm.side), boots(arm))).collect();
    let failed = model.arms.iter().map(|arm| arm.trials.len() - arm.measured()).sum::<usize>();
    chart::schedule(&arms, "Boots in the order of time", &format!("{failed} failed"))
}

/// What an arm is, and the kernel that it boots.
fn kernel(model: &Model, arm: &Arm) -> Markup {
    html! {
        article.card {
            h3 { span class={ "key " (data::class(model, &arm.side)) } {} (text::line(&arm.name)) }
            dl.facts-list {
                div { dt { "base" } dd { (text::line(&arm.base)) } }
                @for series in &arm.series {
                    div {
                        dt { "series" }
                        dd {
                            (text::line(&series.name)) ", " (number::counted(series.patches, "patch"))
                            @if !series.files.is_empty() {
                                details {
                                    summary { "patches" }
                                    ol.patches { @for patch in series.files.iter().take(200) { li { code { (text::line(&patch.name)) } } } }
                                }
                            }
                        }
                    }
                }
                @if !arm.options.is_empty() {
                    div { dt { "options" } dd { @for option in arm.options.iter().take(100) { code { (text::line(option)) } br; } } }
                }
                @if !arm.cmdline.is_empty() {
                    div { dt { "command line" } dd { code { (text::line(&arm.cmdline.join(" "))) } } }
                }
                (build(arm))
                @let guests: Vec<_> = arm.guests.iter().filter(|(_, facts)| !facts.cmdline.is_empty()).collect();
                @if !guests.is_empty() {
                    div {
                        dt { "booted with" }
                        dd { details { summary { "the whole command line" } @for (guest, facts) in guests { p { (text::line(guest)) ": " code { (text::line(&facts.cmdline)) } } } } }
                    }
                }
            }
        }
    }
}

fn build(arm: &Arm) -> Markup {
    html! {
        @match &arm.build {
            None => div { dt { "kernel" } dd.muted { "not built" } },
            Some(BuildEnd::Built(image)) => {
                div { dt { "release" } dd { (text::line(&image.release)) } }
                div { dt { "source" } dd { (text::line(&image.source_version)) } }
                @if !image.toolchain.is_empty() { div { dt { "compiler" } dd { (text::line(&image.toolchain)) } } }
                div { dt { "cache key" } dd { code { (short(&image.key)) } } }
                div { dt { "image" } dd { code { "sha256 " (short(&image.image_sha256)) } } }
                div { dt { "built in" } dd { @if image.build_seconds > 0.0 { (number::duration(image.build_seconds)) } @else { "from the cache" } } }
            },
            Some(BuildEnd::DoesNotApply(_)) => div { dt { "kernel" } dd { "the series does not apply" } },
            Some(BuildEnd::DoesNotCompile { .. }) => div { dt { "kernel" } dd { "does not compile" } },
            Some(BuildEnd::ConfigLost { .. }) => div { dt { "kernel" } dd { "options were lost" } },
        }
    }
}

/// Enough of a checksum to tell it from others by eye.
fn short(hex: &str) -> String {
    hex.chars().take(16).collect()
}
