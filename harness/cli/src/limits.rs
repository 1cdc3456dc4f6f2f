//! Limits that this process was started with.

use anyhow::{Context, anyhow};
use nix::sys::resource::{Resource, getrlimit, setrlimit};

use crate::failure::Failure;

/// Two guests with their sockets, consoles and images, the runtime's own descriptors, and as much again.
const DESCRIPTORS: u64 = 128;

/// Asks for the descriptors that are needed, up to what is allowed. Better one word now than any error later.
pub(crate) fn settle() -> Result<(), Failure> {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).context("reading the limit of open files")?;
    if soft >= DESCRIPTORS {
        return Ok(());
    }
    if hard < DESCRIPTORS {
        return Err(anyhow!(
            "at most {hard} files may be open at once, and {DESCRIPTORS} are needed (remedy: ulimit -n {DESCRIPTORS}, \
             or `nofile` in /etc/security/limits.conf)"
        )
        .into());
    }
    setrlimit(Resource::RLIMIT_NOFILE, DESCRIPTORS, hard).context("raising the limit of open files")?;
    Ok(())
}
