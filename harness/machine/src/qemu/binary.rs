//! Which QEMU, and how it is called.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
    time::Duration,
};

use subprocess::{Supervisor, Tool};

use super::args::Firmware;
use crate::MachineError;

/// `igb` came with 8.0 and its fixes with 8.1; `-netdev stream` came with 7.2.
const NEEDED: &str = "8.1";
const PROGRAM: &str = "qemu-system-x86_64";
const VERSION_DEADLINE: Duration = Duration::from_secs(20);

/// A QEMU that runs here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Qemu {
    program: PathBuf,
    /// What comes before every other argument: the loader's own, and where the firmware is.
    first: Vec<OsString>,
    firmware: Firmware,
    version: String,
    /// The line that it says of itself, which names the distribution's build as well.
    build: String,
}

impl Qemu {
    /// The oldest version that machines are made with.
    pub const OLDEST: &str = NEEDED;

    /// The program of a tool root with the arguments that come before all others, without asking whether it runs.
    #[must_use]
    pub fn command_in_root(root: &Path) -> Vec<OsString> {
        let (program, first) = through_loader(root);
        std::iter::once(program.into_os_string()).chain(first).collect()
    }

    /// The one on the search path.
    ///
    /// # Errors
    /// If there is none, or an older one than is needed.
    pub fn system(supervisor: &Supervisor) -> Result<Self, MachineError> {
        // Where its firmware is cannot be asked, so it is not assumed that there is another one.
        Self::of(PROGRAM.into(), vec![], Firmware::Default, supervisor)
    }

    /// The one of a tool root: unpacked packages, run through their own loader and libraries, so that it does not matter
    /// which distribution the host has.
    ///
    /// # Errors
    /// If there is none, or an older one than is needed.
    pub fn in_root(root: &Path, supervisor: &Supervisor) -> Result<Self, MachineError> {
        let (program, first) = through_loader(root);
        let qboot = root.join("usr/share/qemu/qboot.rom").is_file();
        Self::of(program, first, if qboot { Firmware::Qboot } else { Firmware::Default }, supervisor)
    }

    fn of(
        program: PathBuf,
        first: Vec<OsString>,
        firmware: Firmware,
        supervisor: &Supervisor,
    ) -> Result<Self, MachineError> {
        let output = Tool::new(&program)
            .args(&first)
            .arg("--version")
            .deadline(VERSION_DEADLINE)
            .run(supervisor)
            .map_err(|source| MachineError::Qemu { program: program.clone(), source: Box::new(source) })?;
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let Some(version) = version(&said) else {
            return Err(MachineError::QemuVersion {
                program,
                said: said.lines().next().unwrap_or_default().to_owned(),
            });
        };
        if numbers(version) < numbers(NEEDED) {
            return Err(MachineError::QemuTooOld { program, found: version.to_owned(), needed: NEEDED });
        }
        let version = version.to_owned();
        let build = said.lines().next().unwrap_or_default().to_owned();
        Ok(Self { program, first, firmware, version, build })
    }

    /// Its version, such as `11.1.3`.
    #[must_use]
    pub fn version(&self) -> &str {
        &self.version
    }

    /// What it calls itself, with the distribution's own version of it.
    #[must_use]
    pub fn build(&self) -> &str {
        &self.build
    }

    /// The program itself, where a loader starts it; a name on the search path for the system's own.
    #[must_use]
    pub fn binary(&self) -> &Path {
        let loaded = self.first.iter().map(Path::new).find(|path| path.ends_with(PROGRAM));
        loaded.unwrap_or(&self.program)
    }

    pub(super) fn firmware(&self) -> Firmware {
        self.firmware
    }

    /// The program and the arguments that come before all others, for tools that start QEMU themselves.
    #[must_use]
    pub fn argv(&self) -> Vec<String> {
        let words =
            std::iter::once(self.program.as_os_str()).chain(self.first.iter().map(OsString::as_os_str));
        words.map(|word| word.to_string_lossy().into_owned()).collect()
    }

    /// The command, without the arguments that describe a machine.
    pub(super) fn tool(&self) -> Tool {
        Tool::new(&self.program).args(&self.first)
    }
}

fn through_loader(root: &Path) -> (PathBuf, Vec<OsString>) {
    let libraries = root.join("usr/lib/x86_64-linux-gnu");
    let mut library_path = libraries.clone().into_os_string();
    library_path.push(":");
    library_path.push(libraries.join("qemu"));
    let mut first = vec!["--library-path".into(), library_path, root.join("usr/bin").join(PROGRAM).into()];
    for data in ["usr/share/qemu", "usr/share/seabios"] {
        first.extend(["-L".into(), root.join(data).into_os_string()]);
    }
    (root.join("usr/lib64/ld-linux-x86-64.so.2"), first)
}

/// The version in `QEMU emulator version 11.1.3 (Debian 1:11.1.3+ds-1~bpo13+1)`.
fn version(said: &str) -> Option<&str> {
    let rest = said.strip_prefix("QEMU emulator version ")?;
    let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
    Some(rest[..end].trim_end_matches('.')).filter(|version| version.contains('.'))
}

fn numbers(version: &str) -> Vec<u32> {
    version.split('.').map(|number| number.parse().unwrap_or(0)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_from_what_qemu_says() {
        assert_eq!(
            version("QEMU emulator version 11.1.3 (Debian 1:11.1.3+ds-1~bpo13+1)\nCopyright"),
            Some("11.1.3")
        );
        assert_eq!(version("QEMU emulator version 8.1.0\n"), Some("8.1.0"));
        assert_eq!(version("QEMU emulator version x"), None);
        assert_eq!(version("bash: no such"), None);
    }

    #[test]
    fn versions_are_compared_as_numbers() {
        assert!(numbers("10.0.2") > numbers(NEEDED));
        assert!(numbers("8.1.0") >= numbers(NEEDED));
        assert!(numbers("8.0.5") < numbers(NEEDED));
        assert!(numbers("7.2.22") < numbers(NEEDED));
    }
}
