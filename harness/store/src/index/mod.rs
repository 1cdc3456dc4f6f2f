//! An index over a folder of runs: SQLite in `index.sqlite`, for questions over many runs.
//!
//! It is a cache and nothing else. What it says is made from the runs' folders, and made again when a folder changes; a missing,
//! old or damaged index is replaced without a word, and where none can be kept, one in memory answers.
//!
//! *Several processes.* Everybody holds `index.lock` shared; who finds damage replaces the file only if it gets that lock
//! alone, since SQLite must not have a file removed from under another connection ("How To Corrupt An SQLite Database
//! File", 2.4). Writing is SQLite's own affair: one transaction a refresh, with a rollback journal.

mod entry;
mod query;
mod stamp;
#[cfg(test)]
mod tests;
mod write;

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
    time::Duration,
};

use rusqlite::{Connection, TransactionBehavior};

use crate::{
    StoreError,
    lock::{self, Lock},
};

pub use entry::{ArmEntry, Contents, GateEntry, RunEntry, SeriesEntry, SeriesQuery, State, StoredSeries};

/// Grows whenever the schema changes, or what is computed for it: an index with another number is emptied.
const VERSION: i32 = 2;
/// Marks the file as ours (`PRAGMA application_id`): "Assy".
const APPLICATION: i32 = 0x4173_7379;
/// How long another process may take to write its entries.
const BUSY: Duration = Duration::from_secs(20);

/// How an index is consulted.
pub struct Ask<'a> {
    /// Folder of runs.
    pub results: &'a Path,
    /// Whether to forget everything that is indexed first.
    pub anew: bool,
    /// Makes the contents of a run from its folder, or says why it cannot be read.
    pub read: &'a mut dyn FnMut(&Path) -> Result<Contents, String>,
}

impl std::fmt::Debug for Ask<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ask")
            .field("results", &self.results)
            .field("anew", &self.anew)
            .finish_non_exhaustive()
    }
}

/// An index that is up to date.
#[derive(Debug)]
pub struct Index {
    connection: Connection,
    /// None in memory.
    _lock: Option<Lock>,
}

/// Why the index itself could not be used.
#[derive(Debug, thiserror::Error)]
enum IndexError {
    /// The runs could not be looked at; another index would not help.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// SQLite refused.
    #[error(transparent)]
    Sqlite(#[from] rusqlite::Error),
    /// The folder takes no files, or another process is in the way.
    #[error("no index can be kept")]
    NoPlace,
}

/// Opens the index of a results folder, emptied if asked for.
type Open = fn(&Path, bool) -> Result<Index, IndexError>;

/// Brings the index of a results folder up to date and asks it.
///
/// # Errors
/// If the results folder cannot be read.
pub fn consult<T>(
    ask: &mut Ask<'_>,
    question: impl Fn(&Index) -> Result<T, rusqlite::Error>,
) -> Result<T, StoreError> {
    // Runs that were read once are not read again for a second attempt.
    let mut known = BTreeMap::new();
    let mut failure = None;
    let places: [Open; 3] = [Index::on_disk, Index::replaced, |_, _| Index::in_memory()];
    // A folder without runs may be anybody's: nothing is written there.
    let first = if crate::list(ask.results)?.is_empty() { places.len() - 1 } else { 0 };
    for open in &places[first..] {
        let answer = open(ask.results, ask.anew).and_then(|mut index| {
            index.refresh(ask, &mut known)?;
            Ok(question(&index)?)
        });
        match answer {
            Ok(answer) => return Ok(answer),
            Err(IndexError::Store(error)) => return Err(error),
            // Damaged, full, not ours, or in somebody's hands: the next one will do, and nothing is lost.
            Err(error @ (IndexError::NoPlace | IndexError::Sqlite(_))) => failure = Some(error),
        }
    }
    let source = match failure {
        Some(IndexError::Sqlite(source)) => Some(Box::new(source)),
        _ => None,
    };
    Err(StoreError::Index { results: ask.results.to_owned(), source })
}

impl Index {
    fn path(results: &Path) -> PathBuf {
        results.join("index.sqlite")
    }

    /// The index that is there, or a new one.
    fn on_disk(results: &Path, anew: bool) -> Result<Self, IndexError> {
        let lock = lock::shared_now(&results.join("index.lock")).ok().flatten().ok_or(IndexError::NoPlace)?;
        let connection = Connection::open(Self::path(results))?;
        Self::prepare(connection, Some(lock), anew)
    }

    /// A new index in the place of a damaged one, unless another process uses that.
    fn replaced(results: &Path, anew: bool) -> Result<Self, IndexError> {
        let path = Self::path(results);
        let alone =
            lock::exclusive_now(&results.join("index.lock")).ok().flatten().ok_or(IndexError::NoPlace)?;
        for path in [path.clone(), path.with_extension("sqlite-journal")] {
            match fs::remove_file(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(IndexError::NoPlace),
                _ => {}
            }
        }
        Self::prepare(Connection::open(&path)?, Some(alone), anew)
    }

    fn in_memory() -> Result<Self, IndexError> {
        Self::prepare(Connection::open_in_memory()?, None, false)
    }

    fn prepare(mut connection: Connection, lock: Option<Lock>, anew: bool) -> Result<Self, IndexError> {
        connection.busy_timeout(BUSY)?;
        connection.pragma_update(None, "foreign_keys", true)?;
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let pragma = |name: &str| transaction.pragma_query_value(None, name, |row| row.get::<_, i32>(0));
        let (version, application) = (pragma("user_version")?, pragma("application_id")?);
        let ours = (version, application) == (VERSION, APPLICATION);
        if anew || !ours {
            for table in ["series", "gate", "arm", "run"] {
                transaction.execute_batch(&format!("DROP TABLE IF EXISTS {table}"))?;
            }
            transaction.execute_batch(include_str!("schema.sql"))?;
            transaction.pragma_update(None, "user_version", VERSION)?;
            transaction.pragma_update(None, "application_id", APPLICATION)?;
        }
        transaction.commit()?;
        Ok(Self { connection, _lock: lock })
    }

    /// Reads the runs that are new or changed, and forgets those that are gone.
    fn refresh(
        &mut self,
        ask: &mut Ask<'_>,
        known: &mut BTreeMap<PathBuf, (String, RunEntry)>,
    ) -> Result<(), IndexError> {
        let stamps = self.stamps()?;
        let mut names = Vec::new();
        let mut changed = Vec::new();
        for folder in crate::list(ask.results)? {
            let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
            // The stamp is older than what is read: a run that grows meanwhile is read again next time.
            let stamp = stamp::stamp(&folder);
            if stamps.get(&name) != Some(&stamp) {
                changed.push((name.clone(), folder, stamp));
            }
            names.push(name);
        }
        if changed.is_empty() && stamps.keys().all(|name| names.contains(name)) {
            return Ok(());
        }
        for (name, folder, stamp) in changed {
            let read_already = known.get(&folder).is_some_and(|(of, _)| *of == stamp);
            if !read_already {
                let state = match (ask.read)(&folder) {
                    Ok(contents) => State::Read(Box::new(contents)),
                    Err(reason) => State::Damaged { reason },
                };
                known.insert(folder, (stamp, RunEntry { name, state }));
            }
        }
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        write::forget_all_but(&transaction, &names)?;
        for (stamp, entry) in known.values() {
            write::put(&transaction, stamp, entry)?;
        }
        transaction.commit()?;
        Ok(())
    }
}
