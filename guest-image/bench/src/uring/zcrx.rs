//! A receive queue's memory in a ring: registration and the refill ring (include/uapi/linux/io_uring/zcrx.h; the crate's structs
//! are older, and know neither events nor instances without a device).
#![expect(unsafe_code, reason = "memory that is shared with the kernel")]

use std::{
    collections::VecDeque,
    mem::offset_of,
    os::fd::RawFd,
    ptr,
    sync::atomic::{AtomicU32, AtomicU64, Ordering},
};

use flow::Copies;
use nix::{errno::Errno, libc};

use crate::sys::{Mapping, size};

const IORING_REGISTER_ZCRX_IFQ: u32 = 32;
const IORING_REGISTER_ZCRX_CTRL: u32 = 36;
const IORING_MEM_REGION_TYPE_USER: u32 = 1;
const ZCRX_REG_NODEV: u32 = 2;
const ZCRX_EVENT_DESC_FLAG_STATS: u32 = 1;
const ZCRX_CTRL_FLUSH_RQ: u32 = 0;
const AREA_SHIFT: u32 = 48;
const PAGE: usize = 4096;

/// `struct io_uring_region_desc`.
#[repr(C)]
#[derive(Default)]
struct Region {
    user_addr: u64,
    size: u64,
    flags: u32,
    id: u32,
    mmap_offset: u64,
    reserved: [u64; 4],
}

/// `struct io_uring_zcrx_area_reg`.
#[repr(C)]
#[derive(Default)]
struct Area {
    addr: u64,
    len: u64,
    token: u64,
    flags: u32,
    dmabuf_fd: u32,
    reserved: [u64; 2],
}

/// `struct zcrx_event_desc`.
#[repr(C)]
#[derive(Default)]
struct Events {
    user_data: u64,
    type_mask: u32,
    flags: u32,
    stats_offset: u64,
    reserved: [u64; 9],
}

/// `struct io_uring_zcrx_ifq_reg`, with `struct io_uring_zcrx_offsets` in it.
#[repr(C)]
#[derive(Default)]
struct Registration {
    if_idx: u32,
    if_rxq: u32,
    rq_entries: u32,
    flags: u32,
    area: u64,
    region: u64,
    head: u32,
    tail: u32,
    rqes: u32,
    reserved_offset: u32,
    reserved_offsets: [u64; 2],
    zcrx_id: u32,
    rx_buf_len: u32,
    events: u64,
    reserved: [u64; 2],
}

/// `struct zcrx_ctrl`.
#[repr(C)]
#[derive(Default)]
struct Control {
    zcrx_id: u32,
    op: u32,
    reserved: [u64; 2],
    argument: [u64; 6],
}

/// `struct io_uring_zcrx_rqe`.
#[repr(C)]
struct Refill {
    off: u64,
    len: u32,
    padding: u32,
}

const _: () =
    assert!(size_of::<Registration>() == 96 && size_of::<Region>() == 64 && size_of::<Area>() == 48);
const _: () = assert!(size_of::<Events>() == 96 && size_of::<Control>() == 72 && size_of::<Refill>() == 16);
const _: () = assert!(offset_of!(Registration, zcrx_id) == 64);

/// A piece of payload in the area.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Piece {
    /// As the completion had it.
    pub(crate) off: u64,
    pub(crate) length: u32,
}

/// Memory that payload lands in, and the ring through which it goes back.
#[derive(Debug)]
pub(crate) struct Memory {
    area: Mapping,
    token: u64,
    refill: Mapping,
    id: u32,
    head: usize,
    tail_at: usize,
    rqes: usize,
    statistics: usize,
    entries: u32,
    /// Our end of the ring, published or not.
    tail: u32,
    /// What there was no room for.
    waiting: VecDeque<Piece>,
    device: bool,
    /// Bytes of pieces given back since the last flush, rounded up to pages.
    unflushed: usize,
}

/// Registers an area and a refill ring with `ring`: at a NIC's queue, or at none.
pub(crate) fn register(
    ring: RawFd,
    queue: Option<(u32, u32)>,
    area: Mapping,
    entries: u32,
) -> nix::Result<Memory> {
    // The kernel's head and tail stand in front of the entries; how much they take, only the kernel says. A page behind
    // the entries is for what it counts.
    let statistics = PAGE + size(u64::from(entries)) * size_of::<Refill>();
    let refill = Mapping::populated((statistics + PAGE).next_multiple_of(PAGE))?;
    let mut region = Region {
        user_addr: refill.address(),
        size: refill.len() as u64,
        flags: IORING_MEM_REGION_TYPE_USER,
        ..Region::default()
    };
    let mut area_registration = Area { addr: area.address(), len: area.len() as u64, ..Area::default() };
    let mut events =
        Events { flags: ZCRX_EVENT_DESC_FLAG_STATS, stats_offset: statistics as u64, ..Events::default() };
    let (if_idx, if_rxq) = queue.unwrap_or_default();
    let mut registration = Registration {
        if_idx,
        if_rxq,
        rq_entries: entries,
        flags: if queue.is_none() { ZCRX_REG_NODEV } else { 0 },
        area: ptr::from_mut(&mut area_registration) as u64,
        region: ptr::from_mut(&mut region) as u64,
        events: ptr::from_mut(&mut events) as u64,
        ..Registration::default()
    };
    // SAFETY: the argument is the struct that the request names; what it points to lives until the call returns, and the memory
    // that the kernel keeps, the area and the refill ring, in what is returned. The kernel pins both, so that even theirs going
    // first harms nothing.
    Errno::result(unsafe {
        libc::syscall(libc::SYS_io_uring_register, ring, IORING_REGISTER_ZCRX_IFQ, &raw mut registration, 1)
    })?;
    Ok(Memory {
        area,
        token: area_registration.token,
        refill,
        id: registration.zcrx_id,
        head: registration.head as usize,
        tail_at: registration.tail as usize,
        rqes: registration.rqes as usize,
        statistics,
        entries: registration.rq_entries,
        tail: 0,
        waiting: VecDeque::new(),
        device: queue.is_some(),
        unflushed: 0,
    })
}

impl Memory {
    /// The number that a request names the instance by.
    pub(crate) fn id(&self) -> u32 {
        self.id
    }

    /// The payload of a piece; none if the kernel named something outside of the area.
    pub(crate) fn payload(&self, piece: Piece) -> Option<&[u8]> {
        self.area.get(usize::try_from(piece.off & ((1 << AREA_SHIFT) - 1)).ok()?, piece.length as usize)
    }

    /// Has a piece go back with the next [`Memory::publish`].
    pub(crate) fn give_back(&mut self, piece: Piece) {
        self.waiting.push_back(piece);
    }

    /// Publishes what goes back, as much as there is room for; gives how many pieces.
    pub(crate) fn publish(&mut self) -> u64 {
        let free = self.entries - self.tail.wrapping_sub(self.word(self.head).load(Ordering::Acquire));
        let mut published = 0;
        while published < free
            && let Some(piece) = self.waiting.pop_front()
        {
            let entry = Refill {
                off: piece.off & ((1 << AREA_SHIFT) - 1) | self.token,
                len: piece.length,
                padding: 0,
            };
            let at = self.rqes + (self.tail & (self.entries - 1)) as usize * size_of::<Refill>();
            // SAFETY: the entry lies within the ring, as the kernel laid it out, and is ours until the tail is published.
            unsafe { self.refill.pointer().add(at).cast_mut().cast::<Refill>().write(entry) };
            self.tail = self.tail.wrapping_add(1);
            self.unflushed += (piece.length as usize).next_multiple_of(PAGE);
            published += 1;
        }
        if published > 0 {
            self.word(self.tail_at).store(self.tail, Ordering::Release);
        }
        u64::from(published)
    }

    /// Whether the kernel has to be told of what was given back: it looks at the ring when a NIC's queue needs buffers, and
    /// without a NIC never by itself.
    pub(crate) fn needs_flush(&self) -> bool {
        if self.device {
            return !self.waiting.is_empty();
        }
        let published = self.tail.wrapping_sub(self.word(self.head).load(Ordering::Acquire));
        !self.waiting.is_empty() || published > self.entries / 2 || self.unflushed > self.area.len() / 4
    }

    /// Has the kernel take what was given back.
    pub(crate) fn flush(&mut self, ring: RawFd) -> nix::Result<()> {
        let mut control = Control { zcrx_id: self.id, op: ZCRX_CTRL_FLUSH_RQ, ..Control::default() };
        self.unflushed = 0;
        // SAFETY: the argument is the struct that the request names.
        Errno::result(unsafe {
            libc::syscall(libc::SYS_io_uring_register, ring, IORING_REGISTER_ZCRX_CTRL, &raw mut control, 0)
        })
        .map(drop)
    }

    /// Copies that the kernel has counted so far: `struct zcrx_stats`. It counts those from pages of its own, and not those from
    /// the linear part of a packet (7.3, `io_zcrx_recv_skb`).
    pub(crate) fn copies(&self) -> Copies {
        let number = |at: usize| {
            // SAFETY: within the refill ring's mapping, aligned, and only ever a number that the kernel adds to.
            let number = unsafe { &*self.refill.pointer().add(at).cast::<AtomicU64>() };
            number.load(Ordering::Relaxed)
        };
        Copies { count: number(self.statistics), bytes: number(self.statistics + 8) }
    }

    fn word(&self, at: usize) -> &AtomicU32 {
        // SAFETY: within the refill ring's mapping, where the kernel said that its head and tail are.
        unsafe { &*self.refill.pointer().add(at).cast::<AtomicU32>() }
    }
}
