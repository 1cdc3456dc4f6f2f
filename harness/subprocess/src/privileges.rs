//! As whom a child runs.

use nix::unistd::{Gid, Uid, geteuid};

/// The user and group id to which children drop when the harness is root.
///
/// It lies in 61184..=65519, the range that systemd keeps for `DynamicUser=` services and that distributions therefore
/// give to nobody: no passwd entry, no home, no files but those we make. It is fixed, so that a cache written by one
/// run can be read by the next. `nobody` would not do: other services own processes and files under that id.
const SANDBOX_ID: u32 = 64_313;

/// As whom a child runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum RunAs {
    /// As the user who runs the harness.
    #[default]
    Caller,
    /// Without privileges: no_new_privs is set, and a root harness drops to [`sandbox_ids`] with no further groups.
    /// When the harness is not root, the user stays the same.
    Unprivileged,
    /// The same, but as a root harness's only group this one: that of a device which the child is to open, such as
    /// `/dev/kvm`. Never root's group.
    UnprivilegedInGroup(Gid),
}

/// Whom [`RunAs::Unprivileged`] drops to; `None` when the harness is not root, and so stays who it is.
pub fn sandbox_ids() -> Option<(Uid, Gid)> {
    geteuid().is_root().then_some((Uid::from_raw(SANDBOX_ID), Gid::from_raw(SANDBOX_ID)))
}
