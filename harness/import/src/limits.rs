//! How much is read of what a stranger wrote.

/// Most bytes of a file.
pub const FILE_BYTES: u64 = 64 << 20;
/// Most bytes of a line; the rest of it is not read, which is told.
pub const LINE_BYTES: usize = 64 << 10;
/// Most figures of a file.
pub const FIGURES: usize = 200_000;
/// Most complaints of a file that are told one by one.
pub const COMPLAINTS: usize = 1000;
/// Most files of one import.
pub const FILES: usize = 10_000;
/// Most folders below each other.
pub const DEPTH: usize = 8;
/// Longest text of a dimension, in characters.
pub const WORD: usize = 200;
