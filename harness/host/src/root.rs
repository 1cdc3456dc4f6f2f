//! The machine's files, below a folder: `/` for this machine, another one for a captured tree.

use std::{
    fs::{self, OpenOptions},
    io::{self, Write as _},
    path::{Path, PathBuf},
    str::FromStr,
};

/// Where `/proc`, `/sys` and `/etc` are read and written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Root {
    prefix: PathBuf,
}

impl Root {
    /// This machine.
    #[must_use]
    pub fn machine() -> Self {
        Self::at(Path::new("/"))
    }

    /// A tree that was captured from another one.
    #[must_use]
    pub fn at(prefix: &Path) -> Self {
        Self { prefix: prefix.to_owned() }
    }

    /// Whether it is this machine, so that what is not in files may be asked of the kernel.
    #[must_use]
    pub fn is_machine(&self) -> bool {
        self.prefix == Path::new("/")
    }

    /// Where an absolute path of the machine lies.
    #[must_use]
    pub fn path(&self, path: &str) -> PathBuf {
        self.prefix.join(path.trim_start_matches('/'))
    }

    /// Whether there is something under this path.
    #[must_use]
    pub fn exists(&self, path: &str) -> bool {
        self.path(path).exists()
    }

    /// A file's text without the space around it; none if there is no such file or it cannot be read.
    #[must_use]
    pub fn read(&self, path: &str) -> Option<String> {
        self.try_read(path).ok()
    }

    /// The same, with the reason why not.
    ///
    /// # Errors
    /// The operating system's.
    pub fn try_read(&self, path: &str) -> io::Result<String> {
        // Command lines and process names are bytes; what is not text in them does not matter here.
        // What would steer a terminal does not get there.
        let bytes = fs::read(self.path(path))?;
        let is_text = |c: char| !c.is_control() || matches!(c, '\n' | '\t');
        Ok(String::from_utf8_lossy(&bytes).trim().chars().map(|c| if is_text(c) { c } else { '?' }).collect())
    }

    /// A file that holds one number; none if it does not.
    #[must_use]
    pub fn number<T: FromStr>(&self, path: &str) -> Option<T> {
        self.read(path)?.parse().ok()
    }

    /// The names in a folder in natural order (`cpu2` before `cpu10`); none if there is no such folder.
    #[must_use]
    pub fn names(&self, path: &str) -> Vec<String> {
        let Ok(entries) = fs::read_dir(self.path(path)) else { return vec![] };
        let mut names: Vec<String> =
            entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok()).collect();
        names.sort_by_cached_key(|name| natural(name));
        names
    }

    /// The last name of what a symbolic link points to, as sysfs names a device's driver.
    #[must_use]
    pub fn link_name(&self, path: &str) -> Option<String> {
        let target = fs::read_link(self.path(path)).ok()?;
        Some(target.file_name()?.to_str()?.to_owned())
    }

    /// Writes to a file that is there, in one piece, as kernel attributes want it.
    ///
    /// # Errors
    /// The operating system's, which is also how the kernel refuses a value.
    pub fn write(&self, path: &str, text: &str) -> io::Result<()> {
        let mut file = OpenOptions::new().write(true).truncate(true).open(self.path(path))?;
        file.write_all(text.as_bytes())
    }
}

/// What stands before the number at the end, and the number.
fn natural(name: &str) -> (String, u64) {
    let stem = name.trim_end_matches(|c: char| c.is_ascii_digit());
    (stem.to_owned(), name[stem.len()..].parse().unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_at_the_end_of_names_count_as_numbers() {
        let mut names = vec!["cpu10", "cpu2", "cpufreq", "cpu", "0000:0a:00.0", "0000:02:00.0"];
        names.sort_by_cached_key(|name| natural(name));
        assert_eq!(names, ["0000:02:00.0", "0000:0a:00.0", "cpu", "cpu2", "cpu10", "cpufreq"]);
    }

    #[test]
    fn a_file_that_is_not_there_is_not_made() {
        let folder = tempfile::tempdir().unwrap();
        let root = Root::at(folder.path());
        assert_eq!(root.read("/sys/kernel/mm/ksm/run"), None);
        assert!(root.write("/run", "1").is_err());
        std::fs::write(folder.path().join("run"), "0 is longer than 1\n").unwrap();
        root.write("/run", "1").unwrap();
        assert_eq!(root.number::<u8>("/run"), Some(1));
    }
}
