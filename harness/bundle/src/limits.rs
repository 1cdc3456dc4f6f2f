//! How much of a stranger's file is taken.

/// Bounds on what a bundle may hold. They are checked against what it declares before anything is read, and again against what
/// really comes out of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of the manifest: it is read into memory.
    pub manifest: u64,
    /// Members beside the manifest.
    pub members: usize,
    /// Bytes of one member.
    pub member: u64,
    /// Bytes of all members together.
    pub total: u64,
}

impl Default for Limits {
    /// What the largest runs need many times over: a distribution's kernel has five thousand modules, a run of a thousand boots
    /// thirty files each; a root image has some hundred megabytes.
    fn default() -> Self {
        Self { manifest: 64 << 20, members: 200_000, member: 4 << 30, total: 16 << 30 }
    }
}

/// Log of the largest window that the decompressor may be asked to keep: 8 MiB. zstd's levels up to 19 need no more.
pub(crate) const WINDOW_LOG: u32 = 23;
