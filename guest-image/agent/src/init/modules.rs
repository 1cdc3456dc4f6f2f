//! A modular kernel's modules: those that it needs before it can see its root, and the image with all of them.

use std::{fs, fs::File, io, os::fd::AsRawFd, path::Path, time::Duration};

use nix::{
    errno::Errno,
    kmod::ModuleInitFlags,
    mount::{MsFlags, mount},
    sys::utsname::uname,
};

use super::{BootError, uevents::Uevents};

/// The disk was announced together with the root's, which is there by now.
const PATIENCE: Duration = Duration::from_secs(20);

/// Written by the image's builder: one path a line, dependencies before those that need them.
const ORDER: &str = "/modules/order";

/// Where `modprobe` looks for them, by release.
const MODULES: &str = "/lib/modules";

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

/// The image with all modules.
pub(super) enum Image<'a> {
    Disk(&'a str),
    /// A file of the initramfs, by its name there. It is out of sight once the root is entered.
    Packed(&'a str, File),
}

impl<'a> Image<'a> {
    /// To be called while the initramfs is in sight.
    pub(super) fn find(path: &'a str) -> Result<Self, BootError> {
        if path.starts_with("/dev/") {
            return Ok(Self::Disk(path));
        }
        match File::open(path) {
            Ok(file) => Ok(Self::Packed(path, file)),
            Err(source) => Err(BootError::NoModulesDisk { device: path.into(), source }),
        }
    }
}

/// Mounts the image with all modules where `modprobe`, and the kernel through it, look for them.
pub(super) fn mount_all(image: &Image<'_>, events: &Uevents) -> Result<(), BootError> {
    let (name, source) = match image {
        Image::Disk(device) => {
            events.until(device, PATIENCE, || Path::new(device).exists().then_some(()))?;
            (device, (*device).to_owned())
        }
        Image::Packed(path, file) => (path, format!("/proc/self/fd/{}", file.as_raw_fd())),
    };
    let mounted = || -> io::Result<()> {
        let release = uname()?.release().to_string_lossy().into_owned();
        let folder = Path::new(MODULES).join(release);
        match fs::create_dir_all(&folder) {
            // The root is the host's, and its modules are of no use in the guest.
            Err(error) if error.kind() == io::ErrorKind::ReadOnlyFilesystem => {
                mount(Some("tmpfs"), MODULES, Some("tmpfs"), MsFlags::empty(), Some("mode=755"))?;
                fs::create_dir(&folder)?;
            }
            made => made?,
        }
        mount(Some(source.as_str()), &folder, Some("erofs"), MsFlags::MS_RDONLY, None::<&str>)?;
        Ok(())
    };
    mounted().map_err(|source| BootError::NoModulesDisk { device: (*name).into(), source })
}
