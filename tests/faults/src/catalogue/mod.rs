//! Every fault, once.

mod builds;
mod cached;
mod clocks;
mod cuts;
mod disk;
mod failing;
mod folders;
mod guests;
mod kills;
mod limits;
mod signals;

use crate::fault::Fault;

/// All of them, in the order of the table.
pub(crate) fn all() -> Vec<Fault> {
    [
        kills::FAULTS,
        signals::FAULTS,
        clocks::FAULTS,
        folders::FAULTS,
        limits::FAULTS,
        disk::FAULTS,
        failing::FAULTS,
        cuts::FAULTS,
        builds::FAULTS,
        guests::FAULTS,
        cached::FAULTS,
    ]
    .into_iter()
    .flat_map(|list| list.iter().copied())
    .collect()
}

/// Whether only root can inject it: control groups, and disks in files.
pub(crate) fn needs_root(fault: &Fault) -> bool {
    [limits::FAULTS, failing::FAULTS].into_iter().flatten().any(|one| one.name == fault.name)
}
