//! Entries into the tables.

use rusqlite::{Transaction, params};

use super::{Contents, RunEntry, State};

/// Removes every run that is not named.
pub(super) fn forget_all_but(transaction: &Transaction<'_>, names: &[String]) -> rusqlite::Result<()> {
    let mut gone = Vec::new();
    {
        let mut runs = transaction.prepare("SELECT name FROM run")?;
        for name in runs.query_map([], |row| row.get::<_, String>(0))? {
            let name = name?;
            if !names.contains(&name) {
                gone.push(name);
            }
        }
    }
    gone.iter().try_for_each(|name| forget(transaction, name))
}

fn forget(transaction: &Transaction<'_>, name: &str) -> rusqlite::Result<()> {
    transaction.execute("DELETE FROM run WHERE name = ?1", [name]).map(|_| ())
}

/// Replaces what is there of a run.
pub(super) fn put(transaction: &Transaction<'_>, stamp: &str, entry: &RunEntry) -> rusqlite::Result<()> {
    forget(transaction, &entry.name)?;
    match &entry.state {
        State::Damaged { reason } => {
            transaction.execute(
                "INSERT INTO run (name, stamp, damage) VALUES (?1, ?2, ?3)",
                params![entry.name, stamp, reason],
            )?;
        }
        State::Read(contents) => put_contents(transaction, &entry.name, stamp, contents)?,
    }
    Ok(())
}

fn put_contents(
    transaction: &Transaction<'_>,
    name: &str,
    stamp: &str,
    of: &Contents,
) -> rusqlite::Result<()> {
    transaction.execute(
        "INSERT INTO run (name, stamp, scenario, question, started, assay, host, finished, trials_made, trials_planned, \
         outcome, exit) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)",
        params![
            name, stamp, of.scenario, of.question, of.started, of.assay, of.host, of.finished, of.trials_made,
            of.trials_planned, of.outcome, of.exit
        ],
    )?;
    let run = transaction.last_insert_rowid();
    let mut arms =
        transaction.prepare("INSERT INTO arm VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)")?;
    for (position, arm) in of.arms.iter().enumerate() {
        arms.execute(params![
            run,
            i64::try_from(position).unwrap_or(i64::MAX),
            arm.name,
            arm.side,
            arm.is_baseline,
            arm.kernel,
            arm.release,
            arm.source_version,
            arm.build_failure,
            arm.machine,
            arm.boots,
            arm.boots_failed
        ])?;
    }
    let mut gates = transaction.prepare("INSERT INTO gate VALUES (?1, ?2, ?3, ?4, ?5)")?;
    for (position, gate) in of.gates.iter().enumerate() {
        let position = i64::try_from(position).unwrap_or(i64::MAX);
        gates.execute(params![run, position, gate.arm, gate.label, gate.verdict])?;
    }
    let mut series = transaction.prepare(
        "INSERT INTO series (run, arm, workload, runs, metric, unit, better, dims, at, provenance, boots, by_boot) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)",
    )?;
    for one in &of.series {
        let json = |dims| serde_json::to_string(dims).expect("a map of strings serialises");
        let values: Vec<u8> = one.values.iter().flat_map(|value| value.to_le_bytes()).collect();
        let boots = i64::try_from(one.values.len()).unwrap_or(i64::MAX);
        series.execute(params![
            run,
            one.arm,
            one.workload,
            one.runs,
            one.metric,
            one.unit,
            one.better,
            json(&one.dims),
            json(&one.at),
            one.provenance,
            boots,
            values
        ])?;
    }
    Ok(())
}
