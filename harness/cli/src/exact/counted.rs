//! The counts of one boot, as its folder keeps them.

use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow};
use measure::BuildEnd;
use profile::{Counts, Difference, Profile, Symbols};
use runner::COUNTS_FILE;
use store::RunFile;

use crate::failure::Failure;

/// One boot's file of counts, and the symbols of the kernel that it booted.
pub(super) struct Counted {
    text: String,
    path: PathBuf,
    map: Option<PathBuf>,
    /// Where its modules' functions were.
    modules: String,
}

/// What two boots have in common, or where they differ.
pub(super) enum Alike {
    /// Every count of every function is the same.
    Same(Amount),
    Differs(Difference),
    /// One has a window that the other lacks.
    Windows(usize, usize),
}

/// How much that was.
#[derive(Clone, Copy, Default)]
pub(super) struct Amount {
    pub(super) windows: usize,
    /// Kernel functions, each in each window.
    pub(super) functions: usize,
    /// As TCG counts them, those of user space included.
    pub(super) instructions: u64,
}

impl Counted {
    /// What the boot at `trial` counted, of a run in `folder`; nothing if it kept no counts, since it crashed.
    pub(super) fn read(
        folder: &Path,
        file: &RunFile,
        trial: u32,
        arm: &str,
    ) -> Result<Option<Self>, Failure> {
        let path = folder.join("trials").join(trial.to_string()).join("raw").join(COUNTS_FILE);
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(anyhow!(error).context(format!("reading {}", path.display())).into()),
        };
        let map = match file.kernels.get(arm).map(|kernel| &kernel.build) {
            Some(BuildEnd::Built(image)) => image.system_map.clone(),
            _ => None,
        };
        let raw = path.parent().unwrap_or(folder);
        let modules = runner::module_symbols(raw).with_context(|| format!("reading {}", raw.display()))?;
        Ok(Some(Self { text, path, map, modules }))
    }

    /// The same with the symbols of another file: those of its own may be on another machine.
    pub(super) fn with_map_of(mut self, other: &Self) -> Self {
        self.map.clone_from(&other.map);
        self
    }

    /// All its windows, each by function.
    fn profiles(&self) -> Result<(Vec<Profile>, Amount), Failure> {
        let counts = Counts::read(&self.text).with_context(|| format!("reading {}", self.path.display()))?;
        let mut symbols = Symbols::default();
        let map = self.map.as_ref().with_context(|| {
            format!("the kernel whose counts are in {} has no System.map", self.path.display())
        })?;
        symbols.add(&std::fs::read_to_string(map).with_context(|| {
            format!(
                "reading {}: without it, addresses have no functions (was it removed from the cache?)",
                map.display()
            )
        })?);
        symbols.add(&self.modules);
        let profiles: Vec<Profile> =
            counts.windows.iter().map(|window| Profile::new(window, &symbols)).collect();
        let amount = Amount {
            windows: profiles.len(),
            functions: profiles.iter().map(|profile| profile.functions.len()).sum(),
            instructions: counts.windows.iter().map(|window| window.executed).sum(),
        };
        Ok((profiles, amount))
    }

    /// Compares every count.
    pub(super) fn compare(&self, other: &Self) -> Result<Alike, Failure> {
        let (ours, amount) = self.profiles()?;
        if self.text == other.text {
            return Ok(Alike::Same(amount));
        }
        let (theirs, _) = other.profiles()?;
        if ours.len() != theirs.len() {
            return Ok(Alike::Windows(ours.len(), theirs.len()));
        }
        let found = ours.iter().zip(&theirs).find_map(|(ours, theirs)| ours.difference(theirs));
        Ok(found.map_or(Alike::Same(amount), Alike::Differs))
    }
}

impl std::fmt::Display for Amount {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} functions, {} instructions", self.functions, self.instructions)
    }
}

impl std::fmt::Display for Alike {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Same(amount) => write!(f, "the same in every count ({amount})"),
            Self::Differs(difference) => write!(f, "DIFFERS first in {difference}"),
            Self::Windows(ours, theirs) => write!(f, "DIFFERS: {ours} windows and {theirs}"),
        }
    }
}
