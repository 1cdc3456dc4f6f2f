//! The kernel's files as something that is read and written one value at a time.

use std::{fs, io};

use crate::Root;

/// Attributes in sysfs, procfs and cgroupfs. The second implementation is a simulated kernel, for tests.
pub trait Attributes {
    /// An attribute's text without the space around it.
    ///
    /// # Errors
    /// The operating system's.
    fn read(&self, path: &str) -> io::Result<String>;

    /// Writes an attribute.
    ///
    /// # Errors
    /// The operating system's, which is also how the kernel refuses a value.
    fn write(&self, path: &str, text: &str) -> io::Result<()>;

    /// Makes a cgroup.
    ///
    /// # Errors
    /// The operating system's.
    fn make_group(&self, path: &str) -> io::Result<()>;

    /// Removes a cgroup that has neither processes nor children.
    ///
    /// # Errors
    /// The operating system's.
    fn remove_group(&self, path: &str) -> io::Result<()>;
}

impl Attributes for Root {
    fn read(&self, path: &str) -> io::Result<String> {
        self.try_read(path)
    }

    fn write(&self, path: &str, text: &str) -> io::Result<()> {
        Root::write(self, path, text)
    }

    fn make_group(&self, path: &str) -> io::Result<()> {
        fs::create_dir(self.path(path))
    }

    fn remove_group(&self, path: &str) -> io::Result<()> {
        // Attributes vanish with their group; they cannot be removed one by one.
        fs::remove_dir(self.path(path))
    }
}
