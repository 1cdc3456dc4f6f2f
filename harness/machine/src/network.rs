//! The network inside the guests: interfaces up, addresses, namespaces, sysctls; and the proof that packets pass.

use std::{
    net::{IpAddr, Ipv4Addr},
    time::Duration,
};

use measure::Sides;
use protocol::HowEnded;

use crate::{
    Executed, GuestCommand, SessionError,
    facts::GuestNic,
    guest::{Guest, Trouble, of_session_error},
};

/// From TEST-NET-1 (RFC 5737): these addresses are nobody's, and exist inside guests only.
const SERVER_ADDRESS: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
const CLIENT_ADDRESS: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 2);
const NEIGHBOUR_ADDRESS: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 3);
const PREFIX: u8 = 24;

/// An emulated e1000e takes about two seconds to bring its link up; under load more.
const CARRIER_DEADLINE: Duration = Duration::from_secs(30);
/// With a carrier on both sides the first ping passes, or the second if its address was being resolved.
const REACH_DEADLINE: Duration = Duration::from_secs(30);

/// Where server and client are.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Layout {
    /// Both on the loopback device of one guest.
    Loopback,
    /// Each with a NIC that QEMU emulates, joined by a wire.
    Wired { server: Place, client: Place },
    /// Each with one of two zcsim devices, which the guest makes itself.
    Zcsim { server: Place, client: Place },
}

/// Where one end is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    /// Index of its guest.
    pub(crate) guest: usize,
    pub(crate) netns: Option<&'static str>,
    /// The hardware address of its NIC.
    pub(crate) mac: &'static str,
    pub(crate) mtu: u32,
}

/// An end that is set up.
#[derive(Clone, Debug)]
pub(crate) struct End {
    pub(crate) guest: usize,
    pub(crate) netns: Option<&'static str>,
    pub(crate) address: IpAddr,
    pub(crate) interface: String,
    pub(crate) iommu: String,
}

impl Layout {
    /// Hardware addresses of the NICs that QEMU plugs into one guest, server before client.
    pub(crate) fn macs(&self, guest: usize) -> Vec<&'static str> {
        if matches!(self, Self::Zcsim { .. }) {
            return vec![];
        }
        self.places().into_iter().filter(|place| place.guest == guest).map(|place| place.mac).collect()
    }

    fn places(&self) -> Vec<Place> {
        match *self {
            Self::Loopback => vec![],
            Self::Wired { server, client } | Self::Zcsim { server, client } => vec![server, client],
        }
    }

    /// Namespaces of one guest, the agent's own first.
    fn namespaces(&self, guest: usize) -> Vec<Option<&'static str>> {
        let mut namespaces = vec![None];
        for place in self.places() {
            if place.guest == guest && place.netns.is_some() {
                namespaces.push(place.netns);
            }
        }
        namespaces
    }

    /// What the two ends have in common.
    pub(crate) fn sides(&self) -> Sides {
        match self {
            Self::Loopback => Sides::OneNamespace,
            Self::Wired { server, client } | Self::Zcsim { server, client }
                if server.guest == client.guest =>
            {
                Sides::TwoNamespaces
            }
            Self::Wired { .. } | Self::Zcsim { .. } => Sides::TwoGuests,
        }
    }
}

/// Sets up both ends. `nics` are each guest's, in the order of [`Layout::macs`].
pub(crate) async fn set_up(
    guests: &[Guest],
    layout: &Layout,
    nics: &[Vec<GuestNic>],
) -> Result<(End, End), Trouble> {
    let (server, client) = match *layout {
        Layout::Loopback => {
            let end = End {
                guest: 0,
                netns: None,
                address: Ipv4Addr::LOCALHOST.into(),
                interface: "lo".into(),
                iommu: "none".into(),
            };
            return Ok((end.clone(), end));
        }
        Layout::Wired { server, client } | Layout::Zcsim { server, client } => (server, client),
    };
    let server_nic = &nics[server.guest][0];
    let client_nic = nics[client.guest].last().expect("every NIC was found by its address");
    // One after the other, so that a script of it is the same every time.
    let server = set_up_end(guests, server, server_nic, SERVER_ADDRESS).await?;
    let client = set_up_end(guests, client, client_nic, CLIENT_ADDRESS).await?;
    Ok((server, client))
}

async fn set_up_end(
    guests: &[Guest],
    place: Place,
    nic: &GuestNic,
    address: Ipv4Addr,
) -> Result<End, Trouble> {
    let guest = &guests[place.guest];
    let GuestNic { interface, iommu, function: _ } = nic;
    if let Some(netns) = place.netns {
        ip(guest, None, &format!("netns add {netns}\nlink set dev {interface} netns {netns}\n")).await?;
    }
    let mut batch = format!(
        "link set dev {interface} mtu {} up\naddress add {address}/{PREFIX} dev {interface}\n",
        place.mtu
    );
    if place.netns.is_some() {
        batch.push_str("link set dev lo up\n");
    }
    ip(guest, place.netns, &batch).await?;
    Ok(End {
        guest: place.guest,
        netns: place.netns,
        address: address.into(),
        interface: interface.clone(),
        iommu: iommu.clone(),
    })
}

/// Runs `ip -batch` with these commands. What the kernel refuses makes the machine not testable.
pub(crate) async fn ip(guest: &Guest, netns: Option<&str>, batch: &str) -> Result<(), Trouble> {
    let executed = ip_batch(guest, netns, batch).await?;
    if executed.how == HowEnded::Exited(0) {
        return Ok(());
    }
    let asked = batch.trim().replace('\n', "; ");
    Err(refused(guest, &format!("ip: {asked}"), &executed))
}

pub(crate) async fn ip_batch(guest: &Guest, netns: Option<&str>, batch: &str) -> Result<Executed, Trouble> {
    exec(guest, GuestCommand::new("ip").args(["-batch", "-"]).netns(netns).stdin(batch)).await
}

/// Applies sysctls in every namespace that has them.
pub(crate) async fn set_knobs(guests: &[Guest], layout: &Layout, knobs: &plan::Knobs) -> Result<(), Trouble> {
    for (index, guest) in guests.iter().enumerate() {
        for (key, value) in &knobs.sysctls {
            let mut refusals = Vec::new();
            let namespaces = layout.namespaces(index);
            for &netns in &namespaces {
                refusals.extend(set_sysctl(guest, netns, key, value).await?);
            }
            if refusals.len() == namespaces.len() {
                return Err(Trouble::NotTestable(refusals.swap_remove(0)));
            }
        }
    }
    Ok(())
}

/// Gives the NICs of both ends the receive rings that were asked for. A driver may take its link down for it: whoever comes next waits
/// until packets pass.
pub(crate) async fn set_rings(guests: &[Guest], ends: [&End; 2], ring: Option<u32>) -> Result<(), Trouble> {
    let Some(receive) = ring else { return Ok(()) };
    for end in ends {
        let guest = &guests[end.guest];
        let asked = protocol::SetRing {
            netns: end.netns.map(str::to_owned),
            interface: end.interface.clone(),
            receive,
        };
        match guest.session.set_ring(asked).await {
            Ok(()) => {}
            Err(error @ SessionError::Guest { .. }) => {
                return Err(Trouble::NotTestable(format!("guest `{}`: {error}", guest.process.name())));
            }
            Err(error) => return Err(of_session_error(&guest.process, error).await),
        }
    }
    Ok(())
}

/// Sets a sysctl in one namespace; or says why it is not there to be set. Other namespaces than the first do not have
/// every key, and some of those that they have can only be read there.
async fn set_sysctl(
    guest: &Guest,
    netns: Option<&str>,
    key: &str,
    value: &str,
) -> Result<Option<String>, Trouble> {
    let path = sysctl_path(key);
    // `tee` says in the kernel's words why it could not write; it is in every busybox. That the key is not there is read
    // from the snapshot: the error of writing to a missing one is that it cannot be created.
    let command =
        GuestCommand::new("busybox").args(["tee", &path]).netns(netns).stdin(value).snapshot([&path]);
    let executed = exec(guest, command).await?;
    if executed.how == HowEnded::Exited(0) {
        return Ok(None);
    }
    let name = guest.process.name();
    if matches!(executed.before.get(&path), Some(Err(why)) if why.contains("No such file")) {
        return Ok(Some(format!("guest `{name}` has no sysctl `{key}`")));
    }
    if String::from_utf8_lossy(&executed.stderr).contains("Permission denied") {
        return Ok(Some(format!("guest `{name}` lets nobody set the sysctl `{key}`")));
    }
    Err(refused(guest, &format!("setting {key} to `{value}`"), &executed))
}

/// `net.ipv4.tcp_rmem` or `net/ipv4/conf/eth0.1/forwarding`, as sysctl(8) reads them.
fn sysctl_path(key: &str) -> String {
    let path = if key.contains('/') { key.to_owned() } else { key.replace('.', "/") };
    format!("/proc/sys/{path}")
}

/// Waits until both ends have a carrier, and then until a ping passes.
pub(crate) async fn await_reachable(
    guests: &[Guest],
    layout: &Layout,
    server: &End,
    client: &End,
) -> Result<(), Trouble> {
    if matches!(layout, Layout::Loopback) {
        return Ok(());
    }
    for end in [server, client] {
        await_carrier(&guests[end.guest], end).await?;
    }
    await_answer(guests, client, ("the server", server.address)).await
}

/// Waits until another end answers a ping.
async fn await_answer(guests: &[Guest], from: &End, (name, address): (&str, IpAddr)) -> Result<(), Trouble> {
    // The guest tries again by itself: how often it has to is then nobody's question.
    let ping = format!("until busybox ping -c 1 -W 1 {address}; do :; done");
    let ping = GuestCommand::new("busybox").args(["sh", "-c", &ping]).deadline(REACH_DEADLINE);
    let executed = exec(&guests[from.guest], ping.netns(from.netns)).await?;
    if executed.how == HowEnded::Exited(0) {
        return Ok(());
    }
    let what = format!("{name} did not answer a ping within {} s", REACH_DEADLINE.as_secs());
    Err(refused(&guests[from.guest], &what, &executed))
}

/// Sets up a guest that is beside the two ends, and waits until the client answers it.
pub(crate) async fn set_up_neighbour(
    guests: &[Guest],
    place: Place,
    nic: &GuestNic,
    client: &End,
) -> Result<(), Trouble> {
    let end = set_up_end(guests, place, nic, NEIGHBOUR_ADDRESS).await?;
    await_carrier(&guests[end.guest], &end).await?;
    await_answer(guests, &end, ("the client", client.address)).await
}

async fn await_carrier(guest: &Guest, end: &End) -> Result<(), Trouble> {
    await_link(guest, end.netns, &end.interface).await
}

/// Waits until an interface has a carrier.
pub(crate) async fn await_link(guest: &Guest, netns: Option<&str>, interface: &str) -> Result<(), Trouble> {
    let path = format!("/sys/class/net/{interface}/carrier");
    match guest.session.wait_file(netns, &path, "1", CARRIER_DEADLINE).await {
        Ok(()) => Ok(()),
        Err(SessionError::Guest { .. }) => Err(Trouble::NotTestable(format!(
            "guest `{}`: the link of {interface} did not come up within {} s",
            guest.process.name(),
            CARRIER_DEADLINE.as_secs()
        ))),
        Err(error) => Err(of_session_error(&guest.process, error).await),
    }
}

pub(crate) async fn exec(guest: &Guest, command: GuestCommand) -> Result<Executed, Trouble> {
    match guest.session.exec(command).await {
        Ok(executed) => Ok(executed),
        Err(error) => Err(of_session_error(&guest.process, error).await),
    }
}

/// Runs a script of the shell, which ends at its first command that fails. `what` it does is told with the guest's words then.
pub(crate) async fn script(guest: &Guest, text: &str, deadline: Duration, what: &str) -> Result<(), Trouble> {
    let command = GuestCommand::new("busybox").args(["sh", "-ec", text]).deadline(deadline);
    let executed = exec(guest, command).await?;
    if executed.how == HowEnded::Exited(0) { Ok(()) } else { Err(refused(guest, what, &executed)) }
}

/// The guest's own words on what it could not do.
pub(crate) fn refused(guest: &Guest, what: &str, executed: &Executed) -> Trouble {
    let said = match executed.how {
        HowEnded::DeadlinePassed => "it did not come to an end in time".to_owned(),
        HowEnded::Exited(_) | HowEnded::Signalled(_) => {
            let said = if executed.stderr.is_empty() { &executed.stdout } else { &executed.stderr };
            crate::console::plain(said, 500)
        }
    };
    Trouble::NotTestable(format!("guest `{}`: {what}: {said}", guest.process.name()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sysctls_are_written_with_dots_or_with_slashes() {
        assert_eq!(sysctl_path("net.ipv4.tcp_rmem"), "/proc/sys/net/ipv4/tcp_rmem");
        assert_eq!(
            sysctl_path("net/ipv4/conf/eth0.1/forwarding"),
            "/proc/sys/net/ipv4/conf/eth0.1/forwarding"
        );
    }

    #[test]
    fn a_layout_knows_what_is_in_which_guest() {
        let place = |guest, netns, mac| Place { guest, netns, mac, mtu: 1500 };
        let guests = Layout::Wired { server: place(0, None, "a"), client: place(1, None, "b") };
        assert_eq!((guests.macs(0), guests.macs(1)), (vec!["a"], vec!["b"]));
        assert_eq!(guests.namespaces(1), [None]);
        assert_eq!(guests.sides(), Sides::TwoGuests);
        let namespaces = Layout::Wired { server: place(0, Some("s"), "a"), client: place(0, Some("c"), "b") };
        assert_eq!(namespaces.macs(0), ["a", "b"]);
        assert_eq!(namespaces.namespaces(0), [None, Some("s"), Some("c")]);
        assert_eq!(namespaces.sides(), Sides::TwoNamespaces);
        assert_eq!(Layout::Loopback.sides(), Sides::OneNamespace);
        let made = Layout::Zcsim { server: place(0, Some("s"), "a"), client: place(0, Some("c"), "b") };
        assert_eq!((made.macs(0), made.sides()), (vec![], Sides::TwoNamespaces));
        assert_eq!(made.namespaces(0), [None, Some("s"), Some("c")]);
    }
}
