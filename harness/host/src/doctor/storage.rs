//! Room for kernels, packages and results.

use super::{Finding, Group, Patient, State};
use crate::probe::Space;

const GB: u64 = 1_000_000_000;
/// One base with its sources, objects and image, the packages and the roots: 6 GB measured with two arms.
const ENOUGH: u64 = 10 * GB;
/// A guest's root image and prebuilt kernels.
const LEAST: u64 = 2 * GB;

pub(super) fn examine(patient: &Patient<'_>, findings: &mut Vec<Finding>) {
    findings.extend(patient.probes.spaces.iter().map(|space| folder(patient, space)));
}

fn folder(patient: &Patient<'_>, space: &Space) -> Finding {
    let subject = format!("{} folder", space.purpose);
    let path = space.path.display();
    let finding = |state, found: String| Finding::new(Group::Storage, subject.clone(), state, found).needed();
    if !space.writable {
        return finding(State::Missing, format!("{path} is not writable"))
            .means("nothing can be kept there")
            .advised(format!("name another one with --{}", space.purpose));
    }
    let free = match &space.free {
        Ok(free) => *free,
        Err(why) => return finding(State::Limited, format!("{path}, free space unknown: {why}")),
    };
    let kind = filesystem(patient, &space.path.to_string_lossy());
    let kind = kind.map(|kind| format!(", {kind}")).unwrap_or_default();
    let found = format!("{path}, {} GB free{kind}", free / GB);
    let results = space.purpose == "results";
    if results && free >= GB || free >= ENOUGH {
        return finding(State::Ok, found);
    }
    if free < LEAST {
        return finding(State::Missing, found)
            .means("a kernel build or a run stops in the middle")
            .advised(format!("or name another folder with --{}", space.purpose))
            .changed_by("assay kernel gc --under 5");
    }
    finding(State::Limited, found)
        .means("a kernel's sources and objects take about 5 GB for each base")
        .advised(format!("or name another folder with --{}", space.purpose))
        .changed_by("assay kernel gc --under 5")
}

/// The type of the file system under a path: of the longest mount point that it begins with (proc_pid_mountinfo(5)).
fn filesystem(patient: &Patient<'_>, path: &str) -> Option<String> {
    let mounts = patient.root.read("/proc/self/mountinfo")?;
    let within = |point: &str| {
        point == "/" || path == point || path.strip_prefix(point).is_some_and(|rest| rest.starts_with('/'))
    };
    let mut best: Option<(usize, String)> = None;
    for line in mounts.lines() {
        let (before, after) = line.split_once(" - ")?;
        let point = before.split(' ').nth(4)?;
        // Of two mounts on one point, the later one is on top.
        if within(point) && best.as_ref().is_none_or(|(length, _)| point.len() >= *length) {
            best = Some((point.len(), after.split(' ').next()?.to_owned()));
        }
    }
    best.map(|(_, kind)| kind)
}
