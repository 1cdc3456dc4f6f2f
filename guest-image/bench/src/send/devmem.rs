//! Device memory TCP: the NIC reads payload from a udmabuf that is bound to it (Documentation/networking/devmem.rst).

use std::{io, os::fd::AsFd, sync::Mutex};

use flow::Send;

use super::{
    Supply, slots,
    zerocopy::{Messages, send_of},
};
use crate::{
    conversation::Flow,
    error::Failure,
    nic::{Setup, netdev::Netdev},
    sys,
    tally::{Call, Tally},
    udmabuf::{Access, Udmabuf},
};

/// Memory for each flow that is bound to a NIC.
#[derive(Debug)]
pub(super) struct Binding {
    flows: Vec<Mutex<Bound>>,
    /// Its socket holds the bindings.
    _netdev: Netdev,
}

#[derive(Debug)]
struct Bound {
    number: u32,
    udmabuf: Udmabuf,
    message_size: usize,
    slots: usize,
}

impl Binding {
    pub(super) fn new(nic: &Setup, send: &Send) -> Result<Self, Failure> {
        let doing = format!("{}: binding memory to send from", nic.interface());
        let netdev = Netdev::open(nic.index()).map_err(|refusal| Failure::refused(&doing, &refusal))?;
        let slots = slots(send.message_size);
        let bind = |_| {
            let udmabuf = Udmabuf::new(slots * send.message_size)?;
            let number =
                netdev.bind_transmit(&udmabuf).map_err(|refusal| Failure::refused(&doing, &refusal))?;
            let message_size = sys::size(send.message_size);
            Ok(Mutex::new(Bound { number, udmabuf, message_size, slots: sys::size(slots) }))
        };
        let flows = (0..send.flows).map(bind).collect::<Result<_, Failure>>()?;
        Ok(Self { flows, _netdev: netdev })
    }

    pub(super) fn send(&self, supply: &mut Supply<'_>) -> Result<Tally, Failure> {
        let bound = self.flows.get(usize::from(supply.flow.number)).expect("bound for each flow");
        let mut bound = bound.lock().expect("each flow has its own");
        send_of(&mut *bound, supply)
    }
}

impl Messages for &mut Bound {
    const CALL: Call = Call::Sendmsg;

    fn slots(&self) -> usize {
        self.slots
    }

    fn fill(
        &mut self,
        slot: usize,
        length: usize,
        supply: &Supply<'_>,
        tally: &mut Tally,
    ) -> Result<(), Failure> {
        if supply.payload.is_none() {
            return Ok(());
        }
        let told = |errno| supply.flow.failure("writing the udmabuf", errno);
        tally.call(Call::Ioctl);
        self.udmabuf.begin(Access::Write).map_err(told)?;
        let at = slot * self.message_size;
        supply.fill(self.udmabuf.memory_mut().get_mut(at, length).expect("a slot of the memory"));
        tally.call(Call::Ioctl);
        self.udmabuf.end(Access::Write).map_err(told)
    }

    fn send(&self, flow: &Flow, slot: usize, at: usize, length: usize) -> io::Result<usize> {
        sys::send_of_binding(flow.socket.as_fd(), slot * self.message_size + at, length, self.number)
    }
}
