//! The helper program by itself. `assay` has it as a hidden command; tests start this one.

use std::process::ExitCode;

fn main() -> ExitCode {
    machine::helper(std::env::args_os().skip(1))
}
