//! Code that is mapped at two addresses, as a library is by two processes.
#![expect(unsafe_code, reason = "mappings, one of which is code")]

use std::{io, num::NonZeroUsize, os::fd::OwnedFd};

use nix::sys::{
    memfd::{MFdFlags, memfd_create},
    mman::{MapFlags, ProtFlags, mmap, mmap_anonymous},
};

const PAGE: usize = 4096;

/// Writes one byte to each of RSI pages from RDI on, and returns how many there were: a loop of one block, whose third
/// instruction faults where a page is new.
const TOUCH: [u8; 23] = [
    0x31, 0xc0, // xor %eax,%eax
    0x48, 0xff, 0xc0, // 1: inc %rax
    0x90, // nop
    0xc6, 0x07, 0x01, // movb $1,(%rdi)
    0x48, 0x81, 0xc7, 0x00, 0x10, 0x00, 0x00, // add $4096,%rdi
    0x48, 0x39, 0xf0, // cmp %rsi,%rax
    0x75, 0xed, // jne 1b
    0xc3, // ret
    0xcc,
];

type Touch = extern "C" fn(*mut u8, usize) -> usize;

/// The same page of code at two addresses.
pub(crate) struct Twice([Touch; 2]);

impl Twice {
    pub(crate) fn new() -> io::Result<Self> {
        let file = memfd_create(c"twice", MFdFlags::empty())?;
        nix::unistd::write(&file, &TOUCH)?;
        Ok(Self([map(&file)?, map(&file)?]))
    }

    /// Touches so many new pages by each.
    pub(crate) fn touch(&self, pages: usize) -> io::Result<usize> {
        let length = NonZeroUsize::new(pages * PAGE).ok_or(io::ErrorKind::InvalidInput)?;
        let mut touched = 0;
        for touch in self.0 {
            let (protection, flags) = (ProtFlags::PROT_READ | ProtFlags::PROT_WRITE, MapFlags::MAP_PRIVATE);
            // SAFETY: new memory, which nothing else refers to.
            let memory = unsafe { mmap_anonymous(None, length, protection, flags) }?;
            touched += touch(memory.as_ptr().cast(), pages);
        }
        Ok(touched)
    }
}

fn map(file: &OwnedFd) -> io::Result<Touch> {
    const LENGTH: NonZeroUsize = NonZeroUsize::new(PAGE).expect("a page is no empty mapping");
    let (protection, flags) = (ProtFlags::PROT_READ | ProtFlags::PROT_EXEC, MapFlags::MAP_SHARED);
    // SAFETY: new memory, which nothing else refers to.
    let code = unsafe { mmap(None, LENGTH, protection, flags, file, 0) }?;
    // SAFETY: it has the code of such a function.
    Ok(unsafe { std::mem::transmute::<*mut std::ffi::c_void, Touch>(code.as_ptr()) })
}
