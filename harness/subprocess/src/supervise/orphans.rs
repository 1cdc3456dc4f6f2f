//! Processes that outlived the child they descend from.

use std::fs;
use std::io;

use nix::sys::signal::{Signal, kill as send};
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid, waitpid};
use nix::unistd::{Pid, getpid};

/// Kills every direct child of this process but `known`, and returns those that are not dead yet. Their end is
/// announced by SIGCHLD, as are the next generation's.
pub(super) fn kill(known: &[Pid]) -> io::Result<Vec<Pid>> {
    loop {
        let mut alive = Vec::new();
        let mut reaped = false;
        for pid in direct_children()?.into_iter().filter(|pid| !known.contains(pid)) {
            // Another user's process, such as a set-user-id program, cannot be killed; it is reported as a survivor.
            let _ = send(pid, Signal::SIGKILL);
            match waitpid(pid, Some(WaitPidFlag::WNOHANG)) {
                Ok(WaitStatus::StillAlive) => alive.push(pid),
                // Also for a status that nix has no name for: it is reaped then.
                _ => reaped = true,
            }
        }
        // A dead orphan's own children have become ours only now.
        if !reaped {
            return Ok(alive);
        }
    }
}

/// Whether this process has no children at all, neither running nor dead.
pub(super) fn has_no_children() -> bool {
    let flags = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT;
    waitid(Id::All, flags) == Err(nix::errno::Errno::ECHILD)
}

/// The children of this process. It has one thread, so that this thread's are all; and since it alone reaps them, none
/// is skipped while the list is read.
fn direct_children() -> io::Result<Vec<Pid>> {
    match fs::read_to_string("/proc/thread-self/children") {
        Ok(list) => {
            Ok(list.split_ascii_whitespace().filter_map(|pid| pid.parse().ok()).map(Pid::from_raw).collect())
        }
        // A kernel without CONFIG_PROC_CHILDREN.
        Err(error) if error.kind() == io::ErrorKind::NotFound => scan_for_children(getpid()),
        Err(error) => Err(error),
    }
}

/// The same, by asking every process for its parent.
fn scan_for_children(parent: Pid) -> io::Result<Vec<Pid>> {
    let mut children = Vec::new();
    for entry in fs::read_dir("/proc")? {
        let Some(pid) = entry?.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        // A process that ended meanwhile has no file any more; had it been our child, it would still be a zombie.
        let Ok(stat) = fs::read_to_string(format!("/proc/{pid}/stat")) else { continue };
        if parent_in_stat(&stat) == Some(parent.as_raw()) {
            children.push(Pid::from_raw(pid));
        }
    }
    Ok(children)
}

/// The parent's process id in `/proc/PID/stat`: the second field after the name, which may itself hold `)` and spaces.
fn parent_in_stat(stat: &str) -> Option<i32> {
    stat.rsplit_once(')')?.1.split_ascii_whitespace().nth(1)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parent_is_read_past_a_hostile_process_name() {
        assert_eq!(parent_in_stat("42 (a) R 9 (b) S 17 42 42 0 -1"), Some(17));
        assert_eq!(parent_in_stat("42"), None);
    }

    #[test]
    fn a_scan_finds_this_process_under_its_parent() {
        let ours = getpid();
        let parent = nix::unistd::getppid();
        assert!(scan_for_children(parent).unwrap().contains(&ours));
    }
}
