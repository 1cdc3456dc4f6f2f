//! Executed instructions by kernel function.
//!
//! [`Counts::read`] understands the file that the plugin `insncount` writes (its `FORMAT.md`), [`Symbols`] knows which
//! function an address belongs to, from a kernel's `System.map` and a running kernel's `/proc/kallsyms`, and
//! [`Profile::new`] puts both together: a table whose rows add up to the total exactly.
//!
//! Names stay as the kernel has them, with `.constprop.0`, `.isra.0` and `.cold`.
//!
//! Invariant: pure. Nothing is rounded, and nothing that was counted is left out: instructions without a function of their
//! own have a row, too.

mod class;
mod counts;
mod events;
mod symbols;
mod table;

pub use class::Class;
pub use counts::{Code, Context, Counts, CountsError, Program, StringCounts, Window};
pub use events::{Event, event_names, events};
pub use symbols::{Symbol, Symbols};
pub use table::{Function, Profile, Row, Strings, UserSpace};
