//! Powering the machine off.

use std::{fs, path::PathBuf};

use nix::{
    mount::{MntFlags, umount2},
    sys::{
        reboot::{RebootMode, reboot},
        signal::{Signal, kill},
    },
    unistd::{Pid, sync},
};

use crate::console;

/// Kills every other process, unmounts what has storage behind it, and powers off. Returns only with the reason why
/// it could not.
pub(crate) fn off() -> String {
    // All but PID 1 and this process; nothing may keep a file open or write any more.
    let _ = kill(Pid::from_raw(-1), Signal::SIGKILL);
    for target in writable(&fs::read_to_string("/proc/self/mountinfo").unwrap_or_default()) {
        if let Err(errno) = umount2(&target, MntFlags::empty()) {
            console::say(format_args!("unmounting {}: {}", target.display(), errno.desc()));
        }
    }
    sync();
    match reboot(RebootMode::RB_POWER_OFF) {
        Ok(never) => match never {},
        Err(errno) => format!("powering off: {}", errno.desc()),
    }
}

/// Writable mounts of devices, latest first. The agent's own root has none.
fn writable(mountinfo: &str) -> Vec<PathBuf> {
    let targets = mountinfo.lines().filter_map(|line| {
        let (mount, source) = line.split_once(" - ")?;
        let mut mount = mount.split(' ').skip(4);
        let (target, options) = (mount.next()?, mount.next()?);
        let device = source.split(' ').nth(1)?.starts_with("/dev/");
        (device && options.split(',').any(|option| option == "rw")).then(|| PathBuf::from(target))
    });
    let mut targets: Vec<_> = targets.collect();
    targets.reverse();
    targets
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_writable_mounts_of_devices_are_unmounted_and_the_latest_first() {
        let mountinfo = "\
21 1 0:18 / / rw,relatime - overlay overlay rw,lowerdir=/overlay/lower
22 21 254:0 / /overlay/lower ro,relatime - erofs /dev/vda ro
23 21 0:19 / /proc rw,nosuid - proc proc rw
40 21 254:16 / /data rw,relatime shared:1 - ext4 /dev/vdb rw
41 40 254:32 / /data/more rw,relatime - ext4 /dev/vdc rw
";
        assert_eq!(writable(mountinfo), [PathBuf::from("/data/more"), PathBuf::from("/data")]);
        assert!(writable("garbage\n - \n").is_empty());
    }
}
