//! Developer chores: set-up, demo, test, check, bench.
fn main() {}
