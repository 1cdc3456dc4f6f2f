//! Interrupts by core and by source, from `/proc/interrupts` (`kernel/irq/proc.c`, `show_interrupts`;
//! `arch/x86/kernel/irq.c`, `arch_show_interrupts`).

use std::collections::{BTreeMap, BTreeSet};

use measure::{MetricDef, Provenance, SideFiles, Window, metric};

use crate::{
    Reduced,
    files::{both, by_kernel, float, grown_32},
    net::{DEV, interface_names},
    per::{NO_BULK, Per, is_bulk},
    table::{Row, Tables},
};

pub(crate) const INTERRUPTS: &str = "/proc/interrupts";

/// One for each virtio NIC, whose vectors carry the device's name and not the interface's.
pub(crate) const VIRTIO_NICS: &str = "/sys/bus/virtio/drivers/virtio_net/virtio*/uevent";

const METRICS: [MetricDef; 2] = [metric::INTERRUPTS, metric::INTERRUPTS_BY_SOURCE];

pub(crate) fn reduce(window: &Window, reduced: &mut Reduced) {
    if !is_bulk(window) {
        reduced.lack(&[metric::NIC_INTERRUPTS_PER_PAGE], &[], NO_BULK);
    }
    for (side, files) in by_kernel(window) {
        let per = Per::of(window, files);
        let counted = counted(files);
        if is_bulk(window) {
            let of_nics = counted.as_ref().map_err(Clone::clone).and_then(|counted| {
                let nics = Nics::of(window, side, files)?;
                counted
                    .of(|source| nics.own(source))
                    .ok_or_else(|| format!("no source of {INTERRUPTS} bears the name of {}", nics.in_words()))
            });
            let value = per.page(of_nics);
            reduced.put(&metric::NIC_INTERRUPTS_PER_PAGE, value, Provenance::Procfs, &[("side", side)]);
        }
        let counted = match counted {
            Ok(counted) => counted,
            Err(why) => {
                reduced.lack(&METRICS, &[("side", side)], why);
                continue;
            }
        };
        let mut all = 0;
        for (core, count) in counted.cores {
            let dims = [("side", side), ("core", &*core.to_string())];
            reduced.put(&metric::INTERRUPTS, per.second(Ok(float(count))), Provenance::Procfs, &dims);
            all += count;
        }
        let dims = [("side", side), ("core", "all")];
        reduced.put(&metric::INTERRUPTS, per.second(Ok(float(all))), Provenance::Procfs, &dims);
        for (source, Source { count, .. }) in counted.sources.iter().filter(|(_, source)| source.ever) {
            let dims = [("side", side), ("source", source)];
            let value = per.second(Ok(float(*count)));
            reduced.put(&metric::INTERRUPTS_BY_SOURCE, value, Provenance::Procfs, &dims);
        }
    }
}

/// What a table counted between two readings.
struct Counted {
    /// Of each core.
    cores: BTreeMap<u32, u64>,
    /// By name.
    sources: BTreeMap<String, Source>,
}

#[derive(Default)]
struct Source {
    count: u64,
    /// Whether it fired since the boot.
    ever: bool,
}

impl Counted {
    /// The sum over the sources that are wanted; nothing if there is none.
    fn of(&self, wanted: impl Fn(&str) -> bool) -> Option<f64> {
        let counts: Vec<u64> =
            self.sources.iter().filter(|(name, _)| wanted(name)).map(|(_, source)| source.count).collect();
        (!counts.is_empty()).then(|| float(counts.into_iter().sum()))
    }
}

fn counted(files: &SideFiles) -> Result<Counted, String> {
    let (before, after) = both(files, INTERRUPTS)?;
    let tables = Tables::parse(before, after).map_err(|why| format!("{INTERRUPTS}: {why}"))?;
    let cores = &tables.before.cores;
    let mut counted =
        Counted { cores: cores.iter().map(|&core| (core, 0)).collect(), sources: BTreeMap::new() };
    for (before, after) in tables.rows() {
        // `ERR` and `MIS` count what went wrong, for all cores together.
        if after.rest.is_empty() {
            continue;
        }
        if before.counts.len() != cores.len() || after.counts.len() != cores.len() {
            return Err(format!("{INTERRUPTS}: {} has fewer columns than there are cores", before.label));
        }
        let source = counted.sources.entry(name(after)).or_default();
        for (core, (&old, &new)) in cores.iter().zip(before.counts.iter().zip(&after.counts)) {
            let growth = grown_32(&format!("{} of core {core}", before.label), old, new)?;
            *counted.cores.entry(*core).or_default() += growth;
            source.count += growth;
            source.ever |= new > 0;
        }
    }
    Ok(counted)
}

/// A source's name: that of its handler, or the label of what is no device's. A vector without a handler is called by its
/// number, which differs between boots at most with the hardware.
fn name(row: &Row<'_>) -> String {
    if row.label.bytes().all(|byte| byte.is_ascii_digit()) {
        handlers(row.rest).unwrap_or(row.label).to_owned()
    } else {
        row.label.to_owned()
    }
}

/// Handlers follow the controller, its own number with the kind of trigger (`1-edge`), and on some architectures the
/// trigger as a word of its own.
fn handlers(rest: &str) -> Option<&str> {
    let word = |text: &str| text.trim_start().find(' ').map(|end| text.trim_start().split_at(end).1.len());
    let mut left = rest;
    for _ in 0..2 {
        left = &left[left.len() - word(left)?..];
    }
    let left = left.trim_start();
    let left = ["Level ", "Edge "].iter().find_map(|trigger| left.strip_prefix(trigger)).unwrap_or(left);
    let left = left.trim_start();
    (!left.is_empty()).then_some(left)
}

/// The NICs of a kernel, as their vectors are called.
struct Nics {
    interfaces: BTreeSet<String>,
    virtio: BTreeSet<String>,
}

impl Nics {
    fn of(window: &Window, side: &str, files: &SideFiles) -> Result<Self, String> {
        // Where one kernel has both sides, the other namespace's NIC is its own as well.
        let others = (side == "guest").then_some(&window.server);
        let mut interfaces = BTreeSet::new();
        for files in [Some(files), others.filter(|files| !files.after.is_empty())].into_iter().flatten() {
            let (_, after) = both(files, DEV)?;
            interfaces.extend(interface_names(after)?.into_iter().filter(|name| name != "lo"));
        }
        let (folder, _) = VIRTIO_NICS.split_once('*').unwrap_or((VIRTIO_NICS, ""));
        let folder = folder.trim_end_matches("virtio");
        let device = |path: &String| Some(path.strip_prefix(folder)?.split_once('/')?.0.to_owned());
        let read = files.after.iter().filter(|(_, content)| content.is_ok());
        Ok(Self { interfaces, virtio: read.filter_map(|(path, _)| device(path)).collect() })
    }

    /// Whether a source is a vector of one of them: `eth0-TxRx-0`, `idpf-eth0-TxRx-0`, `virtio0-input.0`,
    /// `mlx5_comp3@pci:0000:08:00.0`.
    fn own(&self, source: &str) -> bool {
        source.split([',', ' ']).any(|handler| {
            let mut parts = handler.split(['-', '@', ':']);
            let device = parts.clone().next().unwrap_or_default();
            device.starts_with("mlx5_comp")
                || self.virtio.contains(device)
                || parts.any(|part| self.interfaces.contains(part))
        })
    }

    fn in_words(&self) -> String {
        let names: Vec<&str> = self.interfaces.iter().map(String::as_str).collect();
        if names.is_empty() { "a NIC: there is none".to_owned() } else { names.join(" or ") }
    }
}
