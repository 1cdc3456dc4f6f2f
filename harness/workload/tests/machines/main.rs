//! Workloads on machines: scripted ones, and guests of QEMU.

#![expect(clippy::unwrap_used, reason = "a test ends at what it did not expect")]

mod guests;
mod lab;
mod scripted;
