//! A driver's own counters, as `ethtool -S` shows them: a line `NAME: VALUE` for each; and the length of its rings.

#![expect(unsafe_code, reason = "SIOCETHTOOL has no wrapper in std or nix")]

use std::{
    fmt::Write as _,
    fs, io,
    os::fd::{AsRawFd, OwnedFd},
};

use nix::{
    errno::Errno,
    libc,
    sys::socket::{AddressFamily, SockFlag, SockType, socket},
};

// include/uapi/linux/ethtool.h and sockios.h.
const SIOCETHTOOL: libc::c_ulong = 0x8946;
const ETHTOOL_GRINGPARAM: u32 = 0x10;
const ETHTOOL_SRINGPARAM: u32 = 0x11;
const ETHTOOL_GSTRINGS: u32 = 0x1b;
const ETHTOOL_GSTATS: u32 = 0x1d;
const ETHTOOL_GSSET_INFO: u32 = 0x37;
const ETH_SS_STATS: u32 = 1;
const NAME_LENGTH: usize = 32;

/// Most counters of an interface; large NICs have some thousands.
const MOST_COUNTERS: usize = 65_536;

/// The kernel writes as many counters as the driver has at that moment, which may be more than it said a moment ago.
const SLACK: usize = 1024;

/// The interfaces of this thread's network namespace but the loopback device.
pub(super) fn interfaces() -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir("/sys/class/net")? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        // `bonding_masters` is a file among the links.
        if name != "lo" && fs::metadata(format!("/sys/class/net/{name}/ifindex")).is_ok() {
            names.push(name);
        }
    }
    names.sort();
    Ok(names)
}

/// The counters of one interface.
pub(super) fn statistics(interface: &str) -> Result<Vec<u8>, String> {
    read(interface).map_err(|errno| match errno {
        Errno::EOPNOTSUPP => "the driver has no statistics".to_owned(),
        errno => errno.desc().to_owned(),
    })
}

fn read(interface: &str) -> nix::Result<Vec<u8>> {
    let socket = socket(AddressFamily::Inet, SockType::Datagram, SockFlag::SOCK_CLOEXEC, None)?;
    let count = count(&socket, interface)?;
    let names = names(&socket, interface, count)?;
    let values = values(&socket, interface, count)?;
    let mut text = String::new();
    for (name, value) in names.chunks(NAME_LENGTH).zip(values) {
        let name = name.split(|byte| *byte == 0).next().unwrap_or_default();
        let _ = writeln!(text, "{}: {value}", String::from_utf8_lossy(name).trim());
    }
    Ok(text.into_bytes())
}

/// `struct ethtool_sset_info`: which sets are asked for, then those that are there, and the length of each.
fn count(socket: &OwnedFd, interface: &str) -> nix::Result<usize> {
    let mut info = [ETHTOOL_GSSET_INFO, 0, 1 << ETH_SS_STATS, 0, 0];
    ask(socket, interface, &mut info)?;
    if info[2] & (1 << ETH_SS_STATS) == 0 || info[4] == 0 {
        return Err(Errno::EOPNOTSUPP);
    }
    let count = usize::try_from(info[4]).map_err(|_| Errno::EMSGSIZE)?;
    if count > MOST_COUNTERS { Err(Errno::EMSGSIZE) } else { Ok(count) }
}

/// `struct ethtool_gstrings`: command, set, length, names of 32 bytes.
fn names(socket: &OwnedFd, interface: &str, count: usize) -> nix::Result<Vec<u8>> {
    let mut request = vec![0_u32; 3 + (count + SLACK) * NAME_LENGTH / 4];
    request[0] = ETHTOOL_GSTRINGS;
    request[1] = ETH_SS_STATS;
    request[2] = u32::try_from(count).map_err(|_| Errno::EMSGSIZE)?;
    ask(socket, interface, &mut request)?;
    let words = &request[3..3 + count * NAME_LENGTH / 4];
    Ok(words.iter().flat_map(|word| word.to_ne_bytes()).collect())
}

/// `struct ethtool_stats`: command, length, values of 64 bits.
fn values(socket: &OwnedFd, interface: &str, count: usize) -> nix::Result<Vec<u64>> {
    let mut request = vec![0_u64; 1 + count + SLACK];
    let halves = [ETHTOOL_GSTATS, u32::try_from(count).map_err(|_| Errno::EMSGSIZE)?];
    let mut header = [0; 8];
    header[..4].copy_from_slice(&halves[0].to_ne_bytes());
    header[4..].copy_from_slice(&halves[1].to_ne_bytes());
    request[0] = u64::from_ne_bytes(header);
    ask(socket, interface, &mut request)?;
    Ok(request[1..=count].to_vec())
}

/// Where the words of `struct ethtool_ringparam` stand that are of plain receive rings: the most, and what they are.
const MOST_RECEIVE: usize = 1;
const RECEIVE: usize = 5;

/// Gives an interface's receive queues so many descriptors, as `ethtool -G` does, and looks what the driver made of it: some round up.
pub(crate) fn set_receive_ring(interface: &str, receive: u32) -> Result<(), String> {
    let said = |errno: Errno| match errno {
        Errno::EOPNOTSUPP => format!("{interface}: the driver has no rings that could be set"),
        errno => format!("{interface}: {}", errno.desc()),
    };
    let socket =
        socket(AddressFamily::Inet, SockType::Datagram, SockFlag::SOCK_CLOEXEC, None).map_err(said)?;
    let rings = || -> nix::Result<[u32; 9]> {
        let mut rings = [ETHTOOL_GRINGPARAM, 0, 0, 0, 0, 0, 0, 0, 0];
        ask(&socket, interface, &mut rings)?;
        Ok(rings)
    };
    let mut asked = rings().map_err(said)?;
    if asked[RECEIVE] == receive {
        return Ok(());
    }
    if receive > asked[MOST_RECEIVE] {
        return Err(format!(
            "{interface}: a receive ring of {receive} descriptors; the driver's longest has {}",
            asked[MOST_RECEIVE]
        ));
    }
    asked[0] = ETHTOOL_SRINGPARAM;
    asked[RECEIVE] = receive;
    ask(&socket, interface, &mut asked).map_err(said)?;
    match rings().map_err(said)?[RECEIVE] {
        set if set == receive => Ok(()),
        set => Err(format!(
            "{interface}: a receive ring of {receive} descriptors was asked for, and the driver made one of {set}"
        )),
    }
}

/// Has the kernel fill `request`, whose first four bytes are the command.
fn ask<T>(socket: &OwnedFd, interface: &str, request: &mut [T]) -> nix::Result<()> {
    // SAFETY: `ifreq` is plain data, for which zeros are a value.
    let mut asked: libc::ifreq = unsafe { std::mem::zeroed() };
    // The last byte stays zero.
    if interface.is_empty() || interface.len() >= asked.ifr_name.len() || interface.contains('\0') {
        return Err(Errno::ENODEV);
    }
    for (place, byte) in asked.ifr_name.iter_mut().zip(interface.bytes()) {
        *place = libc::c_char::from_ne_bytes([byte]);
    }
    asked.ifr_ifru.ifru_data = request.as_mut_ptr().cast();
    // SAFETY: the kernel reads `asked` and writes to `request`, which outlives the call, as much as its command says; that
    // fits, with room to spare, since the lengths in it come from the kernel a moment before.
    let answered = unsafe { libc::ioctl(socket.as_raw_fd(), SIOCETHTOOL, &raw mut asked) };
    Errno::result(answered).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_no_rings_is_told() {
        let why = set_receive_ring("lo", 256).unwrap_err();
        assert_eq!(why, "lo: the driver has no rings that could be set");
        assert_eq!(set_receive_ring("nosuch0", 256).unwrap_err(), "nosuch0: No such device");
    }

    #[test]
    fn what_has_no_counters_is_told() {
        assert_eq!(statistics("lo").unwrap_err(), "the driver has no statistics");
        assert_eq!(statistics("nosuch0").unwrap_err(), "No such device");
        for name in ["", "a-name-that-is-too-long"] {
            assert_eq!(statistics(name).unwrap_err(), "No such device", "{name}");
        }
    }
}
