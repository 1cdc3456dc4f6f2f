//! Fixed work whose results are known.
//!
//! Window 1 is TCP over loopback, page faults, string instructions and a child process; window 2 never sleeps and is
//! bracketed by the time stamp counter, which under icount counts instructions.

use std::{
    fs::File,
    io::{Read, Write},
    net::{Ipv4Addr, TcpListener, TcpStream},
    os::fd::AsRawFd,
    process::{Command, ExitCode},
    thread,
};

use nix::sys::{reboot, socket};

use crate::twice::Twice;

const MIB: usize = 1 << 20;
/// Bytes of window 1.
const SENT: usize = 4 * MIB;
const PIECE: usize = 64 << 10;
const PORT: u16 = 5001;
/// New pages that either mapping of the same code touches in window 2.
const PAGES: usize = 64;

/// Checks this machine as its first process, and powers it off.
pub(crate) fn machine() {
    let mut console = File::options().write(true).open("/dev/console").ok();
    let mut say = |line: &str| {
        if let Some(console) = &mut console {
            let _ = writeln!(console, "mark: {line}");
        }
    };
    match loopback_up() {
        Ok(()) => {}
        Err(error) => say(&format!("no loopback device: {error}")),
    }
    say("begins");
    mark::begin(1);
    let found = work();
    mark::end(1);
    match found {
        Ok(found) if found == expected() => say("window 1: as expected"),
        Ok(found) => say(&format!("window 1: WRONG, {found:x?} and not {:x?}", expected())),
        Err(error) => say(&format!("window 1: FAILED, {error}")),
    }
    match Twice::new().and_then(|twice| awake(&twice)) {
        Ok((instructions, sum)) => say(&format!("window 2: {instructions} ticks, sum {sum:x}")),
        Err(error) => say(&format!("window 2: FAILED, {error}")),
    }
    let _ = reboot::reboot(reboot::RebootMode::RB_POWER_OFF);
}

/// What a child of the check does.
pub(crate) fn child(seed: u32) -> ExitCode {
    // The low bits of a hash over memory of its own.
    let memory = filled(MIB, u64::from(seed));
    ExitCode::from(hash(0, &memory).to_le_bytes()[0])
}

#[derive(Debug, PartialEq, Eq)]
struct Found {
    received: u64,
    copied: u64,
    child: Option<i32>,
}

fn expected() -> Found {
    let sent = filled(PIECE, 1);
    let received = (0..SENT / PIECE).fold(0, |sum, _| hash(sum, &sent));
    let child = hash(0, &filled(MIB, 7)).to_le_bytes()[0];
    Found { received, copied: hash(0, &filled(2 * MIB, 3)), child: Some(child.into()) }
}

fn work() -> std::io::Result<Found> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, PORT))?;
    let server = thread::spawn(move || -> std::io::Result<u64> {
        let (mut stream, _) = listener.accept()?;
        let mut piece = vec![0; PIECE];
        let mut sum = 0;
        for _ in 0..SENT / PIECE {
            stream.read_exact(&mut piece)?;
            sum = hash(sum, &piece);
        }
        Ok(sum)
    });
    let mut client = TcpStream::connect((Ipv4Addr::LOCALHOST, PORT))?;
    let sent = filled(PIECE, 1);
    for _ in 0..SENT / PIECE {
        client.write_all(&sent)?;
    }
    // New pages, and copies of them.
    let original = filled(2 * MIB, 3);
    let copied = hash(0, &original.clone());
    let received = server.join().map_err(|_| std::io::Error::other("the server panicked"))??;
    let child = run_child()?;
    Ok(Found { received, copied, child })
}

#[expect(clippy::disallowed_methods, reason = "in the guest there is no supervisor")]
fn run_child() -> std::io::Result<Option<i32>> {
    Ok(Command::new("/init").args(["child", "7"]).status()?.code())
}

/// Works without ever sleeping, and says how many ticks went by between two instructions right inside of the marks.
fn awake(twice: &Twice) -> std::io::Result<(u64, u64)> {
    let before = mark::begin_with_ticks(2);
    let mut sum = 0;
    let mut kept = Vec::new();
    for round in 0..50 {
        // What is kept is new memory in each round, whose pages are faulted in.
        let bytes = filled(MIB / 2, round);
        sum = hash(sum, &bytes);
        kept.push(bytes);
        sum ^= u64::from(std::os::unix::process::parent_id());
    }
    let touched = twice.touch(PAGES);
    let after = mark::end_with_ticks(2);
    Ok((after - before, sum ^ u64::try_from(touched?).unwrap_or(0)))
}

/// Bytes that follow from a seed.
fn filled(length: usize, seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(2).wrapping_add(1);
    let mut bytes = vec![0; length];
    for word in bytes.chunks_exact_mut(8) {
        state = state.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
        word.copy_from_slice(&state.to_le_bytes());
    }
    bytes
}

fn hash(start: u64, bytes: &[u8]) -> u64 {
    bytes.chunks_exact(8).fold(start, |sum, word| {
        let word = word.iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte));
        (sum ^ word).wrapping_mul(0x0000_0100_0000_01b3).rotate_left(7)
    })
}

#[expect(unsafe_code, reason = "an ioctl")]
fn loopback_up() -> nix::Result<()> {
    nix::ioctl_write_ptr_bad!(set_flags, nix::libc::SIOCSIFFLAGS, nix::libc::ifreq);
    let socket = socket::socket(
        socket::AddressFamily::Inet,
        socket::SockType::Datagram,
        socket::SockFlag::empty(),
        None,
    )?;
    // SAFETY: zeroes are a value of it.
    let mut request: nix::libc::ifreq = unsafe { std::mem::zeroed() };
    for (to, from) in request.ifr_name.iter_mut().zip(*b"lo") {
        *to = from.cast_signed();
    }
    request.ifr_ifru.ifru_flags = i16::try_from(nix::libc::IFF_UP).unwrap_or(1);
    // SAFETY: the request outlives the call.
    unsafe { set_flags(socket.as_raw_fd(), &raw const request) }.map(drop)
}
