//! The supervisor as a process of its own, with real commands.

mod commands;
mod endings;
mod support;
