//! Queues, their memory and their page pools, over the netdev family (include/uapi/linux/netdev.h).

use std::{
    collections::BTreeMap,
    os::fd::{AsFd, AsRawFd},
};

use flow::{PagePool, Provider, QueueCounters, QueueKind};

use netlink::{
    Attributes, Family, Refusal,
    attributes::{find, number, number_of, parse},
};

const PAGE_POOL_GET: u8 = 5;
const PAGE_POOL_STATS_GET: u8 = 9;
const QUEUE_GET: u8 = 10;
const NAPI_GET: u8 = 11;
const QSTATS_GET: u8 = 12;
const BIND_RX: u8 = 13;
const NAPI_SET: u8 = 14;
const BIND_TX: u8 = 15;

const PAGE_POOL_ID: u16 = 1;
const PAGE_POOL_IFINDEX: u16 = 2;
const PAGE_POOL_NAPI_ID: u16 = 3;
const PAGE_POOL_INFLIGHT: u16 = 4;
const PAGE_POOL_INFLIGHT_MEM: u16 = 5;
const PAGE_POOL_DETACH_TIME: u16 = 6;
const PAGE_POOL_DMABUF: u16 = 7;
const PAGE_POOL_IO_URING: u16 = 8;
const PAGE_POOL_STATS_INFO: u16 = 1;
const QUEUE_ID: u16 = 1;
const QUEUE_IFINDEX: u16 = 2;
const QUEUE_TYPE: u16 = 3;
const QUEUE_NAPI_ID: u16 = 4;
const QUEUE_DMABUF: u16 = 5;
const QUEUE_IO_URING: u16 = 6;
const NAPI_ID: u16 = 2;
const NAPI_IRQ: u16 = 3;
const NAPI_PID: u16 = 4;
const NAPI_THREADED: u16 = 8;
const QSTATS_IFINDEX: u16 = 1;
const QSTATS_QUEUE_TYPE: u16 = 2;
const QSTATS_QUEUE_ID: u16 = 3;
const QSTATS_SCOPE: u16 = 4;
const QSTATS_SCOPE_QUEUE: u32 = 1;
const DMABUF_IFINDEX: u16 = 1;
const DMABUF_QUEUES: u16 = 2;
const DMABUF_FD: u16 = 3;
const DMABUF_ID: u16 = 4;
const RECEIVE: u32 = 0;

/// `NETDEV_A_PAGE_POOL_STATS_ALLOC_FAST` and those behind it.
const PAGE_POOL_STATISTICS: (u16, &[&str]) = (
    8,
    &[
        "alloc-fast",
        "alloc-slow",
        "alloc-slow-high-order",
        "alloc-empty",
        "alloc-refill",
        "alloc-waive",
        "recycle-cached",
        "recycle-cache-full",
        "recycle-ring",
        "recycle-ring-full",
        "recycle-released-refcnt",
    ],
);

/// `NETDEV_A_QSTATS_RX_PACKETS` and those behind it.
const QUEUE_STATISTICS: (u16, &[&str]) = (
    8,
    &[
        "rx-packets",
        "rx-bytes",
        "tx-packets",
        "tx-bytes",
        "rx-alloc-fail",
        "rx-hw-drops",
        "rx-hw-drop-overruns",
        "rx-csum-complete",
        "rx-csum-unnecessary",
        "rx-csum-none",
        "rx-csum-bad",
        "rx-hw-gro-packets",
        "rx-hw-gro-bytes",
        "rx-hw-gro-wire-packets",
        "rx-hw-gro-wire-bytes",
        "rx-hw-drop-ratelimits",
        "tx-hw-drops",
        "tx-hw-drop-errors",
        "tx-csum-none",
        "tx-needs-csum",
        "tx-hw-gso-packets",
        "tx-hw-gso-bytes",
        "tx-hw-gso-wire-packets",
        "tx-hw-gso-wire-bytes",
        "tx-hw-drop-ratelimits",
        "tx-stop",
        "tx-wake",
    ],
);

/// Who serves a queue.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Napi {
    pub(crate) id: u32,
    pub(crate) interrupt: Option<u32>,
    pub(crate) thread: Option<i32>,
    /// `enum netdev_napi_threaded`.
    pub(crate) threaded: u32,
}

/// A NIC, over the netdev family. Memory stays bound for as long as the socket that it was bound through is open.
#[derive(Debug)]
pub(crate) struct Netdev {
    family: Family,
    index: u32,
}

impl Netdev {
    pub(crate) fn open(index: u32) -> Result<Self, Refusal> {
        Ok(Self { family: Family::open("netdev")?, index })
    }

    /// Binds a dmabuf to a receive queue; gives the binding's number.
    pub(crate) fn bind_receive(&self, queue: u32, dmabuf: impl AsFd) -> Result<u32, Refusal> {
        let queue = Attributes::default().u32(QUEUE_ID, queue).u32(QUEUE_TYPE, RECEIVE);
        let request = self.binding(dmabuf).nest(DMABUF_QUEUES, queue);
        self.bind(BIND_RX, &request)
    }

    /// Binds a dmabuf to be sent from; gives the binding's number.
    pub(crate) fn bind_transmit(&self, dmabuf: impl AsFd) -> Result<u32, Refusal> {
        self.bind(BIND_TX, &self.binding(dmabuf))
    }

    fn binding(&self, dmabuf: impl AsFd) -> Attributes {
        Attributes::default()
            .u32(DMABUF_IFINDEX, self.index)
            .bytes(DMABUF_FD, &dmabuf.as_fd().as_raw_fd().to_ne_bytes())
    }

    fn bind(&self, command: u8, request: &Attributes) -> Result<u32, Refusal> {
        let answers = self.family.ask(command, request)?;
        answers.first().and_then(|answer| number_of(answer, DMABUF_ID)).ok_or_else(Refusal::bad)
    }

    fn queue(&self, queue: u32) -> Result<Vec<u8>, Refusal> {
        let request = Attributes::default()
            .u32(QUEUE_IFINDEX, self.index)
            .u32(QUEUE_TYPE, RECEIVE)
            .u32(QUEUE_ID, queue);
        self.family.ask(QUEUE_GET, &request)?.into_iter().next().ok_or_else(Refusal::bad)
    }

    /// Whether a receive queue takes its buffers from memory that somebody has bound.
    pub(crate) fn has_provider(&self, queue: u32) -> Result<bool, Refusal> {
        let answer = self.queue(queue)?;
        Ok(find(&answer, QUEUE_DMABUF).is_some() || find(&answer, QUEUE_IO_URING).is_some())
    }

    /// Who serves a receive queue; none if the driver does not tell.
    pub(crate) fn napi(&self, queue: u32) -> Result<Option<Napi>, Refusal> {
        let Some(id) = number_of(&self.queue(queue)?, QUEUE_NAPI_ID) else { return Ok(None) };
        let answers = self.family.ask(NAPI_GET, &Attributes::default().u32(NAPI_ID, id))?;
        let answer = answers.first().ok_or_else(Refusal::bad)?;
        Ok(Some(Napi {
            id,
            interrupt: number_of(answer, NAPI_IRQ),
            thread: number_of(answer, NAPI_PID),
            threaded: number_of(answer, NAPI_THREADED).unwrap_or(0),
        }))
    }

    pub(crate) fn set_threaded(&self, napi: u32, threaded: u32) -> Result<(), Refusal> {
        let request = Attributes::default().u32(NAPI_ID, napi).u32(NAPI_THREADED, threaded);
        self.family.ask(NAPI_SET, &request).map(drop)
    }

    /// The interface's page pools with their counters.
    pub(crate) fn page_pools(&self) -> Result<Vec<PagePool>, Refusal> {
        let mut pools: Vec<PagePool> = self
            .family
            .dump(PAGE_POOL_GET, &Attributes::default())?
            .iter()
            .filter(|pool| number_of(pool, PAGE_POOL_IFINDEX) == Some(self.index))
            .filter_map(|pool| page_pool(pool))
            .collect();
        // A kernel that counts nothing has no such command.
        for answer in self.family.dump(PAGE_POOL_STATS_GET, &Attributes::default()).unwrap_or_default() {
            let Some(info) = find(&answer, PAGE_POOL_STATS_INFO) else { continue };
            let Some(id) = number_of::<u64>(info, PAGE_POOL_ID) else { continue };
            if let Some(pool) = pools.iter_mut().find(|pool| pool.id == id) {
                pool.statistics = statistics(&answer, PAGE_POOL_STATISTICS);
            }
        }
        pools.sort_by_key(|pool| pool.id);
        Ok(pools)
    }

    /// The counters of the interface's queues.
    pub(crate) fn queue_counters(&self) -> Result<Vec<QueueCounters>, Refusal> {
        let request =
            Attributes::default().u32(QSTATS_IFINDEX, self.index).u32(QSTATS_SCOPE, QSTATS_SCOPE_QUEUE);
        let answers = self.family.dump(QSTATS_GET, &request)?;
        Ok(answers.iter().filter_map(|answer| queue_counters(answer)).collect())
    }
}

fn page_pool(answer: &[u8]) -> Option<PagePool> {
    let provider = match number_of(answer, PAGE_POOL_DMABUF) {
        Some(id) => Some(Provider::Dmabuf { id }),
        None => find(answer, PAGE_POOL_IO_URING).map(|_| Provider::IoUring),
    };
    Some(PagePool {
        id: number_of(answer, PAGE_POOL_ID)?,
        napi_id: number_of(answer, PAGE_POOL_NAPI_ID),
        inflight: number_of(answer, PAGE_POOL_INFLIGHT),
        inflight_bytes: number_of(answer, PAGE_POOL_INFLIGHT_MEM),
        provider,
        detached: find(answer, PAGE_POOL_DETACH_TIME).is_some(),
        statistics: BTreeMap::new(),
    })
}

fn queue_counters(answer: &[u8]) -> Option<QueueCounters> {
    Some(QueueCounters {
        kind: match number_of::<u32>(answer, QSTATS_QUEUE_TYPE)? {
            RECEIVE => QueueKind::Receive,
            _ => QueueKind::Transmit,
        },
        id: number_of(answer, QSTATS_QUEUE_ID)?,
        statistics: statistics(answer, QUEUE_STATISTICS),
    })
}

fn statistics(answer: &[u8], (first, names): (u16, &[&str])) -> BTreeMap<String, u64> {
    parse(answer)
        .filter_map(|(kind, value)| {
            let name = names.get(usize::from(kind.checked_sub(first)?))?;
            Some(((*name).to_owned(), number(value)?))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_are_named_by_their_numbers() {
        // include/uapi/linux/netdev.h: the last of each.
        assert_eq!(PAGE_POOL_STATISTICS.0 as usize + PAGE_POOL_STATISTICS.1.len() - 1, 18);
        assert_eq!(QUEUE_STATISTICS.0 as usize + QUEUE_STATISTICS.1.len() - 1, 34);
        let answer = Attributes::default()
            .u32(QSTATS_QUEUE_ID, 3)
            .u32(QSTATS_QUEUE_TYPE, 0)
            .u32(8, 12)
            .bytes(22, &7_u64.to_ne_bytes());
        let counters = queue_counters(answer.as_bytes()).unwrap();
        assert_eq!((counters.kind, counters.id), (QueueKind::Receive, 3));
        let expected = [("rx-hw-gro-wire-bytes".to_owned(), 7), ("rx-packets".to_owned(), 12)];
        assert_eq!(counters.statistics, BTreeMap::from(expected));
    }

    #[test]
    fn a_pools_memory_is_told() {
        let pool = Attributes::default().u32(PAGE_POOL_ID, 9).u32(PAGE_POOL_INFLIGHT, 64);
        let answer = pool.u32(PAGE_POOL_DMABUF, 2).u32(PAGE_POOL_DETACH_TIME, 1);
        let pool = page_pool(answer.as_bytes()).unwrap();
        assert_eq!((pool.id, pool.inflight, pool.provider), (9, Some(64), Some(Provider::Dmabuf { id: 2 })));
        assert!(pool.detached);
        let area = Attributes::default().u32(PAGE_POOL_ID, 9).nest(PAGE_POOL_IO_URING, Attributes::default());
        assert_eq!(page_pool(area.as_bytes()).unwrap().provider, Some(Provider::IoUring));
    }
}
