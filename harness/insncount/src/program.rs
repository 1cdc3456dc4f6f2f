//! User space, by program: the name that the kernel gives its tasks (`comm`).

use std::{cell::Cell, sync::OnceLock};

use crate::{api::api, plugin, vcpu::MOST_VCPUS};

/// include/linux/sched.h, `TASK_COMM_LEN`.
pub(crate) const NAME: usize = 16;

/// Where a task's name may be: `struct task_struct` is not larger.
const LARGEST_TASK: usize = 16 << 10;
const PIECE: usize = 64;

/// What one program executed on one vCPU.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    plain: Cell<i64>,
    strings: Cell<i64>,
    bytes: Cell<u64>,
}

impl Counts {
    #[inline]
    pub(crate) fn add(&self, plain: u32, strings: u32) {
        self.plain.set(self.plain.get() + i64::from(plain));
        self.strings.set(self.strings.get() + i64::from(strings));
    }

    pub(crate) fn correct(&self, plain: i64, strings: i64) {
        self.plain.set(self.plain.get() + plain);
        self.strings.set(self.strings.get() + strings);
    }

    /// Bytes that a string instruction handled.
    pub(crate) fn add_bytes(&self, bytes: u64) {
        self.bytes.set(self.bytes.get() + bytes);
    }

    /// Instructions that are no string instructions, passes through string instructions, their bytes.
    pub(crate) fn get(&self) -> (i64, i64, u64) {
        (self.plain.get(), self.strings.get(), self.bytes.get())
    }

    fn clear(&self) {
        self.plain.set(0);
        self.strings.set(0);
        self.bytes.set(0);
    }
}

/// All programs that were seen.
#[derive(Debug, Default)]
pub(crate) struct Programs {
    found: Vec<(String, &'static [Counts])>,
}

impl Programs {
    fn find(&mut self, name: &str) -> &'static [Counts] {
        if let Some((_, counts)) = self.found.iter().find(|(found, _)| found == name) {
            return counts;
        }
        let counts: &'static [Counts] =
            Box::leak(std::iter::repeat_with(Counts::default).take(MOST_VCPUS).collect());
        self.found.push((name.to_owned(), counts));
        counts
    }

    pub(crate) fn clear(&self) {
        self.found.iter().flat_map(|(_, counts)| counts.iter()).for_each(Counts::clear);
    }

    /// By name.
    pub(crate) fn executed(&self, vcpu: usize) -> Vec<(&str, (i64, i64, u64))> {
        let mut list: Vec<_> =
            self.found.iter().map(|(name, counts)| (name.as_str(), counts[vcpu].get())).collect();
        list.retain(|(_, (plain, strings, bytes))| (*plain, *strings, *bytes) != (0, 0, 0));
        list.sort_unstable();
        list
    }
}

/// The counters of the program of this name.
pub(crate) fn find(name: [u8; NAME], vcpu: usize) -> &'static Counts {
    let end = name.iter().position(|byte| *byte == 0).unwrap_or(name.len());
    &plugin::with(|plugin| plugin.programs.find(&String::from_utf8_lossy(&name[..end])))[vcpu]
}

/// The counters of what runs at low addresses before there are tasks: firmware and the kernel's first instructions.
pub(crate) fn before_tasks(vcpu: usize) -> &'static Counts {
    &plugin::with(|plugin| plugin.programs.find("(boot)"))[vcpu]
}

/// The name of a task.
pub(crate) fn name_of(task: u64) -> Option<[u8; NAME]> {
    let offset = (*OFFSET.get()?)?;
    let mut name = [0; NAME];
    api().memory(task + offset, &mut name).then_some(name)
}

/// Whether the kernel has begun to run tasks. Before it has, what is at low addresses may be code of 16 or 32 bits.
pub(crate) fn has_tasks() -> bool {
    OFFSET.get().is_some()
}

static OFFSET: OnceLock<Option<u64>> = OnceLock::new();

/// Looks for the name of the first CPU's idle task, which is known, to learn where tasks have theirs. To be called when
/// the scheduler has begun to run tasks, and has thus named it (kernel/sched/core.c `init_idle`).
pub(crate) fn learn_where_names_are(init_task: u64) {
    OFFSET.get_or_init(|| {
        // In pieces: what is behind the structure may not be mapped.
        let mut bytes = vec![0; LARGEST_TASK];
        let mut length = 0;
        for (piece, address) in bytes.chunks_mut(PIECE).zip((init_task..).step_by(PIECE)) {
            if !api().memory(address, piece) {
                break;
            }
            length += piece.len();
        }
        offset_of_name(&bytes[..length])
    });
}

fn offset_of_name(task: &[u8]) -> Option<u64> {
    let wanted = b"swapper/0\0";
    let found = task.windows(wanted.len()).position(|bytes| bytes == wanted)?;
    u64::try_from(found).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_idle_tasks_name_tells_where_names_are() {
        let mut task = vec![7; 4096];
        assert_eq!(offset_of_name(&task), None);
        task[1234..1244].copy_from_slice(b"swapper/0\0");
        assert_eq!(offset_of_name(&task), Some(1234));
    }

    #[test]
    fn a_program_is_one_on_all_vcpus() {
        let mut programs = Programs::default();
        programs.find("iperf3")[0].add(5, 1);
        programs.find("iperf3")[1].add(2, 0);
        programs.find("iperf3")[0].correct(-2, 0);
        programs.find("bash");
        assert_eq!(programs.executed(0), [("iperf3", (3, 1, 0))]);
        assert_eq!(programs.executed(1), [("iperf3", (2, 0, 0))]);
        programs.clear();
        assert_eq!(programs.executed(0), []);
    }
}
