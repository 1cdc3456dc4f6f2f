//! Doors to this crate's parsers.

use crate::{list, sources};

/// `--print-uris`, `madison` and apt's complaints. How many packages and versions there are, or what cannot be read.
///
/// # Errors
/// In words.
pub fn apt(text: &str) -> Result<usize, String> {
    let said = |error: crate::DebianError| error.to_string();
    let reason = list::unmet(text, text);
    let packages = list::packages(text).map_err(said)?;
    let name = text.split(' ').next().unwrap_or_default();
    let served = list::served(text, name).map_err(said)?;
    Ok(packages.len() + served.len() + usize::from(reason.is_empty()))
}

/// How many archives the two formats of sources.list(5) name.
#[must_use]
pub fn sources(text: &str) -> usize {
    sources::parse_list(text).len() + sources::parse_deb822(text).len()
}
