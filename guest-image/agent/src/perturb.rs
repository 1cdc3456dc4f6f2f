//! What shifts the moment and the memory of all that is done afterwards, the same way every time.

use std::{
    io::{self, PipeReader, PipeWriter, Write},
    os::unix::net::UnixDatagram,
    sync::{Mutex, PoisonError},
    thread,
    time::Duration,
};

use protocol::Perturb;

/// Most objects of each kind: with two descriptors each and a third kept, far from what a process may have open.
const MOST: u32 = 128;

/// Longest wait, in microseconds.
const LONGEST_US: u32 = 1_000_000;

/// Pages that a pipe holds unless it is told otherwise (`PIPE_DEF_BUFFERS`, include/linux/pipe_fs_i.h): one more would block.
const PIPE_PAGES: usize = 16;

const PAGE: usize = 4096;

/// A pipe and a pair of sockets, with data in them. Inodes, files, buffers and pages of the kernel's go with it.
type Object = (PipeReader, PipeWriter, UnixDatagram, UnixDatagram);

/// What stays for good.
static HELD: Mutex<Vec<Object>> = Mutex::new(Vec::new());

/// Makes objects, gives two of three back, and waits.
#[expect(clippy::disallowed_methods, reason = "the time is not guessed: it is what was asked for")]
pub(crate) fn perturb(perturb: Perturb) -> Result<(), String> {
    let Perturb { held, wait_us } = perturb;
    if held > MOST || wait_us > LONGEST_US {
        return Err(format!("at most {MOST} objects and {LONGEST_US} us, not {held} and {wait_us}"));
    }
    let made = (0..held as usize).map(object).collect::<io::Result<Vec<Object>>>();
    let made = made.map_err(|error| format!("making pipes and sockets: {error}"))?;
    let kept = made.into_iter().step_by(3);
    HELD.lock().unwrap_or_else(PoisonError::into_inner).extend(kept);
    thread::sleep(Duration::from_micros(wait_us.into()));
    Ok(())
}

/// Each has another number of pages, and a message of another size: its buffer comes from another slab.
fn object(index: usize) -> io::Result<Object> {
    let (reader, mut writer) = io::pipe()?;
    writer.write_all(&vec![0; (1 + index % PIPE_PAGES) * PAGE])?;
    let (from, to) = UnixDatagram::pair()?;
    from.send(&vec![0; 1 + index * 97 % PAGE])?;
    Ok((reader, writer, from, to))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_third_stays_and_nothing_blocks() {
        perturb(Perturb { held: 50, wait_us: 10 }).unwrap();
        let held = HELD.lock().unwrap();
        assert_eq!(held.len(), 17);
        let mut message = [0; PAGE];
        assert_eq!(held[1].3.recv(&mut message).unwrap(), 1 + 3 * 97);
    }

    #[test]
    fn what_would_exhaust_a_guest_is_refused() {
        for asked in [Perturb { held: 129, wait_us: 0 }, Perturb { held: 0, wait_us: 1_000_001 }] {
            assert!(perturb(asked).unwrap_err().contains("at most"));
        }
    }
}
