//! Questions to the index.

use std::collections::BTreeMap;

use measure::Dims;
use rusqlite::{Error as SqliteError, Result, Row, params, types::Type};

use super::{ArmEntry, Contents, GateEntry, Index, RunEntry, SeriesEntry, SeriesQuery, State, StoredSeries};

impl Index {
    /// The stamp of every run that is indexed, by name.
    pub(super) fn stamps(&self) -> Result<BTreeMap<String, String>> {
        let mut runs = self.connection.prepare("SELECT name, stamp FROM run")?;
        let rows = runs.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
        rows.collect()
    }

    /// Runs, newest first, without their series; of one scenario if asked for, and no more than `limit`. A damaged run is of no
    /// scenario that could be known, so it is among those of each.
    ///
    /// # Errors
    /// If SQLite refuses.
    pub fn runs(&self, scenario: Option<&str>, limit: Option<usize>) -> Result<Vec<RunEntry>> {
        let mut runs = self.connection.prepare(
            "SELECT id, name, damage, scenario, question, started, assay, host, finished, trials_made, trials_planned, outcome, \
             exit FROM run WHERE ?1 IS NULL OR scenario = ?1 OR damage IS NOT NULL ORDER BY name DESC LIMIT ?2",
        )?;
        let limit = limit.map_or(-1, |limit| i64::try_from(limit).unwrap_or(i64::MAX));
        let rows: Vec<(i64, RunEntry)> =
            runs.query_map(params![scenario, limit], run)?.collect::<Result<_>>()?;
        rows.into_iter()
            .map(|(id, mut entry)| {
                if let State::Read(contents) = &mut entry.state {
                    contents.arms = self.arms(id)?;
                    contents.gates = self.gates(id)?;
                }
                Ok(entry)
            })
            .collect()
    }

    /// How many runs there are.
    ///
    /// # Errors
    /// If SQLite refuses.
    pub fn count(&self, scenario: Option<&str>) -> Result<usize> {
        self.connection.query_row(
            "SELECT COUNT(*) FROM run WHERE ?1 IS NULL OR scenario = ?1 OR damage IS NOT NULL",
            params![scenario],
            |row| row.get::<_, i64>(0).map(|count| usize::try_from(count).unwrap_or(0)),
        )
    }

    fn arms(&self, run: i64) -> Result<Vec<ArmEntry>> {
        let mut arms = self.connection.prepare("SELECT * FROM arm WHERE run = ?1 ORDER BY position")?;
        arms.query_map([run], arm)?.collect()
    }

    fn gates(&self, run: i64) -> Result<Vec<GateEntry>> {
        let mut gates = self
            .connection
            .prepare("SELECT arm, label, verdict FROM gate WHERE run = ?1 ORDER BY position")?;
        let gate =
            |row: &Row<'_>| Ok(GateEntry { arm: row.get(0)?, label: row.get(1)?, verdict: row.get(2)? });
        gates.query_map([run], gate)?.collect()
    }

    /// Series of one metric over all runs, oldest first.
    ///
    /// # Errors
    /// If SQLite refuses.
    pub fn series(&self, query: &SeriesQuery) -> Result<Vec<StoredSeries>> {
        let mut series = self.connection.prepare(
            "SELECT arm.*, run.name AS run_name, run.scenario, run.started, run.finished, \
                    series.workload, series.runs, series.metric, series.unit, series.better, series.dims, series.at, \
                    series.provenance, series.by_boot \
             FROM series JOIN run ON run.id = series.run JOIN arm ON arm.run = run.id AND arm.name = series.arm \
             WHERE series.metric = ?1 AND (?2 IS NULL OR series.workload = ?2) AND (?3 IS NULL OR run.scenario = ?3) \
                   AND (CASE WHEN ?4 IS NULL THEN arm.is_baseline ELSE arm.name = ?4 OR arm.side = ?4 END) \
             ORDER BY run.name, arm.position, series.id",
        )?;
        let rows = series
            .query_map(params![query.metric, query.workload, query.scenario, query.arm], stored_series)?;
        let wanted = |found: &StoredSeries| {
            let StoredSeries { series, .. } = found;
            let has = |(name, value): (&String, &String)| {
                series.dims.get(name).or_else(|| series.at.get(name)) == Some(value)
            };
            query.dims.iter().all(has)
        };
        rows.filter(|found| found.as_ref().map_or(true, wanted)).collect()
    }

    /// The name of every metric that any run has, sorted.
    ///
    /// # Errors
    /// If SQLite refuses.
    pub fn metrics(&self) -> Result<Vec<String>> {
        let mut metrics = self.connection.prepare("SELECT DISTINCT metric FROM series ORDER BY metric")?;
        metrics.query_map([], |row| row.get(0))?.collect()
    }
}

fn run(row: &Row<'_>) -> Result<(i64, RunEntry)> {
    let state = match row.get::<_, Option<String>>("damage")? {
        Some(reason) => State::Damaged { reason },
        None => State::Read(Box::new(Contents {
            scenario: row.get("scenario")?,
            question: row.get("question")?,
            started: row.get("started")?,
            assay: row.get("assay")?,
            host: row.get("host")?,
            finished: row.get("finished")?,
            trials_made: row.get("trials_made")?,
            trials_planned: row.get("trials_planned")?,
            outcome: row.get("outcome")?,
            exit: row.get("exit")?,
            arms: Vec::new(),
            gates: Vec::new(),
            series: Vec::new(),
        })),
    };
    Ok((row.get("id")?, RunEntry { name: row.get("name")?, state }))
}

fn arm(row: &Row<'_>) -> Result<ArmEntry> {
    Ok(ArmEntry {
        name: row.get("name")?,
        side: row.get("side")?,
        is_baseline: row.get("is_baseline")?,
        kernel: row.get("kernel")?,
        release: row.get("release")?,
        source_version: row.get("source_version")?,
        build_failure: row.get("build_failure")?,
        machine: row.get("machine")?,
        boots: row.get("boots")?,
        boots_failed: row.get("boots_failed")?,
    })
}

fn stored_series(row: &Row<'_>) -> Result<StoredSeries> {
    let arm = arm(row)?;
    let by_boot: Vec<u8> = row.get("by_boot")?;
    let values = by_boot.as_chunks().0.iter().map(|bytes| f64::from_le_bytes(*bytes)).collect();
    Ok(StoredSeries {
        run: row.get("run_name")?,
        scenario: row.get("scenario")?,
        started: row.get("started")?,
        finished: row.get("finished")?,
        series: SeriesEntry {
            arm: arm.name.clone(),
            workload: row.get("workload")?,
            runs: row.get("runs")?,
            metric: row.get("metric")?,
            unit: row.get("unit")?,
            better: row.get("better")?,
            dims: dims(row, "dims")?,
            at: dims(row, "at")?,
            provenance: row.get("provenance")?,
            values,
        },
        arm,
    })
}

fn dims(row: &Row<'_>, column: &str) -> Result<Dims> {
    let text: String = row.get(column)?;
    serde_json::from_str(&text)
        .map_err(|error| SqliteError::FromSqlConversionFailure(0, Type::Text, Box::new(error)))
}
