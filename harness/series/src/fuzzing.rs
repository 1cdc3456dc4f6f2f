//! Doors to this crate's parsers.

use crate::{Series, SeriesError, error::Problems, input, mbox, thread::assemble};

/// The series in what could be a file, gzip or not.
///
/// # Errors
/// Everything that is wrong with it.
pub fn read(bytes: &[u8]) -> Result<Series, SeriesError> {
    let shown = "input";
    let bytes = mbox::decompressed(bytes.to_vec(), shown)?;
    let (kind, mails) = input::mails(&bytes, shown)?;
    let unusable = |problems| SeriesError::Unusable(Problems { input: shown.to_owned(), problems });
    Ok(assemble(mails).map_err(unusable)?.into_series(kind, "stem"))
}
