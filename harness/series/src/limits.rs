//! How much of anything is read: whoever wrote a mailbox is not trusted.

/// Bytes of an input, after decompression. A year of a busy list is less.
pub(crate) const INPUT: u64 = 256 << 20;
/// Bytes of one mail. vger refuses mails above 400 kB; treewide patches travel by other means.
pub(crate) const MAIL: usize = 32 << 20;
/// Mails of an input.
pub(crate) const MAILS: usize = 10_000;
/// Patches of a series.
pub(crate) const PATCHES: usize = 999;
/// Mails within mails: a forwarded digest has one level.
pub(crate) const NESTING: usize = 2;
/// Characters of a subject, a name or an address; RFC 5322 lines have at most 998 bytes.
pub(crate) const HEADER: usize = 998;
