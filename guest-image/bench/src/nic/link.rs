//! An interface's sizes, over rtnetlink (include/uapi/linux/if_link.h).

use nix::sys::socket::SockProtocol;

use netlink::{Netlink, Refusal, attributes::number_of};

const RTM_GETLINK: u16 = 18;
/// `struct ifinfomsg`: family, padding, type, index, flags, change.
const HEADER: usize = 16;
const MTU: u16 = 4;
const GSO_MAX_SIZE: u16 = 41;
const GRO_MAX_SIZE: u16 = 58;
const GSO_IPV4_MAX_SIZE: u16 = 63;
const GRO_IPV4_MAX_SIZE: u16 = 64;

/// In bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sizes {
    pub(crate) mtu: u32,
    pub(crate) gro: Option<u32>,
    pub(crate) gro_ipv4: Option<u32>,
    pub(crate) gso: Option<u32>,
    pub(crate) gso_ipv4: Option<u32>,
}

pub(crate) fn sizes(index: u32) -> Result<Sizes, Refusal> {
    let netlink = Netlink::open(SockProtocol::NetlinkRoute)?;
    let mut request = [0; HEADER];
    request[4..8].copy_from_slice(&index.to_ne_bytes());
    let answers = netlink.ask(RTM_GETLINK, false, &request)?;
    let link = answers.first().and_then(|answer| answer.get(HEADER..)).ok_or_else(Refusal::bad)?;
    Ok(Sizes {
        mtu: number_of(link, MTU).ok_or_else(Refusal::bad)?,
        gro: number_of(link, GRO_MAX_SIZE),
        gro_ipv4: number_of(link, GRO_IPV4_MAX_SIZE),
        gso: number_of(link, GSO_MAX_SIZE),
        gso_ipv4: number_of(link, GSO_IPV4_MAX_SIZE),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_loopback_device_has_sizes() {
        let index = nix::net::if_::if_nametoindex("lo").unwrap();
        let sizes = sizes(index).unwrap();
        assert!(sizes.mtu > 0 && sizes.gso.is_some_and(|size| size >= 65536), "{sizes:?}");
        assert!(super::sizes(u32::MAX >> 1).is_err());
    }
}
