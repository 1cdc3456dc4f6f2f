//! The doctor and the tuner on other machines' trees.

#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod doctor;
mod sim;
mod tree;
mod tune;
