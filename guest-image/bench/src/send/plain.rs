//! `send`: the kernel copies every byte.

use std::io::{self, Write};

use super::Supply;
use crate::{
    error::Failure,
    sys::{self, Mapping},
    tally::{Call, Tally},
};

pub(super) fn send(supply: &mut Supply<'_>) -> Result<Tally, Failure> {
    let size = sys::size(supply.message_size);
    let mut message =
        Mapping::populated(size).map_err(|errno| Failure::call("getting memory for a message", errno))?;
    let mut tally = Tally::default();
    while let Some(length) = supply.next() {
        let message = message.get_mut(0, length).expect("as long as it was made");
        supply.fill(message);
        let mut left = &*message;
        while !left.is_empty() {
            tally.call(Call::Send);
            let sent = match (&supply.flow.socket).write(left) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                sent => sent.map_err(|error| supply.flow.failure("sending", error))?,
            };
            tally.call_bytes.add(sent as u64);
            supply.position += sent as u64;
            left = &left[sent..];
        }
    }
    Ok(tally)
}
