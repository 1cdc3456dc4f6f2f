//! Kernel specification to kernel image: sources, series, configuration, sandboxed build, cache.
//!
//! In: a [`plan::KernelSpec`]. Out: a [`measure::BuildEnd`], which is an image in a content-addressed cache or the
//! finding that the series does not apply, does not compile or that an option did not survive. A series is untrusted:
//! its patches are applied and its Makefiles run inside a sandbox without network that sees nothing of the host but
//! its tools.
//!
//! Invariant: knows nothing of machines; a [`measure::KernelImage`] is only paths and facts.

#![deny(missing_docs)]

mod adopt;
mod apply;
mod bounds;
mod build;
mod cache;
mod config;
mod digest;
mod error;
mod folder;
/// Doors to parsers, for `tests/fuzz`.
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
mod identity;
mod image;
mod inspect;
mod kconfig;
mod kernels;
mod lock;
mod objects;
mod patch;
mod prebuilt;
mod progress;
mod sandbox;
mod selftests;
mod site;
mod source;
mod toolchain;
mod tree;
mod warnings;
mod work;
mod workshop;

pub use adopt::Finished;
pub use cache::{Freed, Keep, Stored};
pub use error::{Fault, KernelError};
pub use inspect::{Applies, Inspected, Style, StyleFinding, StyleLevel};
pub use kernels::{Kernels, Reproduction};
pub use progress::Progress;
pub use selftests::Selftests;
pub use warnings::without_place;
