//! How often the workloads run in one boot, and what is collected each time.

use machine::Running;
use plan::Collector;
use workload::WorkloadError;

/// Which collectors go together. Tracing ones have boots of their own, in which nothing else is timed, and of those each that
/// tells of times has the workloads for itself, before the ones that only count: what is traced once stays.
pub(crate) fn passes(collectors: &[Collector], traced: bool) -> Vec<Vec<Collector>> {
    let chosen = collectors.iter().copied().filter(|collector| collector.is_tracing() == traced);
    if !traced {
        return vec![chosen.collect()];
    }
    let (timing, counting): (Vec<_>, Vec<_>) = chosen.partition(|collector| collector.is_timing());
    let alone = timing.into_iter().map(|collector| vec![collector]);
    alone.chain([counting].into_iter().filter(|counting| !counting.is_empty())).collect()
}

/// What the raw files of a set of collectors are called by, where the workloads run several times in one boot and each time write the same
/// names: the collector that has them for itself; those that only count have the plain names.
pub(crate) fn prefix(collectors: &[Collector], passes: usize) -> String {
    match collectors {
        [only] if passes > 1 && only.is_timing() => format!("{only}."),
        _ => String::new(),
    }
}

/// Has every guest's kernel count what these collectors read. A kernel that refuses some of it tells so when it is read.
pub(crate) async fn prepare(running: &Running, collectors: &[Collector]) -> Result<(), WorkloadError> {
    let steps = collect::preparations(collectors);
    if steps.is_empty() {
        return Ok(());
    }
    let (server, client) = (running.server(), running.client());
    let mut guests = vec![(client.guest, client.session)];
    if !running.shared_guest() {
        guests.push((server.guest, server.session));
    }
    guests.extend(running.carriers());
    for (guest, session) in guests {
        for collect::Preparation { path, line } in &steps {
            workload::write_setting(guest, session, path, line).await?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_tells_of_times_is_traced_alone() {
        use Collector::{Cpu, Iotlb, Net, Probes, Syscalls, Tracepoints};
        let all = [Cpu, Tracepoints, Probes, Net, Syscalls, Iotlb];
        assert_eq!(passes(&all, false), [vec![Cpu, Net]]);
        assert_eq!(passes(&all, true), [vec![Probes], vec![Syscalls], vec![Tracepoints, Iotlb]]);
        assert_eq!(passes(&[Cpu, Syscalls], true), [vec![Syscalls]]);
        assert_eq!([prefix(&[Probes], 2), prefix(&[Probes], 1), prefix(&[Iotlb], 2)], ["probes.", "", ""]);
        // A boot without any collector is still one.
        assert_eq!(passes(&[], false), [vec![]]);
    }
}
