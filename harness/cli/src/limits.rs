//! Limits that this process was started with.

use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow};
use nix::sys::resource::{Resource, getrlimit, setrlimit};

use crate::failure::Failure;

/// Two guests with their sockets, consoles and images, the runtime's own descriptors, and as much again.
const DESCRIPTORS: u64 = 128;

/// A run's own processes and threads with two guests', or a build's on a few processors, and as much again.
const TASKS: u64 = 64;

/// Asks for the descriptors that are needed, up to what is allowed, and looks whether there may be enough processes. Better one word
/// now than any error later.
pub(crate) fn settle() -> Result<(), Failure> {
    let hierarchies = std::fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    for folder in groups(&hierarchies) {
        let number = |name: &str| std::fs::read_to_string(folder.join(name)).ok()?.trim().parse::<u64>().ok();
        // `max` is none.
        let (Some(most), Some(now)) = (number("pids.max"), number("pids.current")) else { continue };
        let left = most.saturating_sub(now);
        if left < TASKS {
            return Err(anyhow!(
                "{left} more processes and threads may be started here, and {TASKS} are needed (the control group {} allows {most}; \
                 remedy: `TasksMax=` of systemd, `--pids-limit` of a container)",
                folder.display()
            )
            .into());
        }
    }
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

/// Where the limits of processes are that hold for us: each line of `/proc/self/cgroup` is a number, controllers and a path
/// (cgroups(7)). In a container the path may be of the host's, and the folder not be there.
fn groups(hierarchies: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for line in hierarchies.lines() {
        let mut fields = line.splitn(3, ':').skip(1);
        let (Some(controllers), Some(path)) = (fields.next(), fields.next()) else { continue };
        let top = match controllers {
            "" => Path::new("/sys/fs/cgroup"),
            _ if controllers.split(',').any(|name| name == "pids") => Path::new("/sys/fs/cgroup/pids"),
            _ => continue,
        };
        // A limit holds for everything below it.
        let own = top.join(path.trim_start_matches('/'));
        found.extend(own.ancestors().take_while(|folder| folder.starts_with(top)).map(Path::to_owned));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_of_every_group_above_count() {
        let second = "0::/user.slice/run.scope\n";
        let expected = ["/user.slice/run.scope", "/user.slice", ""];
        assert_eq!(groups(second), expected.map(|path| PathBuf::from(format!("/sys/fs/cgroup{path}"))));
        let first = "8:pids:/a\n3:cpu,cpuacct:/b\n0::/\n";
        let expected = ["/sys/fs/cgroup/pids/a", "/sys/fs/cgroup/pids", "/sys/fs/cgroup"];
        assert_eq!(groups(first), expected.map(PathBuf::from));
        assert!(groups("x\n\n").is_empty());
    }
}
