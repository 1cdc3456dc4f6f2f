//! `assay-mark begin N`, `assay-mark end N`: marks for scripts.
//!
//! As the first process of a guest it checks the machine instead: fixed work with known results in marked windows, for
//! proofs that counting is right and that the guest does not notice it. It says on the console what it found and powers
//! the guest off.

use std::process::ExitCode;

mod check;
mod twice;

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let (action, window) = (arguments.next(), arguments.next().and_then(|number| number.parse().ok()));
    match (action.as_deref(), window) {
        (Some("begin"), Some(window)) => mark::begin(window),
        (Some("end"), Some(window)) => mark::end(window),
        (Some("child"), Some(seed)) => return check::child(seed),
        _ if std::process::id() == 1 => check::machine(),
        _ => {
            eprintln!("assay-mark begin|end WINDOW");
            return ExitCode::from(2);
        }
    }
    ExitCode::SUCCESS
}
