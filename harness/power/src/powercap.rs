//! Energy counters: `/sys/class/powercap/intel-rapl:*` (Documentation/power/powercap/powercap.rst), which AMD's processors have under the
//! same names.

use std::{collections::BTreeMap, fs, io, path::Path, time::Duration};

use measure::{Metered, PowerReadings, Provenance};

use crate::milliwatts;

const FOLDER: &str = "class/powercap";

/// Zones by the name that a reader knows: `package-0`, `package-0 dram`, `psys`.
pub(crate) type Zones = BTreeMap<String, Result<Zone, String>>;

/// A counter of energy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Zone {
    microjoules: u64,
    /// After this it starts again at 0.
    range: u64,
}

/// Every zone that counts energy.
pub(crate) fn read(sys: &Path) -> Result<Zones, String> {
    let folder = sys.join(FOLDER);
    let entries = match fs::read_dir(&folder) {
        Ok(entries) => entries.collect::<io::Result<Vec<_>>>().map_err(told(&folder))?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => vec![],
        Err(error) => return Err(told(&folder)(error)),
    };
    let mut names: Vec<String> =
        entries.iter().filter_map(|entry| entry.file_name().into_string().ok()).collect();
    names.sort_unstable();
    let mut zones = Zones::new();
    for entry in &names {
        let zone = folder.join(entry);
        if !zone.join("energy_uj").exists() {
            continue;
        }
        // The same counters through memory-mapped registers: they would count twice.
        if entry.starts_with("intel-rapl-mmio") {
            continue;
        }
        let own = text(&zone.join("name"))?;
        // `intel-rapl:0:1` is a part of `intel-rapl:0`.
        let parent = entry
            .rsplit_once(':')
            .map(|(parent, _)| parent)
            .filter(|parent| names.iter().any(|n| n == parent));
        let name = match parent {
            Some(parent) if parent.contains(':') => {
                format!("{} {own}", text(&folder.join(parent).join("name"))?)
            }
            _ => own,
        };
        zones.insert(name, counter(&zone));
    }
    if zones.is_empty() {
        return Err("no energy counters in /sys/class/powercap".to_owned());
    }
    Ok(zones)
}

fn counter(zone: &Path) -> Result<Zone, String> {
    Ok(Zone {
        microjoules: number(&zone.join("energy_uj"))?,
        range: number(&zone.join("max_energy_range_uj"))?,
    })
}

/// The mean power of each zone between two readings.
pub(crate) fn power(before: Zones, after: &Zones, elapsed: Duration) -> PowerReadings {
    let of = |(name, before): (String, Result<Zone, String>)| {
        let after = after.get(&name).cloned().unwrap_or_else(|| Err("it is gone".to_owned()));
        let metered = before.and_then(|before| mean(before, after?, elapsed));
        (name, metered)
    };
    before.into_iter().map(of).collect()
}

fn mean(before: Zone, after: Zone, elapsed: Duration) -> Result<Metered, String> {
    let grown = match after.microjoules.checked_sub(before.microjoules) {
        Some(grown) => grown,
        // Once around: a window in which it went around twice cannot be told from one in which it went once.
        None => (after.range.saturating_sub(before.microjoules)).saturating_add(after.microjoules),
    };
    if grown == 0 {
        return Err("its energy counter stands still".to_owned());
    }
    #[expect(clippy::cast_precision_loss, reason = "microjoules of one window stay below 2^53")]
    let watts = grown as f64 / 1e6 / elapsed.as_secs_f64();
    let milliwatts = milliwatts(watts).ok_or_else(|| format!("{grown} uJ in {elapsed:?} is no power"))?;
    Ok(Metered { milliwatts, provenance: Provenance::Rapl })
}

fn text(path: &Path) -> Result<String, String> {
    fs::read_to_string(path).map(|text| text.trim().to_owned()).map_err(told(path))
}

fn number(path: &Path) -> Result<u64, String> {
    let text = text(path)?;
    text.parse().map_err(|_| format!("{}: `{text}` is no number", path.display()))
}

fn told(path: &Path) -> impl Fn(io::Error) -> String + '_ {
    move |error| match error.kind() {
        io::ErrorKind::PermissionDenied => {
            format!("{}: only root may read it (CVE-2020-8694)", path.display())
        }
        _ => format!("{}: {error}", path.display()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A folder as /sys of a two-package server has it.
    fn sys(energies: [u64; 4]) -> tempfile::TempDir {
        let sys = tempfile::tempdir().unwrap();
        let zones = [
            ("intel-rapl:0", "package-0"),
            ("intel-rapl:0:0", "dram"),
            ("intel-rapl:1", "package-1"),
            ("intel-rapl-mmio:0", "package-0"),
        ];
        for ((folder, name), energy) in zones.into_iter().zip(energies) {
            let folder = sys.path().join(FOLDER).join(folder);
            fs::create_dir_all(&folder).unwrap();
            for (file, value) in [
                ("name", name.to_owned()),
                ("energy_uj", energy.to_string()),
                ("max_energy_range_uj", "262143328850".to_owned()),
            ] {
                fs::write(folder.join(file), value + "\n").unwrap();
            }
        }
        // The control type itself, which counts nothing.
        fs::create_dir_all(sys.path().join(FOLDER).join("intel-rapl")).unwrap();
        sys
    }

    #[test]
    fn zones_are_named_by_their_package_and_counters_wrap() {
        let before = read(sys([262_143_000_000, 5, 7, 1]).path()).unwrap();
        assert_eq!(
            before.keys().map(String::as_str).collect::<Vec<_>>(),
            ["package-0", "package-0 dram", "package-1"]
        );
        // 328,850 uJ up to the end and 199,671,150 after it; a counter that is not there any more; one that stands still.
        let after = read(sys([199_671_150, 20_000_005, 7, 2]).path()).unwrap();
        let power = power(before, &after, Duration::from_secs(2));
        let watts = |milliwatts| Ok(Metered { milliwatts, provenance: Provenance::Rapl });
        assert_eq!(power["package-0"], watts(100_000));
        assert_eq!(power["package-0 dram"], watts(10_000));
        assert_eq!(power["package-1"], Err("its energy counter stands still".to_owned()));
    }

    #[test]
    fn a_host_without_counters_says_so() {
        let empty = tempfile::tempdir().unwrap();
        assert_eq!(read(empty.path()), Err("no energy counters in /sys/class/powercap".to_owned()));
    }
}
