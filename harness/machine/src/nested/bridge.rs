//! The way from guests' virtio NICs to the host's own: tap devices and a bridge.

use crate::{
    facts::GuestNic,
    guest::{Guest, Trouble},
    network::{await_link, ip},
};

const BRIDGE: &str = "br0";

/// Joins `count` new tap devices to the host's NIC, and gives their names.
pub(super) async fn join(
    host: &Guest,
    nic: &GuestNic,
    count: usize,
    mtu: u32,
) -> Result<Vec<String>, Trouble> {
    let interface = &nic.interface;
    let mut batch = format!(
        "link add dev {BRIDGE} type bridge stp_state 0 mcast_snooping 0\n\
         link set dev {interface} mtu {mtu} up\n\
         link set dev {interface} master {BRIDGE}\n"
    );
    let taps: Vec<String> = (0..count).map(|index| format!("tap{index}")).collect();
    for tap in &taps {
        batch.push_str(&format!(
            "tuntap add dev {tap} mode tap\nlink set dev {tap} mtu {mtu} master {BRIDGE}\nlink set dev {tap} up\n"
        ));
    }
    batch.push_str(&format!("link set dev {BRIDGE} mtu {mtu} up\n"));
    ip(host, None, &batch).await?;
    await_link(host, None, interface).await?;
    Ok(taps)
}
