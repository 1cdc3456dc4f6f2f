//! The way back.

use serde::Serialize;

use super::{Attributes, Change, State, StateFile, Status, TuneError, apply::reason, boot_id};

/// What to do with values that are neither ours nor as they were.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Foreign {
    /// Leave them, and keep their old values for another try.
    Report,
    /// Put the old value back nevertheless.
    Overwrite,
    /// Leave them for good.
    Forget,
}

/// What became of one change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "outcome", rename_all = "kebab-case")]
pub enum Outcome {
    /// It is as it was.
    PutBack,
    /// It had never been changed, or was put back before.
    AsBefore,
    /// Somebody else has changed it since; it was left.
    Foreign {
        /// What it is now.
        now: String,
    },
    /// Somebody else had changed it since; it was put back as it was asked.
    Overwritten {
        /// What it was.
        was: String,
    },
    /// It is no longer there: a CPU or a driver is gone.
    Gone,
    /// The kernel refused.
    Refused {
        /// Why.
        why: String,
    },
}

/// What became of everything.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "restored", rename_all = "kebab-case")]
pub enum Restored {
    /// The machine was not tuned.
    Nothing,
    /// A boot since then had undone everything.
    Rebooted {
        /// Since when it had been tuned.
        since: String,
    },
    /// Each change, in the order in which they were undone.
    Changes {
        /// The change, and what became of it.
        changes: Vec<(Change, Outcome)>,
        /// How many of them are still to be put back.
        left: usize,
    },
}

/// Undoes what the state file says, in the opposite order. Doing it again does nothing more.
///
/// # Errors
/// If somebody else is at it, or the state file cannot be read or written.
pub fn restore(files: &dyn Attributes, file: &StateFile, foreign: Foreign) -> Result<Restored, TuneError> {
    let _lock = file.lock()?;
    restore_locked(files, file, foreign)
}

/// The same for whoever has tuned it and still holds the lock.
pub(super) fn restore_locked(
    files: &dyn Attributes,
    file: &StateFile,
    foreign: Foreign,
) -> Result<Restored, TuneError> {
    let state = match file.status(&boot_id(files)?)? {
        Status::Untuned => return Ok(Restored::Nothing),
        Status::Rebooted(state) => {
            file.remove()?;
            return Ok(Restored::Rebooted { since: state.since });
        }
        Status::Tuned(state) => state,
    };
    let mut undone = vec![];
    let mut left = vec![];
    for change in state.changes.iter().rev() {
        let outcome = undo(files, change, foreign);
        let stays = match &outcome {
            Outcome::Refused { .. } => true,
            Outcome::Foreign { .. } => foreign == Foreign::Report,
            Outcome::PutBack | Outcome::AsBefore | Outcome::Overwritten { .. } | Outcome::Gone => false,
        };
        if stays {
            left.push(change.clone());
        }
        undone.push((change.clone(), outcome));
    }
    left.reverse();
    let count = left.len();
    if left.is_empty() {
        file.remove()?;
    } else {
        file.write(&State { changes: left, ..state })?;
    }
    Ok(Restored::Changes { changes: undone, left: count })
}

fn undo(files: &dyn Attributes, change: &Change, foreign: Foreign) -> Outcome {
    match change {
        Change::Value { path, shape, before, wanted } => {
            let now = match files.read(path) {
                Ok(now) => shape.canonical(&now),
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Outcome::Gone,
                Err(error) => return Outcome::Refused { why: reason(&error) },
            };
            if now == *before {
                return Outcome::AsBefore;
            }
            if now != *wanted && foreign != Foreign::Overwrite {
                return Outcome::Foreign { now };
            }
            if let Err(error) = files.write(path, before) {
                return Outcome::Refused { why: reason(&error) };
            }
            match files.read(path).map(|text| shape.canonical(&text)) {
                Ok(text) if text == *before && now == *wanted => Outcome::PutBack,
                Ok(text) if text == *before => Outcome::Overwritten { was: now },
                Ok(text) => Outcome::Refused { why: format!("{before} was written, and it reads {text}") },
                Err(error) => Outcome::Refused { why: reason(&error) },
            }
        }
        Change::Cpuset { path, .. } => remove_group(files, path),
    }
}

/// Whoever is in the group goes to the one above it, so that the group can be removed.
fn remove_group(files: &dyn Attributes, path: &str) -> Outcome {
    let inside = match files.read(&format!("{path}/cgroup.procs")) {
        Ok(inside) => inside,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Outcome::AsBefore,
        Err(error) => return Outcome::Refused { why: reason(&error) },
    };
    let above = path.rsplit_once('/').map_or("", |(above, _)| above);
    for pid in inside.lines() {
        // A process that has just ended is out of it as well; one that cannot be moved keeps the group from going.
        let _moved = files.write(&format!("{above}/cgroup.procs"), pid);
    }
    match files.remove_group(path) {
        Ok(()) => Outcome::PutBack,
        Err(error) => Outcome::Refused { why: format!("removing it: {}", reason(&error)) },
    }
}
