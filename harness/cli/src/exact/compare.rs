//! `assay compare --exact`: boots of one kernel and one replicate, digit by digit.

use std::{collections::BTreeMap, path::PathBuf, process::ExitCode};

use measure::{BuildEnd, TrialEnd};
use plan::Evidence;
use serde_json::json;
use store::Stored;

use super::counted::{Alike, Counted};
use crate::{
    arguments::{self, Places},
    failure::Failure,
    reports,
};

/// Exit status where nothing could be compared: the one that `unclear` has.
const UNCLEAR: u8 = 3;

/// One boot.
struct Boot<'a> {
    run: &'a str,
    arm: &'a str,
    trial: u32,
    folder: PathBuf,
    file: &'a store::RunFile,
}

impl Boot<'_> {
    fn name(&self, many_runs: bool) -> String {
        let of = if many_runs { format!("{} ", self.run) } else { String::new() };
        format!("{of}{} (trial {})", self.arm, self.trial + 1)
    }
}

/// What has to be the same for two boots to execute the same.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    number: u32,
    /// The replicate, the kernel, the machine and the workloads.
    all: String,
}

pub(crate) fn compare(places: &Places, flags: &arguments::Compare) -> Result<ExitCode, Failure> {
    let mut runs = Vec::new();
    for run in [Some(&flags.first), flags.second.as_ref()].into_iter().flatten() {
        let stored = store::read(&places.run_folder(run)?).map_err(reports::user)?;
        if stored.file.plan.evidence() == Evidence::Timed {
            let what = format!(
                "assay: --exact: the evidence of {} is timed, and times do not repeat",
                stored.file.run
            );
            return Err(Failure::user(what));
        }
        runs.push(stored);
    }
    let groups = group(&runs, &flags.arm)?;
    let many_runs = runs.len() > 1;
    let (mut compared, mut differing) = (0, 0);
    let mut documents = Vec::new();
    for (key, (replicate, boots)) in &groups {
        let mut counted = Vec::new();
        for boot in boots {
            if let Some(counts) = Counted::read(&boot.folder, boot.file, boot.trial, boot.arm)? {
                counted.push((boot, counts));
            }
        }
        let [(first, of_first), others @ ..] = counted.as_slice() else { continue };
        let mut lines = Vec::new();
        for (boot, counts) in others {
            let alike = of_first.compare(counts)?;
            compared += 1;
            differing += usize::from(!matches!(alike, Alike::Same(_)));
            lines.push((boot.name(many_runs), alike));
        }
        if flags.json {
            let boots: Vec<_> = lines.iter().map(|(boot, alike)| pair(boot, alike)).collect();
            documents.push(json!({
                "replicate": key.number, "is": replicate, "first": first.name(many_runs), "others": boots,
            }));
            continue;
        }
        println!("{replicate}");
        match lines.as_slice() {
            [] => println!("  {}: no other boot of this kernel to compare it with", first.name(many_runs)),
            lines => {
                for (boot, alike) in lines {
                    println!("  {}, {boot}: {alike}", first.name(many_runs));
                }
            }
        }
    }
    let same = compared - differing;
    if flags.json {
        let document =
            json!({ "format": 1, "compared": compared, "differing": differing, "replicates": documents });
        println!("{document:#}");
    } else if compared == 0 {
        println!("nothing to compare: no two boots of one kernel, machine, workload and replicate");
    } else {
        println!("{same} of {compared} comparisons differ by 0 in every function");
    }
    Ok(match (compared, differing) {
        (0, _) => ExitCode::from(UNCLEAR),
        (_, 0) => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    })
}

fn pair(boot: &str, alike: &Alike) -> serde_json::Value {
    match alike {
        Alike::Same(amount) => json!({
            "boot": boot, "same": true, "windows": amount.windows, "functions": amount.functions, "instructions": amount.instructions,
        }),
        Alike::Differs(difference) => json!({
            "boot": boot, "same": false, "first": difference.first, "what": difference.what, "before": difference.before,
            "after": difference.after, "functions": difference.functions,
        }),
        Alike::Windows(ours, theirs) => json!({ "boot": boot, "same": false, "windows": [ours, theirs] }),
    }
}

type Groups<'a> = BTreeMap<Key, (String, Vec<Boot<'a>>)>;

/// The measured boots that have to be the same, together; of these arms only, if some are named.
fn group<'a>(runs: &'a [Stored], arms: &[String]) -> Result<Groups<'a>, Failure> {
    let known = |name: &String| runs.iter().any(|run| run.file.plan.arm(name).is_some());
    if let Some(unknown) = arms.iter().find(|name| !known(name)) {
        return Err(Failure::user(format!("assay: --arm {unknown}: there is no such arm")));
    }
    let mut groups: Groups<'a> = BTreeMap::new();
    for run in runs {
        let file = &run.file;
        for record in &run.trials {
            let is_measured = matches!(record.end, TrialEnd::Measured { .. });
            let is_asked = arms.is_empty() || arms.contains(&record.arm);
            let Some(perturbation) =
                runner::perturbation(&file.plan, record.block).filter(|_| is_measured && is_asked)
            else {
                continue;
            };
            let build = file.kernels.get(&record.arm).map(|kernel| &kernel.build);
            let (Some(arm), Some(BuildEnd::Built(image))) = (file.plan.arm(&record.arm), build) else {
                continue;
            };
            let all =
                json!([perturbation, image.image_sha256, arm.cmdline, arm.machine, file.plan.workloads]);
            let key = Key { number: perturbation.number, all: all.to_string() };
            let boot = Boot {
                run: &file.run,
                arm: &arm.name,
                trial: record.index,
                folder: run.folder.clone(),
                file,
            };
            groups.entry(key).or_insert_with(|| (perturbation.to_string(), vec![])).1.push(boot);
        }
    }
    groups.values_mut().for_each(|(_, boots)| boots.sort_by_key(|boot| (boot.run, boot.trial)));
    Ok(groups)
}
