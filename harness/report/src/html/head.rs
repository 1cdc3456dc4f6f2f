//! The question, the answer, and what kind of run it was.

use maud::{Markup, html};

use super::{answer::answer, text};
use crate::{Model, Outcome, conclude, number, remarks};

pub(super) fn header(model: &Model) -> Markup {
    let conclusion = conclude(model);
    let run = &model.run;
    let accel = remarks::accelerators(model).join(", ").replace("tcg", "emulated (TCG)");
    let started = run.started.get(..16).unwrap_or(&run.started).replace('T', " ");
    html! {
        header {
            p.from { strong { "Assay" } " " (text::line(&model.plan.scenario)) }
            h1 { (text::line(&model.plan.question)) }
            div class={ "answer " (conclusion.outcome.word()) } {
                p.word {
                    // What others measured is not judged.
                    @if model.is_imported() { "imported" } @else {
                        span.sign aria-hidden="true" { (sign(conclusion.outcome)) } (conclusion.outcome.word())
                    }
                }
                div { @for sentence in answer(model) { p { (text::line(&sentence)) } } }
            }
            ul.facts {
                @for side in model.sides() {
                    li { span class={ "key " (super::data::class(model, side)) } {} (text::line(side)) }
                }
                @match run.stopped {
                    Some(stopped) => li { (stopped.blocks) " of at most " (number::counted(stopped.most, "boot")) " of each" }
                    None => li { (number::counted(model.plan.boots, "boot")) " of each" }
                }
                li { (number::duration(run.trial_seconds)) }
                @if !accel.is_empty() { li { (accel) } }
                li { time datetime=(run.started) { (started) " UTC" } }
            }
        }
    }
}

/// A sign that does not need colour.
fn sign(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Holds => "✓",
        Outcome::Unclear => "?",
        Outcome::Fails => "✗",
    }
}
