//! Executed instructions by kernel function.
//!
//! [`Counts::read`] understands the file that the plugin `insncount` writes (its `FORMAT.md`), [`Symbols`] knows which
//! function an address belongs to, from a kernel's `System.map` and a running kernel's `/proc/kallsyms`, and
//! [`Profile::new`] puts both together: a table whose rows add up to the total exactly.
//!
//! There, names stay as the kernel has them, with `.constprop.0`, `.isra.0` and `.cold`.
//!
//! [`Differential::new`] compares two arms: functions are matched over renames and the compiler's copies, grouped by name, subsystem,
//! context or program, and each row has the differences of the blocks, their interval, and q. [`Flame::new`] makes one tree of both arms'
//! sampled stacks.
//!
//! Invariant: pure. Nothing is rounded, and nothing that was counted is left out: instructions without a function of their
//! own have a row, too.

mod class;
mod counts;
mod device;
mod difference;
mod differential;
mod events;
mod flame;
mod hint;
mod matching;
mod name;
mod numbers;
mod subsystem;
mod symbols;
mod table;

pub use class::Class;
pub use counts::{Code, Context, Counts, CountsError, Program, Stack, StringCounts, Window};
pub use difference::Difference;
pub use differential::{ArmBoots, Boot, By, Differential, Kind, Line};
pub use events::{Event, event_names, events};
pub use flame::{BROKEN, Flame, Frame, Stacks, USER};
pub use matching::{Change, RENAMED, SourceFiles};
pub use name::logical_name;
pub use numbers::{BlockCounts, Numbers, Per};
pub use subsystem::subsystem;
pub use symbols::{Symbol, Symbols};
pub use table::{Function, Profile, Row, Strings, UserSpace};

use matching::{Cell, Pair};
use name::is_cold;
