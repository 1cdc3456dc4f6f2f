//! `assay doctor`: what this machine can do, and what would have to change.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::Context;
use host::{
    Root,
    doctor::{self, Style},
    probe::{self, Inputs},
};
use machine::{Host, Qemu};

use crate::{arguments::Places, failure::Failure, lab::supervisor, terminal};

/// Exit status 1 where Assay's main job cannot be done.
pub(crate) fn doctor(places: &Places, json: bool) -> Result<ExitCode, Failure> {
    let (us, supervisor) = supervisor()?;
    let cache = places.cache_folder()?;
    let results = std::path::absolute(&places.results).context("resolving the results folder")?;
    let root = Root::machine();
    let helper = vec![us.clone().into_os_string(), OsString::from("__machine")];
    let probes = probe::probe(Inputs {
        root: &root,
        supervisor: &supervisor,
        kvm: &|| Host::probe(&supervisor, None, helper.clone()).kvm,
        qemus: own_qemus(&cache),
        oldest_qemu: Qemu::OLDEST.to_owned(),
        folders: vec![("cache", cache), ("results", results)],
        agent: us.with_file_name("assay-agent"),
    });
    let checkup = doctor::examine(&root, &probes);
    if json {
        println!("{}", serde_json::to_string_pretty(&checkup).context("writing the findings as JSON")?);
    } else {
        let style = Style { width: terminal::width(), colours: terminal::colours() };
        print!("{}", doctor::text(&checkup, style));
    }
    Ok(if checkup.summary.can_run { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The ones that Assay unpacked into its cache.
fn own_qemus(cache: &Path) -> Vec<(String, Vec<OsString>)> {
    let Ok(entries) = std::fs::read_dir(cache.join("roots")) else { return vec![] };
    let roots = entries.filter_map(|entry| Some(entry.ok()?.path().join("root")));
    let mut qemus: Vec<PathBuf> =
        roots.filter(|root| root.join("usr/bin/qemu-system-x86_64").is_file()).collect();
    qemus.sort();
    qemus
        .iter()
        .map(|root| (format!("{} (Assay's own)", root.display()), Qemu::command_in_root(root)))
        .collect()
}
