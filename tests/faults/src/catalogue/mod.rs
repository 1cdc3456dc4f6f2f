//! Every fault, once.

mod disk;
mod folders;
mod kills;
mod signals;

use crate::fault::Fault;

/// All of them, in the order of the table.
pub(crate) fn all() -> Vec<Fault> {
    [kills::FAULTS, signals::FAULTS, folders::FAULTS, disk::FAULTS]
        .into_iter()
        .flat_map(|list| list.iter().copied())
        .collect()
}
