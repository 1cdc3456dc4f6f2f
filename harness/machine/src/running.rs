//! A machine that runs: its two ends, its facts, its end.

use std::{net::IpAddr, task::Poll, time::Duration};

use measure::{CrashKind, CrashReport, GuestFacts, Sides, TraceCounts};

use crate::{
    Access, BootEnd, GuestCommand, MachineError, Script, Session, SessionError, Share,
    attachments::share_tag,
    facts,
    guest::{Guest, Trouble, of_session_error},
    nested::Nest,
    network::{self, End, Layout},
    process::Fate,
    qemu::{self, Traced},
    world, zcsim,
};

/// A machine whose agents answer and whose network passes packets. Dropping it kills its guests without waiting; the
/// normal way out is [`Running::power_off`].
#[derive(Debug)]
pub struct Running {
    // Field order is drop order: the guests are gone before the folder of their sockets.
    guests: Vec<Guest>,
    facts: Vec<(String, GuestFacts)>,
    server: End,
    client: End,
    sides: Sides,
    took: Duration,
    traced: bool,
    /// What a host within has lent its guests.
    nest: Option<Nest>,
    folder: tempfile::TempDir,
}

/// One end of the network.
#[derive(Clone, Copy, Debug)]
pub struct Endpoint<'a> {
    /// To the agent of its guest.
    pub session: &'a Session,
    /// The network namespace that it is in, if it is not the agent's own.
    pub netns: Option<&'a str>,
    /// Where the other end reaches it.
    pub address: IpAddr,
    /// The guest's name: `server`, `client`, `host`, or `guest` if there is only one.
    pub guest: &'a str,
    /// Its network interface.
    pub interface: &'a str,
    /// The type of its interface's IOMMU group as the guest really has it: `DMA`, `DMA-FQ`, `identity`, or `none`.
    pub iommu: &'a str,
}

impl Endpoint<'_> {
    /// A command that will run at this end: in its namespace.
    #[must_use]
    pub fn command(&self, program: impl Into<String>) -> GuestCommand {
        GuestCommand::new(program).netns(self.netns)
    }
}

/// Guests whose agents answer, before anything was set up in them.
pub(crate) struct Booted<'a> {
    pub(crate) guests: Vec<Guest>,
    pub(crate) layout: Layout,
    pub(crate) took: Duration,
    pub(crate) traced: bool,
    /// Folders of the host that every guest is to mount.
    pub(crate) shares: &'a [Share],
    /// What is shifted before anything else is done in its guests, if something is.
    pub(crate) perturb: Option<protocol::Perturb>,
    /// Of a nested machine: what its host has lent to guests of its own, which come after it among the guests.
    pub(crate) nest: Option<Nest>,
    pub(crate) folder: tempfile::TempDir,
}

/// Reads what the guests are, and sets up their network and knobs.
pub(crate) async fn bring_up(booted: Booted<'_>, knobs: &plan::Knobs) -> Result<BootEnd, MachineError> {
    let prepared = tokio::select! {
        biased;
        crashed = crashed(&booted.guests) => crashed.map_err(Trouble::Failed).and_then(|report| Err(Trouble::Crashed(report))),
        prepared = prepare(&booted, knobs) => prepared,
    };
    match prepared {
        Ok(Prepared { facts, server, client }) => {
            let sides = booted.layout.sides();
            Ok(BootEnd::Up(Box::new(Running {
                guests: booted.guests,
                facts,
                server,
                client,
                sides,
                took: booted.took,
                traced: booted.traced,
                nest: booted.nest,
                folder: booted.folder,
            })))
        }
        Err(trouble) => {
            let trouble = match trouble {
                Trouble::Crashed(report) => {
                    explained(&booted.guests, report).await.map_or_else(Trouble::Failed, Trouble::Crashed)
                }
                other => other,
            };
            kill_all(&booted.guests).await?;
            trouble.end()
        }
    }
}

/// Those within others first: how they ended is then known from their own hosts.
pub(crate) async fn kill_all(guests: &[Guest]) -> Result<(), MachineError> {
    for guest in guests.iter().rev() {
        guest.process.kill().await?;
    }
    Ok(())
}

struct Prepared {
    facts: Vec<(String, GuestFacts)>,
    server: End,
    client: End,
}

async fn prepare(booted: &Booted<'_>, knobs: &plan::Knobs) -> Result<Prepared, Trouble> {
    let mut facts = Vec::new();
    let mut nics = Vec::new();
    for (index, guest) in booted.guests.iter().enumerate() {
        // A guest within another shares nothing with us.
        if guest.process.pid().is_some() {
            mount(guest, booted.shares).await?;
        }
        let wanted = booted.layout.macs(index);
        let (mut guest_facts, mut guest_nics) = facts::read(guest, &wanted).await?;
        if let Layout::Zcsim { server, client } = booted.layout {
            guest_nics = zcsim::make(guest, [server, client], knobs.wire).await?;
            guest_facts.iommu.extend(guest_nics.iter().map(|nic| (nic.interface.clone(), nic.iommu.clone())));
        }
        if let Some(nest) = &booted.nest {
            guest_facts.iommu.extend(nest.known_of(guest.process.name()));
        }
        facts.push((guest.process.name().to_owned(), guest_facts));
        nics.push(guest_nics);
    }
    let (server, client) = network::set_up(&booted.guests, &booted.layout, &nics).await?;
    network::set_knobs(&booted.guests, &booted.layout, knobs).await?;
    network::set_rings(&booted.guests, [&server, &client], knobs.ring).await?;
    network::await_reachable(&booted.guests, &booted.layout, &server, &client).await?;
    if let Some(place) = booted.nest.as_ref().and_then(|nest| nest.neighbour) {
        let (mut found, mut its) = facts::read(&booted.guests[place.guest], &[place.mac]).await?;
        let nic = its.pop().expect("every NIC was found by its address");
        network::set_up_neighbour(&booted.guests, place, &nic, &client).await?;
        facts[place.guest].1.iommu.append(&mut found.iommu);
    }
    if let Some(shift) = booted.perturb {
        for guest in &booted.guests {
            perturb(guest, shift).await?;
        }
    }
    Ok(Prepared { facts, server, client })
}

/// Shifts what comes after.
async fn perturb(guest: &Guest, shift: protocol::Perturb) -> Result<(), Trouble> {
    match guest.session.perturb(shift).await {
        Ok(()) => Ok(()),
        Err(error @ SessionError::Guest { .. }) => Err(Trouble::NotTestable(error.to_string())),
        Err(error) => Err(of_session_error(&guest.process, error).await),
    }
}

/// Mounts what the host shares.
async fn mount(guest: &Guest, shares: &[Share]) -> Result<(), Trouble> {
    for (index, share) in shares.iter().enumerate() {
        let share = protocol::Share {
            tag: share_tag(index),
            target: share.guest.clone(),
            read_only: share.access == Access::ReadOnly,
        };
        match guest.session.mount(share).await {
            Ok(()) => {}
            Err(error @ SessionError::Guest { .. }) => return Err(Trouble::NotTestable(error.to_string())),
            Err(error) => return Err(of_session_error(&guest.process, error).await),
        }
    }
    Ok(())
}

/// The report of a hang with where the guest's CPUs are; any other as it is.
async fn explained(guests: &[Guest], report: CrashReport) -> Result<CrashReport, MachineError> {
    match guests.iter().find(|guest| guest.process.name() == report.guest) {
        Some(guest) => qemu::explained(&guest.process, guest.monitor.as_ref(), report).await,
        None => Ok(report),
    }
}

/// The first guest that ends while it should run.
pub(crate) async fn crashed(guests: &[Guest]) -> Result<CrashReport, MachineError> {
    first(guests.iter().map(|guest| guest.process.crash())).await
}

/// What the first of these gives that has something to give; the others are given up.
async fn first<T>(futures: impl Iterator<Item = impl Future<Output = T>>) -> T {
    let mut futures: Vec<_> = futures.map(Box::pin).collect();
    std::future::poll_fn(|context| {
        let ready = futures.iter_mut().find_map(|future| match future.as_mut().poll(context) {
            Poll::Ready(given) => Some(given),
            Poll::Pending => None,
        });
        ready.map_or(Poll::Pending, Poll::Ready)
    })
    .await
}

impl Running {
    /// The end that serves.
    #[must_use]
    pub fn server(&self) -> Endpoint<'_> {
        self.endpoint(&self.server)
    }

    /// The end that connects.
    #[must_use]
    pub fn client(&self) -> Endpoint<'_> {
        self.endpoint(&self.client)
    }

    fn endpoint<'a>(&'a self, end: &'a End) -> Endpoint<'a> {
        let guest = &self.guests[end.guest];
        Endpoint {
            session: &guest.session,
            netns: end.netns,
            address: end.address,
            guest: guest.process.name(),
            interface: &end.interface,
            iommu: &end.iommu,
        }
    }

    /// What the two ends have in common.
    #[must_use]
    pub fn sides(&self) -> Sides {
        self.sides
    }

    /// Whether both ends are in one guest.
    #[must_use]
    pub fn shared_guest(&self) -> bool {
        self.guests.len() == 1
    }

    /// All that was asked of the guest since its agent answered, if this is a rehearsal.
    #[must_use]
    pub fn script(&self) -> Option<Script> {
        self.guests.first().and_then(|guest| guest.session.script())
    }

    /// What the plugin has counted in the windows that have ended, as it wrote it (`harness/insncount/FORMAT.md`).
    ///
    /// # Errors
    /// If the machine counts nothing, or what was counted cannot be read.
    pub fn counts(&self) -> Result<Vec<u8>, MachineError> {
        world::counts(self.folder.path())
    }

    /// What each guest says of itself, by its name.
    #[must_use]
    pub fn facts(&self) -> Vec<(String, GuestFacts)> {
        self.facts.clone()
    }

    /// Each guest's name, how it is executed, and its process, if that is on this host.
    pub(crate) fn processes(&self) -> impl Iterator<Item = (&str, &str, i32)> {
        self.guests.iter().zip(&self.facts).filter_map(|(guest, (name, facts))| {
            Some((name.as_str(), facts.accel.as_str(), guest.process.pid()?))
        })
    }

    /// Seconds from power-on until every agent answered.
    #[must_use]
    pub fn boot_seconds(&self) -> f64 {
        self.took.as_secs_f64()
    }

    /// Titles of warnings on the consoles (`WARNING: ...`), with the guest's name: no crash, but worth a word.
    #[must_use]
    pub fn warnings(&self) -> Vec<(String, String)> {
        let of = |guest: &Guest| {
            let name = guest.process.name().to_owned();
            guest.process.warnings().into_iter().map(move |title| (name.clone(), title)).collect::<Vec<_>>()
        };
        self.guests.iter().flat_map(of).collect()
    }

    /// Resolves when a guest panics, oopses, stalls or stops. May be awaited and given up any number of times.
    ///
    /// # Errors
    /// If a guest's process fails for a reason that is not the guest's.
    pub async fn crashed(&self) -> Result<CrashReport, MachineError> {
        crashed(&self.guests).await
    }

    /// Resolves with the title of a crash once a console shows one. Of use for a machine with a debugger: its guests stay
    /// after a crash, so that [`Running::crashed`] resolves only when their processes end.
    pub async fn crash_seen(&self) -> String {
        first(self.guests.iter().map(|guest| guest.process.crash_seen())).await
    }

    /// The report of a guest that lives, but stopped answering while `awaited` was awaited; or of its crash, if there
    /// was one.
    ///
    /// # Errors
    /// If it is QEMU that stopped answering.
    pub async fn hang(&self, guest: &str, awaited: &str) -> Result<CrashReport, MachineError> {
        let title = format!("the guest stopped answering: {awaited}");
        match self.guests.iter().find(|candidate| candidate.process.name() == guest) {
            Some(guest) => explained(&self.guests, guest.process.report(CrashKind::Hang, title)).await,
            None => Ok(CrashReport {
                kind: CrashKind::Hang,
                guest: guest.to_owned(),
                title,
                excerpt: String::new(),
                cpus: vec![],
            }),
        }
    }

    /// Begins to count QEMU's trace events in every guest.
    ///
    /// # Errors
    /// If the machine was not booted for it, or a monitor fails.
    pub async fn trace_window_start(&self, traced: Traced) -> Result<(), MachineError> {
        for (guest, monitor) in self.monitors()? {
            qemu::trace_start(monitor, guest.process.errors(), traced).await?;
        }
        Ok(())
    }

    /// Ends the window and gives the counts of each guest.
    ///
    /// # Errors
    /// As for [`Running::trace_window_start`].
    pub async fn trace_window_stop(&self) -> Result<TraceCounts, MachineError> {
        let mut counts = TraceCounts::new();
        for (guest, monitor) in self.monitors()? {
            let trace = qemu::trace_stop(monitor, guest.process.errors(), guest.iommu).await?;
            counts.insert(guest.process.name().to_owned(), trace);
        }
        Ok(counts)
    }

    /// How many of the events that a window counts have been seen so far, of each guest with an emulated IOMMU.
    ///
    /// # Errors
    /// As for [`Running::trace_window_start`].
    pub fn trace_seen(&self) -> Result<Vec<(&str, u64)>, MachineError> {
        let guests = self.monitors()?.into_iter().map(|(guest, _)| guest).filter(|guest| guest.iommu);
        Ok(guests.map(|guest| (guest.process.name(), guest.process.errors().seen())).collect())
    }

    /// Every guest's name and its agent, from the outside in where guests run guests.
    pub fn guests(&self) -> impl Iterator<Item = (&str, &Session)> {
        self.guests.iter().map(|guest| (guest.process.name(), &guest.session))
    }

    fn monitors(&self) -> Result<Vec<(&Guest, &qemu::Monitor)>, MachineError> {
        if !self.traced {
            return Err(MachineError::NotTraced);
        }
        // A fake machine has no monitor, and so no counts.
        Ok(self.guests.iter().filter_map(|guest| Some((guest, guest.monitor.as_ref()?))).collect())
    }

    /// Powers every guest off and waits until its process is gone; a guest that has not powered off within `deadline`
    /// hangs, and is killed. The inner error is the kernel's: it crashed before, or on its way down.
    ///
    /// # Errors
    /// If the host fails.
    pub async fn power_off(self, deadline: Duration) -> Result<Result<(), CrashReport>, MachineError> {
        let (outer, within): (Vec<&Guest>, Vec<&Guest>) =
            self.guests.iter().partition(|guest| guest.process.pid().is_some());
        let mut end = Ok(());
        for guest in within {
            end = end.and(leave(guest, deadline).await?);
        }
        // What a guest had is the host's again when that guest is gone, however it ended.
        end = match (end, self.take_back().await) {
            (Err(CrashReport { title, .. }), Err(lost)) => {
                Err(CrashReport { title: format!("{title}; {}", lost.title), ..lost })
            }
            (end, taken) => end.and(taken),
        };
        let ends = match outer.as_slice() {
            [only] => leave(only, deadline).await?,
            [first, second] => {
                let (first, second) = tokio::try_join!(leave(first, deadline), leave(second, deadline))?;
                first.and(second)
            }
            _ => unreachable!("one or two guests are this machine's own"),
        };
        // A host that has crashed is why nothing was right within it.
        Ok(ends.and(end))
    }

    /// Gives the host of a nested machine back what its guests had, which must be gone; [`Running::power_off`] does so, too. The
    /// error is the host's kernel's doing.
    ///
    /// # Errors
    /// If a driver does not take its device again.
    pub async fn take_back(&self) -> Result<(), CrashReport> {
        match (&self.nest, self.guests.first()) {
            (Some(nest), Some(host)) => nest.take_back(host).await,
            _ => Ok(()),
        }
    }

    /// Every guest that is no end of the network, and carries one: the host of a nested machine.
    #[must_use]
    pub fn carriers(&self) -> Vec<(&str, &Session)> {
        match &self.nest {
            Some(_) => self.guests.iter().take(1).map(|host| (host.process.name(), &host.session)).collect(),
            None => vec![],
        }
    }
}

/// Ends one guest, kindly if it can still be asked.
async fn leave(guest: &Guest, deadline: Duration) -> Result<Result<(), CrashReport>, MachineError> {
    let process = &guest.process;
    process.will_leave();
    let asked = async {
        if let Err(error) = guest.session.power_off().await {
            return Err(of_session_error(process, error).await);
        }
        Ok(process.ended().await)
    };
    let end = tokio::select! {
        biased;
        // It had crashed before, or crashes on its way down.
        fate = process.ended() => Ok(fate),
        fate = tokio::time::timeout(deadline, asked) => match fate {
            Ok(fate) => fate,
            Err(_elapsed) => {
                let title = format!("the guest did not power off within {} s", deadline.as_secs());
                let report = process.report(CrashKind::Hang, title);
                let explained = qemu::explained(process, guest.monitor.as_ref(), report).await;
                Err(explained.map_or_else(Trouble::Failed, Trouble::Crashed))
            }
        },
    };
    // Gone, whatever happened: the next trial must not share the host with a machine that is on its way out.
    process.kill().await?;
    match end {
        Ok(Fate::Off) => Ok(Ok(())),
        Ok(Fate::Crashed(report)) | Err(Trouble::Crashed(report)) => Ok(Err(report)),
        Ok(Fate::Failed(error)) => Err(MachineError::Shared(error)),
        Ok(Fate::Runs) => unreachable!("a guest that has ended does not run"),
        // It was asked, and would not.
        Err(Trouble::NotTestable(message)) => Ok(Err(process.report(CrashKind::Hang, message))),
        Err(Trouble::Failed(error)) => Err(error),
    }
}
