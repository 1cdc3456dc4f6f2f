//! `assay series check`: does each patch apply, pass checkpatch and build, and does the last one boot?

mod table;

use std::{collections::BTreeSet, path::Path, process::ExitCode, time::Instant};

use anyhow::Context;
use boot_image::Purpose;
use kernel::{Applies, Inspected, Kernels, Style, StyleLevel};
use measure::{BuildEnd, KernelImage};
use plan::KernelSpec;
use scenario::Project;
use serde::Serialize;

use crate::{
    arguments::{Places, SeriesChoice},
    builds::{obtain, of_kernel, show},
    failure::Failure,
    guest::{DEFAULT_BASE, GuestEnd, boot_once},
    lab::{Bench, Lab},
    places::Runtime,
    progress::Progress,
    series::{Found, filed, find, of_series, waiting},
};

/// How far a series is checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Depth {
    /// It applies, and checkpatch has its say.
    Style,
    /// It builds, too.
    Build,
    /// It boots, too.
    Boot,
}

impl Depth {
    pub(crate) fn of(no_boot: bool, no_build: bool) -> Self {
        match (no_build, no_boot) {
            (true, _) => Self::Style,
            (false, true) => Self::Build,
            (false, false) => Self::Boot,
        }
    }
}

/// What was found out on one base.
#[derive(Debug, Serialize)]
struct BaseCheck {
    base: String,
    series: String,
    patches: Vec<PatchCheck>,
    /// Of the kernel with all patches.
    boot: Boot,
    /// Whether what the compiler already warned of without the series is known. If not, every warning counts as new.
    base_warnings_known: bool,
}

/// What was found out about one patch.
#[derive(Debug, Serialize)]
struct PatchCheck {
    #[serde(flatten)]
    inspected: Inspected,
    /// Of the kernel with all patches up to this one.
    build: Build,
}

/// Whether a kernel builds.
#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Build {
    Built {
        /// How long that took; nothing for a kernel that was in the cache.
        seconds: Option<f64>,
        /// What no kernel before this patch warned of; nothing if that is not known, as the kernel is older than that record.
        new_warnings: Option<Vec<String>>,
    },
    Failed(Box<BuildEnd>),
    /// Not asked for, or out of reach: why.
    NotBuilt(String),
}

/// Whether a kernel boots.
#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Boot {
    Booted {
        /// Titles of warnings in the kernel's log.
        warnings: Vec<String>,
    },
    Crashed {
        title: String,
        excerpt: String,
    },
    /// Not asked for, or out of reach: why.
    NotBooted(String),
}

pub(crate) fn check(
    places: &Places,
    choice: &SeriesChoice,
    depth: Depth,
    json: bool,
) -> Result<ExitCode, Failure> {
    let mut progress = Progress::new();
    let project = places.project(Path::new("."))?;
    let lab = Lab::open(places)?;
    let found = find(&choice.series, choice.git.as_deref(), &project, &lab)?;
    if let Found::Read(series) = &found {
        for note in &series.notes {
            progress.line(format!("note: {note}"));
        }
    }
    let specs: Vec<KernelSpec> = bases(&found, &choice.base)
        .iter()
        .map(|base| spec(&found, base, &project, &lab, &mut progress))
        .collect::<Result<_, _>>()?;
    let runtime = Runtime::create()?;
    let kernels = lab.kernels()?;
    let bench = if depth == Depth::Boot { Some(lab.bench(Some(Purpose::Lab), &mut progress)?) } else { None };
    let mut checks = Vec::new();
    for spec in &specs {
        let logs = runtime.folder().join("builds").join(&spec.base.name);
        let on = On { lab: &lab, kernels: &kernels, bench: bench.as_ref(), depth, logs: &logs };
        checks.push(on.base(spec, &mut progress)?);
    }
    progress.clear();
    if json {
        println!("{}", serde_json::to_string_pretty(&checks).context("writing the checks as JSON")?);
    } else {
        print!("{}", table::table(&checks));
    }
    Ok(if checks.iter().all(BaseCheck::is_clean) { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The bases to check on.
fn bases(found: &Found, asked: &[String]) -> Vec<String> {
    match found {
        _ if !asked.is_empty() => asked.to_vec(),
        Found::Filed(file) => match &file.bases {
            Some(bases) => bases.keys().cloned().collect(),
            None => vec![DEFAULT_BASE.to_owned()],
        },
        Found::Read(_) => vec![DEFAULT_BASE.to_owned()],
    }
}

fn spec(
    found: &Found,
    base: &str,
    project: &Project,
    lab: &Lab,
    progress: &mut Progress,
) -> Result<KernelSpec, Failure> {
    let base = scenario::base(base, project).map_err(Failure::user)?;
    let series = match found {
        Found::Filed(file) => filed(file, &base.name, project)?,
        Found::Read(series) => {
            series::shelve(series, &lab.series_cache(), &mut waiting(progress)).map_err(of_series)?
        }
    };
    Ok(KernelSpec { base, series: vec![series], options: vec![] })
}

/// With what a base is checked, and how far.
struct On<'a> {
    lab: &'a Lab,
    kernels: &'a Kernels,
    bench: Option<&'a Bench>,
    depth: Depth,
    logs: &'a Path,
}

impl On<'_> {
    fn base(&self, spec: &KernelSpec, progress: &mut Progress) -> Result<BaseCheck, Failure> {
        let inspected = self.kernels.inspect(spec, &mut show(progress)).map_err(of_kernel)?;
        let mut known: BTreeSet<String> = BTreeSet::new();
        let base = self.base_warnings(spec, progress)?;
        let base_warnings_known = base.is_some();
        known.extend(base.into_iter().flatten().map(|warning| kernel::without_place(&warning)));
        let mut last = None;
        let count = inspected.len();
        let mut patches = Vec::new();
        for (index, inspected) in inspected.into_iter().enumerate() {
            if self.depth != Depth::Style && inspected.applies == Applies::Yes {
                progress.line(format!("{}: with {} of {count} patches", spec.base.name, index + 1));
            }
            let (build, image) = match (&inspected.applies, self.depth) {
                (_, Depth::Style) => (Build::NotBuilt("not asked for".to_owned()), None),
                (Applies::Yes, _) => self.build(&up_to(spec, index + 1), &mut known, progress)?,
                (Applies::No(_), _) => (Build::NotBuilt("does not apply".to_owned()), None),
                (Applies::NotReached, _) => (Build::NotBuilt("one before does not apply".to_owned()), None),
            };
            last = image;
            patches.push(PatchCheck { inspected, build });
        }
        let boot = match (self.bench, last) {
            (None, _) => Boot::NotBooted("not asked for".to_owned()),
            (Some(_), None) => Boot::NotBooted("there is no kernel with all patches".to_owned()),
            (Some(bench), Some(image)) => self.boot(bench, image, progress)?,
        };
        let series = spec.series.first().map(|series| series.name.clone()).unwrap_or_default();
        Ok(BaseCheck { base: spec.base.name.clone(), series, patches, boot, base_warnings_known })
    }

    /// What the base warns of by itself. Its build is what every patch's starts from, so that it costs nothing to have it.
    fn base_warnings(
        &self,
        spec: &KernelSpec,
        progress: &mut Progress,
    ) -> Result<Option<Vec<String>>, Failure> {
        if self.depth == Depth::Style {
            return Ok(None);
        }
        match obtain(self.kernels, &up_to(spec, 0), self.logs, progress)? {
            BuildEnd::Built(image) => self.kernels.warnings(&image).map_err(of_kernel),
            _ => Ok(None),
        }
    }

    fn build(
        &self,
        spec: &KernelSpec,
        known: &mut BTreeSet<String>,
        progress: &mut Progress,
    ) -> Result<(Build, Option<KernelImage>), Failure> {
        let cached = self.kernels.lookup(spec).map_err(of_kernel)?.is_some();
        let begin = Instant::now();
        let image = match obtain(self.kernels, spec, self.logs, progress)? {
            BuildEnd::Built(image) => image,
            failed => return Ok((Build::Failed(Box::new(failed)), None)),
        };
        let warnings = self.kernels.warnings(&image).map_err(of_kernel)?;
        let new_warnings = warnings.map(|warnings| {
            warnings.into_iter().filter(|warning| known.insert(kernel::without_place(warning))).collect()
        });
        let seconds = (!cached).then(|| begin.elapsed().as_secs_f64());
        Ok((Build::Built { seconds, new_warnings }, Some(image)))
    }

    fn boot(&self, bench: &Bench, image: KernelImage, progress: &mut Progress) -> Result<Boot, Failure> {
        progress.status(&format!("boot {}", image.release), "");
        match boot_once(self.lab, bench, image, progress)? {
            GuestEnd::Used(warnings) => Ok(Boot::Booted { warnings }),
            GuestEnd::Crashed(crash) => {
                Ok(Boot::Crashed { title: crash.report.title, excerpt: crash.report.excerpt })
            }
            GuestEnd::NotTestable(message) => Err(Failure::user(format!("assay: {message}"))),
            GuestEnd::NotBuilt(_) | GuestEnd::NotInTree(_) => {
                unreachable!("an image that was built is booted")
            }
        }
    }
}

/// The kernel with the first `count` patches: what somebody who bisects meets.
fn up_to(spec: &KernelSpec, count: usize) -> KernelSpec {
    let mut spec = spec.clone();
    for series in &mut spec.series {
        series.patches.truncate(count);
    }
    spec.series.retain(|series| !series.patches.is_empty());
    spec
}

impl BaseCheck {
    fn is_clean(&self) -> bool {
        let booted = match &self.boot {
            Boot::Booted { warnings } => warnings.is_empty(),
            Boot::Crashed { .. } => false,
            Boot::NotBooted(_) => true,
        };
        booted && self.patches.iter().all(PatchCheck::is_clean)
    }
}

impl PatchCheck {
    fn is_clean(&self) -> bool {
        let builds = match &self.build {
            Build::Built { new_warnings, .. } => new_warnings.as_ref().is_none_or(Vec::is_empty),
            Build::Failed(_) => false,
            Build::NotBuilt(_) => true,
        };
        builds && self.inspected.applies == Applies::Yes && self.style_counts()[0] == 0
    }

    /// Errors, warnings and checks of checkpatch.
    fn style_counts(&self) -> [usize; 3] {
        let Style::Checked(findings) = &self.inspected.style else { return [0; 3] };
        [StyleLevel::Error, StyleLevel::Warning, StyleLevel::Check]
            .map(|level| findings.iter().filter(|finding| finding.level == level).count())
    }
}
