//! Anything that a kernel developer calls a series to a checked folder of patches in order: an mbox, a mail, a maildir, a
//! range of commits, a folder, a diff.
//!
//! In: an [`Input`]. Out: a [`Series`], which says what was understood, and [`shelve`], which writes it into a
//! content-addressed folder that a [`plan::Series`] names. Patches are read as `git am` reads them and put in order as `b4 am`
//! does; either is the reference where they are silent here. Whoever wrote the mails is not trusted: sizes, counts and nesting
//! are bounded, and what came damaged or incomplete is refused rather than mended by guess.
//!
//! Invariant: knows no kernel. Whether a patch applies, and whether its paths stay in the tree, is `kernel`'s to say.

#![deny(missing_docs)]

mod compose;
mod diff;
mod error;
/// Doors to parsers, for `tests/fuzz`.
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
mod input;
mod letter;
mod limits;
mod mail;
mod mbox;
mod range;
mod replies;
mod shelf;
mod subject;
#[cfg(test)]
mod tests;
mod thread;
mod trailer;
mod value;

pub use error::{Fault, Problems, SeriesError};
pub use input::Input;
pub use shelf::{shelve, shelve_files};
pub use value::{Cover, FileStat, Patch, Person, Series, Trailer};
