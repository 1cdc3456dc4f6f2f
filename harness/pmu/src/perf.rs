//! One `perf stat` for as long as a window lasts.

use std::{
    fs::File,
    io::{Read, Seek, SeekFrom},
    os::fd::OwnedFd,
    time::{Duration, Instant},
};

use measure::{HardwareCount, HardwareWindow, Provenance};
use subprocess::{Child, Ended, Stdio, Stream, Supervisor, Tool};

use crate::{
    Counters,
    csv::row,
    events::{DMAR, Figure},
};

/// A window ends within this time; whatever it was started for has deadlines of its own, which are shorter.
const LONGEST: Duration = Duration::from_secs(24 * 3600);

/// perf writes what it counted once its command has ended.
const ENDING: Duration = Duration::from_secs(30);

/// What it may write.
const MOST: u64 = 1 << 20;

/// A window that has begun. Dropping it ends perf.
#[derive(Debug)]
pub struct Counting {
    begun: Instant,
    child: Child,
    /// perf's command reads from the other end, and ends when this one is closed.
    held: OwnedFd,
    written: File,
}

impl Counters {
    /// Begins a window.
    ///
    /// # Errors
    /// If there is nothing to count with, or perf cannot be started.
    pub fn start(&self, supervisor: &Supervisor) -> Result<Counting, String> {
        let events = self.events()?;
        let failed = |error: std::io::Error| format!("preparing perf: {error}");
        let (read, held) = std::io::pipe().map_err(failed)?;
        let (written, output) = scratch().map_err(failed)?;
        let mut tool = Tool::new("perf").args(["stat", "--all-cpus", "--field-separator", ","]);
        for event in events {
            tool = tool.args(["--event", &event]);
        }
        // It ends by itself when nothing is left to read.
        let tool = tool.args(["--", "cat"]).deadline(LONGEST);
        let stdio =
            Stdio { stdin: Stream::Fd(read.into()), stdout: Stream::Null, stderr: Stream::File(output) };
        let child = tool.start(supervisor, stdio).map_err(|error| error.to_string())?;
        Ok(Counting { begun: Instant::now(), child, held: held.into(), written })
    }
}

/// A file without a name, and another descriptor of it.
fn scratch() -> std::io::Result<(File, File)> {
    let file = nix::sys::memfd::memfd_create("perf", nix::sys::memfd::MFdFlags::MFD_CLOEXEC)?;
    let file = File::from(file);
    Ok((file.try_clone()?, file))
}

impl Counting {
    /// Ends the window, and reads what was counted.
    ///
    /// # Errors
    /// If perf did not end, or failed.
    pub fn stop(self) -> Result<HardwareWindow, String> {
        let Self { begun, child, held, mut written } = self;
        let elapsed = begun.elapsed();
        drop(held);
        let ended = child.wait(ENDING).map_err(|error| error.to_string())?;
        let mut text = String::new();
        written
            .seek(SeekFrom::Start(0))
            .and_then(|_| (&mut written).take(MOST).read_to_string(&mut text))
            .map_err(|error| format!("reading what perf wrote: {error}"))?;
        match ended {
            Some(Ended::Exited(0)) => Ok(HardwareWindow { elapsed, counts: counts(&text) }),
            Some(ended) => {
                let said = text.lines().rfind(|line| !line.trim().is_empty()).unwrap_or_default();
                Err(format!("perf stat: {ended}: {}", said.trim()))
            }
            None => Err(format!("perf stat did not end within {} s", ENDING.as_secs())),
        }
    }
}

/// What perf says of each figure; of several I/O units or IOMMUs, the sum. Lines of anything else are its own words.
fn counts(text: &str) -> Vec<HardwareCount> {
    let mut counts: Vec<HardwareCount> = Vec::new();
    for row in text.lines().filter_map(|line| row(line.trim())) {
        let (provenance, word) = match row.event.split_once("__") {
            Some(("iio", word)) => (Provenance::UncoreIio, word),
            Some(("dmar", word)) => (Provenance::Dmar, word),
            _ => continue,
        };
        let Some(figure) = Figure::of_word(word) else { continue };
        let value = row.value.map_err(|why| why.trim_matches(['<', '>']).to_owned());
        let known = counts.iter_mut().find(|count| (count.provenance, &*count.figure) == (provenance, word));
        match known {
            None => counts.push(HardwareCount {
                provenance,
                figure: figure.word().to_owned(),
                value,
                counted_percent: row.counted,
            }),
            Some(known) => {
                known.value = match (known.value.clone(), value) {
                    (Ok(one), Ok(other)) => Ok(one + other),
                    (Err(why), _) | (_, Err(why)) => Err(why),
                };
                known.counted_percent = known.counted_percent.min(row.counted);
            }
        }
    }
    counts
}

impl Counters {
    /// What perf is asked to count, each under a name of ours.
    fn events(&self) -> Result<Vec<String>, String> {
        let mut events = Vec::new();
        let iio = self.pmus.iter().any(|pmu| pmu.starts_with("uncore_iio"));
        let model = self.cpu.as_ref().and_then(crate::Cpu::events);
        if let (true, Some((_, table))) = (iio, model) {
            events.extend(table.iter().map(|event| {
                let name = event.figure.word();
                format!("uncore_iio/event={:#x},umask={:#x},name=iio__{name}/", event.event, event.umask)
            }));
        }
        for pmu in self.pmus.iter().filter(|pmu| is_dmar(pmu)) {
            let named =
                DMAR.iter().map(|(figure, event)| format!("{pmu}/{event},name=dmar__{}/", figure.word()));
            events.extend(named);
        }
        if !events.is_empty() {
            return Ok(events);
        }
        Err(match (iio, &self.cpu) {
            (false, _) => "no uncore PMU: the kernel has neither uncore_iio nor dmar".to_owned(),
            (true, Some(cpu)) => format!(
                "the events of uncore_iio are not known for {} family {} model {}",
                cpu.vendor, cpu.family, cpu.model
            ),
            (true, None) => "/proc/cpuinfo names no processor".to_owned(),
        })
    }
}

fn is_dmar(pmu: &str) -> bool {
    pmu.strip_prefix("dmar").is_some_and(|number| !number.is_empty() && number.parse::<u32>().is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Cpu;

    fn counters(model: u32, pmus: &[&str]) -> Counters {
        let cpu = Cpu { vendor: "GenuineIntel".into(), family: 6, model };
        Counters { cpu: Some(cpu), pmus: pmus.iter().map(|pmu| (*pmu).to_owned()).collect() }
    }

    #[test]
    fn each_figure_is_asked_for_by_number_under_our_name() {
        let events =
            counters(207, &["cpu", "uncore_iio_0", "uncore_iio_1", "dmar1", "dmarx"]).events().unwrap();
        assert_eq!(events.len(), 8 + 4);
        assert_eq!(events[0], "uncore_iio/event=0x40,umask=0x1,name=iio__first_lookups/");
        assert_eq!(events[8], "dmar1/iotlb_lookup,name=dmar__all_lookups/");
    }

    #[test]
    fn where_nothing_counts_it_is_said_why() {
        let why = |counters: Counters| counters.events().unwrap_err();
        assert_eq!(
            why(counters(207, &["cpu", "msr", "power"])),
            "no uncore PMU: the kernel has neither uncore_iio nor dmar"
        );
        assert!(why(counters(85, &["uncore_iio_0"])).ends_with("GenuineIntel family 6 model 85"));
        // Its own PMU needs no table.
        assert!(counters(85, &["dmar0"]).events().is_ok());
    }

    #[test]
    fn units_are_added_up_and_what_was_not_counted_is_no_zero() {
        let text = "\
1000,,iio__misses,1000200300,100.00,,
500,,iio__misses,1000200300,75.00,,
<not counted>,,iio__occupancy,0,0.00,,
7000,,dmar__all_lookups,1000200300,100.00,,
12,,cycles,1000200300,100.00,,
perf said something
";
        let counts = counts(text);
        let rows: Vec<_> = counts
            .iter()
            .map(|count| (count.provenance, &*count.figure, count.value.clone(), count.counted_percent))
            .collect();
        assert_eq!(
            rows,
            [
                (Provenance::UncoreIio, "misses", Ok(1500.0), 75.0),
                (Provenance::UncoreIio, "occupancy", Err("not counted".to_owned()), 0.0),
                (Provenance::Dmar, "all_lookups", Ok(7000.0), 100.0),
            ]
        );
    }
}
