//! What every step needs: the cache, the host's tools, and what this process has already settled.

use std::{
    collections::BTreeMap,
    sync::{Mutex, OnceLock, PoisonError},
};

use debian::Packages;
use subprocess::Supervisor;

use crate::{
    KernelError,
    cache::Layout,
    lock::Lock,
    sandbox,
    source::Resolved,
    toolchain::{self, Toolchain},
};

/// The cache and the tools around it.
#[derive(Debug)]
pub(crate) struct Site {
    pub(crate) layout: Layout,
    pub(crate) supervisor: Supervisor,
    pub(crate) packages: Packages,
    toolchain: OnceLock<Toolchain>,
    able: OnceLock<()>,
    /// What each source was resolved to first. All arms of a run must come from one version.
    settled: Mutex<BTreeMap<String, Resolved>>,
    /// Locks that keep the images which this process was given from being removed.
    pins: Mutex<Vec<Lock>>,
}

impl Site {
    pub(crate) fn new(layout: Layout, supervisor: Supervisor, packages: Packages) -> Self {
        Self {
            layout,
            supervisor,
            packages,
            toolchain: OnceLock::new(),
            able: OnceLock::new(),
            settled: Mutex::default(),
            pins: Mutex::default(),
        }
    }

    /// The host's compiler and linker, asked once.
    pub(crate) fn toolchain(&self) -> Result<&Toolchain, KernelError> {
        if let Some(toolchain) = self.toolchain.get() {
            return Ok(toolchain);
        }
        let toolchain = Toolchain::of_host(&self.supervisor)?;
        Ok(self.toolchain.get_or_init(|| toolchain))
    }

    /// Makes sure, once, that sandboxed commands can run here.
    pub(crate) fn require_sandbox(&self) -> Result<(), KernelError> {
        if self.able.get().is_none() {
            sandbox::require(self.layout.root(), &self.supervisor)?;
            self.able.get_or_init(|| ());
        }
        Ok(())
    }

    /// Makes sure that kernels can be built here.
    pub(crate) fn require_build(&self) -> Result<(), KernelError> {
        toolchain::require()?;
        self.require_sandbox()
    }

    /// Keeps an image from being removed while this process lives.
    pub(crate) fn pin(&self, lock: Lock) {
        self.pins.lock().unwrap_or_else(PoisonError::into_inner).push(lock);
    }

    /// Settles on a version of a source for this process; an error if it settled on another before.
    pub(crate) fn settle(&self, source: &str, name: &str, resolved: &Resolved) -> Result<(), KernelError> {
        let mut settled = self.settled.lock().unwrap_or_else(PoisonError::into_inner);
        let first = settled.entry(source.to_owned()).or_insert_with(|| resolved.clone());
        if first == resolved {
            return Ok(());
        }
        Err(KernelError::SourceMoved {
            base: name.to_owned(),
            first: first.version.clone(),
            now: resolved.version.clone(),
        })
    }
}
