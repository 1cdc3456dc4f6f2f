//! The source files that functions were compiled from.

use std::{collections::BTreeMap, path::Path};

use addr2line::Loader;

use crate::{SymbolsError, symbols::from_top};

/// The source files at addresses of `vmlinux`, an image with debug information, by the addresses: paths from the top of the
/// kernel's tree. An address that has no line, such as of code that was made from a table, has none.
///
/// # Errors
/// If the image has no debug information that can be read.
pub fn source_files(
    vmlinux: &Path,
    addresses: impl IntoIterator<Item = u64>,
) -> Result<BTreeMap<u64, String>, SymbolsError> {
    let loader = Loader::new(vmlinux)
        .map_err(|error| SymbolsError::Image { path: vmlinux.to_owned(), reason: error.to_string() })?;
    let file = |address| {
        let location = loader.find_location(address).ok().flatten()?;
        Some((address, from_top(location.file?)))
    };
    Ok(addresses.into_iter().filter_map(file).collect())
}
