//! What a search for a set found, stage by stage.

use std::fmt::Write as _;

use ::bisect::{After, Conclusion, Unit};
use serde_json::json;

use super::{
    state::{Asked, Leg},
    told::{Ended, Told, percent, spent},
};

/// Everything that is told.
#[derive(Debug)]
pub(super) struct Sets<'a> {
    pub(super) asked: &'a Asked,
    pub(super) legs: &'a [Leg],
    /// Of the last stage.
    pub(super) told: &'a Told<'a>,
}

/// What is known of the set.
#[derive(Debug, PartialEq)]
struct Answer {
    /// As in [`::bisect::Stage::held`].
    held: Vec<Vec<Unit>>,
    /// Of which some may be needed as well.
    unsure: Vec<Unit>,
    /// Of all stages together.
    probability: f64,
    is_decided: bool,
}

impl Sets<'_> {
    /// For people.
    pub(super) fn text(&self) -> String {
        let posterior = self.told.search.posterior();
        let mut text = self.verdict();
        text += "\n";
        for (number, leg) in (1..).zip(self.legs) {
            // Writing to a string cannot fail.
            let _ = match leg.stage.held.as_slice() {
                [] => writeln!(text, "\nStage {number}: all {} in their order", leg.stage.rest.len()),
                held => writeln!(
                    text,
                    "\nStage {number}: {} first (needed with {}), then {} more",
                    self::held(self.asked, held),
                    percent(leg.rests_on),
                    leg.stage.rest.len()
                ),
            };
            text += &self.table(&posterior, number, leg);
        }
        let _ = writeln!(text, "\n{}", spent(self.asked, self.legs.iter().flat_map(|leg| &leg.visits)));
        text += "\nWhat this cannot see\n";
        for blind in self.told.blind() {
            let _ = writeln!(text, "  - {blind}");
        }
        text
    }

    fn verdict(&self) -> String {
        if self.legs.len() == 1 && !matches!(self.told.ended, Ended::Concluded(Conclusion::Found(_))) {
            return self.told.verdict(&self.told.search.posterior());
        }
        let answer = self.answer();
        let mut text = String::new();
        let with = percent(answer.probability);
        let _ = match (answer.is_decided, answer.held.len()) {
            (true, 1) if answer.unsure.is_empty() => write!(text, "With {with} it is this alone:"),
            (true, count) if answer.unsure.is_empty() => {
                write!(text, "With {with} it takes these {count} together, and nothing else:")
            }
            (true, _) => write!(text, "With {with} it takes:"),
            (false, _) => write!(text, "Not decided yet. With {with} it takes, perhaps with others:"),
        };
        for group in &answer.held {
            match group.as_slice() {
                [one] => text.push_str(&format!("\n  {}", self.name(*one))),
                several => {
                    text.push_str(
                        "\n  one or more of these, between which nothing that can be tested tells:",
                    );
                    several.iter().for_each(|unit| text.push_str(&format!("\n    {}", self.name(*unit))));
                }
            }
        }
        if !answer.unsure.is_empty() {
            let why =
                if answer.is_decided { "nothing that can be tested tells" } else { "it is not decided" };
            let _ = write!(text, "\nWhether any of these is needed as well, {why}:");
            answer.unsure.iter().for_each(|unit| text.push_str(&format!("\n  {}", self.name(*unit))));
        }
        if !answer.is_decided {
            let last = self.told.verdict(&self.told.search.posterior());
            let _ = write!(text, "\nOf stage {}: {last}", self.legs.len());
        }
        text
    }

    /// Of the last stage nodes are also told how probably they are bad; those of earlier ones are what is known for good.
    fn table(&self, posterior: &::bisect::Posterior, number: usize, leg: &Leg) -> String {
        if leg.visits.is_empty() {
            return "  nothing that was not known\n".to_owned();
        }
        if number == self.legs.len() {
            return self.told.table(posterior, &leg.visits);
        }
        let nodes = super::units::nodes(&self.asked.nodes, &self.asked.units, &leg.stage);
        leg.visits.iter().map(|visit| super::told::row(&nodes[visit.node].title, visit, None)).collect()
    }

    fn name(&self, unit: Unit) -> String {
        let node = &self.asked.nodes[unit];
        if node.name == node.title { node.name.clone() } else { format!("{} {}", node.name, node.title) }
    }

    fn answer(&self) -> Answer {
        let last = self.legs.last().expect("there is a first stage");
        let before: f64 = self.legs.iter().map(|leg| leg.rests_on).product();
        match &self.told.ended {
            Ended::Concluded(Conclusion::Found(culprits)) => match last.stage.after(&culprits.commits) {
                After::Told { held, unsure } => {
                    Answer { held, unsure, probability: before * culprits.probability, is_decided: true }
                }
                After::Next(next) => Answer {
                    held: next.held,
                    unsure: next.rest,
                    probability: before * culprits.probability,
                    is_decided: false,
                },
            },
            Ended::Concluded(_) | Ended::OutOfBudget { .. } => Answer {
                held: last.stage.held.clone(),
                unsure: last.stage.rest.clone(),
                probability: before,
                is_decided: false,
            },
        }
    }

    /// For programs.
    pub(super) fn json(&self) -> serde_json::Value {
        let answer = self.answer();
        let named = |unit: &Unit| {
            let node = &self.asked.nodes[*unit];
            json!({ "name": node.name, "title": node.title })
        };
        let stages = self.legs.iter().map(|leg| {
            json!({ "held": leg.stage.held, "rest": leg.stage.rest, "rests_on": leg.rests_on, "visits": leg.visits })
        });
        let mut value = self.told.json();
        value["set"] = json!({
            "decided": answer.is_decided,
            "probability": answer.probability,
            "needed": answer.held.iter().map(|group| group.iter().map(named).collect()).collect::<Vec<Vec<_>>>(),
            "perhaps_needed": answer.unsure.iter().map(named).collect::<Vec<_>>(),
        });
        value["stages"] = stages.collect();
        value
    }
}

/// What is held, in a line.
pub(super) fn held(asked: &Asked, held: &[Vec<Unit>]) -> String {
    let group = |group: &Vec<Unit>| {
        group.iter().map(|unit| asked.nodes[*unit].name.as_str()).collect::<Vec<_>>().join(" or ")
    };
    held.iter().map(group).collect::<Vec<_>>().join(" + ")
}
