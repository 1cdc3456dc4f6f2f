//! Memory of ours that a NIC can be given as a device's: a memfd as a dmabuf (Documentation/driver-api/dma-buf.rst,
//! include/uapi/linux/udmabuf.h).
#![expect(unsafe_code, reason = "ioctls")]

use std::{
    fs::File,
    os::fd::{AsFd, BorrowedFd, FromRawFd, OwnedFd},
    ptr,
};

use nix::{
    errno::Errno,
    fcntl::{FcntlArg, SealFlag, fcntl},
    sys::memfd::{MFdFlags, memfd_create},
};

use crate::{
    error::Failure,
    sys::{self, Mapping},
};

const UDMABUF_CREATE: u64 = 0x4018_7542;
const DMA_BUF_IOCTL_SYNC: u64 = 0x4008_6200;
const SYNC_READ: u64 = 1;
const SYNC_WRITE: u64 = 2;
const SYNC_END: u64 = 4;
const PAGE: u64 = 4096;

/// `struct udmabuf_create`.
#[repr(C)]
struct Create {
    memfd: u32,
    flags: u32,
    offset: u64,
    size: u64,
}

const _: () = assert!(size_of::<Create>() == 24);

/// What the CPU is going to do with the memory.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Access {
    Read,
    Write,
}

/// A dmabuf and its memory.
#[derive(Debug)]
pub(crate) struct Udmabuf {
    dmabuf: OwnedFd,
    memory: Mapping,
}

impl Udmabuf {
    /// Of a size in bytes that is rounded up to whole pages.
    pub(crate) fn new(size: u64) -> Result<Self, Failure> {
        let size = size.next_multiple_of(PAGE);
        let device = File::open("/dev/udmabuf").map_err(|error| {
            Failure::Unavailable(format!("/dev/udmabuf: {error}; the kernel needs CONFIG_UDMABUF"))
        })?;
        let memory = memfd_create(c"assay-bench", MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING)
            .map_err(|errno| Failure::call("making a memfd", errno))?;
        fcntl(&memory, FcntlArg::F_ADD_SEALS(SealFlag::F_SEAL_SHRINK))
            .map_err(|errno| Failure::call("sealing a memfd", errno))?;
        let memory = File::from(memory);
        memory.set_len(size).map_err(|error| Failure::call("sizing a memfd", error))?;
        let dmabuf = create(device.as_fd(), memory.as_fd(), size)
            .map_err(|errno| Failure::call(&format!("making a udmabuf of {size} bytes"), errno))?;
        let memory = Mapping::shared(&dmabuf, sys::size(size), true)
            .map_err(|errno| Failure::call("mapping a udmabuf", errno))?;
        Ok(Self { dmabuf, memory })
    }

    pub(crate) fn memory(&self) -> &Mapping {
        &self.memory
    }

    pub(crate) fn memory_mut(&mut self) -> &mut Mapping {
        &mut self.memory
    }

    /// Begins the CPU's use of the memory.
    pub(crate) fn begin(&self, access: Access) -> nix::Result<()> {
        self.sync(access, 0)
    }

    /// Ends the CPU's use of the memory.
    pub(crate) fn end(&self, access: Access) -> nix::Result<()> {
        self.sync(access, SYNC_END)
    }

    fn sync(&self, access: Access, end: u64) -> nix::Result<()> {
        let mut flags = end
            | match access {
                Access::Read => SYNC_READ,
                Access::Write => SYNC_WRITE,
            };
        // SAFETY: the argument is a `struct dma_buf_sync`, which is one number.
        unsafe { sys::ioctl(self.dmabuf.as_fd(), DMA_BUF_IOCTL_SYNC, ptr::from_mut(&mut flags).cast()) }
            .map(drop)
    }
}

impl AsFd for Udmabuf {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.dmabuf.as_fd()
    }
}

fn create(device: BorrowedFd<'_>, memory: BorrowedFd<'_>, size: u64) -> nix::Result<OwnedFd> {
    use std::os::fd::AsRawFd;
    /// `UDMABUF_FLAGS_CLOEXEC`.
    const CLOEXEC: u32 = 1;
    let memfd = u32::try_from(memory.as_raw_fd()).map_err(|_| Errno::EBADF)?;
    let mut create = Create { memfd, flags: CLOEXEC, offset: 0, size };
    // SAFETY: the argument is a `struct udmabuf_create`.
    let dmabuf = unsafe { sys::ioctl(device, UDMABUF_CREATE, ptr::from_mut(&mut create).cast()) }?;
    // SAFETY: the kernel has made the descriptor for us.
    Ok(unsafe { OwnedFd::from_raw_fd(dmabuf) })
}
