//! Becoming another program: for commands whose whole work is to start one in the user's terminal.

use std::{
    ffi::{OsStr, OsString},
    os::unix::process::CommandExt,
    process::Command,
};

use crate::{Argv, ToolError, environment};

/// Replaces this process by `program`, in the same terminal and with the caller's own environment; returns only if that
/// fails. There is no child, so nobody has to end it: call this without a [`crate::Supervisor`], or drop it before.
#[expect(clippy::disallowed_methods, reason = "execve starts no process that a supervisor could end")]
pub fn replace_ourselves(program: impl AsRef<OsStr>, arguments: &[OsString]) -> ToolError {
    let program = program.as_ref();
    let path = std::env::var_os("PATH").unwrap_or_default();
    if !environment::finds(program, &path) {
        return ToolError::NotFound { program: program.to_owned(), path };
    }
    let error = Command::new(program).args(arguments).exec();
    let argv = Argv(std::iter::once(program.to_owned()).chain(arguments.iter().cloned()).collect());
    ToolError::Spawn { argv, reason: error.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_is_not_there_is_named() {
        let error = replace_ourselves("no-such-debugger", &[]);
        assert!(matches!(error, ToolError::NotFound { program, .. } if program == "no-such-debugger"));
    }
}
