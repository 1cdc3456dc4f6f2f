//! Where everything is in the cache.

use std::{
    fs,
    path::{Path, PathBuf},
};

use crate::{KernelError, error::io, folder};

/// What the file `format` says. A cache that says something else is of another version and is left alone.
const FORMAT: &str = "assay kernel cache 1\n";

/// Paths within a cache. Names given to it are digests or made safe by [`Layout::safe`].
#[derive(Clone, Debug)]
pub(crate) struct Layout {
    root: PathBuf,
}

impl Layout {
    /// Opens a cache, or makes one.
    pub(crate) fn open(root: &Path) -> Result<Self, KernelError> {
        let root = std::path::absolute(root).map_err(io("find", root))?;
        folder::create(&root)?;
        let marker = root.join("format");
        match fs::read_to_string(&marker) {
            Ok(found) if found == FORMAT => {}
            Ok(found) => {
                let (found, known) = (found.trim().to_owned(), FORMAT.trim().to_owned());
                return Err(KernelError::NewerCache { path: marker, found, known });
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                folder::write_durably(&marker, FORMAT.as_bytes())?;
            }
            Err(error) => return Err(io("read", marker)(error)),
        }
        let layout = Self { root };
        for name in [
            "images",
            "trees",
            "objects",
            "selftests",
            "requests",
            "resolutions",
            "locks",
            "work",
            "git",
            "logs",
            "damaged",
        ] {
            folder::create(&layout.root.join(name))?;
        }
        Ok(layout)
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    pub(crate) fn images(&self) -> PathBuf {
        self.root.join("images")
    }

    /// The entry of an image.
    pub(crate) fn image(&self, key: &str) -> PathBuf {
        self.images().join(key)
    }

    pub(crate) fn trees(&self) -> PathBuf {
        self.root.join("trees")
    }

    /// A pristine source tree with its origin.
    pub(crate) fn tree(&self, id: &str) -> PathBuf {
        self.trees().join(id)
    }

    pub(crate) fn all_objects(&self) -> PathBuf {
        self.root.join("objects")
    }

    /// The objects of a base.
    pub(crate) fn objects(&self, id: &str) -> PathBuf {
        self.all_objects().join(id)
    }

    pub(crate) fn all_selftests(&self) -> PathBuf {
        self.root.join("selftests")
    }

    /// Installed tests.
    pub(crate) fn selftests(&self, key: &str) -> PathBuf {
        self.all_selftests().join(key)
    }

    /// Debian roots that tests are built with.
    pub(crate) fn build_roots(&self) -> PathBuf {
        self.root.join("roots")
    }

    /// Says which image a request became.
    pub(crate) fn request(&self, digest: &str) -> PathBuf {
        self.root.join("requests").join(digest)
    }

    /// Says what a source was last resolved to.
    pub(crate) fn resolution(&self, digest: &str) -> PathBuf {
        self.root.join("resolutions").join(digest)
    }

    /// A bare repository for what is fetched from a URL.
    pub(crate) fn repository(&self, digest: &str) -> PathBuf {
        self.repositories().join(digest)
    }

    pub(crate) fn lock(&self, kind: &str, name: &str) -> PathBuf {
        self.root.join("locks").join(format!("{kind}-{name}"))
    }

    pub(crate) fn work(&self) -> PathBuf {
        self.root.join("work")
    }

    /// A log of something that has no place of its own for one.
    pub(crate) fn log(&self, name: &str) -> PathBuf {
        self.root.join("logs").join(format!("{name}.log"))
    }

    pub(crate) fn repositories(&self) -> PathBuf {
        self.root.join("git")
    }

    pub(crate) fn damaged(&self) -> PathBuf {
        self.root.join("damaged")
    }

    /// `name` with everything replaced that does not belong into a plain file name.
    pub(crate) fn safe(name: &str) -> String {
        let safe: String = name
            .chars()
            .map(|c| if c.is_ascii_alphanumeric() || "-_.+~".contains(c) { c } else { '_' })
            .collect();
        // Neither hidden nor a way up.
        safe.trim_start_matches('.').to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_version_is_refused_and_left_alone() {
        let room = tempfile::tempdir().unwrap();
        fs::write(room.path().join("format"), "assay kernel cache 9\n").unwrap();
        let error = Layout::open(room.path()).unwrap_err();
        assert!(error.to_string().contains("`assay kernel cache 9`"), "{error}");
        assert_eq!(fs::read_dir(room.path()).unwrap().count(), 1);
    }

    #[test]
    fn names_stay_in_their_folder() {
        assert_eq!(Layout::safe("../1:6.12/x"), "_1_6.12_x");
        assert_eq!(Layout::safe(".."), "");
    }
}
