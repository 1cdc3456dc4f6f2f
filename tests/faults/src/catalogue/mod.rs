//! Every fault, once.

mod builds;
mod clocks;
mod cuts;
mod disk;
mod folders;
mod guests;
mod kills;
mod signals;

use crate::fault::Fault;

/// All of them, in the order of the table.
pub(crate) fn all() -> Vec<Fault> {
    [
        kills::FAULTS,
        signals::FAULTS,
        clocks::FAULTS,
        folders::FAULTS,
        disk::FAULTS,
        cuts::FAULTS,
        builds::FAULTS,
        guests::FAULTS,
    ]
    .into_iter()
    .flat_map(|list| list.iter().copied())
    .collect()
}
