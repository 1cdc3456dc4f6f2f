//! The whole way from specification to image on a toy kernel tree that builds in milliseconds.

#![expect(clippy::unwrap_used, reason = "a test that cannot make its toy fails")]

mod adoption;
mod cache;
mod findings;
mod isolation;
mod sharing;
mod sources;
mod toy;
