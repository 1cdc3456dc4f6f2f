//! Pseudo-terminals for commands that people type to.

#![expect(
    unsafe_code,
    reason = "a terminal's size and a process' controlling terminal have no wrapper in std or nix"
)]

use std::{
    fs::{File, OpenOptions},
    io,
    os::{
        fd::{AsFd, AsRawFd, OwnedFd},
        unix::{fs::OpenOptionsExt, process::CommandExt},
    },
    process::Command,
};

use nix::{
    errno::Errno,
    fcntl::OFlag,
    libc,
    pty::{PtyMaster, grantpt, posix_openpt, ptsname_r, unlockpt},
    unistd::setsid,
};
use protocol::TerminalSize;

/// A pseudo-terminal's two ends. Both are closed in commands that other threads start.
pub(crate) struct Terminal {
    /// Ours: what is typed goes in, what is shown comes out.
    pub(crate) master: File,
    /// The command's.
    pub(crate) slave: File,
}

/// Makes a terminal of this size.
pub(crate) fn open(size: TerminalSize) -> Result<Terminal, String> {
    let master = posix_openpt(OFlag::O_RDWR | OFlag::O_NOCTTY | OFlag::O_CLOEXEC)
        .map_err(|errno| format!("making a terminal (CONFIG_UNIX98_PTYS): {}", errno.desc()))?;
    let slave = slave_of(&master).map_err(|error| format!("opening the terminal: {error}"))?;
    let master = File::from(OwnedFd::from(master));
    resize(&master, size).map_err(|error| format!("setting the terminal's size: {error}"))?;
    Ok(Terminal { master, slave })
}

fn slave_of(master: &PtyMaster) -> io::Result<File> {
    grantpt(master)?;
    unlockpt(master)?;
    let path = ptsname_r(master)?;
    OpenOptions::new().read(true).write(true).custom_flags(libc::O_NOCTTY).open(path)
}

/// Changes its size; its foreground processes hear of it by SIGWINCH.
pub(crate) fn resize(master: impl AsFd, size: TerminalSize) -> io::Result<()> {
    let size = libc::winsize { ws_row: size.rows, ws_col: size.columns, ws_xpixel: 0, ws_ypixel: 0 };
    // SAFETY: the call reads one `winsize`, which outlives it.
    Errno::result(unsafe { libc::ioctl(master.as_fd().as_raw_fd(), libc::TIOCSWINSZ, &raw const size) })?;
    Ok(())
}

/// Makes `command` the leader of a session whose controlling terminal is its standard input: Ctrl-C then reaches what is
/// in the foreground, and the end of the leader hangs up on the rest.
pub(crate) fn lead_session(command: &mut Command) {
    let lead = || {
        setsid()?;
        // SAFETY: the call takes an integer and touches no memory of ours.
        Errno::result(unsafe { libc::ioctl(libc::STDIN_FILENO, libc::TIOCSCTTY, 0) })?;
        Ok(())
    };
    // SAFETY: between fork and exec there are two system calls and nothing else.
    unsafe { command.pre_exec(lead) };
}
