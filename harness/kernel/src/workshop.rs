//! The way from a specification to an image that is not in the cache yet.

use std::{
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use measure::{BuildEnd, KernelImage};
use plan::{ConfigOption, ConfigValue, KernelSpec};
use subprocess::ToolError;

use crate::{
    KernelError,
    apply::{self, ApplyEnd},
    build::{self, Job, MakeEnd},
    cache::{self, Draft, Found, Layout},
    config::{self, ConfigEnd},
    digest, folder, identity, image, lock, objects,
    progress::{Listener, Progress, note, stage},
    sandbox,
    site::Site,
    source,
    tree::Tree,
    warnings,
    work::Work,
};

/// Another process makes the very same kernel.
pub(crate) const DEADLINE: Duration = Duration::from_secs(3 * 3600);

/// Steps of a cold build of a lab kernel, before one was counted here.
const USUAL_STEPS: u64 = 2500;

/// Makes the image, or finds that another process did meanwhile.
pub(crate) fn obtain(
    site: &Site,
    spec: &KernelSpec,
    log_dir: &Path,
    listener: &mut Listener<'_>,
) -> Result<BuildEnd, KernelError> {
    site.require_build()?;
    folder::create(log_dir)?;
    let tree = source::obtain(site, &spec.base, listener)?;
    Order { site, spec, tree: &tree, log: log_file(log_dir, spec) }.fill(Need::Image, log_dir, listener)
}

/// The merged configuration, made but not built.
pub(crate) fn merged_config(
    site: &Site,
    spec: &KernelSpec,
    listener: &mut Listener<'_>,
) -> Result<Result<String, BuildEnd>, KernelError> {
    site.require_build()?;
    let tree = source::obtain(site, &spec.base, listener)?;
    let work = Work::new(&site.layout)?;
    let log = site.layout.log("config");
    let order = Order { site, spec, tree: &tree, log };
    Ok(order.prepare(&work, None, listener)?.map(|prepared| prepared.merged))
}

/// Builds from nothing, keeps nothing, and gives the key and the checksum of the boot image.
pub(crate) fn build_apart(
    site: &Site,
    spec: &KernelSpec,
    log_dir: &Path,
    listener: &mut Listener<'_>,
) -> Result<Result<(String, String), BuildEnd>, KernelError> {
    site.require_build()?;
    folder::create(log_dir)?;
    let tree = source::obtain(site, &spec.base, listener)?;
    let work = Work::new(&site.layout)?;
    let order = Order { site, spec, tree: &tree, log: log_file(log_dir, spec) };
    let prepared = match order.prepare(&work, None, listener)? {
        Ok(prepared) => prepared,
        Err(end) => return Ok(Err(end)),
    };
    match order.compile(&work, &prepared, Some(USUAL_STEPS), listener)? {
        Ok(_) => Ok(Ok((prepared.key, digest::of_file(&work.at("out").join(cache::IMAGE))?))),
        Err(end) => Ok(Err(end)),
    }
}

/// For people: `debian-6.12 + iommu-hooks`.
fn title(spec: &KernelSpec) -> String {
    let series = spec.series.iter().map(|series| series.name.clone());
    let options = spec.options.iter().map(short);
    [flavoured(&spec.base)].into_iter().chain(series).chain(options).collect::<Vec<_>>().join(" + ")
}

/// `debian-6.12`, `debian-6.12 debug`.
fn flavoured(base: &plan::Base) -> String {
    if base.flavour.is_plain() {
        return base.name.clone();
    }
    format!("{} {}", base.name, base.flavour.word())
}

/// An option in one word, set or not.
fn short(option: &ConfigOption) -> String {
    match &option.value {
        ConfigValue::No => format!("{}=n", option.name),
        _ => option.to_string().trim_start_matches("CONFIG_").to_owned(),
    }
}

fn log_file(log_dir: &Path, spec: &KernelSpec) -> PathBuf {
    // Options can be many, and a file name has at most 255 bytes.
    let name: String = Layout::safe(&title(spec).replace(" + ", "+")).chars().take(200).collect();
    log_dir.join(format!("{name}.log"))
}

fn is_base(spec: &KernelSpec) -> bool {
    spec.series.is_empty() && spec.options.is_empty()
}

/// What a build is made for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Need {
    Image,
    /// The objects of a base, even if its image is there.
    Objects,
}

/// A specification, and the tree that it starts from.
struct Order<'a> {
    site: &'a Site,
    spec: &'a KernelSpec,
    tree: &'a Tree,
    log: PathBuf,
}

/// A tree patched and configured.
struct Prepared {
    /// The arm's own tree; the pristine one if there is no series.
    source: PathBuf,
    merged: String,
    key: String,
    /// Without what the base took.
    took: Duration,
}

/// What a build made.
struct Compiled {
    release: String,
    steps: u64,
    /// From the start of make until everything is exported.
    took: Duration,
}

impl Order<'_> {
    /// From the cache if another process was faster, else from a build.
    fn fill(&self, need: Need, log_dir: &Path, listener: &mut Listener<'_>) -> Result<BuildEnd, KernelError> {
        let Self { site, spec, .. } = *self;
        let request = identity::request(spec, &self.tree.id, site.toolchain()?);
        let _lock =
            lock::exclusive(&site.layout.lock("request", &request), &title(spec), DEADLINE, listener)?;
        let shared = self.objects_id()?;
        let enough = need == Need::Image || objects::find(&site.layout, &shared)?.is_some();
        if enough && let Some(image) = find_request(site, &request, listener)? {
            return Ok(BuildEnd::Built(image));
        }
        let work = Work::new(&site.layout)?;
        let prepared = match self.prepare(&work, Some(log_dir), listener)? {
            Ok(prepared) => prepared,
            Err(end) => return Ok(end),
        };
        let found = match find_key(site, &prepared.key, listener)? {
            Some(image) if enough => Some(image),
            _ => None,
        };
        let image = match found {
            Some(image) => image,
            None => {
                let total =
                    is_base(spec).then(|| objects::steps(&site.layout, &shared).unwrap_or(USUAL_STEPS));
                let compiled = match self.compile(&work, &prepared, total, listener)? {
                    Ok(compiled) => compiled,
                    Err(end) => return Ok(end),
                };
                let image = self.publish(&work, &prepared, &compiled)?;
                if is_base(spec) {
                    objects::keep(
                        &site.layout,
                        &shared,
                        &work.at("kept"),
                        &work.at("build"),
                        compiled.steps,
                    )?;
                }
                image
            }
        };
        folder::write_durably(&site.layout.request(&request), prepared.key.as_bytes())?;
        Ok(BuildEnd::Built(image))
    }

    /// Applies the series, lays out the objects to start from, and configures. With `share`, the folder for its log,
    /// the base is built first if its objects are not there.
    fn prepare(
        &self,
        work: &Work,
        share: Option<&Path>,
        listener: &mut Listener<'_>,
    ) -> Result<Result<Prepared, BuildEnd>, KernelError> {
        let Self { site, spec, tree, .. } = *self;
        let begin = Instant::now();
        // First of all, since it takes a second where the base may take ten minutes.
        let (source, touched) = match self.patch(work, listener)? {
            Ok(patched) => patched,
            Err(end) => return Ok(Err(end)),
        };
        let patching = begin.elapsed();
        let shared = match share.filter(|_| !is_base(spec)) {
            Some(log_dir) => self.base_objects(log_dir, listener)?,
            None => None,
        };
        let begin = Instant::now();
        let build = work.at("build");
        folder::create_for(&build, sandbox::owner())?;
        if let Some(objects) = shared {
            stage(listener, format!("copy the objects of {}", spec.base.name));
            objects.copy(&site.supervisor, &build)?;
            objects::outdate(&source, &touched)?;
        }
        stage(listener, format!("configure {}", title(spec)));
        let merged = match config::configure(&site.supervisor, spec, &source, &build, &self.log)? {
            ConfigEnd::Merged { config, unfulfilled } => {
                for wish in unfulfilled {
                    note(listener, format!("A wish of the tree that is not fulfilled: {wish}."));
                }
                config
            }
            ConfigEnd::Lost(problems) => return Ok(Err(BuildEnd::ConfigLost { problems })),
            ConfigEnd::Broken { errors } => {
                return Ok(Err(BuildEnd::DoesNotCompile { errors, log: self.log.clone() }));
            }
        };
        let key = identity::image(spec, &tree.id, &merged, site.toolchain()?);
        Ok(Ok(Prepared { source, merged, key, took: patching + begin.elapsed() }))
    }

    /// The tree to build from and the paths that the series touches.
    fn patch(
        &self,
        work: &Work,
        listener: &mut Listener<'_>,
    ) -> Result<Result<(PathBuf, Vec<PathBuf>), BuildEnd>, KernelError> {
        if self.spec.series.is_empty() {
            return Ok(Ok((self.tree.path.clone(), Vec::new())));
        }
        stage(listener, format!("apply {}", title(self.spec)));
        let own = work.at("tree");
        folder::link_tree(&self.tree.path, &own, sandbox::owner())?;
        match apply::apply(&self.site.supervisor, &self.spec.series, &own, &work.at("patches"))? {
            ApplyEnd::Applied(touched) => Ok(Ok((own, touched))),
            ApplyEnd::Failed(failure) => Ok(Err(BuildEnd::DoesNotApply(failure))),
        }
    }

    /// The base's objects; built now if need be. Nothing if the base itself does not build.
    fn base_objects(
        &self,
        log_dir: &Path,
        listener: &mut Listener<'_>,
    ) -> Result<Option<objects::Objects>, KernelError> {
        let (layout, id) = (&self.site.layout, self.objects_id()?);
        if let Some(objects) = objects::find(layout, &id)? {
            return Ok(Some(objects));
        }
        let spec = KernelSpec { base: self.spec.base.clone(), series: Vec::new(), options: Vec::new() };
        let base = Order { site: self.site, spec: &spec, tree: self.tree, log: log_file(log_dir, &spec) };
        let end = base.fill(Need::Objects, log_dir, listener)?;
        if !matches!(end, BuildEnd::Built(_)) {
            let why =
                format!("The base {} does not build by itself (see {}).", spec.base.name, base.log.display());
            note(listener, format!("{why} {} is built from nothing.", title(self.spec)));
        }
        objects::find(layout, &id)
    }

    fn objects_id(&self) -> Result<String, KernelError> {
        Ok(identity::objects(self.spec, &self.tree.id, self.site.toolchain()?))
    }

    /// Compiles, links, and exports to the work folder's `out`.
    fn compile(
        &self,
        work: &Work,
        prepared: &Prepared,
        total_hint: Option<u64>,
        listener: &mut Listener<'_>,
    ) -> Result<Result<Compiled, BuildEnd>, KernelError> {
        let begin = Instant::now();
        listener(Progress::Stage { what: format!("compile {}", title(self.spec)), total_hint });
        let build = work.at("build");
        let job = Job {
            tree: &prepared.source,
            objects: &build,
            targets: &image::targets(&prepared.merged),
            // Says in `uname -v` which kernel it is, in a width that moves nothing in the image.
            build_version: prepared.key.get(..12).unwrap_or(&prepared.key),
            log: &self.log,
        };
        let (steps, warned) = match build::make(&self.site.supervisor, &job, listener)? {
            MakeEnd::Made { steps, warnings } => (steps, warnings),
            MakeEnd::Failed { errors, log } => return Ok(Err(BuildEnd::DoesNotCompile { errors, log })),
        };
        stage(listener, format!("store {}", title(self.spec)));
        let out = work.at("out");
        folder::create_for(&out, sandbox::owner())?;
        match image::export(&self.site.supervisor, &prepared.source, &build, &out, &prepared.merged) {
            Ok(release) => {
                let lines: String = warned.iter().map(|line| format!("{line}\n")).collect();
                folder::write_durably(&out.join(warnings::FILE), lines.as_bytes())?;
                Ok(Ok(Compiled { release, steps, took: begin.elapsed() }))
            }
            Err(KernelError::Tool { what, source }) if is_the_builds_fault(&source) => {
                let errors = format!("make was content, but it is not possible to {what}: {source}");
                Ok(Err(BuildEnd::DoesNotCompile { errors, log: self.log.clone() }))
            }
            Err(error) => Err(error),
        }
    }

    fn publish(
        &self,
        work: &Work,
        prepared: &Prepared,
        compiled: &Compiled,
    ) -> Result<KernelImage, KernelError> {
        let draft = Draft {
            folder: &work.at("out"),
            key: prepared.key.clone(),
            base: flavoured(&self.spec.base),
            series: self.spec.series.iter().map(|series| series.name.clone()).collect(),
            options: self.spec.options.iter().map(ToString::to_string).collect(),
            release: compiled.release.clone(),
            source_version: self.tree.version.clone(),
            toolchain: self.site.toolchain()?.to_string(),
            build_seconds: (prepared.took + compiled.took).as_secs_f64(),
            build_steps: compiled.steps,
        };
        let (image, pin) = cache::publish(&self.site.layout, &draft)?;
        self.site.pin(pin);
        Ok(image)
    }
}

/// Whether a tool failed over what make had left, and not over this host.
fn is_the_builds_fault(error: &ToolError) -> bool {
    matches!(error, ToolError::Failed { ended, tail, .. } if build::host_failure(&tail.0, *ended).is_none())
}

/// The image that a request once became.
fn find_request(
    site: &Site,
    request: &str,
    listener: &mut Listener<'_>,
) -> Result<Option<KernelImage>, KernelError> {
    match std::fs::read_to_string(site.layout.request(request)) {
        Ok(key) => find_key(site, key.trim(), listener),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(crate::error::io("read", site.layout.request(request))(error)),
    }
}

/// An image by its key. A damaged one is set aside, and its name told.
pub(crate) fn find_key(
    site: &Site,
    key: &str,
    listener: &mut Listener<'_>,
) -> Result<Option<KernelImage>, KernelError> {
    match cache::find(&site.layout, key)? {
        Found::Sound(image, pin) => {
            site.pin(pin);
            Ok(Some(*image))
        }
        Found::Nothing => Ok(None),
        Found::Damaged { reason } => {
            let place = cache::set_aside(&site.layout, key)?;
            note(
                listener,
                format!(
                    "The cached kernel {key} is damaged: {reason}. It is now in {} and is made anew.",
                    place.display()
                ),
            );
            Ok(None)
        }
    }
}
