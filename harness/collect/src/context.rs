//! Context switches and new processes, from `/proc/stat` (`fs/proc/stat.c`, `show_stat`).

use measure::{Provenance, SideFiles, Window, metric};

use crate::{
    Reduced,
    cpu::STAT,
    files::{both, by_kernel, float, grown, number},
    per::{NO_BULK, Per, is_bulk},
};

pub(crate) fn reduce(window: &Window, reduced: &mut Reduced) {
    if !is_bulk(window) {
        reduced.lack(&[metric::CONTEXT_SWITCHES_PER_PAGE], &[], NO_BULK);
    }
    for (side, files) in by_kernel(window) {
        let dims = [("side", side)];
        let per = Per::of(window, files);
        let switches = counted(files, "ctxt");
        if is_bulk(window) {
            let for_each_page = per.page(switches.clone());
            reduced.put(&metric::CONTEXT_SWITCHES_PER_PAGE, for_each_page, Provenance::Procfs, &dims);
        }
        reduced.put(&metric::CONTEXT_SWITCHES, per.second(switches), Provenance::Procfs, &dims);
        reduced.put(&metric::FORKS, per.second(counted(files, "processes")), Provenance::Procfs, &dims);
    }
}

/// What the line that begins with `name` counted between the two readings.
fn counted(files: &SideFiles, name: &str) -> Result<f64, String> {
    let (before, after) = both(files, STAT)?;
    let read = |text| line(text, name).map_err(|why| format!("{STAT}: {why}"));
    grown(name, read(before)?, read(after)?).map(float)
}

fn line(text: &str, name: &str) -> Result<u64, String> {
    let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    number(value.ok_or_else(|| format!("it has no line `{name}`"))?)
}
