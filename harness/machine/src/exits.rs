//! KVM's counters of a guest's virtual machine, from the host's debugfs (`virt/kvm/kvm_main.c`, `kvm_create_vm_debugfs`).

use std::{collections::BTreeMap, fs, io, path::Path, time::Instant};

use measure::{KvmCounts, KvmWindow};

use crate::Running;

const FOLDER: &str = "/sys/kernel/debug/kvm";

/// A counter is a decimal number; histograms are longer, and are left out.
const LONGEST: u64 = 32;

/// Counters by their names.
type Counters = BTreeMap<String, u64>;

/// A window of KVM's counters that has begun.
#[derive(Debug)]
pub struct KvmWindowStart {
    begun: Instant,
    before: BTreeMap<String, Result<Counters, String>>,
}

impl Running {
    /// Reads KVM's counters of every guest. Where there are none, that is no error, but told with the counts.
    #[must_use]
    pub fn kvm_window_start(&self) -> KvmWindowStart {
        KvmWindowStart { begun: Instant::now(), before: self.kvm_counters() }
    }

    /// Reads them again.
    #[must_use]
    pub fn kvm_window_stop(&self, start: KvmWindowStart) -> KvmCounts {
        let elapsed = start.begun.elapsed();
        let mut later = self.kvm_counters();
        let window = |(guest, before): (String, Result<Counters, String>)| {
            let after = later.remove(&guest).unwrap_or_else(|| Err("the guest is gone".to_owned()));
            (guest, before.and_then(|before| Ok(KvmWindow { elapsed, before, after: after? })))
        };
        start.before.into_iter().map(window).collect()
    }

    fn kvm_counters(&self) -> BTreeMap<String, Result<Counters, String>> {
        let of = |(guest, execution, pid): (&str, &str, i32)| {
            let counters = match execution {
                "kvm" => read(Path::new(FOLDER), pid),
                other => Err(format!("the guest runs under {other}, not kvm")),
            };
            (guest.to_owned(), counters)
        };
        self.processes().map(of).collect()
    }
}

/// The counters of the one virtual machine that process `pid` has.
pub(crate) fn read(folder: &Path, pid: i32) -> Result<Counters, String> {
    let told = |path: &Path| {
        let path = path.display().to_string();
        move |error: io::Error| format!("{path}: {error}")
    };
    // `PID-FD`: that of the process that made it, and its descriptor there.
    let prefix = format!("{pid}-");
    let mut machines = Vec::new();
    for entry in fs::read_dir(folder).map_err(told(folder))? {
        let entry = entry.map_err(told(folder))?;
        if entry.file_name().to_string_lossy().starts_with(&prefix) {
            machines.push(entry.path());
        }
    }
    let [machine] = machines.as_slice() else {
        return Err(format!("{} virtual machines of process {pid} in {}", machines.len(), folder.display()));
    };
    let mut counters = Counters::new();
    for entry in fs::read_dir(machine).map_err(told(machine))? {
        let path = entry.map_err(told(machine))?.path();
        // Those of each virtual CPU are in folders of their own; some files are there to be written only.
        let Some(value) = counter(&path) else { continue };
        if let Some(name) = path.file_name().and_then(|name| name.to_str()) {
            counters.insert(name.to_owned(), value);
        }
    }
    if counters.is_empty() { Err(format!("{} has no counters", machine.display())) } else { Ok(counters) }
}

fn counter(path: &Path) -> Option<u64> {
    if !path.is_file() {
        return None;
    }
    let mut text = String::new();
    io::Read::read_to_string(&mut io::Read::take(fs::File::open(path).ok()?, LONGEST), &mut text).ok()?;
    text.trim_end().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_counters_of_one_process_virtual_machine_are_read() {
        let folder = tempfile::tempdir().unwrap();
        for (path, content) in [
            ("42-11/exits", "1234\n"),
            ("42-11/io_exits", "5\n"),
            ("42-11/halt_wait_hist", "0 0 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14\n"),
            ("42-11/vcpu0/guest_mode", "0\n"),
            ("420-9/exits", "9\n"),
            ("exits", "1243\n"),
        ] {
            let path = folder.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        }
        let expected = [("exits", 1234), ("io_exits", 5)].map(|(name, count)| (name.to_owned(), count));
        assert_eq!(read(folder.path(), 42), Ok(expected.into()));
        let why = read(folder.path(), 4).unwrap_err();
        assert!(why.starts_with("0 virtual machines of process 4 in "), "{why}");
        let why = read(&folder.path().join("absent"), 42).unwrap_err();
        assert!(why.contains("absent: No such file"), "{why}");
    }
}
