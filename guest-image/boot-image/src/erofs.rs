//! Making the image: mkfs.erofs of the same Debian suite, so that the bytes do not depend on the host's version of it.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
    time::Duration,
};

use subprocess::{Supervisor, Tool};

use crate::BootImageError;

/// Copying 50 MB takes about a second.
const DEADLINE: Duration = Duration::from_secs(5 * 60);

/// An image with another UUID would be another image; nothing mounts it by UUID.
const UUID: &str = "a55a1000-0000-4000-8000-000000000001";

/// An unpacked Debian root with erofs-utils in it.
#[derive(Debug)]
pub(crate) struct ErofsUtils {
    /// Where it is unpacked.
    pub(crate) root: PathBuf,
}

impl ErofsUtils {
    /// The package that it is in; its dependencies must be unpacked as well.
    pub(crate) const PACKAGE: &str = "erofs-utils";

    /// Makes an image of `tree`, compressed or not. Its bytes depend on the tree's names, contents and permission bits alone.
    pub(crate) fn make(
        &self,
        tree: &Path,
        image: &Path,
        compressed: bool,
        supervisor: &Supervisor,
    ) -> Result<(), BootImageError> {
        let root = |path: &str| self.root.join(path);
        // Through the root's own loader: the host may have an older C library, or another kind.
        let tool = Tool::new(root("usr/lib64/ld-linux-x86-64.so.2"))
            .arg("--library-path")
            .arg(root("usr/lib/x86_64-linux-gnu"))
            .arg(root("usr/bin/mkfs.erofs"))
            .args(options(compressed))
            .arg(image)
            .arg(tree);
        tool.deadline(DEADLINE).run(supervisor)?;
        Ok(())
    }
}

fn options(compressed: bool) -> Vec<OsString> {
    // No extended attributes, which would be the host's. On a disk nothing is compressed: decompression costs more under
    // emulation than reading.
    let mut options = vec!["--quiet", "-T", "0", "--all-root", "-U", UUID, "-x", "-1"];
    if compressed {
        options.push("-zlz4hc");
    }
    options.into_iter().map(OsString::from).collect()
}
