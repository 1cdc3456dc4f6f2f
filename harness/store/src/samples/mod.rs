//! `samples.jsonl`: one sample a line, hundreds of megabytes of them in a large run.

mod line;
mod pieces;

use std::{
    fs::File,
    io::{BufRead, BufReader, Write},
    path::Path,
};

use measure::{Sample, SampleTable, TrialRecord};
use serde::{Deserialize, Serialize};

use crate::{StoreError, durable};
use line::Reader;
use pieces::Stopped;

/// A line of `samples.jsonl`.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    trial: u32,
    arm: String,
    block: u32,
    traced: bool,
    sample: Sample,
}

/// Adds the lines of a trial's samples.
pub(crate) fn append(lines: &mut Vec<u8>, trial: &TrialRecord) {
    for sample in trial.end.samples() {
        let line = Line {
            trial: trial.index,
            arm: trial.arm.clone(),
            block: trial.block,
            traced: trial.traced,
            sample: sample.clone(),
        };
        serde_json::to_writer(&mut *lines, &line).expect("a sample serialises into memory");
        lines.push(b'\n');
    }
}

/// Reads the samples of the trials that count. A line that does not parse is damage, unless it is the last one and has no
/// end: that is what an interrupted append looks like, and its trial is not finished.
pub(crate) fn read(path: &Path, counts: &(dyn Fn(u32) -> bool + Sync)) -> Result<SampleTable, StoreError> {
    let Some(file) = open(path)? else { return Ok(SampleTable::default()) };
    let read = |from_to| {
        let mut reader = Reader::new(counts);
        pieces::each_line(&file, from_to, |line| reader.line(line)).map(|()| reader.into_table())
    };
    let pieces = pieces::cut(&file).map_err(StoreError::io("reading", path))?;
    let tables: Vec<Result<SampleTable, Stopped>> = match pieces.as_slice() {
        [whole] => vec![read(*whole)],
        several => std::thread::scope(|scope| {
            let read = &read;
            let threads: Vec<_> = several.iter().map(|piece| scope.spawn(move || read(*piece))).collect();
            threads.into_iter().map(|thread| thread.join().expect("a reader does not panic")).collect()
        }),
    };
    let mut whole: Option<SampleTable> = None;
    let total = |tables: &[Result<SampleTable, Stopped>]| -> usize {
        tables.iter().flatten().map(|table| table.entries().len()).sum()
    };
    let total = total(&tables);
    for table in tables {
        let table = table.map_err(|stopped| stopped.error(path, &file))?;
        match &mut whole {
            None => {
                whole = Some(table);
                whole.iter_mut().for_each(|first| first.reserve(total - first.entries().len()));
            }
            Some(whole) => whole.append(table),
        }
    }
    Ok(whole.unwrap_or_default())
}

/// Rewrites the file with the lines of the trials that count, and nothing else.
pub(crate) fn keep(path: &Path, counts: &dyn Fn(u32) -> bool) -> Result<(), StoreError> {
    #[derive(Deserialize)]
    struct Of {
        trial: u32,
    }
    let mut lines = open(path)?.map(BufReader::new);
    durable::publish_with(path, |to| {
        let mut line = Vec::new();
        while let Some(lines) = &mut lines {
            line.clear();
            lines.read_until(b'\n', &mut line)?;
            if line.last() != Some(&b'\n') {
                break;
            }
            let of: Of = serde_json::from_slice(&line)?;
            if counts(of.trial) {
                to.write_all(&line)?;
            }
        }
        Ok(())
    })
}

/// The file, if there is one: a run without a finished trial may have none.
fn open(path: &Path) -> Result<Option<File>, StoreError> {
    match File::open(path) {
        Ok(file) => Ok(Some(file)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(StoreError::io("reading", path)(error)),
    }
}
