//! A tarball with a checksum, from a path or a URL.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use subprocess::Tool;

use super::{Resolved, archive};
use crate::{
    KernelError, digest,
    error::{tool, user_file},
    progress::{Listener, stage},
    site::Site,
    work::Work,
};

/// A slow line.
const DEADLINE: Duration = Duration::from_secs(2 * 3600);

/// The checksum is the version.
pub(super) fn resolve(sha256: &str) -> Resolved {
    let sha256 = sha256.to_ascii_lowercase();
    Resolved {
        id: format!("tarball-{}", crate::cache::Layout::safe(&sha256)),
        version: format!("sha256:{sha256}"),
    }
}

/// Gets the file, checks it, unpacks it.
pub(super) fn unpack(
    site: &Site,
    location: &str,
    sha256: &str,
    work: &Work,
    listener: &mut Listener<'_>,
) -> Result<PathBuf, KernelError> {
    let file = if location.contains("://") {
        stage(listener, format!("fetch {location}"));
        let file = work.at("tarball");
        Tool::new("curl")
            .args(["--fail", "--location", "--silent", "--show-error", "--proto", "=https,http,file"])
            .args(["--retry", "3", "--output"])
            .arg(&file)
            .args(["--", location])
            .deadline(DEADLINE)
            .run(&site.supervisor)
            .map_err(tool(format!("fetch {location}")))?;
        file
    } else {
        // The sandbox's user may not be able to read the user's folders, so it gets a copy.
        let file = work.at("tarball");
        std::fs::copy(Path::new(location), &file).map_err(user_file("copy", location))?;
        file
    };
    let found = digest::of_file(&file)?;
    if !found.eq_ignore_ascii_case(sha256) {
        let (location, expected) = (location.to_owned(), sha256.to_owned());
        return Err(KernelError::WrongChecksum { location, expected, found });
    }
    archive::unpack(&site.supervisor, &file, work, listener)
}
