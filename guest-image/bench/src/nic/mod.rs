//! A NIC as the stream needs it: set up, read back, and put back in the opposite order.
//!
//! What is put back is so also after a signal, since that only ends the stream ([`crate::stop`]). Nothing can after `kill -9`.

use std::{
    fs,
    net::IpAddr,
    thread,
    time::{Duration, Instant},
};

use flow::{Nic, NicState, Receive};
use nix::{
    errno::Errno,
    net::if_::if_nametoindex,
    sched::{CpuSet, sched_setaffinity},
    unistd::Pid,
};

use crate::error::Failure;

pub(crate) mod counters;
mod ethtool;
mod ioctl;
mod link;
pub(crate) mod netdev;

use ethtool::{Ethtool, HeaderSplit, Rings};
use ioctl::Driver;
use netdev::{Napi, Netdev};

const HARDWARE_GRO: &str = "rx-gro-hw";
const SOFTWARE_GRO: &str = "rx-gro";
const SEGMENTATION: &str = "tx-tcp-segmentation";
const RULES: &str = "rx-ntuple-filter";
/// `NETDEV_NAPI_THREADED_ENABLED`.
const THREADED: u32 = 1;

/// Letting go of a queue's memory waits for a few grace periods and workers at most.
const UNBOUND_WITHIN: Duration = Duration::from_secs(30);

/// A change, as it is undone.
#[derive(Debug)]
enum Undo {
    Rings(Rings),
    Feature { name: &'static str, on: bool },
    Indirection(Vec<u32>),
    Rule(u32),
    Threaded { napi: u32, threaded: u32 },
    Interrupt { number: u32, cpus: String },
}

/// A NIC that was set up.
#[derive(Debug)]
pub(crate) struct Setup {
    interface: String,
    index: u32,
    ethtool: Ethtool,
    driver: Driver,
    queue: Option<u32>,
    softirq_cpu: Option<u32>,
    undo: Vec<Undo>,
}

/// The number of an interface.
pub(crate) fn index(interface: &str) -> Result<u32, Failure> {
    if_nametoindex(interface)
        .map_err(|errno| Failure::Misuse(format!("there is no interface `{interface}`: {}", errno.desc())))
}

impl Setup {
    /// Sets up what a receiver asks of its NIC; on the way out of a failure, what was changed is put back.
    pub(crate) fn new(nic: &Nic, receive: &Receive) -> Result<Self, Failure> {
        let mut setup = Self::of(&nic.interface)?;
        setup.queue = nic.queue;
        setup.set_rings(nic, receive.mode.needs_queue())?;
        if let Some(on) = nic.hardware_gro {
            setup.set_feature(HARDWARE_GRO, on)?;
        }
        if let Some(queue) = nic.queue {
            setup.check_queue(queue)?;
            setup.keep_others_off(queue)?;
            if nic.steer {
                setup.steer(receive.address, receive.port, receive.flows, queue)?;
            }
        }
        Ok(setup)
    }

    /// A NIC as it is.
    pub(crate) fn of(interface: &str) -> Result<Self, Failure> {
        let index = index(interface)?;
        let doing = || format!("{interface}: talking to ethtool");
        Ok(Self {
            interface: interface.to_owned(),
            index,
            ethtool: Ethtool::open(index).map_err(|refusal| Failure::refused(&doing(), &refusal))?,
            driver: Driver::open(interface).map_err(|errno| Failure::call(&doing(), errno))?,
            queue: None,
            softirq_cpu: None,
            undo: Vec::new(),
        })
    }

    pub(crate) fn interface(&self) -> &str {
        &self.interface
    }

    pub(crate) fn index(&self) -> u32 {
        self.index
    }

    /// Waits until the queue has its own memory again. A ring of io_uring that is closed lets go of it later, in a worker of the
    /// kernel's, and header split cannot be switched before.
    #[expect(
        clippy::disallowed_methods,
        reason = "polls the condition `the queue has no provider` until a deadline"
    )]
    pub(crate) fn wait_unbound(&self) -> Result<(), Failure> {
        let Some(queue) = self.queue else { return Ok(()) };
        let refused =
            |refusal| Failure::refused(&format!("{}: asking for its queues", self.interface), &refusal);
        let netdev = Netdev::open(self.index).map_err(refused)?;
        let end = Instant::now() + UNBOUND_WITHIN;
        // There is no notification of it.
        while netdev.has_provider(queue).map_err(refused)? {
            if Instant::now() > end {
                return Err(Failure::Failed(format!(
                    "{}: queue {queue} still has our memory {} s after it was let go",
                    self.interface,
                    UNBOUND_WITHIN.as_secs()
                )));
            }
            thread::sleep(Duration::from_millis(5));
        }
        Ok(())
    }

    fn set_rings(&mut self, nic: &Nic, needs_queue: bool) -> Result<(), Failure> {
        let refused =
            |doing: &str, refusal| Failure::refused(&format!("{}: {doing}", nic.interface), &refusal);
        let split = nic.header_split.or(needs_queue.then_some(true));
        let wanted = Rings {
            receive: nic.receive_ring,
            header_split: split.map(|on| if on { HeaderSplit::On } else { HeaderSplit::Off }),
            threshold: nic.header_split_threshold.or((needs_queue && split == Some(true)).then_some(0)),
        };
        if wanted == Rings::default() {
            return Ok(());
        }
        let before = self.ethtool.rings().map_err(|refusal| match refusal.errno {
            Errno::EOPNOTSUPP => {
                Failure::Unavailable(format!("{}: its driver has no rings to set up", nic.interface))
            }
            _ => refused("reading its rings", refusal),
        })?;
        if wanted.header_split.is_some() && before.header_split.is_none() {
            return Err(Failure::Unavailable(format!("{}: its driver cannot split headers", nic.interface)));
        }
        // The kernel refuses a threshold also if it is what it was, where the driver has none.
        let threshold = wanted.threshold.filter(|asked| before.threshold.is_some() || *asked > 0);
        let wanted = Rings { threshold, ..wanted };
        self.ethtool.set_rings(wanted).map_err(|refusal| refused("setting its rings", refusal))?;
        self.undo.push(Undo::Rings(Rings {
            receive: wanted.receive.and(before.receive),
            header_split: wanted.header_split.and(before.header_split),
            threshold: wanted.threshold.and(before.threshold),
        }));
        Ok(())
    }

    fn check_queue(&self, queue: u32) -> Result<(), Failure> {
        let doing = || format!("{}: asking for its queues", self.interface);
        let netdev = Netdev::open(self.index).map_err(|refusal| Failure::refused(&doing(), &refusal))?;
        match netdev.has_provider(queue) {
            Ok(false) => Ok(()),
            Ok(true) => Err(Failure::Unavailable(format!(
                "{}: queue {queue} has memory that somebody else has bound",
                self.interface
            ))),
            Err(refusal) if matches!(refusal.errno, Errno::ENOENT | Errno::EINVAL | Errno::ERANGE) => {
                Err(Failure::Misuse(format!("{} has no receive queue {queue}", self.interface)))
            }
            Err(refusal) => Err(Failure::refused(&doing(), &refusal)),
        }
    }

    fn set_feature(&mut self, name: &'static str, on: bool) -> Result<(), Failure> {
        let refused =
            |doing: &str, refusal| Failure::refused(&format!("{}: {doing} {name}", self.interface), &refusal);
        let features = |ethtool: &Ethtool| {
            ethtool.features().map(|on| on.contains(name)).map_err(|refusal| refused("reading", refusal))
        };
        let before = features(&self.ethtool)?;
        if before == on {
            return Ok(());
        }
        self.ethtool.set_feature(name, on).map_err(|refusal| refused("setting", refusal))?;
        if features(&self.ethtool)? != on {
            let state = if on { "on" } else { "off" };
            return Err(Failure::Unavailable(format!(
                "{}: {name} cannot be switched {state}",
                self.interface
            )));
        }
        self.undo.push(Undo::Feature { name, on: before });
        Ok(())
    }

    /// Leads all that no rule leads elsewhere to other queues.
    fn keep_others_off(&mut self, queue: u32) -> Result<(), Failure> {
        let refused =
            |doing: &str, refusal| Failure::refused(&format!("{}: {doing}", self.interface), &refusal);
        let before =
            self.ethtool.indirection().map_err(|refusal| refused("reading its RSS table", refusal))?;
        let Some(table) = without(&before, queue) else {
            return Err(Failure::Unavailable(format!(
                "{}: its RSS table leads to no queue but {queue}: other traffic needs another one",
                self.interface
            )));
        };
        if table != before {
            self.ethtool
                .set_indirection(&table)
                .map_err(|refusal| refused("keeping other traffic off the queue", refusal))?;
            self.undo.push(Undo::Indirection(if is_default(&before) { Vec::new() } else { before }));
        }
        Ok(())
    }

    fn steer(&mut self, address: IpAddr, port: u16, flows: u16, queue: u32) -> Result<(), Failure> {
        // Some drivers take rules only with the feature on; others do not have it.
        match self.set_feature(RULES, true) {
            Ok(()) | Err(Failure::Unavailable(_)) => {}
            Err(failure) => return Err(failure),
        }
        for port in (port..).take(usize::from(flows)) {
            let rule = self.driver.steer(address, port, queue).map_err(|errno| {
                Failure::Unavailable(format!(
                    "{}: steering port {port} to queue {queue}: {}",
                    self.interface,
                    errno.desc()
                ))
            })?;
            self.undo.push(Undo::Rule(rule));
        }
        Ok(())
    }

    /// Has the queue served on one CPU: its interrupt is led there, or, without one, its NAPI gets a thread that stays there.
    /// After memory was bound, since that restarts the queue.
    pub(crate) fn serve_on(&mut self, cpu: u32) -> Result<(), Failure> {
        let Some(queue) = self.queue else {
            return Err(Failure::Misuse("--softirq-cpu is about a queue: name it with --queue".to_owned()));
        };
        let refused =
            |doing: &str, refusal| Failure::refused(&format!("{}: {doing}", self.interface), &refusal);
        let netdev = Netdev::open(self.index).map_err(|refusal| refused("asking for its queues", refusal))?;
        let napi = |netdev: &Netdev| {
            netdev.napi(queue).map_err(|refusal| refused("asking who serves the queue", refusal))
        };
        let unknown = || Failure::Unavailable(format!("{}: nobody serves queue {queue}", self.interface));
        let found: Napi = napi(&netdev)?.ok_or_else(unknown)?;
        if let Some(number) = found.interrupt {
            let path = format!("/proc/irq/{number}/smp_affinity_list");
            let before = fs::read_to_string(&path).map_err(|error| Failure::call(&path, error))?;
            fs::write(&path, cpu.to_string()).map_err(|error| Failure::call(&path, error))?;
            self.undo.push(Undo::Interrupt { number, cpus: before.trim().to_owned() });
        } else {
            netdev
                .set_threaded(found.id, THREADED)
                .map_err(|refusal| refused("giving the queue's NAPI a thread", refusal))?;
            self.undo.push(Undo::Threaded { napi: found.id, threaded: found.threaded });
            let thread = napi(&netdev)?.and_then(|napi| napi.thread).ok_or_else(unknown)?;
            pin(Pid::from_raw(thread), cpu)?;
        }
        self.softirq_cpu = Some(cpu);
        Ok(())
    }

    /// The NIC as it is now.
    pub(crate) fn state(&self) -> Result<NicState, Failure> {
        let refused = |refusal| Failure::refused(&format!("{}: reading its state", self.interface), &refusal);
        let sizes = link::sizes(self.index).map_err(refused)?;
        // A driver need not have rings, or any feature.
        let rings = self.ethtool.rings().unwrap_or_default();
        let features = self.ethtool.features().ok();
        let has = |name: &str| features.as_ref().map(|features| features.contains(name));
        Ok(NicState {
            interface: self.interface.clone(),
            driver: self.driver.name().ok(),
            mtu: sizes.mtu,
            gro_max_size: sizes.gro,
            gro_ipv4_max_size: sizes.gro_ipv4,
            gso_max_size: sizes.gso,
            gso_ipv4_max_size: sizes.gso_ipv4,
            header_split: rings.header_split.map(|split| split == HeaderSplit::On),
            header_split_threshold: rings.threshold,
            hardware_gro: has(HARDWARE_GRO),
            software_gro: has(SOFTWARE_GRO),
            segmentation: has(SEGMENTATION),
            receive_ring: rings.receive,
            queue: self.queue,
            softirq_cpu: self.softirq_cpu,
        })
    }

    fn undo(&self, undo: &Undo) -> Result<(), String> {
        let told = |what: &str, error: &dyn std::fmt::Display| Err(format!("{what}: {error}"));
        match undo {
            Undo::Rings(before) => {
                // Left to itself, the driver most often goes back to what it was; what was explicit, stays what it was.
                let unknown = before.header_split.map(|_| HeaderSplit::Unknown);
                let left = Rings { header_split: unknown, ..*before };
                let same = self.ethtool.set_rings(left).and_then(|()| self.ethtool.rings());
                if same
                    .is_ok_and(|now| before.header_split.is_none() || now.header_split == before.header_split)
                {
                    return Ok(());
                }
                self.ethtool.set_rings(*before).or_else(|refusal| told("rings", &refusal))
            }
            Undo::Feature { name, on } => {
                self.ethtool.set_feature(name, *on).or_else(|refusal| told(name, &refusal))
            }
            Undo::Indirection(table) => {
                self.ethtool.set_indirection(table).or_else(|refusal| told("RSS table", &refusal))
            }
            Undo::Rule(location) => {
                self.driver.remove_rule(*location).or_else(|errno| told("rule of steering", &errno.desc()))
            }
            Undo::Threaded { napi, threaded } => Netdev::open(self.index)
                .and_then(|netdev| netdev.set_threaded(*napi, *threaded))
                .or_else(|refusal| told("NAPI's thread", &refusal)),
            Undo::Interrupt { number, cpus } => {
                fs::write(format!("/proc/irq/{number}/smp_affinity_list"), cpus)
                    .or_else(|error| told("interrupt's CPUs", &error))
            }
        }
    }
}

impl Drop for Setup {
    fn drop(&mut self) {
        if !self.undo.is_empty() && if_nametoindex(self.interface.as_str()) != Ok(self.index) {
            eprintln!("assay-bench: {} is gone: nothing of it is put back", self.interface);
            return;
        }
        while let Some(undo) = self.undo.pop() {
            if let Err(reason) = self.undo(&undo) {
                eprintln!("assay-bench: {}: could not be put back: {reason}", self.interface);
            }
        }
    }
}

/// Keeps a thread on one CPU; this one, if it is 0.
pub(crate) fn pin(thread: Pid, cpu: u32) -> Result<(), Failure> {
    let mut cpus = CpuSet::new();
    cpus.set(cpu as usize)
        .and_then(|()| sched_setaffinity(thread, &cpus))
        .map_err(|errno| Failure::Misuse(format!("there is no CPU {cpu} to run on: {}", errno.desc())))
}

/// The table with `queue` replaced by the other queues in it, in turn; none if there is no other.
fn without(table: &[u32], queue: u32) -> Option<Vec<u32>> {
    let others: Vec<u32> = table.iter().copied().filter(|entry| *entry != queue).collect();
    let mut turn = others.iter().cycle();
    table.iter().map(|entry| if *entry == queue { turn.next().copied() } else { Some(*entry) }).collect()
}

/// Whether a table is what a driver makes by itself (`ethtool_rxfh_indir_default`): all queues in turn.
fn is_default(table: &[u32]) -> bool {
    let queues = table.iter().max().map_or(1, |last| last + 1);
    (0..).zip(table).all(|(at, queue): (u32, &u32)| *queue == at % queues)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_leads_off_a_queue() {
        assert_eq!(without(&[0, 1, 2, 0, 1, 2], 1), Some(vec![0, 0, 2, 0, 2, 2]));
        assert_eq!(without(&[0, 0, 2], 1), Some(vec![0, 0, 2]));
        assert_eq!(without(&[1, 1], 1), None);
    }

    #[test]
    fn a_drivers_own_table_is_known() {
        assert!(is_default(&[0, 1, 2, 0, 1, 2, 0]));
        assert!(!is_default(&[0, 0, 2, 0, 1, 2, 0]));
        assert!(is_default(&[0, 0]));
    }
}
