//! Counters of the kernel and the NIC, as they stood at one moment.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// What one reading found. A part that could not be read is absent, and [`Counters::unavailable`] says why.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Counters {
    /// The interface's page pools, in the order of their numbers: netdev genetlink, `page-pool-get` and
    /// `page-pool-stats-get`. A queue that is bound or reconfigured gets another pool.
    pub page_pools: Option<Vec<PagePool>>,
    /// The interface's queues: netdev genetlink, `qstats-get` with the scope of queues.
    pub queues: Option<Vec<QueueCounters>>,
    /// The driver's own, by their names in `ethtool -S`.
    pub driver: Option<BTreeMap<String, u64>>,
    /// Of the network namespace, named as `nstat` does: all of `Ip`, `Tcp` and `TcpExt` (/proc/net/snmp, /proc/net/netstat).
    pub protocols: Option<BTreeMap<String, i64>>,
    /// What could not be read, by the name of its field, and why.
    pub unavailable: BTreeMap<String, String>,
}

/// A page pool (`NETDEV_A_PAGE_POOL_*`, include/uapi/linux/netdev.h).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PagePool {
    /// Its number, which no other pool ever gets.
    pub id: u64,
    /// The NAPI instance that it belongs to, if any.
    pub napi_id: Option<u64>,
    /// Buffers that are out of the pool.
    pub inflight: Option<u64>,
    /// Their bytes.
    pub inflight_bytes: Option<u64>,
    /// Whose memory it hands out; none if pages of the kernel's.
    pub provider: Option<Provider>,
    /// Whether its owner has given it up and it waits for its last buffers.
    pub detached: bool,
    /// `alloc-fast`, `recycle-cached`, `recycle-ring`, ...: as netlink/specs/netdev.yaml names them. Empty if the kernel counts
    /// nothing (`CONFIG_PAGE_POOL_STATS`).
    pub statistics: BTreeMap<String, u64>,
}

/// Where a page pool's memory comes from, if not from the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "name")]
pub enum Provider {
    /// A dmabuf that is bound with this number.
    Dmabuf {
        /// The binding's number.
        id: u32,
    },
    /// An area of io_uring's zcrx.
    IoUring,
}

/// Counters of one queue (`NETDEV_A_QSTATS_*`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct QueueCounters {
    /// Which kind.
    pub kind: QueueKind,
    /// Its number among its kind.
    pub id: u32,
    /// `rx-packets`, `rx-hw-gro-wire-packets`, ...: as netlink/specs/netdev.yaml names them, those that the driver has.
    pub statistics: BTreeMap<String, u64>,
}

/// Which way a queue goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum QueueKind {
    /// In.
    Receive,
    /// Out.
    Transmit,
}
