//! Why an option did not survive, read from the tree's Kconfig files: `conf` itself does not say.

mod explain;
mod expression;
mod parse;
mod read;

pub(crate) use explain::{Asked, Values, explain};
pub(crate) use read::read;
