//! What would be done, was done and was undone, for a person.

use std::collections::BTreeMap;

use super::{Applied, Change, Item, Outcome, Plan, Restored};

/// More files than this are counted and not listed.
const LISTED: usize = 4;

/// Item by item: now, would be, why, and how it is undone.
#[must_use]
pub fn plan_text(plan: &Plan) -> String {
    let mut text = String::new();
    let (mut already, mut unavailable) = (vec![], vec![]);
    for item in &plan.items {
        let due: Vec<&Change> = item.changes.iter().filter(|change| !change.is_done()).collect();
        match &item.unavailable {
            Some(why) => unavailable.push(format!("{}: {why}", item.subject)),
            None if due.is_empty() => already.push(item.subject.as_str()),
            None => text.push_str(&due_text(item, &due)),
        }
    }
    if text.is_empty() {
        text.push_str("Nothing would be changed.\n");
    }
    if !already.is_empty() {
        text.push_str(&format!("\nas it should be: {}\n", already.join(", ")));
    }
    if !unavailable.is_empty() {
        text.push_str("\nunavailable here:\n");
        text.extend(unavailable.iter().map(|line| format!("  {line}\n")));
    }
    if let Some(suggestion) = &plan.at_boot {
        text.push_str(&format!(
            "\nonly at boot: {}: {}\n  $ {}\n",
            suggestion.parameters, suggestion.why, suggestion.command
        ));
    }
    text.extend(plan.notes.iter().map(|note| format!("\nnote: {note}\n")));
    text
}

fn due_text(item: &Item, due: &[&Change]) -> String {
    let mut text = format!("{}: {}\n", item.subject, transitions(due));
    text.push_str(&format!("  why     {}\n", item.why));
    text.push_str(&format!("  source  Documentation/{}\n", item.source));
    text.push_str(&format!("  file    {}\n", files(due.iter().map(|change| change.path()))));
    text.push_str(&format!("  undone  {}\n", item.undone));
    text
}

/// `powersave -> performance (64 files)`; several where they differ.
fn transitions(changes: &[&Change]) -> String {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for change in changes {
        let transition = match change {
            Change::Value { before, wanted, .. } => format!("{before} -> {wanted}"),
            Change::Cpuset { cpus, partition, .. } => format!("CPUs {cpus}, {}", partition.name()),
        };
        *counts.entry(transition).or_default() += 1;
    }
    let times = |count| if count > 1 { format!(" ({count} files)") } else { String::new() };
    let parts = counts.into_iter().map(|(transition, count)| format!("{transition}{}", times(count)));
    parts.collect::<Vec<_>>().join("; ")
}

fn files<'a>(paths: impl Iterator<Item = &'a str>) -> String {
    let paths: Vec<&str> = paths.collect();
    match paths.len() {
        0..=LISTED => paths.join(", "),
        count => format!("{} and {} more", paths[..LISTED - 1].join(", "), count - (LISTED - 1)),
    }
}

/// What was done, and what was refused.
#[must_use]
pub fn applied_text(plan: &Plan, applied: &[Applied]) -> String {
    let mut text = String::new();
    for item in &plan.items {
        let of_item = |refused: bool| {
            applied
                .iter()
                .filter(move |one| item.changes.contains(&one.change) && one.refused.is_some() == refused)
        };
        let made: Vec<&Change> = of_item(false).map(|one| &one.change).collect();
        if !made.is_empty() {
            text.push_str(&format!("{}: {}\n", item.subject, transitions(&made)));
        }
        let mut reasons: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for one in of_item(true) {
            reasons.entry(one.refused.as_deref().unwrap_or_default()).or_default().push(one.change.path());
        }
        for (why, paths) in reasons {
            text.push_str(&format!("{}: refused ({why}): {}\n", item.subject, paths.join(", ")));
        }
    }
    if applied.is_empty() {
        text.push_str("Nothing had to be changed.\n");
    }
    text
}

/// What was put back, and what was not.
#[must_use]
pub fn restored_text(restored: &Restored) -> String {
    let changes = match restored {
        Restored::Nothing => return "Nothing is to be put back: this machine is not tuned.\n".into(),
        Restored::Rebooted { since } => {
            return format!(
                "Nothing is to be put back: the machine was tuned {since}, and has been booted since.\n"
            );
        }
        Restored::Changes { changes, .. } => changes,
    };
    let count = |wanted: fn(&Outcome) -> bool| changes.iter().filter(|(_, outcome)| wanted(outcome)).count();
    let back = count(|outcome| matches!(outcome, Outcome::PutBack | Outcome::Overwritten { .. }));
    let before = count(|outcome| matches!(outcome, Outcome::AsBefore));
    let mut text = format!("{back} of {} changes put back", changes.len());
    if before > 0 {
        text.push_str(&format!(", {before} had never been made"));
    }
    text.push('\n');
    for (change, outcome) in changes {
        let path = change.path();
        match (change, outcome) {
            (_, Outcome::PutBack | Outcome::AsBefore) => {}
            (Change::Value { before, wanted, .. }, Outcome::Foreign { now }) => text.push_str(&format!(
                "{path}: somebody else has made it {now} since (it was {before}, and {wanted} while tuned); left so\n"
            )),
            (_, Outcome::Foreign { now }) => text.push_str(&format!("{path}: somebody else has changed it: {now}\n")),
            (_, Outcome::Overwritten { was }) => {
                text.push_str(&format!("{path}: put back over {was}, which somebody else had written\n"));
            }
            (_, Outcome::Gone) => text.push_str(&format!("{path}: no longer there\n")),
            (_, Outcome::Refused { why }) => text.push_str(&format!("{path}: NOT put back: {why}\n")),
        }
    }
    text
}
