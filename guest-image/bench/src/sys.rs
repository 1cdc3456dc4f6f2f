//! System calls that `nix` has no safe form of: memory that is mapped, messages with control data of new kinds, options of new
//! kinds.
#![expect(unsafe_code, reason = "memory and system calls that no crate wraps")]

use std::{
    io,
    os::fd::{AsFd, AsRawFd, BorrowedFd},
    ptr,
};

use nix::{errno::Errno, libc};

/// A size in bytes as one in memory.
pub(crate) fn size(bytes: u64) -> usize {
    usize::try_from(bytes).expect("the program is built for 64 bits")
}

/// Memory of our own or of a file's, until it is dropped.
#[derive(Debug)]
pub(crate) struct Mapping {
    start: *mut u8,
    length: usize,
}

// SAFETY: the mapping belongs to this value alone, whichever thread has it.
unsafe impl Send for Mapping {}
// SAFETY: through a shared reference it is only read.
unsafe impl Sync for Mapping {}

impl Mapping {
    /// Memory of our own, zeros.
    pub(crate) fn anonymous(length: usize) -> nix::Result<Self> {
        Self::new(length, libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS, -1)
    }

    /// Memory of our own with all its pages there from the beginning.
    pub(crate) fn populated(length: usize) -> nix::Result<Self> {
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_POPULATE;
        Self::new(length, libc::PROT_READ | libc::PROT_WRITE, flags, -1)
    }

    /// A file's memory, shared with whoever else has it.
    pub(crate) fn shared(file: impl AsFd, length: usize, writable: bool) -> nix::Result<Self> {
        let protection = libc::PROT_READ | if writable { libc::PROT_WRITE } else { 0 };
        Self::new(length, protection, libc::MAP_SHARED, file.as_fd().as_raw_fd())
    }

    fn new(length: usize, protection: i32, flags: i32, file: i32) -> nix::Result<Self> {
        // SAFETY: without MAP_FIXED the kernel chooses an address where nothing is.
        let start = unsafe { libc::mmap(ptr::null_mut(), length, protection, flags, file, 0) };
        if start == libc::MAP_FAILED {
            return Err(Errno::last());
        }
        Ok(Self { start: start.cast(), length })
    }

    pub(crate) fn len(&self) -> usize {
        self.length
    }

    pub(crate) fn address(&self) -> u64 {
        self.start as u64
    }

    pub(crate) fn pointer(&self) -> *const u8 {
        self.start
    }

    /// A part of it; none if it is not all inside.
    ///
    /// Memory of a NIC or of the kernel changes under our hands: what is read is what was there at the moment, and nothing that
    /// would be unsound follows from it, since bytes are all that is ever made of it.
    pub(crate) fn get(&self, at: usize, length: usize) -> Option<&[u8]> {
        let end = at.checked_add(length)?;
        // SAFETY: `at` to `end` lies within the mapping, which lives as long as `self`. Every mapping can be read.
        (end <= self.length).then(|| unsafe { std::slice::from_raw_parts(self.start.add(at), length) })
    }

    /// A part of memory that was mapped to be written; none if it is not all inside.
    pub(crate) fn get_mut(&mut self, at: usize, length: usize) -> Option<&mut [u8]> {
        let end = at.checked_add(length)?;
        // SAFETY: as above, and `self` is borrowed for writing. Only writable mappings are asked for this.
        (end <= self.length).then(|| unsafe { std::slice::from_raw_parts_mut(self.start.add(at), length) })
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: the mapping is ours, and no slice of it outlives `self`.
        unsafe { libc::munmap(self.start.cast(), self.length) };
    }
}

/// What a message brought.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Received {
    pub(crate) bytes: usize,
    /// Of the control data's buffer.
    pub(crate) control: usize,
    pub(crate) flags: i32,
}

/// `recvmsg` into one buffer.
pub(crate) fn receive(
    socket: BorrowedFd<'_>,
    into: &mut [u8],
    control: &mut [u8],
    flags: i32,
) -> io::Result<Received> {
    let mut vector = libc::iovec { iov_base: into.as_mut_ptr().cast(), iov_len: into.len() };
    // SAFETY: all zeros is a message without anything.
    let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
    message.msg_iov = &raw mut vector;
    message.msg_iovlen = 1;
    message.msg_control = control.as_mut_ptr().cast();
    message.msg_controllen = control.len();
    // SAFETY: the kernel writes into the two buffers, within the lengths that are theirs.
    let bytes = unsafe { libc::recvmsg(socket.as_raw_fd(), &raw mut message, flags) };
    let bytes = usize::try_from(bytes).map_err(|_| io::Error::last_os_error())?;
    Ok(Received { bytes, control: message.msg_controllen, flags: message.msg_flags })
}

/// `sendmsg` of what lies at `offset` of the dmabuf that is bound to the NIC with the number `binding`: the kernel takes the
/// address for an offset in it, and touches no memory of ours (net/core/devmem.c, `net_devmem_get_niov_at`).
pub(crate) fn send_of_binding(
    socket: BorrowedFd<'_>,
    offset: usize,
    length: usize,
    binding: u32,
) -> io::Result<usize> {
    let mut vector = libc::iovec { iov_base: ptr::without_provenance_mut(offset), iov_len: length };
    let mut control = crate::control::of_binding(binding);
    // SAFETY: all zeros is a message without anything.
    let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
    message.msg_iov = &raw mut vector;
    message.msg_iovlen = 1;
    message.msg_control = control.as_mut_ptr().cast();
    message.msg_controllen = control.len();
    // SAFETY: the kernel only reads what the message names, and the vector's address is no address.
    let bytes = unsafe { libc::sendmsg(socket.as_raw_fd(), &raw const message, libc::MSG_ZEROCOPY) };
    usize::try_from(bytes).map_err(|_| io::Error::last_os_error())
}

/// `setsockopt`; gives what the kernel returns, which for some options is a count.
pub(crate) fn set_option(socket: BorrowedFd<'_>, level: i32, option: i32, value: &[u8]) -> nix::Result<i32> {
    let length = libc::socklen_t::try_from(value.len()).map_err(|_| Errno::EINVAL)?;
    // SAFETY: the kernel reads `length` bytes of `value`.
    Errno::result(unsafe {
        libc::setsockopt(socket.as_raw_fd(), level, option, value.as_ptr().cast(), length)
    })
}

/// `getsockopt` into `value`, which also is what is asked; gives how much of it the kernel wrote.
pub(crate) fn option(
    socket: BorrowedFd<'_>,
    level: i32,
    option: i32,
    value: &mut [u8],
) -> nix::Result<usize> {
    let mut length = libc::socklen_t::try_from(value.len()).map_err(|_| Errno::EINVAL)?;
    // SAFETY: the kernel writes at most `length` bytes to `value`. What it writes to where `value` itself points, by a struct of
    // the option's, is the caller's to have mapped for that.
    Errno::result(unsafe {
        libc::getsockopt(socket.as_raw_fd(), level, option, value.as_mut_ptr().cast(), &raw mut length)
    })?;
    Ok(length as usize)
}

/// `ioctl` with a pointer to bytes that the kernel reads and writes; gives what it returns.
///
/// # Safety
///
/// `argument` has to be as long as the request says, and what it points to has to be valid for what the request does with it.
pub(crate) unsafe fn ioctl(
    file: BorrowedFd<'_>,
    request: u64,
    argument: *mut libc::c_void,
) -> nix::Result<i32> {
    // SAFETY: promised by the caller.
    Errno::result(unsafe { libc::ioctl(file.as_raw_fd(), request, argument) })
}
