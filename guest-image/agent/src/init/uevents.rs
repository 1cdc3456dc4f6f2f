//! Waiting for devices by the kernel's own announcements.

use std::{
    os::fd::{AsFd, AsRawFd, OwnedFd},
    time::{Duration, Instant},
};

use nix::{
    errno::Errno,
    poll::{PollFd, PollFlags, PollTimeout, poll},
    sys::socket::{
        AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, bind, recv, socket,
    },
};

use super::BootError;

/// The multicast group of the kernel's own events; group 2 is udev's.
const KERNEL_GROUP: u32 = 1;

/// Hears that devices appear. Opened before anything is looked for, so that nothing is missed in between.
#[derive(Debug)]
pub(super) struct Uevents(OwnedFd);

impl Uevents {
    pub(super) fn open() -> Result<Self, BootError> {
        let open = || {
            let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
            let protocol = SockProtocol::NetlinkKObjectUEvent;
            let events = socket(AddressFamily::Netlink, SockType::Datagram, flags, protocol)?;
            bind(events.as_raw_fd(), &NetlinkAddr::new(0, KERNEL_GROUP))?;
            Ok(events)
        };
        open().map(Self).map_err(|source: Errno| BootError::Uevents { source: source.into() })
    }

    /// Waits until `probe` finds `what`: looks at once, and again after every event.
    pub(super) fn until<T>(
        &self,
        what: &str,
        patience: Duration,
        mut probe: impl FnMut() -> Option<T>,
    ) -> Result<T, BootError> {
        let deadline = Instant::now() + patience;
        loop {
            if let Some(found) = probe() {
                return Ok(found);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(BootError::NeverAppeared { what: what.into(), after: patience });
            }
            self.next(left)?;
        }
    }

    /// Blocks until there was at least one event, or `left` has passed.
    fn next(&self, left: Duration) -> Result<(), BootError> {
        let failed = |source: Errno| BootError::Uevents { source: source.into() };
        let mut events = [PollFd::new(self.0.as_fd(), PollFlags::POLLIN)];
        match poll(&mut events, PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX)) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(errno) => return Err(failed(errno)),
        }
        let mut event = [0; 4096];
        loop {
            match recv(self.0.as_raw_fd(), &mut event, MsgFlags::empty()) {
                // An overflow (ENOBUFS) means that there were events, which is all that is asked.
                Ok(_) | Err(Errno::EINTR | Errno::ENOBUFS) => {}
                Err(Errno::EAGAIN) => return Ok(()),
                Err(errno) => return Err(failed(errno)),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_that_is_there_is_found_at_once() {
        let events = Uevents::open().unwrap();
        assert_eq!(events.until("it", Duration::ZERO, || Some(3)).unwrap(), 3);
    }

    #[test]
    fn a_device_that_never_comes_is_named() {
        let events = Uevents::open().unwrap();
        let end = events.until::<()>("the port", Duration::from_millis(20), || None).unwrap_err();
        assert_eq!(end.to_string(), "the port did not appear within 20ms");
    }
}
