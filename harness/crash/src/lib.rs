//! What a kernel complained about, read from its console, and where in its source that is.
//!
//! Invariant: pure but for [`Symbols`] and [`source_files`], which read a kernel's symbols. Input comes from a guest that may be hostile: every line,
//! every text and every list is bounded.

mod artefact;
mod frame;
mod mark;
mod read;
mod sources;
mod symbols;
mod text;
mod title;

pub use artefact::artefact;
pub use read::{MOST_READ, read};
pub use sources::source_files;
pub use symbols::{Symbols, SymbolsError, hang};
pub use text::{plain, without_stamp};
