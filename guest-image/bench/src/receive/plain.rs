//! `recv`: the kernel copies every byte.

use std::io::{self, Read};

use flow::Receive;

use super::Check;
use crate::{
    conversation::Flow,
    error::Failure,
    sys::{self, Mapping},
    tally::{Call, Tally},
};

pub(super) fn receive(flow: &Flow, receive: &Receive) -> Result<Tally, Failure> {
    let size = sys::size(receive.read_size);
    let mut buffer =
        Mapping::populated(size).map_err(|errno| Failure::call("getting memory to read into", errno))?;
    let buffer = buffer.get_mut(0, size).expect("as long as it was made");
    let mut check = Check::new(flow, receive);
    let mut tally = Tally::default();
    loop {
        tally.call(Call::Recv);
        let came = match (&flow.socket).read(buffer) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            came => came.map_err(|error| flow.failure("receiving", error))?,
        };
        if came == 0 {
            break;
        }
        tally.call_bytes.add(came as u64);
        check.next(&buffer[..came])?;
    }
    check.finish(&mut tally);
    Ok(tally)
}
