//! How much of this machine's disk a build may take. Whoever wrote the Makefiles may want all of it.
//!
//! One file is bounded by the kernel (`RLIMIT_FSIZE`, set on every sandboxed command), what is in memory by the sizes of the
//! sandbox's tmpfs. The build folder and the log are looked at while make runs: no quota can be set on a folder without
//! privileges, so a build can overshoot by what it writes between two looks.

use std::{
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use nix::sys::statvfs::statvfs;

use crate::{KernelError, error::sys, folder};

/// Bytes of one file that a sandboxed command writes. The largest of a kernel is its `vmlinux.o`, below 2 GiB with all symbols.
pub(crate) const FILE: u64 = 8 << 30;

/// Bounds of a build.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    /// Bytes of the log. That of a kernel with all modules has 2 MB.
    pub(crate) log: u64,
    /// Bytes of the build folder. That of a distribution's kernel with all modules and symbols has 25 GB.
    pub(crate) folder: u64,
    /// Bytes that stay free on the disk.
    pub(crate) reserve: u64,
    /// The folder is measured again when so much less is free: measuring takes a fraction of a second.
    pub(crate) growth: u64,
}

impl Default for Bounds {
    fn default() -> Self {
        Self { log: 256 << 20, folder: 48 << 30, reserve: 1 << 30, growth: 2 << 30 }
    }
}

/// Between two looks at the disk.
const INTERVAL: Duration = Duration::from_secs(1);

/// What a build takes too much of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Excess {
    Log,
    Folder,
    /// The disk is full, whoever filled it.
    Disk {
        free: u64,
    },
}

/// Looks at a build that runs.
#[derive(Debug)]
pub(crate) struct Guard {
    bounds: Bounds,
    folder: PathBuf,
    /// Free bytes when the folder was measured last.
    free: u64,
    looked: Option<Instant>,
}

impl Guard {
    pub(crate) fn new(bounds: Bounds, folder: &Path) -> Result<Self, KernelError> {
        Ok(Self { bounds, folder: folder.to_owned(), free: free(folder)?, looked: None })
    }

    /// What there is too much of, if there is; `log` are the bytes written to the log.
    pub(crate) fn look(&mut self, log: u64) -> Result<Option<Excess>, KernelError> {
        if log > self.bounds.log {
            return Ok(Some(Excess::Log));
        }
        if self.looked.is_some_and(|looked| looked.elapsed() < INTERVAL) {
            return Ok(None);
        }
        self.looked = Some(Instant::now());
        let free = free(&self.folder)?;
        if free < self.bounds.reserve {
            return Ok(Some(Excess::Disk { free }));
        }
        if self.free.saturating_sub(free) < self.bounds.growth {
            return Ok(None);
        }
        self.free = free;
        // Files come and go while make runs; then it is measured the next time.
        let size = folder::size(&self.folder).unwrap_or(0);
        Ok((size > self.bounds.folder).then_some(Excess::Folder))
    }
}

impl Excess {
    /// Why a build was ended: the series' own doing.
    pub(crate) fn of_the_series(self, bounds: &Bounds) -> Option<String> {
        match self {
            Self::Log => {
                Some(format!("it was ended: it had written more than {} MiB of output", bounds.log >> 20))
            }
            Self::Folder => {
                Some(format!("it was ended: its build folder had grown beyond {} GiB", bounds.folder >> 30))
            }
            Self::Disk { .. } => None,
        }
    }
}

fn free(folder: &Path) -> Result<u64, KernelError> {
    let found = statvfs(folder).map_err(sys("look at the disk of", folder))?;
    Ok(found.blocks_available().saturating_mul(found.fragment_size()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bounds() -> Bounds {
        Bounds { log: 100, folder: 1 << 20, reserve: 0, growth: 0 }
    }

    #[test]
    fn a_log_without_end_a_full_folder_and_a_full_disk_are_told_apart() {
        let room = tempfile::tempdir().unwrap();
        let look = |bounds, log| Guard::new(bounds, room.path()).unwrap().look(log).unwrap();
        assert_eq!(look(bounds(), 100), None);
        assert_eq!(look(bounds(), 101), Some(Excess::Log));
        std::fs::write(room.path().join("large"), vec![1; 2 << 20]).unwrap();
        assert_eq!(look(bounds(), 0), Some(Excess::Folder));
        assert_eq!(look(Bounds { growth: u64::MAX, ..bounds() }, 0), None, "nothing was written since");
        assert!(matches!(look(Bounds { reserve: u64::MAX, ..bounds() }, 0), Some(Excess::Disk { .. })));
    }
}
