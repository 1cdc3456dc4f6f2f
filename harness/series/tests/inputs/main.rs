//! Inputs on disk, git's own answers, and the cache.

mod folders;
mod ranges;
mod shelf;
mod support;
