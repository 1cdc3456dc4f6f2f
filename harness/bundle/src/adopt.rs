//! A stranger's run on this machine: every path in it leads into the unpacked bundle, or nowhere.

use std::{
    fs,
    path::{Path, PathBuf},
};

use measure::{BuildEnd, KernelImage};
use plan::{Machine, Plan, Source, WorkloadKind};
use serde_json::Value;
use store::{Environment, FileRecord, RunFile};

use crate::{ELSEWHERE, Opened, is_member_path, portable::named_file};

/// Most bytes of a fake machine's script.
const MAX_SCRIPT: u64 = 64 << 20;

/// A run whose paths lead into an unpacked bundle.
#[derive(Debug)]
pub struct Adopted {
    /// `run.json`.
    pub file: RunFile,
    /// `environment.json`.
    pub environment: Option<Environment>,
}

/// A source that cannot be had from here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lacking {
    /// The base's name.
    pub base: String,
    /// What its source is, and why it cannot be had.
    pub reason: String,
}

/// Puts the unpacked bundle under every path of a run. Whatever is no member of it is a problem: all of them are told.
///
/// # Errors
/// What the run names that it may not.
pub fn adopt(
    file: RunFile,
    environment: Option<Environment>,
    opened: &Opened,
    images: bool,
) -> Result<Adopted, Vec<String>> {
    let mut adoption = Adoption { opened, images, problems: Vec::new() };
    let (mut file, mut environment) = (file, environment);
    adoption.plan(&mut file.plan);
    for (arm, kernel) in &mut file.kernels {
        match &mut kernel.build {
            BuildEnd::Built(image) => adoption.image(arm, image),
            BuildEnd::DoesNotCompile { log, .. } => {
                // Logs stay in the bundle: this is a name for people.
                if !log.to_str().is_some_and(is_member_path) {
                    *log = PathBuf::from("builds");
                }
            }
            BuildEnd::DoesNotApply(_) | BuildEnd::ConfigLost { .. } => {}
        }
    }
    let unknown: Vec<String> =
        file.kernels.keys().filter(|arm| file.plan.arm(arm).is_none()).cloned().collect();
    adoption
        .problems
        .extend(unknown.into_iter().map(|arm| format!("kernels: there is no arm `{}`", arm.escape_debug())));
    if let Some(environment) = &mut environment {
        for (arm, boot) in &mut environment.boots {
            let what = format!("environment.json: {}", arm.escape_debug());
            if boot.disks.len() > 8 {
                adoption.problems.push(format!("{what}: more than 8 disks"));
            }
            let records = [
                Some(&mut boot.kernel),
                boot.initramfs.as_mut(),
                boot.root_disk.as_mut(),
                boot.modules_disk.as_mut(),
            ];
            for record in records.into_iter().flatten().chain(&mut boot.disks) {
                adoption.record(&what, record);
            }
        }
    }
    if adoption.problems.is_empty() { Ok(Adopted { file, environment }) } else { Err(adoption.problems) }
}

struct Adoption<'a> {
    opened: &'a Opened,
    /// Whether images were unpacked.
    images: bool,
    problems: Vec<String>,
}

impl Adoption<'_> {
    /// Leads a path into the bundle, if it is a member's and, where that is known, the right one.
    fn member(&mut self, what: &str, path: &mut PathBuf, sha256: Option<&str>) {
        let name = path.to_str().unwrap_or_default().to_owned();
        match self.opened.manifest.member(&name) {
            _ if !is_member_path(&name) => self.problems.push(format!(
                "{what} names `{}`, which is no file of a bundle: it may name none of this machine's",
                path.display().to_string().escape_debug()
            )),
            None => self.problems.push(format!("{what} names `{name}`, which the bundle does not have")),
            Some(member) if sha256.is_some_and(|sha256| sha256 != member.sha256) => {
                self.problems.push(format!("{what} names another `{name}` than the bundle has"));
            }
            Some(member) => *path = self.opened.folder.join(&member.path),
        }
    }

    /// A folder of members.
    fn folder(&mut self, what: &str, path: &mut PathBuf) {
        let name = path.to_str().unwrap_or_default().to_owned();
        if is_member_path(&name) {
            *path = self.opened.folder.join(name);
        } else {
            let shown = path.display().to_string();
            self.problems
                .push(format!("{what} names `{}`, which is no folder of a bundle", shown.escape_debug()));
        }
    }

    fn plan(&mut self, plan: &mut Plan) {
        for arm in &mut plan.arms {
            let what = format!("arm {}", arm.name.escape_debug());
            for series in &mut arm.kernel.series {
                self.folder(&what, &mut series.folder);
                for patch in &mut series.patches {
                    let sha256 = patch.sha256.clone();
                    self.member(&what, &mut patch.path, Some(&sha256));
                }
            }
            if let Source::PrebuiltImage { image, modules, config } = &mut arm.kernel.base.source {
                // Without images it leads nowhere, and `pin` says so where it is needed.
                if self.images || image != Path::new("elsewhere") && self.opened.folder.join(&*image).exists()
                {
                    let named = [Some(image), config.as_mut()];
                    for path in named.into_iter().flatten() {
                        self.member(&what, path, None);
                    }
                    if let Some(modules) = modules {
                        self.folder(&what, modules);
                    }
                } else {
                    (*image, *modules, *config) = ("elsewhere".into(), None, None);
                }
            }
            if let Machine::Fake(fake) = &mut arm.machine {
                self.member(&what, &mut fake.script, None);
                if let Err(reason) = self.check_script(&fake.script) {
                    self.problems.push(format!("{what}: its fake machine's script {reason}"));
                }
            }
        }
        for workload in &mut plan.workloads {
            if let WorkloadKind::Command(command) = &mut workload.kind {
                let what = format!("workload {}", workload.name.escape_debug());
                for file in &mut command.files {
                    let sha256 = file.sha256.clone();
                    self.member(&what, &mut file.path, Some(&sha256));
                }
            }
        }
    }

    /// A script may stand for itself only: one that names files would have them read here.
    fn check_script(&self, path: &Path) -> Result<(), String> {
        let size = fs::metadata(path).map_err(|error| format!("cannot be read: {error}"))?.len();
        if size > MAX_SCRIPT {
            return Err(format!("has more than {MAX_SCRIPT} bytes"));
        }
        let text = fs::read(path).map_err(|error| format!("cannot be read: {error}"))?;
        let value: Value =
            serde_json::from_slice(&text).map_err(|error| format!("does not parse: {error}"))?;
        match names_a_file(&value) {
            Some(name) => Err(format!("names the file `{}`", name.escape_debug())),
            None => Ok(()),
        }
    }

    fn image(&mut self, arm: &str, image: &mut KernelImage) {
        let what = format!("the kernel of {}", arm.escape_debug());
        if image.config.is_some() && !self.has(image.config.as_deref()) {
            image.config = None;
        }
        if let Some(config) = &mut image.config {
            self.member(&what, config, None);
        }
        if !self.images {
            // Their members are not there; nothing but the checksum is asked for.
            for path in [&mut image.vmlinux, &mut image.system_map, &mut image.modules] {
                *path = None;
            }
            image.image = PathBuf::from("elsewhere");
            return;
        }
        let sha256 = image.image_sha256.clone();
        self.member(&what, &mut image.image, Some(&sha256));
        for path in [&mut image.vmlinux, &mut image.system_map] {
            if !self.has(path.as_deref()) {
                *path = None;
            }
            if let Some(path) = path {
                self.member(&what, path, None);
            }
        }
        if let Some(modules) = &mut image.modules {
            self.folder(&what, modules);
        }
    }

    fn has(&self, path: Option<&Path>) -> bool {
        path.and_then(Path::to_str).is_some_and(|name| self.opened.manifest.member(name).is_some())
    }

    fn record(&mut self, what: &str, record: &mut FileRecord) {
        let sha256 = record.sha256.clone();
        self.member(what, &mut record.path, Some(&sha256));
    }
}

fn names_a_file(value: &Value) -> Option<&str> {
    match value {
        Value::Object(map) => named_file(map).or_else(|| map.values().find_map(names_a_file)),
        Value::Array(values) => values.iter().find_map(names_a_file),
        _ => None,
    }
}

/// Lets every base come from the very source that it came from when the run was made. `source` is where the user says that
/// places of the other machine are to be found here. What cannot be had is told.
#[must_use]
pub fn pin(file: &mut RunFile, source: Option<&Path>) -> Vec<Lacking> {
    let mut lacking: Vec<Lacking> = Vec::new();
    for arm in &mut file.plan.arms {
        let version = match file.kernels.get(&arm.name).map(|kernel| &kernel.build) {
            Some(BuildEnd::Built(image)) => Some(image.source_version.clone()),
            _ => None,
        };
        if let Err(reason) = pin_one(&mut arm.kernel.base.source, version.as_deref(), source) {
            let lack = Lacking { base: arm.kernel.base.name.clone(), reason };
            if !lacking.contains(&lack) {
                lacking.push(lack);
            }
        }
    }
    lacking
}

fn pin_one(source: &mut Source, version: Option<&str>, given: Option<&Path>) -> Result<(), String> {
    match source {
        Source::DebianSource { versions, .. } | Source::DebianImage { versions, .. } => {
            if let Some(version) = version {
                *versions = vec![version.to_owned()];
            }
            Ok(())
        }
        Source::Git { repository, reference } => {
            if let Some(commit) = version.filter(|text| is_commit(text)) {
                commit.clone_into(reference);
            }
            if let Some(folder) = given.filter(|given| given.is_dir()) {
                *repository = folder.display().to_string();
                return Ok(());
            }
            if is_elsewhere(repository) || !is_public(repository) {
                let what = "a commit of a repository on the machine where the run was made";
                let remedy = "--source DIR names one here that has it";
                return Err(format!("{reference}, {what} (remedy: {remedy})"));
            }
            Ok(())
        }
        Source::Tarball { location, sha256 } => {
            if let Some(file) = given.filter(|given| given.is_file()) {
                *location = file.display().to_string();
                return Ok(());
            }
            if is_elsewhere(location) || !is_public(location) {
                let name = location.rsplit('/').next().unwrap_or_default();
                let what = "a tarball of the machine where the run was made";
                return Err(format!("{name}, {what}, sha256 {sha256} (remedy: --source FILE names it here)"));
            }
            Ok(())
        }
        Source::PrebuiltImage { image, .. } if image == Path::new("elsewhere") => {
            Err("an image that existed when the run was made, and that was left out of the bundle".to_owned())
        }
        Source::PrebuiltImage { .. } => Ok(()),
        Source::Imported => Err("numbers that were imported, of which no kernel is known".to_owned()),
    }
}

fn is_elsewhere(location: &str) -> bool {
    location.starts_with(ELSEWHERE)
}

/// Whether a stranger may have something fetched from there: over the web, and not with the user's keys or from the user's files.
fn is_public(location: &str) -> bool {
    ["https://", "http://"].iter().any(|scheme| location.starts_with(scheme))
}

fn is_commit(text: &str) -> bool {
    matches!(text.len(), 40 | 64) && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}
