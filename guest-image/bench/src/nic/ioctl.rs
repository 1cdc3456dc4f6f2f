//! What ethtool has no netlink for: rules of steering, a driver's own counters and name (include/uapi/linux/ethtool.h).
#![expect(unsafe_code, reason = "ioctls")]

use std::{
    collections::BTreeMap,
    net::IpAddr,
    os::fd::{AsFd, OwnedFd},
    ptr,
};

use nix::{
    errno::Errno,
    libc,
    sys::socket::{AddressFamily, SockFlag, SockType, socket},
};

use crate::sys;

const SIOCETHTOOL: u64 = 0x8946;
const GDRVINFO: u32 = 0x03;
const GSTRINGS: u32 = 0x1b;
const GSTATS: u32 = 0x1d;
const GRXCLSRLCNT: u32 = 0x2e;
const GRXCLSRLALL: u32 = 0x30;
const SRXCLSRLDEL: u32 = 0x31;
const SRXCLSRLINS: u32 = 0x32;
const GSSET_INFO: u32 = 0x37;
const SS_STATS: u32 = 1;
const STRING_LENGTH: usize = 32;
const TCP_V4_FLOW: u32 = 1;
const TCP_V6_FLOW: u32 = 5;
/// The driver chooses a rule's place, if it can.
const LOCATION_ANY: u32 = 0xffff_ffff;
const LOCATION_SPECIAL: u64 = 0x8000_0000;

/// `struct ethtool_rxnfc`.
#[repr(C)]
#[derive(Clone)]
struct Steering {
    command: u32,
    flow_type: u32,
    data: u64,
    rule: Rule,
    /// Also the number of rules.
    context: u32,
    /// The array at its end, of no length, is aligned as its entries are.
    padding: u32,
}

/// `struct ethtool_rx_flow_spec`. Addresses and ports are in network order.
#[repr(C)]
#[derive(Clone)]
struct Rule {
    flow_type: u32,
    value: [u8; 52],
    value_extension: [u8; 20],
    mask: [u8; 52],
    mask_extension: [u8; 20],
    queue: u64,
    location: u32,
}

const _: () = assert!(size_of::<Steering>() == 192 && size_of::<Rule>() == 168);

/// A rule's values or masks, as `struct ethtool_tcpip4_spec` or `struct ethtool_tcpip6_spec` has them: the address and the
/// port that packets go to.
fn fields(address: IpAddr, is_mask: bool, port: u16) -> [u8; 52] {
    let mut fields = [0; 52];
    let mut put = |at: usize, bytes: &[u8]| fields[at..at + bytes.len()].copy_from_slice(bytes);
    let port = if is_mask { [0xff; 2] } else { port.to_be_bytes() };
    match address {
        IpAddr::V4(address) => {
            put(4, &if is_mask { [0xff; 4] } else { address.octets() });
            put(10, &port);
        }
        IpAddr::V6(address) => {
            put(16, &if is_mask { [0xff; 16] } else { address.octets() });
            put(34, &port);
        }
    }
    fields
}

impl Steering {
    fn new(command: u32) -> Self {
        let rule = Rule {
            flow_type: 0,
            value: [0; 52],
            value_extension: [0; 20],
            mask: [0; 52],
            mask_extension: [0; 20],
            queue: 0,
            location: 0,
        };
        Self { command, flow_type: 0, data: 0, rule, context: 0, padding: 0 }
    }

    fn to_queue(address: IpAddr, port: u16, queue: u32, location: u32) -> Self {
        let mut steering = Self::new(SRXCLSRLINS);
        steering.rule.flow_type = if address.is_ipv4() { TCP_V4_FLOW } else { TCP_V6_FLOW };
        steering.rule.value = fields(address, false, port);
        steering.rule.mask = fields(address, true, port);
        steering.rule.queue = u64::from(queue);
        steering.rule.location = location;
        steering
    }
}

/// A NIC, over ethtool's ioctls.
#[derive(Debug)]
pub(crate) struct Driver {
    socket: OwnedFd,
    name: [u8; libc::IFNAMSIZ],
}

impl Driver {
    pub(crate) fn open(interface: &str) -> nix::Result<Self> {
        let mut name = [0; libc::IFNAMSIZ];
        if interface.len() >= name.len() {
            return Err(Errno::ENODEV);
        }
        name[..interface.len()].copy_from_slice(interface.as_bytes());
        let socket = socket(AddressFamily::Inet, SockType::Datagram, SockFlag::SOCK_CLOEXEC, None)?;
        Ok(Self { socket, name })
    }

    /// The request is as long as its command says, with all that the kernel will write behind it.
    fn ask<T>(&self, request: &mut [T]) -> nix::Result<()> {
        // SAFETY: all zeros is a request without anything.
        let mut ifreq: libc::ifreq = unsafe { std::mem::zeroed() };
        for (to, from) in ifreq.ifr_name.iter_mut().zip(self.name) {
            *to = libc::c_char::from_ne_bytes([from]);
        }
        ifreq.ifr_ifru.ifru_data = request.as_mut_ptr().cast();
        // SAFETY: the argument is an ifreq, and its data as long as the callers below make it, by what the kernel said before.
        unsafe { sys::ioctl(self.socket.as_fd(), SIOCETHTOOL, ptr::from_mut(&mut ifreq).cast()) }.map(drop)
    }

    /// The driver's name: `struct ethtool_drvinfo` begins with a command and it.
    pub(crate) fn name(&self) -> nix::Result<String> {
        let mut info = [0_u32; 196 / 4];
        info[0] = GDRVINFO;
        self.ask(&mut info)?;
        let bytes: Vec<u8> = info[1..9].iter().flat_map(|word| word.to_ne_bytes()).collect();
        Ok(netlink::attributes::text(&bytes))
    }

    /// The driver's counters by their names, as `ethtool -S` lists them.
    pub(crate) fn counters(&self) -> nix::Result<BTreeMap<String, u64>> {
        // struct ethtool_sset_info: command, reserved, mask of sets, and the length of each set in the mask.
        let mut lengths = [GSSET_INFO, 0, 1 << SS_STATS, 0, 0];
        self.ask(&mut lengths)?;
        let count = if lengths[2] == 0 { 0 } else { lengths[4] };
        // The netdev's lock is not held in between: the length could change, and the kernel then writes no more than it says.
        let room = sys::size(u64::from(count));
        let mut names = vec![0_u32; 3 + room * STRING_LENGTH / 4];
        names[..3].copy_from_slice(&[GSTRINGS, SS_STATS, count]);
        self.ask(&mut names)?;
        let mut values = vec![0_u64; 1 + room];
        values[0] = u64::from(GSTATS) | u64::from(count) << 32;
        self.ask(&mut values)?;
        let names: Vec<u8> = names[3..].iter().flat_map(|word| word.to_ne_bytes()).collect();
        Ok(names
            .chunks(STRING_LENGTH)
            .map(netlink::attributes::text)
            .zip(values[1..].iter().copied())
            .collect())
    }

    /// Sends what comes for an address and a port to a queue; gives the rule's place.
    pub(crate) fn steer(&self, address: IpAddr, port: u16, queue: u32) -> nix::Result<u32> {
        let location = self.free_location()?;
        let mut request = [Steering::to_queue(address, port, queue, location)];
        self.ask(&mut request)?;
        Ok(request[0].rule.location)
    }

    pub(crate) fn remove_rule(&self, location: u32) -> nix::Result<()> {
        let mut request = [Steering::new(SRXCLSRLDEL)];
        request[0].rule.location = location;
        self.ask(&mut request)
    }

    /// Any, if the driver chooses; else the last that is free, since later rules come after earlier ones.
    fn free_location(&self) -> nix::Result<u32> {
        let mut count = [Steering::new(GRXCLSRLCNT)];
        self.ask(&mut count)?;
        if count[0].data & LOCATION_SPECIAL != 0 {
            return Ok(LOCATION_ANY);
        }
        let rules = sys::size(u64::from(count[0].context));
        // The places follow the request, without its padding.
        let mut list = vec![0_u32; size_of::<Steering>() / 4 + rules];
        list[0] = GRXCLSRLALL;
        list[46] = count[0].context;
        self.ask(&mut list)?;
        let size = u32::try_from(u64::from(list[2]) | u64::from(list[3]) << 32).unwrap_or(0);
        let used = &list[47..47 + rules];
        (0..size).rev().find(|place| !used.contains(place)).ok_or(Errno::ENOSPC)
    }
}

#[cfg(test)]
mod tests {
    use std::mem::offset_of;

    use super::*;

    #[test]
    fn rules_are_laid_out_as_the_kernel_reads_them() {
        assert_eq!(offset_of!(Steering, rule), 16);
        assert_eq!(offset_of!(Rule, queue), 152);
        assert_eq!(offset_of!(Rule, location), 160);
        assert_eq!(offset_of!(Steering, context), 46 * 4);
        let rule = Steering::to_queue("192.0.2.1".parse().unwrap(), 5300, 1, 3).rule;
        assert_eq!((rule.flow_type, rule.queue, rule.location), (TCP_V4_FLOW, 1, 3));
        assert_eq!(rule.value[..12], [0, 0, 0, 0, 192, 0, 2, 1, 0, 0, 0x14, 0xb4]);
        assert_eq!(rule.mask[..12], [0, 0, 0, 0, 255, 255, 255, 255, 0, 0, 255, 255]);
        let rule = Steering::to_queue("2001:db8::1".parse().unwrap(), 5300, 1, 3).rule;
        assert_eq!((rule.value[16], rule.value[31], rule.value[34], rule.value[35]), (0x20, 1, 0x14, 0xb4));
    }

    #[test]
    fn an_interface_that_is_not_there_has_no_driver() {
        assert_eq!(Driver::open("nosuch0").unwrap().name(), Err(Errno::ENODEV));
        assert!(Driver::open("a-name-that-is-far-too-long").is_err());
    }
}
