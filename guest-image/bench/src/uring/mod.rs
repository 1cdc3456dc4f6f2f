//! Rings of io_uring, as both sides use them.
#![expect(unsafe_code, reason = "what is in a ring lives outside of Rust")]

use std::io;

use io_uring::{IoUring, cqueue, squeue};
use nix::libc;

use crate::{
    error::Failure,
    tally::{Call, Tally},
};

pub(crate) mod zcrx;

const IORING_ENTER_GETEVENTS: u32 = 1 << 0;
const IORING_ENTER_NO_IOWAIT: u32 = 1 << 7;

/// Makes a ring for one thread, whose completions come when it waits for them.
pub(crate) fn build<C: cqueue::EntryMarker>(
    submissions: u32,
    completions: u32,
    no_iowait: bool,
) -> Result<IoUring<squeue::Entry, C>, Failure> {
    let ring = IoUring::<squeue::Entry, C>::builder()
        .setup_single_issuer()
        .setup_defer_taskrun()
        .setup_coop_taskrun()
        .setup_submit_all()
        .setup_cqsize(completions)
        .build(submissions)
        .map_err(|error| Failure::Unavailable(format!("the kernel gives no ring of io_uring: {error}")))?;
    if no_iowait && !ring.params().is_feature_no_iowait() {
        return Err(Failure::Unavailable("the kernel has no IORING_ENTER_NO_IOWAIT (6.15)".to_owned()));
    }
    Ok(ring)
}

/// Puts an entry in the submission queue.
///
/// # Safety
///
/// What the entry points to has to stay until its last completion has come.
pub(crate) unsafe fn push<C: cqueue::EntryMarker>(
    ring: &mut IoUring<squeue::Entry, C>,
    entry: &squeue::Entry,
) -> Result<(), Failure> {
    // SAFETY: promised by the caller.
    unsafe { ring.submission().push(entry) }
        .map_err(|full| Failure::Failed(format!("submitting to io_uring: {full}")))
}

/// Submits what is queued, and waits until a completion is there.
pub(crate) fn wait<C: cqueue::EntryMarker>(
    ring: &mut IoUring<squeue::Entry, C>,
    no_iowait: bool,
    tally: &mut Tally,
) -> Result<(), Failure> {
    let flags = IORING_ENTER_GETEVENTS | if no_iowait { IORING_ENTER_NO_IOWAIT } else { 0 };
    let queued = ring.submission().len();
    let queued = u32::try_from(queued).expect("no ring of ours is so large");
    tally.call(Call::IoUringEnter);
    // SAFETY: without an argument the kernel reads nothing but the rings.
    match unsafe { ring.submitter().enter::<libc::sigset_t>(queued, 1, flags, None) } {
        Ok(_) => Ok(()),
        // Nothing is lost: the next round asks again. EBUSY and EBADR tell of completions that found no room.
        Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(()),
        Err(error) if matches!(error.raw_os_error(), Some(libc::EBUSY | libc::EBADR | libc::EAGAIN)) => {
            Ok(())
        }
        Err(error) => Err(Failure::call("waiting for io_uring", error)),
    }
}

/// Completions that had no room so far: lost ones, and one if some wait in the kernel now.
pub(crate) fn overflows<C: cqueue::EntryMarker>(ring: &mut IoUring<squeue::Entry, C>, seen: &mut u32) -> u64 {
    let waiting = u64::from(ring.submission().cq_overflow());
    let lost = ring.completion().overflow();
    let new = lost.wrapping_sub(*seen);
    *seen = lost;
    waiting + u64::from(new)
}
