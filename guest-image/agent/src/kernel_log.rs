//! The kernel's log.

use std::{
    fs::File,
    io::{self, Read},
    os::unix::fs::OpenOptionsExt,
};

use nix::{errno::Errno, fcntl::OFlag};
use protocol::{CHUNK, FromAgent, Id, Stream};

use crate::session::Session;

/// The kernel never hands out a longer record.
const LONGEST_RECORD: usize = 8192;

/// Sends the log as /dev/kmsg gives it, record by record from the oldest that is kept to the newest, and then `Done`.
pub(crate) fn send(session: &Session, id: Id) -> Result<(), String> {
    let open = File::options().read(true).custom_flags(OFlag::O_NONBLOCK.bits()).open("/dev/kmsg");
    let log = open.map_err(|error| format!("opening /dev/kmsg: {error}"))?;
    let send = |bytes| session.send(&FromAgent::Output { id, stream: Stream::Stdout, bytes });
    copy(log, send).map_err(|error| format!("reading /dev/kmsg: {error}"))?;
    session.finish(id, Ok(()));
    Ok(())
}

fn copy(mut log: impl Read, mut send: impl FnMut(Vec<u8>)) -> io::Result<()> {
    let mut bytes = Vec::with_capacity(CHUNK);
    let mut record = vec![0; LONGEST_RECORD];
    loop {
        match log.read(&mut record) {
            Ok(0) => break,
            Ok(length) => {
                if bytes.len() + length > CHUNK {
                    send(std::mem::take(&mut bytes));
                }
                bytes.extend_from_slice(&record[..length]);
            }
            Err(error) => match error.raw_os_error().map(Errno::from_raw) {
                Some(Errno::EAGAIN) => break,
                // EPIPE: the next record was overwritten meanwhile; reading goes on at the oldest one that is kept.
                Some(Errno::EPIPE | Errno::EINTR) => {}
                _ => return Err(error),
            },
        }
    }
    if !bytes.is_empty() {
        send(bytes);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives one record a call, as /dev/kmsg does.
    struct Records(Vec<io::Result<Vec<u8>>>);

    impl Read for Records {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let record = self.0.remove(0)?;
            buffer[..record.len()].copy_from_slice(&record);
            Ok(record.len())
        }
    }

    #[test]
    fn records_are_gathered_into_chunks_and_never_split() {
        let record = vec![b'x'; 5000];
        let mut records: Vec<_> = (0..20).map(|_| Ok(record.clone())).collect();
        records.insert(3, Err(Errno::EPIPE.into()));
        records.push(Err(Errno::EAGAIN.into()));
        let mut sent = Vec::new();
        copy(Records(records), |bytes| sent.push(bytes.len())).unwrap();
        assert_eq!(sent, [13 * 5000, 7 * 5000]);
    }

    #[test]
    fn another_error_is_not_the_end_of_the_log() {
        assert!(copy(Records(vec![Err(Errno::EIO.into())]), |_| {}).is_err());
    }
}
