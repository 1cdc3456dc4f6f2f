//! `assay tune`: settings that make timed runs steadier, and the way back.
//!
//! [`plan`] reads the machine and says what would change, and why. [`apply`] first writes down how everything is, in a
//! state file that survives a crash, and only then changes anything; [`restore`] undoes the state file's changes in the
//! opposite order. So whatever ends us at whatever moment, the state file knows at least as much as was changed. Settings
//! do not survive a boot of the machine, and a state file of an earlier boot has nothing to undo.

mod apply;
mod attributes;
mod change;
mod cores;
mod error;
mod machine;
mod request;
mod restore;
mod state;
mod text;

use serde::Serialize;

use crate::{Distribution, Root};

pub use apply::{Applied, Tuned, apply, enter, group_of, move_to};
pub use attributes::Attributes;
pub use change::{Change, Partition, Shape};
pub use error::TuneError;
pub use request::{Request, Turbo};
pub use restore::{Foreign, Outcome, Restored, restore};
pub use state::{State, StateFile, Status, boot_id};
pub use text::{applied_text, plan_text, restored_text};

/// What would be done, item by item, in this order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Plan {
    /// Settings, grouped by what they are for.
    pub items: Vec<Item>,
    /// What only a boot can change.
    pub at_boot: Option<Suggestion>,
    /// What else disturbs, and is not ours to change.
    pub notes: Vec<String>,
}

/// Settings with one purpose.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Item {
    /// What is set.
    pub subject: String,
    /// Why that makes runs steadier.
    pub why: String,
    /// Where the kernel documents it, below `Documentation/`.
    pub source: String,
    /// How it is undone, besides with `--restore`.
    pub undone: String,
    /// Everything of it that is there, also what is as it should be already.
    pub changes: Vec<Change>,
    /// Why there is nothing to set here.
    pub unavailable: Option<String>,
}

/// Kernel parameters that would help.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Suggestion {
    /// The parameters, as on the command line.
    pub parameters: String,
    /// What they do.
    pub why: String,
    /// The command that sets them from the next boot on.
    pub command: String,
}

impl Plan {
    /// The changes that change something, in the order in which they are made.
    pub fn changes(&self) -> impl Iterator<Item = &Change> {
        self.items.iter().flat_map(|item| &item.changes).filter(|change| !change.is_done())
    }
}

/// What would be done here; `distribution` says how kernel parameters are set.
///
/// # Errors
/// Everything in the request that this machine cannot do, for the user to mend.
pub fn plan(root: &Root, distribution: &Distribution, request: &Request) -> Result<Plan, Vec<String>> {
    let problems = request.problems(root);
    if !problems.is_empty() {
        return Err(problems);
    }
    let left = request.cpus_left(root);
    let mut items = machine::items(root, request, &left);
    items.extend(cores::items(root, request, &left));
    // Last, and so first on the way back: everything else is then set with the CPUs there that it was read with.
    items.extend(machine::smt(root, request));
    Ok(Plan {
        items,
        at_boot: cores::at_boot(root, distribution, request),
        notes: cores::notes(root, request),
    })
}
