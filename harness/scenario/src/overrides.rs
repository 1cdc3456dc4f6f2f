//! What a caller puts in place of what a scenario's arms say.

use std::path::Path;

use plan::{Base, Flavour, Series};

use crate::{
    base::is_prebuilt,
    problem::{Findings, Place},
    schema::{NAME, one_of},
    tree::Node,
    value::{printable, suggestion},
};

/// The name of the arm that a series goes to if nobody says otherwise, and of the arm that is added for it.
const CANDIDATE: &str = "candidate";

/// What a caller puts in place of what a scenario says. Every check of the scenario runs on the result.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Overrides {
    /// The base of every arm.
    pub base: Option<Base>,
    /// The arm that gets `series`: by default `candidate`, else the only arm that is not the baseline. A scenario with
    /// a single arm gets a copy of it by this name.
    pub arm: Option<String>,
    /// In place of the arm's own `series`, on top of the scenario's.
    pub series: Option<Vec<Series>>,
    /// The flavour of every arm's kernel.
    pub flavour: Option<Flavour>,
}

/// An arm of the file, or one that is added.
pub(crate) struct Chosen<'n> {
    pub(crate) name: String,
    pub(crate) node: &'n Node,
    /// Whether a given series goes to it.
    pub(crate) is_candidate: bool,
    /// Whether it is a copy of the only arm of the file: its series are laid on that arm's own.
    pub(crate) is_added: bool,
}

/// Every arm that is to be read: those of the file, and one for the series if the file has only a baseline. With `wanted`, one of
/// them is the candidate, or there is a problem.
pub(crate) fn choose<'n>(
    entries: &'n [(String, Node)],
    arm: Option<&str>,
    wanted: bool,
    findings: &mut Findings,
) -> Vec<Chosen<'n>> {
    let mut arms: Vec<Chosen<'n>> = entries
        .iter()
        .map(|(name, node)| Chosen { name: name.clone(), node, is_candidate: false, is_added: false })
        .collect();
    if arm.is_none() && !wanted {
        return arms;
    }
    let named = arm.unwrap_or(CANDIDATE);
    let names: Vec<&str> = entries.iter().map(|(name, _)| name.as_str()).collect();
    let found = names.iter().position(|name| *name == named);
    match (found, entries) {
        (Some(index), _) => arms[index].is_candidate = true,
        (None, [(_, only)]) => {
            arms.push(Chosen { name: named.to_owned(), node: only, is_candidate: true, is_added: true });
            if !(NAME.holds)(named) {
                findings.add(&option("--arm"), format!("`{}` is no name", printable(named)), NAME.what);
            }
        }
        (None, _) if arm.is_some() => {
            let message = format!("there is no arm `{}`{}", printable(named), suggestion(named, &names));
            findings.add(&option("--arm"), message, one_of(&names));
        }
        (None, [_, _]) => arms[1].is_candidate = true,
        (None, [_, candidates @ ..]) => {
            let candidates: Vec<&str> = candidates.iter().map(|(name, _)| name.as_str()).collect();
            let message = "the scenario has several arms that a series could go to";
            findings.add(&option("--series"), message, format!("with --arm: {}", one_of(&candidates)));
        }
        // That there are no arms has been told.
        (None, []) => {}
    }
    arms
}

/// A place on the command line.
pub(crate) fn option(name: &str) -> Place {
    Place::file(Path::new(name), None)
}

/// Refuses a series on a base that cannot be patched.
pub(crate) fn refuse_prebuilt(base: &Base, place: &Place, findings: &mut Findings) -> Option<()> {
    if is_prebuilt(&base.source) {
        let message = format!("`{}` is prebuilt: it cannot be patched", base.name);
        findings.add(place, message, "a base that is built from source, or no series");
        return None;
    }
    Some(())
}
