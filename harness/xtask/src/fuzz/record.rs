//! How long each target was fuzzed: `tests/fuzz/TIME.md`, which is read back, so that a run goes on where another one ended.

use std::{collections::BTreeMap, fmt::Write as _, fs, path::PathBuf, time::Duration};

use anyhow::{Context, Result};
use sha2::{Digest as _, Sha256};

use super::{
    parsers::{Parser, TARGETS},
    project,
};

/// What a target has had.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Spent {
    /// Names the sources of its parsers (see [`sources`]).
    pub(super) sources: String,
    /// Processor time of its processes.
    pub(super) cpu: Duration,
    /// Inputs that were read.
    pub(super) executions: u64,
    /// Inputs that broke something.
    pub(super) findings: u64,
}

/// By target.
pub(super) type Record = BTreeMap<String, Spent>;

fn path() -> PathBuf {
    project().join("TIME.md")
}

/// The record so far; an empty one if there is none.
pub(super) fn read() -> Result<Record> {
    match fs::read_to_string(path()) {
        Ok(text) => Ok(parse(&text)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Record::new()),
        Err(error) => Err(error).with_context(|| format!("reading {}", path().display())),
    }
}

/// Keeps it.
pub(super) fn write(record: &Record) -> Result<()> {
    let (path, draft) = (path(), path().with_extension("unfinished"));
    fs::write(&draft, shown(record)?).with_context(|| format!("writing {}", draft.display()))?;
    fs::rename(&draft, &path).with_context(|| format!("writing {}", path.display()))
}

/// A name of what a target's parsers are made of, and of the target itself: time that was spent on other sources does not count.
pub(super) fn sources(target: &str, parsers: &[Parser]) -> Result<String> {
    let mut digest = Sha256::new();
    let own = project().join("src").join(target).with_extension("rs");
    digest.update(fs::read(&own).with_context(|| format!("reading {}", own.display()))?);
    for parser in parsers {
        let source = parser.source()?;
        let lines: Vec<&str> = source.lines().collect();
        digest.update(parser.file);
        for range in parser.lines(&source)? {
            for line in &lines[range.start() - 1..*range.end()] {
                digest.update(line);
                digest.update("\n");
            }
        }
    }
    Ok(digest.finalize().iter().take(6).map(|byte| format!("{byte:02x}")).collect())
}

fn shown(record: &Record) -> Result<String> {
    let mut text = String::from(
        "# How long the targets were fuzzed\n\nMade by `cargo xtask fuzz`, which goes on from here. Processor time of the fuzzers as the kernel counts it; it counts for a target as\nlong as the sources of its parsers (a checksum) stay what they are.\n\n| target | sources | CPU seconds | inputs | findings |\n|---|---|--:|--:|--:|\n",
    );
    for (target, _) in TARGETS {
        if let Some(Spent { sources, cpu, executions, findings }) = record.get(*target) {
            writeln!(text, "| {target} | {sources} | {} | {executions} | {findings} |", cpu.as_secs())
                .context("writing into memory")?;
        }
    }
    Ok(text)
}

fn parse(text: &str) -> Record {
    let row = |line: &str| {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let [_, target, sources, cpu, executions, findings, _] = cells.as_slice() else { return None };
        let cpu = Duration::from_secs(cpu.parse().ok()?);
        let (executions, findings) = (executions.parse().ok()?, findings.parse().ok()?);
        Some(((*target).to_owned(), Spent { sources: (*sources).to_owned(), cpu, executions, findings }))
    };
    text.lines().filter_map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        let spent = Spent {
            sources: "0a1b2c3d4e5f".to_owned(),
            cpu: Duration::from_secs(1200),
            executions: 12_345_678,
            findings: 0,
        };
        let record: Record = [("wire", spent.clone()), ("mail", Spent { findings: 1, ..spent })]
            .map(|(target, spent)| (target.to_owned(), spent))
            .into();
        assert_eq!(parse(&shown(&record).unwrap()), record);
    }

    #[test]
    fn other_sources_have_another_name() {
        let name = |target: &str, parsers: &[Parser]| sources(target, parsers).unwrap();
        let (target, parsers) = TARGETS[0];
        assert_eq!(name(target, parsers), name(target, parsers));
        assert_ne!(name(target, parsers), name(target, &parsers[1..]));
        assert_ne!(name(target, parsers), name(TARGETS[1].0, parsers));
    }
}
