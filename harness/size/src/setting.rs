//! How to set what was found, as commands.

use serde::Serialize;

use crate::{Need, Sizes};

/// Whose machine a setting is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Side {
    /// Who receives.
    Receiver,
    /// Who sends.
    Sender,
    /// Both.
    Both,
}

/// A command that sets one thing; `NIC` stands for the interface.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Setting {
    /// Where.
    pub side: Side,
    /// What to run there, as root.
    pub command: String,
}

/// `tcp_rmem` and `tcp_wmem` keep the kernel's first two values: buffers grow to the third by themselves. `rmem_max` and
/// `wmem_max` matter to programs that set `SO_RCVBUF` and `SO_SNDBUF`, and so end that growth.
pub(crate) fn settings(need: &Need, sizes: &Sizes) -> Vec<Setting> {
    let set = |side, command| Setting { side, command };
    vec![
        set(Side::Both, format!("ip link set dev NIC mtu {}", need.mtu)),
        set(Side::Receiver, format!("ethtool -G NIC rx {} tcp-data-split on hds-thresh 0", sizes.ring)),
        set(Side::Receiver, format!("sysctl -w vm.nr_hugepages={}", sizes.huge_pages)),
        set(
            Side::Receiver,
            format!("sysctl -w net.ipv4.tcp_rmem='4096 131072 {}'", sizes.receive_buffer_bytes),
        ),
        set(Side::Receiver, format!("sysctl -w net.core.rmem_max={}", sizes.receive_buffer_bytes)),
        set(Side::Sender, format!("sysctl -w net.ipv4.tcp_wmem='4096 16384 {}'", sizes.send_buffer_bytes)),
        set(Side::Sender, format!("sysctl -w net.core.wmem_max={}", sizes.send_buffer_bytes)),
        set(Side::Sender, format!("sysctl -w net.core.optmem_max={}", sizes.optmem_bytes)),
    ]
}
