//! The static guest agent: PID 1 of every lab guest.
fn main() {}
