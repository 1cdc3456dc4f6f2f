//! Reads what was counted in a run's trials, and what is known of its kernels.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    rc::Rc,
};

use anyhow::Context;
use measure::{BuildEnd, KernelImage, TrialEnd, TrialRecord, metric};
use plan::{Arm, Evidence, Workload};
use profile::{ArmBoots, Boot, Counts, Profile, SourceFiles, Stacks, Symbols, Window};
use store::Stored;

use super::modules;
use crate::failure::Failure;

/// The counts of a run, as far as they were asked for.
pub(super) struct Loader<'a> {
    stored: &'a Stored,
    /// By the path of the kernel's `System.map` and where its modules were: boots, and arms, may share them.
    symbols: BTreeMap<(PathBuf, String), Rc<Symbols>>,
    arms: BTreeMap<String, Loaded>,
    notes: BTreeSet<String>,
}

/// An arm.
struct Loaded {
    symbols: Rc<Symbols>,
    files: Option<SourceFiles>,
    /// By the workload's name.
    boots: BTreeMap<String, Vec<Boot>>,
}

impl<'a> Loader<'a> {
    /// Of a run that counted instructions.
    pub(super) fn new(stored: &'a Stored) -> Result<Self, Failure> {
        if stored.file.plan.evidence() == Evidence::Timed {
            let run = &stored.file.run;
            return Err(Failure::user(format!(
                "assay: {run} is a timed run: no instruction was counted in it"
            ))
            .hint("`evidence: exact` in its scenario makes a run that counts them"));
        }
        Ok(Self { stored, symbols: BTreeMap::new(), arms: BTreeMap::new(), notes: BTreeSet::new() })
    }

    /// What could not be had of the arms that were loaded, in sentences.
    pub(super) fn notes(&self) -> Vec<String> {
        self.notes.iter().cloned().collect()
    }

    /// Reads an arm, once.
    pub(super) fn load(&mut self, arm: &Arm) -> Result<(), Failure> {
        if self.arms.contains_key(&arm.name) {
            return Ok(());
        }
        let image = self.image(arm)?;
        let mut of_arm: Option<Rc<Symbols>> = None;
        let mut boots: BTreeMap<String, Vec<Boot>> = BTreeMap::new();
        let is_meant = |trial: &&TrialRecord| {
            trial.arm == arm.name && !trial.traced && matches!(trial.end, TrialEnd::Measured { .. })
        };
        for trial in self.stored.trials.iter().filter(is_meant) {
            let raw = raw(&self.stored.folder, trial);
            let counts = read(&raw)?;
            let modules =
                runner::module_symbols(&raw).with_context(|| format!("reading {}", raw.display()))?;
            let symbols = self.symbols(arm, image, modules)?;
            let first = Rc::clone(of_arm.get_or_insert_with(|| Rc::clone(&symbols)));
            if !Rc::ptr_eq(&first, &symbols) {
                self.notes.insert(format!(
                    "Modules of {} were not at the same addresses in every boot: its stacks may name other functions of modules.",
                    arm.name
                ));
            }
            for (workload, number) in self.stored.file.plan.workloads.iter().zip(1..) {
                let window = together(&counts, number);
                let Some(window) = window else { continue };
                boots.entry(workload.name.clone()).or_default().push(Boot {
                    block: trial.block,
                    kib: self.payload(trial, workload),
                    profile: Profile::new(&window, &symbols),
                    stacks: Stacks { every: counts.sampled.clone(), taken: window.stacks },
                });
            }
        }
        let files = match &image.vmlinux {
            Some(vmlinux) if vmlinux.is_file() => files(vmlinux, &boots).map(|mut files| {
                modules::add_files(&mut files, image, boots.values().flatten());
                files
            }),
            _ => Err("its vmlinux is not in the cache any more".to_owned()),
        };
        let files = files.map_err(|why| {
            self.notes.insert(format!("Source files and subsystems are unavailable for {}: {why}.", arm.name))
        });
        let symbols = match of_arm {
            Some(symbols) => symbols,
            None => self.symbols(arm, image, String::new())?,
        };
        self.arms.insert(arm.name.clone(), Loaded { symbols, files: files.ok(), boots });
        Ok(())
    }

    /// A loaded arm in the window of a workload.
    pub(super) fn bind<'b>(&'b self, arm: &'b Arm, workload: &Workload) -> ArmBoots<'b> {
        let loaded = self.arms.get(&arm.name).expect("arms are loaded before they are bound");
        let boots = loaded.boots.get(&workload.name).map_or(&[][..], Vec::as_slice);
        ArmBoots { name: &arm.name, symbols: &loaded.symbols, files: loaded.files.as_ref(), boots }
    }

    fn image(&self, arm: &Arm) -> Result<&'a KernelImage, Failure> {
        match self.stored.file.kernels.get(&arm.name).map(|kernel| &kernel.build) {
            Some(BuildEnd::Built(image)) => Ok(image),
            _ => Err(Failure::user(format!("assay: {} has no kernel: it was not built", arm.name))),
        }
    }

    /// Those of the kernel, and of its modules where a boot had them.
    fn symbols(&mut self, arm: &Arm, image: &KernelImage, modules: String) -> Result<Rc<Symbols>, Failure> {
        let gone = |what: &str| {
            let hint = format!("`assay run` of the scenario builds it again: {}", self.stored.file.command);
            Failure::user(format!("assay: the names of {}'s functions are not at hand: {what}", arm.name))
                .hint(hint)
        };
        let Some(map) = &image.system_map else { return Err(gone("its kernel has no System.map")) };
        let key = (map.clone(), modules);
        if let Some(symbols) = self.symbols.get(&key) {
            return Ok(Rc::clone(symbols));
        }
        let text = match fs::read_to_string(map) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Err(gone(&format!("{} is not there any more", map.display())));
            }
            Err(error) => {
                return Err(anyhow::Error::new(error).context(format!("reading {}", map.display())).into());
            }
        };
        let mut symbols = Symbols::default();
        symbols.add(&text);
        symbols.add(&key.1);
        let symbols = Rc::new(symbols);
        self.symbols.insert(key, Rc::clone(&symbols));
        Ok(symbols)
    }

    /// KiB that a workload moved, from what its samples say of it: instructions, and instructions per KiB.
    fn payload(&self, trial: &TrialRecord, workload: &Workload) -> Option<f64> {
        let mut dims = workload.dims().clone();
        dims.insert("workload".to_owned(), workload.group().to_owned());
        let value = |name: &str| {
            let is_it = |sample: &measure::Sample| {
                sample.metric == name && dims.iter().all(|(key, value)| sample.dims.get(key) == Some(value))
            };
            self.stored.samples.of_trial(trial.index).find(is_it).map(|sample| sample.value)
        };
        let instructions = value(metric::KERNEL_INSTRUCTIONS.name)?;
        let per_kib = value(metric::KERNEL_INSTRUCTIONS_PER_KIB.name)?;
        // Payload is whole bytes.
        Some((instructions / per_kib * 1024.0).round() / 1024.0).filter(|kib| kib.is_finite())
    }
}

/// The raw files of a trial.
fn raw(run: &Path, trial: &TrialRecord) -> PathBuf {
    run.join("trials").join(trial.index.to_string()).join("raw")
}

/// What the plugin wrote in a trial.
fn read(raw: &Path) -> Result<Counts, Failure> {
    let path = raw.join(runner::COUNTS_FILE);
    let text = fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
    Ok(Counts::read(&text).with_context(|| format!("reading {}", path.display()))?)
}

/// All windows with this number: a command that is repeated has several.
fn together(counts: &Counts, number: u64) -> Option<Window> {
    let mut windows = counts.windows.iter().filter(|window| window.number == number);
    let mut sum = windows.next()?.clone();
    for window in windows {
        sum.code.extend(window.code.iter().cloned());
        sum.strings.extend(window.strings.iter().cloned());
        sum.programs.extend(window.programs.iter().cloned());
        sum.stacks.extend(window.stacks.iter().cloned());
        sum.executed += window.executed;
    }
    Some(sum)
}

/// The files of the functions that were executed.
fn files(vmlinux: &Path, boots: &BTreeMap<String, Vec<Boot>>) -> Result<SourceFiles, String> {
    let functions = boots.values().flatten().flat_map(|boot| &boot.profile.functions);
    let starts: BTreeSet<u64> =
        functions.map(|function| function.start).filter(|start| *start != 0).collect();
    crash::source_files(vmlinux, starts).map_err(|error| error.to_string())
}
