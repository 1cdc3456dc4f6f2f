//! The matrix for people: a line while it runs, and the table that is kept.

use std::fmt::Write as _;

use crate::{fault::Fault, round::Outcome};

/// One line about a fault that is done.
pub(crate) fn progress(number: usize, of: usize, outcome: &Outcome) -> String {
    let Outcome { name, rounds, seconds, .. } = outcome;
    match &outcome.failed {
        Some(why) => format!("[{number}/{of}] {name}: NOT SURVIVED after {rounds} rounds: {why}"),
        None => format!(
            "[{number}/{of}] {name}: {rounds} times in {seconds:.1} s: {}; {}",
            outcome.endings.join(", "),
            outcome.line
        ),
    }
}

/// The table of the whole matrix; `missing` are the faults that were left out of it.
pub(crate) fn markdown(rows: &[(&Fault, Outcome)], missing: &[&Fault]) -> String {
    let times: u32 = rows.iter().map(|(_, outcome)| outcome.rounds).sum();
    let kept: usize = rows.iter().map(|(_, outcome)| outcome.kept).sum();
    let mut text = format!(
        "# What was broken, and what came of it\n\nMade by `cargo xtask faults`; not by hand. {} faults were injected {times} times. After each, \
         processes, network devices, network\nnamespaces, mounts, sockets, locks, temporary files, files in the cache and folders of runs were counted \
         against those of a run that nobody\ndisturbed: **0 left behind**. {kept} trials were finished when a fault hit; each was there afterwards, byte for \
         byte, in a run that was then taken\nto its end: **0 lost**.\n\n\
         | fault | injected | times | ended | what told the user | trials kept |\n|---|---|--:|---|---|--:|\n",
        rows.len()
    );
    for (fault, outcome) in rows {
        let line = outcome.line.replace('|', "\\|");
        let line = if line.is_empty() { String::new() } else { format!("`{}`", line.replace('`', "'")) };
        writeln!(
            text,
            "| {} | {} | {} | {} | {line} | {} |",
            fault.name,
            fault.injected,
            outcome.rounds,
            outcome.endings.join(", "),
            outcome.kept
        )
        .expect("writing into memory");
    }
    if !missing.is_empty() {
        text.push_str("\nNot run when this table was made, since they boot real guests (`--no-guests`) or only root can inject them:\n\n");
        for fault in missing {
            writeln!(text, "- {}: {}", fault.name, fault.injected).expect("writing into memory");
        }
    }
    text
}
