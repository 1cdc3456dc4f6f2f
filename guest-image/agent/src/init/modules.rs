//! Loading the modules that a prebuilt kernel needs before it can see its root.

use std::{fs, fs::File, io, path::Path};

use nix::{errno::Errno, kmod::ModuleInitFlags};

use super::BootError;

/// Written by the image's builder: one path a line, dependencies before those that need them.
const ORDER: &str = "/modules/order";

/// Loads the modules of the initramfs, if it has any.
pub(super) fn load() -> Result<(), BootError> {
    let order = match fs::read_to_string(ORDER) {
        Ok(order) => order,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(source) => return Err(BootError::Module { module: ORDER.into(), source }),
    };
    for module in order.lines() {
        load_one(Path::new(module)).map_err(|source| BootError::Module { module: module.into(), source })?;
    }
    Ok(())
}

fn load_one(module: &Path) -> io::Result<()> {
    let file = File::open(module)?;
    match nix::kmod::finit_module(&file, c"", ModuleInitFlags::empty()) {
        // Built in, or already loaded as another one's dependency.
        Ok(()) | Err(Errno::EEXIST) => Ok(()),
        Err(errno) => Err(errno.into()),
    }
}
