//! Doors to this crate's parsers.

use std::{io, path::Path};

use crate::{Lacking, Version, build::module_place, elf, needs};

/// Whether an ELF file has the entry point of PVH boot.
///
/// # Errors
/// The operating system's.
pub fn has_pvh_entry(path: &Path) -> io::Result<bool> {
    elf::has_pvh_entry(path)
}

/// What keeps a `.config` from being a guest's.
#[must_use]
pub fn lacking(config: &str) -> Vec<Lacking> {
    let config = needs::Config::parse(config);
    assert!(needs::early_modules(&config).all(|(option, _)| config.get(option) == "m"), "modules are `m`");
    needs::lacking(&config)
}

/// The lines of a Makefile and of `modules.order`: the version, and the places of modules.
#[must_use]
pub fn lines(text: &str) -> (Option<Version>, Vec<std::path::PathBuf>) {
    (
        Version::of_makefile(text).or_else(|| Version::parse(text)),
        text.lines().filter_map(module_place).collect(),
    )
}
