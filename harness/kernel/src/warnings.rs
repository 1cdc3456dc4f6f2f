//! What compilers and linkers warned of while a kernel was built. Kept with the image, so that a kernel from the cache has its
//! warnings, too.

use std::{collections::BTreeSet, path::Path};

use measure::KernelImage;

use crate::{KernelError, folder, sandbox::SOURCE};

/// The file in an image's entry: one warning a line. Entries from before it was kept do not have it.
pub(crate) const FILE: &str = "warnings";
/// Most bytes of that file; a kernel is built with few warnings or none.
const LIMIT: u64 = 16 << 20;

/// The warnings in the output of make, in order, each once, with paths as they are in the tree.
pub(crate) fn in_output(output: &str) -> Vec<String> {
    let inside = format!("{SOURCE}/");
    let mut seen = BTreeSet::new();
    output
        .lines()
        .filter(|line| line.contains(": warning: ") || line.starts_with("WARNING: "))
        .map(|line| line.replace(&inside, ""))
        .filter(|line| seen.insert(line.clone()))
        .collect()
}

/// The warnings of an image of the cache; nothing if its entry is older than they are.
pub(crate) fn of_image(image: &KernelImage) -> Result<Option<Vec<String>>, KernelError> {
    let path = image.image.parent().unwrap_or(Path::new("/")).join(FILE);
    if !path.is_file() {
        return Ok(None);
    }
    let text = folder::read_regular(&path, LIMIT)?;
    Ok(Some(String::from_utf8_lossy(&text).lines().map(str::to_owned).collect()))
}

/// A warning without its line and column, which every patch above it moves.
#[must_use]
pub fn without_place(warning: &str) -> String {
    let is_number = |part: &&str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    warning.split(':').filter(|part| !is_number(part)).collect::<Vec<_>>().join(":")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn warnings_are_told_once_and_compared_without_their_lines() {
        let output = "  CC      net/a.o\n/src/net/a.c: In function 'f':\n/src/net/a.c:3:7: warning: unused variable 'x' [-Wunused-variable]\n    3 | int x;\n\
            /src/net/a.c:3:7: warning: unused variable 'x' [-Wunused-variable]\nWARNING: modpost: vmlinux: section mismatch\nld: warning: x has a LOAD segment\n";
        let warnings = in_output(output);
        assert_eq!(
            warnings,
            [
                "net/a.c:3:7: warning: unused variable 'x' [-Wunused-variable]",
                "WARNING: modpost: vmlinux: section mismatch",
                "ld: warning: x has a LOAD segment"
            ]
        );
        assert_eq!(without_place(&warnings[0]), without_place(&warnings[0].replace(":3:7:", ":90:1:")));
        assert_ne!(without_place(&warnings[0]), without_place(&warnings[0].replace("'x'", "'y'")));
    }
}
