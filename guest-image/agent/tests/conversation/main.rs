//! Conversations with the real binary, as the host has them.

mod commands;
mod files;
mod host;
mod terminals;
