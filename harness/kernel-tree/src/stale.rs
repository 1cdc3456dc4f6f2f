//! Whether sources were changed since the kernel was built. A guess from times, as make's is, at the cost of one look at
//! every source file.

use std::{
    fs,
    path::{Path, PathBuf},
    time::SystemTime,
};

use crate::{BuildFolder, build::modified};

/// What goes into a kernel; documentation, samples and tools do not.
const FOLDERS: &[&str] = &[
    "arch/x86", "block", "certs", "crypto", "drivers", "fs", "include", "init", "io_uring", "ipc", "kernel",
    "lib", "mm", "net", "rust", "security", "sound", "usr", "virt",
];

/// Sources that are newer than what was built of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stale {
    /// The newest of them, within the tree.
    pub newest: PathBuf,
    /// How many there are.
    pub count: usize,
}

impl BuildFolder {
    /// The sources of this build that are newer than `image`. Sources that are not part of it do not count: those without an
    /// object.
    ///
    /// What cannot be read is left out: this is for a note, and make will complain.
    #[must_use]
    pub fn stale(&self, image: &Path) -> Option<Stale> {
        let built = modified(image).ok()?;
        let mut newest: Option<(SystemTime, PathBuf)> = None;
        let mut count = 0;
        let mut each = |path: &Path, time: SystemTime| {
            count += 1;
            if newest.as_ref().is_none_or(|(newest, _)| time > *newest) {
                newest = Some((time, path.to_owned()));
            }
        };
        for folder in FOLDERS {
            self.newer(Path::new(folder), built, &mut each);
        }
        if let Ok(time) = modified(&self.path().join(".config"))
            && time > built
        {
            each(Path::new(".config"), time);
        }
        newest.map(|(_, newest)| Stale { newest, count })
    }

    fn newer(&self, folder: &Path, built: SystemTime, each: &mut dyn FnMut(&Path, SystemTime)) {
        let Ok(entries) = fs::read_dir(self.source().join(folder)) else { return };
        for entry in entries.flatten() {
            let Ok(kind) = entry.file_type() else { continue };
            let path = folder.join(entry.file_name());
            if kind.is_dir() {
                // What kbuild makes there is made by the build itself.
                if !path.ends_with("generated") {
                    self.newer(&path, built, each);
                }
                continue;
            }
            let counts = match path.extension().and_then(|extension| extension.to_str()) {
                Some("h") => true,
                Some("c" | "S" | "rs") => self.path().join(path.with_extension("o")).is_file(),
                _ => false,
            };
            if !counts {
                continue;
            }
            if let Some(time) = entry.metadata().ok().and_then(|metadata| metadata.modified().ok())
                && time > built
            {
                each(&path, time);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::toy::Toy;

    #[test]
    fn only_sources_of_this_build_make_it_stale() {
        let toy = Toy::new();
        toy.build(toy.root());
        let folder = BuildFolder::find(toy.root(), None, None).unwrap().unwrap();
        let image = toy.root().join("vmlinux");
        let later = |name: &str, seconds: u64| {
            let file = fs::File::options().append(true).open(toy.root().join(name)).unwrap();
            file.set_modified(
                fs::metadata(&image).unwrap().modified().unwrap() + Duration::from_secs(seconds),
            )
            .unwrap();
        };
        assert_eq!(folder.stale(&image), None);
        later("net/ipv4/unused.c", 5);
        assert_eq!(folder.stale(&image), None, "it has no object");
        later("net/ipv4/tcp.c", 1);
        later("include/linux/tcp.h", 2);
        let stale = folder.stale(&image).unwrap();
        assert_eq!((stale.newest.to_str().unwrap(), stale.count), ("include/linux/tcp.h", 2));
    }
}
