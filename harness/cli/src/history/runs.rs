//! `assay runs`.

use std::{path::Path, process::ExitCode};

use jiff::Timestamp;
use report::{ArmLine, GateLine, HISTORY_FORMAT, Outcome, RunLine, RunList, RunState};
use store::{Contents, RunEntry, State};

use super::{consult, from_word, screen};
use crate::{
    arguments::{self, Places},
    failure::Failure,
};

pub(crate) fn runs(places: &Places, flags: &arguments::Runs) -> Result<ExitCode, Failure> {
    if flags.prune {
        return prune(&places.results, flags.json);
    }
    let scenario = flags.scenario.as_deref();
    let (entries, all) = consult(places, flags.reindex, |index| {
        Ok((index.runs(scenario, flags.limit)?, index.count(scenario)?))
    })?;
    let not_shown = all.saturating_sub(entries.len());
    let now = Timestamp::now();
    let runs = entries.into_iter().map(|entry| line(&places.results, entry, now));
    let list = RunList {
        format: HISTORY_FORMAT,
        results: places.results.display().to_string(),
        runs: runs.collect::<Result<_, Failure>>()?,
        not_shown,
        building: names(store::building(&places.results)?),
        leftovers: names(store::leftovers(&places.results)?),
    };
    print!("{}", if flags.json { report::runs_json(&list) } else { report::runs_text(&list, screen()) });
    Ok(ExitCode::SUCCESS)
}

fn names(folders: Vec<std::path::PathBuf>) -> Vec<String> {
    let name =
        |folder: std::path::PathBuf| folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
    folders.into_iter().map(name).collect()
}

fn line(results: &Path, entry: RunEntry, now: Timestamp) -> Result<RunLine, Failure> {
    let contents = match entry.state {
        State::Read(contents) => contents,
        State::Damaged { reason } => return Ok(damaged(entry.name, reason)),
    };
    let state = if store::is_busy(&results.join(&entry.name))? {
        RunState::Running
    } else if contents.finished {
        RunState::Complete
    } else {
        RunState::Interrupted
    };
    let Contents { scenario, question, started, assay, host, arms, gates, .. } = *contents;
    Ok(RunLine {
        run: entry.name,
        state,
        age_seconds: started.parse::<Timestamp>().ok().map(|then| now.duration_since(then).as_secs_f64()),
        started: Some(started),
        scenario: Some(scenario),
        question: Some(question),
        assay: Some(assay),
        host: Some(host),
        trials_made: Some(contents.trials_made),
        trials_planned: Some(contents.trials_planned),
        imported: contents.outcome == super::IMPORTED,
        outcome: from_word::<Outcome>(&contents.outcome),
        exit: Some(contents.exit),
        arms: arms
            .into_iter()
            .map(|arm| ArmLine {
                name: arm.name,
                side: arm.side,
                kernel: arm.kernel,
                release: arm.release,
                source_version: arm.source_version,
                build_failure: arm.build_failure,
                boots: arm.boots,
                boots_failed: arm.boots_failed,
            })
            .collect(),
        gates: gates
            .into_iter()
            .map(|gate| GateLine { arm: gate.arm, gate: gate.label, verdict: gate.verdict })
            .collect(),
    })
}

fn damaged(run: String, reason: String) -> RunLine {
    RunLine {
        run,
        state: RunState::Damaged { reason },
        started: None,
        age_seconds: None,
        scenario: None,
        question: None,
        assay: None,
        host: None,
        trials_made: None,
        trials_planned: None,
        imported: false,
        outcome: None,
        exit: None,
        arms: vec![],
        gates: vec![],
    }
}

/// Removes what interrupted builds left, and says what that was.
fn prune(results: &Path, json: bool) -> Result<ExitCode, Failure> {
    let mut removed = vec![];
    for folder in store::leftovers(results)? {
        if store::remove_leftover(&folder)? {
            if !json {
                println!("removed {}", folder.display());
            }
            removed.push(folder);
        }
    }
    if json {
        println!("{}", serde_json::json!({ "removed": removed }));
    } else if removed.is_empty() {
        println!("no interrupted build left anything in {}", results.display());
    }
    Ok(ExitCode::SUCCESS)
}
