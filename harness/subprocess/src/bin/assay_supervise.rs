//! The supervisor process by itself; its standard input is the socket to the harness.

use std::process::ExitCode;

fn main() -> ExitCode {
    subprocess::supervise()
}
