//! A kernel as far as its attributes behave like one: what is written is checked, and read back in the kernel's form.
//! It can be told to fall silent after a number of writes, as it does for a process that is killed.

use std::{
    cell::Cell,
    fs,
    io::{self, ErrorKind},
};

use host::{CpuSet, Root, tune::Attributes};

/// The kernel's `EINVAL`, `EIO` and `EBUSY`.
const EINVAL: i32 = 22;
const EIO: i32 = 5;
const EBUSY: i32 = 16;

/// A machine whose attributes are files.
#[derive(Debug)]
pub(crate) struct Sim {
    root: Root,
    /// Writes that are still taken; what comes after them is lost, as if the writer had been killed.
    writes_left: Cell<usize>,
    writes: Cell<usize>,
}

impl Sim {
    pub(crate) fn new(root: Root) -> Self {
        Self::killed_after(root, usize::MAX)
    }

    pub(crate) fn killed_after(root: Root, writes: usize) -> Self {
        Self { root, writes_left: Cell::new(writes), writes: Cell::new(0) }
    }

    /// How many writes there were.
    pub(crate) fn writes(&self) -> usize {
        self.writes.get()
    }

    fn count(&self) -> io::Result<()> {
        let left = self.writes_left.get();
        if left == 0 {
            return Err(io::Error::other("killed"));
        }
        self.writes_left.set(left - 1);
        self.writes.set(self.writes.get() + 1);
        Ok(())
    }

    /// What the kernel makes of `text` where it has `now`.
    fn taken(&self, path: &str, now: &str, text: &str) -> io::Result<String> {
        let invalid = || io::Error::from_raw_os_error(EINVAL);
        let name = path.rsplit('/').next().unwrap();
        if now.contains('[') {
            let mut words: Vec<String> =
                now.split_ascii_whitespace().map(|word| word.trim_matches(['[', ']']).to_owned()).collect();
            let chosen = words.iter_mut().find(|word| **word == text).ok_or_else(invalid)?;
            *chosen = format!("[{chosen}]");
            return Ok(words.join(" "));
        }
        match name {
            // The driver's own: fs/proc's write of a managed interrupt fails.
            "smp_affinity_list" if path.contains("/40/") => Err(io::Error::from_raw_os_error(EIO)),
            "smp_affinity_list" | "watchdog_cpumask" => {
                let cpus: CpuSet = text.parse().map_err(|_| invalid())?;
                if cpus.is_empty() { Err(invalid()) } else { Ok(cpus.to_string()) }
            }
            "default_smp_affinity" | "cpumask" => {
                let cpus = CpuSet::from_mask(text).filter(|cpus| !cpus.is_empty()).ok_or_else(invalid)?;
                // As wide as the machine has CPUs.
                Ok(format!("{:0>width$}", cpus.to_mask(), width = now.len()))
            }
            "cgroup.subtree_control" => {
                let mut names: Vec<&str> = now.split_ascii_whitespace().collect();
                match (text.strip_prefix('+'), text.strip_prefix('-')) {
                    (Some(name), _) if !names.contains(&name) => names.insert(0, name),
                    (_, Some(name)) => names.retain(|other| *other != name),
                    (Some(_), _) => {}
                    _ => return Err(invalid()),
                }
                Ok(names.join(" "))
            }
            "energy_performance_preference" => {
                let governor = path.replace(name, "scaling_governor");
                let performance = self.root.read(&governor).as_deref() == Some("performance");
                if performance && text != "performance" {
                    return Err(io::Error::from_raw_os_error(EBUSY));
                }
                Ok(text.to_owned())
            }
            _ => Ok(text.to_owned()),
        }
    }
}

impl Attributes for Sim {
    fn read(&self, path: &str) -> io::Result<String> {
        self.root.try_read(path)
    }

    fn write(&self, path: &str, text: &str) -> io::Result<()> {
        self.count()?;
        let now = self.root.try_read(path)?;
        if path.ends_with("/cgroup.procs") {
            // A process is in one group only.
            let group = path.trim_end_matches("/cgroup.procs");
            let child = format!("{group}/assay/cgroup.procs");
            if let Some(inside) = self.root.read(&child) {
                let rest: Vec<&str> = inside.lines().filter(|pid| *pid != text).collect();
                fs::write(self.root.path(&child), rest.join("\n"))?;
            }
            return fs::write(self.root.path(path), format!("{now}\n{text}\n").trim_start());
        }
        let taken = self.taken(path, &now, text)?;
        fs::write(self.root.path(path), format!("{taken}\n"))
    }

    fn make_group(&self, path: &str) -> io::Result<()> {
        self.count()?;
        let folder = self.root.path(path);
        fs::create_dir(&folder)?;
        for (file, text) in
            [("cgroup.procs", ""), ("cpuset.cpus", "\n"), ("cpuset.cpus.partition", "member\n")]
        {
            fs::write(folder.join(file), text)?;
        }
        Ok(())
    }

    fn remove_group(&self, path: &str) -> io::Result<()> {
        self.count()?;
        let folder = self.root.path(path);
        if !folder.exists() {
            return Err(ErrorKind::NotFound.into());
        }
        if !fs::read_to_string(folder.join("cgroup.procs"))?.trim().is_empty() {
            return Err(io::Error::from_raw_os_error(EBUSY));
        }
        fs::remove_dir_all(folder)
    }
}
