//! Making the changes, after they are written down.

use std::io;

use serde::Serialize;

use super::{
    Attributes, Change, Foreign, Plan, Restored, State, StateFile, Status, TuneError, boot_id,
    restore::restore_locked, state::Lock,
};
use crate::Root;

/// How one change went.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Applied {
    /// The change.
    pub change: Change,
    /// Why the kernel refused it; none if it was made.
    pub refused: Option<String>,
}

/// A tuned machine. As long as this lives, no other `assay tune` changes anything.
#[derive(Debug)]
pub struct Tuned {
    /// Every change that was tried, in that order.
    pub applied: Vec<Applied>,
    /// Whether a state file of an earlier boot was there, whose settings that boot had undone.
    pub after_reboot: bool,
    _lock: Lock,
}

impl Tuned {
    /// Puts everything back.
    ///
    /// # Errors
    /// As for [`restore`](super::restore()).
    pub fn restore(self, files: &dyn Attributes, file: &StateFile) -> Result<Restored, TuneError> {
        restore_locked(files, file, Foreign::Report)
    }
}

/// Writes down how everything is, then makes the plan's changes. What the kernel refuses is left as it is, and said.
///
/// # Errors
/// If the machine is tuned already, somebody else is at it, or the state cannot be written down; nothing is changed then.
pub fn apply(files: &dyn Attributes, file: &StateFile, plan: &Plan, now: String) -> Result<Tuned, TuneError> {
    let lock = file.lock()?;
    let boot = boot_id(files)?;
    let after_reboot = match file.status(&boot)? {
        Status::Tuned(state) => return Err(TuneError::AlreadyTuned { since: state.since }),
        Status::Rebooted(_) => true,
        Status::Untuned => false,
    };
    let changes: Vec<Change> = plan.changes().cloned().collect();
    if changes.is_empty() {
        file.remove()?;
    } else {
        file.write(&State::new(boot, now, changes.clone()))?;
    }
    let applied = changes
        .into_iter()
        .map(|change| {
            let refused = make(files, &change).err();
            Applied { change, refused }
        })
        .collect();
    Ok(Tuned { applied, after_reboot, _lock: lock })
}

fn make(files: &dyn Attributes, change: &Change) -> Result<(), String> {
    match change {
        Change::Value { path, shape, before, wanted } => {
            files.write(path, wanted).map_err(|error| reason(&error))?;
            // Some attributes take a value and do nothing with it.
            let now = files.read(path).map_err(|error| format!("cannot be read back: {}", reason(&error)))?;
            let now = shape.canonical(&now);
            if now == *wanted {
                return Ok(());
            }
            // A value that is neither would look like somebody else's on the way back.
            let back = files.write(path, before).err();
            let back = back.map(|error| format!("; putting {before} back: {}", reason(&error)));
            Err(format!("{wanted} was written, and it read {now}{}", back.unwrap_or_default()))
        }
        Change::Cpuset { path, cpus, partition } => {
            let write = |name: &str, text: &str| {
                files
                    .write(&format!("{path}/{name}"), text)
                    .map_err(|error| format!("{name}: {}", reason(&error)))
            };
            files.make_group(path).map_err(|error| reason(&error))?;
            write("cpuset.cpus", &cpus.to_string())?;
            write("cpuset.cpus.partition", partition.name())?;
            // The kernel accepts a partition that it cannot make, and says so afterwards.
            let made = files
                .read(&format!("{path}/cpuset.cpus.partition"))
                .map_err(|error| format!("cpuset.cpus.partition: {}", reason(&error)))?;
            if made == partition.name() { Ok(()) } else { Err(format!("the kernel says: {made}")) }
        }
    }
}

/// The kernel's words without the number.
pub(super) fn reason(error: &io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or_default().to_lowercase()
}

/// Puts a process, and what it starts from then on, into the group that was made; does nothing if none was.
///
/// # Errors
/// The kernel's.
pub fn enter(files: &dyn Attributes, applied: &[Applied], pid: i32) -> io::Result<()> {
    let made = applied.iter().filter(|applied| applied.refused.is_none());
    let group = made.map(|applied| &applied.change).find_map(|change| match change {
        Change::Cpuset { path, .. } => Some(path),
        Change::Value { .. } => None,
    });
    group.map_or(Ok(()), |group| move_to(files, group, pid))
}

/// The unified hierarchy's folder of a process's group.
#[must_use]
pub fn group_of(root: &Root, pid: i32) -> Option<String> {
    let mount = super::cores::unified(root)?;
    let groups = root.read(&format!("/proc/{pid}/cgroup"))?;
    let group = groups.lines().find_map(|line| line.strip_prefix("0::"))?;
    Some(format!("{mount}{}", group.trim_end_matches('/')))
}

/// Puts a process into a group.
///
/// # Errors
/// The kernel's.
pub fn move_to(files: &dyn Attributes, group: &str, pid: i32) -> io::Result<()> {
    files.write(&format!("{group}/cgroup.procs"), &pid.to_string())
}
