//! A run without its machine: every path is a member's name, and every file that a path led to is a part.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use measure::{BuildEnd, KernelImage};
use plan::{FakeMachine, Machine, Plan, Source, WorkloadKind};
use serde_json::Value;
use store::{Environment, FileRecord, RunFile};

use crate::{BundleError, Content, Part, Scrub, safe_name, sha256};

/// Stands for a place of the machine where a run was made. `.invalid` is reserved: nobody answers there (RFC 6761).
pub const ELSEWHERE: &str = "https://elsewhere.invalid/";

/// A run that can be carried.
#[derive(Debug)]
pub struct Portable {
    /// `run.json`.
    pub file: RunFile,
    /// `environment.json`; none if images are left out, or none were recorded.
    pub environment: Option<Environment>,
    /// What the paths in them lead to.
    pub parts: Vec<Part>,
    /// What is left out although it was asked for.
    pub without: Vec<String>,
}

/// Takes the machine out of a run. `kept` is where a run keeps what its plan names by checksum; `images` says whether what
/// guests booted goes along.
///
/// # Errors
/// When a file that the plan names cannot be read, or is another one by now.
pub fn portable(
    file: &RunFile,
    environment: Option<&Environment>,
    kept: &Path,
    images: bool,
    scrub: &Scrub,
) -> Result<Portable, BundleError> {
    let mut packer = Packer { kept, images, scrub, parts: BTreeMap::new(), without: Vec::new() };
    let mut file = file.clone();
    file.command = scrub.text(&file.command);
    for (arm, kernel) in &mut file.kernels {
        packer.build(arm, &mut kernel.build)?;
    }
    let builds = file.kernels.clone();
    packer.plan(&mut file.plan, |arm| builds.get(arm).map(|kernel| &kernel.build))?;
    let environment = match environment {
        Some(environment) if images => Some(packer.environment(environment)),
        Some(environment) => Some(environment.without_boots()),
        None => {
            if images {
                packer.without.push("boot images: this run did not record them".to_owned());
            }
            None
        }
    };
    Ok(Portable { file, environment, parts: packer.parts.into_values().collect(), without: packer.without })
}

struct Packer<'a> {
    kept: &'a Path,
    images: bool,
    scrub: &'a Scrub,
    parts: BTreeMap<String, Part>,
    without: Vec<String>,
}

impl Packer<'_> {
    fn plan<'b>(
        &mut self,
        plan: &mut Plan,
        build: impl Fn(&str) -> Option<&'b BuildEnd>,
    ) -> Result<(), BundleError> {
        for arm in &mut plan.arms {
            for series in &mut arm.kernel.series {
                let all: String = series.patches.iter().map(|patch| patch.sha256.as_str()).collect();
                let id = sha256(format!("{}\n{all}", series.name).as_bytes());
                let name: String = safe_name(&series.name).chars().take(60).collect();
                let folder = format!("patches/{}-{name}", &id[..12]);
                for (index, patch) in series.patches.iter_mut().enumerate() {
                    let name = file_name(&patch.path);
                    let name: String = safe_name(&name).chars().take(100).collect();
                    // Two names may become one.
                    let taken = |parts: &BTreeMap<String, Part>, member: &str, wanted: &str| matches!(parts.get(member), Some(Part { content: Content::File { sha256: Some(other), .. }, .. }) if other != wanted);
                    let mut member = format!("{folder}/{name}");
                    if taken(&self.parts, &member, &patch.sha256) {
                        member = format!("{folder}/{}-{name}", index + 1);
                    }
                    self.add(&member, self.planned(&patch.path, &patch.sha256));
                    patch.path = member.into();
                }
                series.folder = folder.into();
            }
            self.source(&mut arm.kernel.base.source, build(&arm.name));
            if let Machine::Fake(FakeMachine { script }) = &mut arm.machine {
                let text = inlined(script)?;
                let member = format!("files/{}", sha256(&text));
                self.parts
                    .insert(member.clone(), Part { path: member.clone(), content: Content::Bytes(text) });
                *script = member.into();
            }
        }
        for workload in &mut plan.workloads {
            if let WorkloadKind::Command(command) = &mut workload.kind {
                for file in &mut command.files {
                    let member = format!("files/{}", file.sha256);
                    self.add(&member, self.planned(&file.path, &file.sha256));
                    file.path = member.into();
                }
            }
        }
        plan.question = self.scrub.text(&plan.question);
        Ok(())
    }

    fn source(&mut self, source: &mut Source, build: Option<&BuildEnd>) {
        match source {
            Source::Git { repository, .. } if !is_remote(repository) => {
                *repository = format!("{ELSEWHERE}git");
            }
            Source::Tarball { location, .. } if !is_remote(location) => {
                *location = format!("{ELSEWHERE}{}", safe_name(&file_name(Path::new(location.as_str()))));
            }
            Source::PrebuiltImage { image, modules, config } => {
                // What was taken into the cache is what booted, whatever the original has become.
                let built = match build {
                    Some(BuildEnd::Built(built)) => Some(built),
                    _ => None,
                };
                let elsewhere = || PathBuf::from("elsewhere");
                *image = built.map_or_else(elsewhere, |built| built.image.clone());
                *modules = modules.as_ref().and(built.and_then(|built| built.modules.clone()));
                *config = config.as_ref().and(built.and_then(|built| built.config.clone()));
            }
            Source::Git { .. }
            | Source::Tarball { .. }
            | Source::DebianSource { .. }
            | Source::DebianImage { .. }
            | Source::Imported => {}
        }
    }

    fn build(&mut self, arm: &str, build: &mut BuildEnd) -> Result<(), BundleError> {
        match build {
            BuildEnd::Built(image) => self.image(arm, image),
            BuildEnd::DoesNotCompile { errors, log } => {
                *errors = self.scrub.text(errors);
                *log = format!("builds/{}", safe_name(&file_name(log))).into();
                Ok(())
            }
            BuildEnd::DoesNotApply(_) | BuildEnd::ConfigLost { .. } => Ok(()),
        }
    }

    fn image(&mut self, arm: &str, image: &mut KernelImage) -> Result<(), BundleError> {
        let mut folder = format!("kernels/{}", safe_name(&image.key));
        let member = format!("{folder}/image");
        if self.parts.contains_key(&member) && !self.has(&member, &image.image_sha256) {
            // A key is one image's here, but a stranger's run may say otherwise.
            let sum: String = safe_name(&image.image_sha256).chars().take(12).collect();
            folder = format!("{folder}-{sum}");
        }
        let images = self.images;
        image.source_version = self.scrub.text(&image.source_version);
        let mut file = |path: &mut PathBuf, name: &str, sha256: Option<String>, wanted: bool| {
            let member = format!("{folder}/{name}");
            if wanted {
                self.add(&member, Content::File { path: path.clone(), sha256 });
            }
            *path = member.into();
        };
        if images && !image.image.is_file() {
            let reason = "the kernel is no longer in the cache (remedy: --no-images)".to_owned();
            return Err(BundleError::Changed { path: image.image.clone(), reason });
        }
        file(&mut image.image, "image", Some(image.image_sha256.clone()), images);
        for (path, name) in [(&mut image.vmlinux, "vmlinux"), (&mut image.system_map, "System.map")] {
            if let Some(path) = path {
                let wanted = images && path.is_file();
                file(path, name, None, wanted);
            }
        }
        if let Some(path) = &mut image.config {
            // Not needed for anything, and gone if the kernel was removed from the cache.
            if path.is_file() {
                file(path, "config", None, true);
            } else {
                let said = format!("the configuration of {arm}: the kernel is no longer in the cache");
                self.without.push(said);
                image.config = None;
            }
        }
        if let Some(modules) = &mut image.modules {
            let member = format!("{folder}/modules");
            if images {
                let from = modules.clone();
                self.tree(&from, &member)?;
            }
            *modules = member.into();
        }
        Ok(())
    }

    fn environment(&mut self, environment: &Environment) -> Environment {
        let mut environment = environment.clone();
        for boot in environment.boots.values_mut() {
            // A kernel's own member has the same bytes, and two members of the same bytes would be twice the room.
            let folder = boot.kernel.path.parent().unwrap_or(Path::new(""));
            let kernel = format!("kernels/{}/image", file_name(folder));
            if self.has(&kernel, &boot.kernel.sha256) {
                boot.kernel.path = kernel.into();
            } else {
                self.boot_file(&mut boot.kernel);
            }
            let others = [&mut boot.initramfs, &mut boot.root_disk, &mut boot.modules_disk];
            for record in others.into_iter().flatten().chain(&mut boot.disks) {
                self.boot_file(record);
            }
        }
        environment
    }

    /// Whether there is such a part with these bytes.
    fn has(&self, member: &str, wanted: &str) -> bool {
        matches!(
            self.parts.get(member),
            Some(Part { content: Content::File { sha256: Some(sha256), .. }, .. }) if sha256 == wanted
        )
    }

    fn boot_file(&mut self, record: &mut FileRecord) {
        let member = format!("boot/{}", record.sha256);
        self.add(&member, Content::File { path: record.path.clone(), sha256: Some(record.sha256.clone()) });
        record.path = member.into();
    }

    /// A file that the plan names by checksum: as the run kept it, else where it was.
    fn planned(&self, path: &Path, sha256: &str) -> Content {
        let kept = self.kept.join(safe_name(sha256));
        let path = if kept.is_file() { kept } else { path.to_owned() };
        Content::File { path, sha256: Some(sha256.to_owned()) }
    }

    fn add(&mut self, member: &str, content: Content) {
        self.parts.insert(member.to_owned(), Part { path: member.to_owned(), content });
    }

    /// Every regular file below a folder.
    fn tree(&mut self, from: &Path, member: &str) -> Result<(), BundleError> {
        let entries = std::fs::read_dir(from).map_err(BundleError::io("reading", from))?;
        for entry in entries {
            let entry = entry.map_err(BundleError::io("reading", from))?;
            let kind = entry.file_type().map_err(BundleError::io("looking at", entry.path()))?;
            let name = format!("{member}/{}", entry.file_name().to_string_lossy());
            if kind.is_dir() {
                self.tree(&entry.path(), &name)?;
            } else if kind.is_file() {
                self.add(&name, Content::File { path: entry.path(), sha256: None });
            }
        }
        Ok(())
    }
}

fn is_remote(location: &str) -> bool {
    location.contains("://") && !location.starts_with("file://")
}

fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// A fake machine's script with the files that it names in their places, so that it stands alone.
fn inlined(script: &Path) -> Result<Vec<u8>, BundleError> {
    let changed = |path: &Path, reason: String| BundleError::Changed { path: path.to_owned(), reason };
    let text = std::fs::read(script).map_err(BundleError::io("reading", script))?;
    let mut value: Value =
        serde_json::from_slice(&text).map_err(|error| changed(script, error.to_string()))?;
    let folder = script.parent().unwrap_or(Path::new(""));
    inline(&mut value, folder).map_err(|(path, error)| changed(&path, error.to_string()))?;
    Ok(serde_json::to_vec_pretty(&value).expect("a script that was read has string keys only"))
}

fn inline(value: &mut Value, folder: &Path) -> Result<(), (PathBuf, std::io::Error)> {
    match value {
        Value::Object(map) => {
            if let Some(file) = named_file(map).map(|name| folder.join(name)) {
                let text = std::fs::read_to_string(&file).map_err(|error| (file, error))?;
                *map = serde_json::Map::from_iter([("text".to_owned(), Value::String(text))]);
                return Ok(());
            }
            map.values_mut().try_for_each(|value| inline(value, folder))
        }
        Value::Array(values) => values.iter_mut().try_for_each(|value| inline(value, folder)),
        _ => Ok(()),
    }
}

/// The file that stands for a content in a script: `{ "file": NAME }`.
pub(crate) fn named_file(map: &serde_json::Map<String, Value>) -> Option<&str> {
    map.get("file").and_then(Value::as_str)
}
