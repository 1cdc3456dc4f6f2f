//! What a guest has beside what it boots: folders of the host, and a debugger's stub.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use crate::{MachineError, process::give_to_sandbox};

/// Most folders that one guest can share with the host.
pub const MAX_SHARES: usize = 8;

/// What a guest has beside what it boots. By default nothing: it sees no file of the host's.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Attachments {
    /// What its root is.
    pub root: Root,
    /// Folders of the host. At most [`MAX_SHARES`].
    pub shares: Vec<Share>,
    /// Whether QEMU's debugger stub listens, at [`debugger_socket`].
    pub debugger: Option<Debugger>,
}

/// A guest's root.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Root {
    /// The image, under a writable layer in memory.
    #[default]
    Image,
    /// The host's, as far as the user that guests run as may read it. /dev, /proc, /sys, /run and /tmp are the guest's own.
    Host,
    /// The same, under a writable layer in memory.
    HostOverlay,
}

/// A folder of the host in a guest, by 9p: what changes on one side is seen on the other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Share {
    /// An existing folder, absolute.
    pub host: PathBuf,
    /// Where it is in the guest: an absolute path.
    pub guest: String,
    /// Whether the guest may write.
    pub access: Access,
}

/// What a guest may do with a shared folder. QEMU enforces it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Read.
    ReadOnly,
    /// Read and write, as the user that guests run as.
    ReadWrite,
}

/// How a debugger comes to a guest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Debugger {
    /// At any time.
    Attach,
    /// The guest waits for it at power-on.
    Wait,
}

/// The mount tag of the host's root.
pub(crate) const ROOT_TAG: &str = "assay.root";

/// The mount tag of a share.
pub(crate) fn share_tag(index: usize) -> String {
    format!("assay.share{index}")
}

/// Where the debugger stub of a guest listens whose machine was booted with this runtime folder. Only the user that
/// guests run as, and root, can connect.
#[must_use]
pub fn debugger_socket(runtime: &Path, guest: &str) -> PathBuf {
    runtime.join("gdb").join(guest)
}

/// Makes the folder of [`debugger_socket`]: private to the guests' user.
pub(crate) fn debugger_folder(runtime: &Path) -> Result<(), MachineError> {
    let folder = runtime.join("gdb");
    let failed =
        |source| MachineError::Io { action: "making the private folder", path: folder.clone(), source };
    match fs::create_dir(&folder) {
        Ok(()) => {}
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
        Err(error) => return Err(failed(error)),
    }
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o700)).map_err(failed)?;
    give_to_sandbox(&folder).map_err(failed)
}
