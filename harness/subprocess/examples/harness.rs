//! A harness to be killed by a test: starts one child, whose standard output is its own, and waits for its end.
//!
//! Arguments: the supervisor program, and the command line of the child.

use std::ffi::OsString;
use std::os::fd::AsFd as _;
use std::time::Duration;

use subprocess::{Stdio, Stream, Supervisor, Tool};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<OsString> = std::env::args_os().skip(1).collect();
    let [supervisor, program, rest @ ..] = arguments.as_slice() else {
        return Err("usage: harness SUPERVISOR PROGRAM [ARGUMENT...]".into());
    };
    let supervisor = Supervisor::start(std::slice::from_ref(supervisor))?;
    let stdout = Stream::Fd(std::io::stdout().as_fd().try_clone_to_owned()?);
    let child = Tool::new(program).args(rest).start(&supervisor, Stdio { stdout, ..Stdio::default() })?;
    match child.wait(Duration::from_secs(600))? {
        Some(ended) => Err(format!("the child {ended}").into()),
        None => Err("nobody killed this harness".into()),
    }
}
