//! The compiler and linker that builds use: part of every key, and of every image's record.

use std::{path::Path, time::Duration};

use subprocess::{Supervisor, Tool};

use crate::{KernelError, error::tool};

/// First lines of `--version`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Toolchain {
    pub(crate) compiler: String,
    pub(crate) linker: String,
}

/// Programs that a build runs, as they are in the sandbox, with the Debian packages that have them.
const PROGRAMS: &[(&str, &str)] = &[
    ("/usr/bin/gcc", "gcc"),
    ("/usr/bin/ld", "binutils"),
    ("/usr/bin/make", "make"),
    ("/usr/bin/flex", "flex"),
    ("/usr/bin/bison", "bison"),
    ("/usr/bin/bc", "bc"),
    ("/usr/bin/perl", "perl"),
    ("/usr/bin/xz", "xz-utils"),
    // objtool links against libelf.
    ("/usr/include/gelf.h", "libelf-dev"),
];

/// Fails with all that lacks, not only with the first.
pub(crate) fn require() -> Result<(), KernelError> {
    let missing: Vec<_> = PROGRAMS.iter().filter(|(path, _)| !Path::new(path).exists()).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let list = |pick: fn(&(&'static str, &'static str)) -> &'static str, between: &str| {
        missing.iter().map(|entry| pick(entry)).collect::<Vec<_>>().join(between)
    };
    Err(KernelError::MissingTools {
        missing: list(|entry| entry.0, ", "),
        packages: list(|entry| entry.1, " "),
    })
}

impl Toolchain {
    /// Asks the host's compiler and linker: the ones that the sandbox has.
    pub(crate) fn of_host(supervisor: &Supervisor) -> Result<Self, KernelError> {
        let first_line = |program: &str| {
            let output = Tool::new(program)
                .arg("--version")
                .deadline(Duration::from_secs(30))
                .run(supervisor)
                .map_err(tool(format!("ask {program} for its version (kernel builds need it)")))?;
            Ok(String::from_utf8_lossy(&output.stdout).lines().next().unwrap_or_default().to_owned())
        };
        Ok(Self { compiler: first_line("/usr/bin/gcc")?, linker: first_line("/usr/bin/ld")? })
    }
}

impl std::fmt::Display for Toolchain {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}; {}", self.compiler, self.linker)
    }
}
