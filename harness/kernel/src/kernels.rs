//! The door to this crate: kernels looked up, obtained, listed, checked and removed.

use std::path::{Path, PathBuf};

use debian::Packages;
use measure::{BuildEnd, KernelImage};
use plan::{KernelSpec, Source};
use subprocess::Supervisor;

use crate::{
    Finished, Freed, Inspected, Keep, KernelError, Progress, Stored, adopt,
    cache::{self, Found, Layout},
    identity, inspect, prebuilt,
    selftests::{self, Selftests},
    site::Site,
    source, warnings, work, workshop,
};

/// Kernels in a cache, and the means to make more.
///
/// Everything blocks. Images given out by a `Kernels` are kept from removal by other processes while it lives.
#[derive(Debug)]
pub struct Kernels {
    site: Site,
}

/// Whether a build from nothing gives the image that the cache has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reproduction {
    /// The cache key of both.
    pub key: String,
    /// sha256 of the boot image in the cache.
    pub cached: String,
    /// sha256 of the boot image built apart.
    pub rebuilt: String,
}

impl Reproduction {
    /// Whether they are the same to the byte.
    #[must_use]
    pub fn is_identical(&self) -> bool {
        self.cached == self.rebuilt
    }
}

impl Kernels {
    /// Opens the cache in `root`, or makes one, and removes what dead builders left in it.
    ///
    /// # Errors
    /// When the folder cannot be used, or holds a cache of another version.
    pub fn open(root: &Path, supervisor: Supervisor, packages: Packages) -> Result<Self, KernelError> {
        let layout = Layout::open(root)?;
        work::sweep(&layout)?;
        Ok(Self { site: Site::new(layout, supervisor, packages) })
    }

    /// The kernel, if it is in the cache and sound. Uses no network, unpacks nothing, changes nothing.
    ///
    /// # Errors
    /// When the cache cannot be read, or a local source that the specification names does not exist.
    pub fn lookup(&self, spec: &KernelSpec) -> Result<Option<KernelImage>, KernelError> {
        let Some(key) = self.key(spec)? else { return Ok(None) };
        match cache::find(&self.site.layout, &key)? {
            Found::Sound(image, pin) => {
                self.site.pin(pin);
                Ok(Some(*image))
            }
            Found::Damaged { .. } | Found::Nothing => Ok(None),
        }
    }

    /// The kernel: from the cache, or built now. A damaged entry is set aside and made anew. Build output goes to a
    /// file in `log_dir` that is named after base and series.
    ///
    /// # Errors
    /// For the user's and the host's faults; what a series does wrong is in the [`BuildEnd`].
    pub fn obtain(
        &self,
        spec: &KernelSpec,
        log_dir: &Path,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<BuildEnd, KernelError> {
        if let Some(key) = self.key(spec)?
            && let Some(image) = workshop::find_key(&self.site, &key, progress)?
        {
            return Ok(BuildEnd::Built(image));
        }
        if prebuilt::is_prebuilt(&spec.base.source) {
            return prebuilt::obtain(&self.site, spec, progress).map(BuildEnd::Built);
        }
        workshop::obtain(&self.site, spec, log_dir, progress)
    }

    /// A kernel that somebody built, as an image of the cache. Milliseconds if it was taken before and has not changed.
    ///
    /// # Errors
    /// When its files cannot be read, or change meanwhile; when the cache cannot be written.
    pub fn adopt(
        &self,
        finished: &Finished,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<KernelImage, KernelError> {
        adopt::adopt(&self.site, finished, progress)
    }

    /// Where the base of a kernel is unpacked, if it still is: without the kernel's series. Whoever reads it may find it
    /// gone at any time.
    ///
    /// # Errors
    /// When the cache cannot be read.
    pub fn unpacked_base(
        &self,
        spec: &KernelSpec,
        image: &KernelImage,
    ) -> Result<Option<PathBuf>, KernelError> {
        source::unpacked(&self.site, &spec.base.source, &image.source_version)
    }

    /// What a source in this version is told from all others by: package and checksum, commit, checksum of a tarball. Nothing if
    /// the source has been resolved to another version since.
    ///
    /// # Errors
    /// When the cache cannot be read.
    pub fn identity(&self, source: &Source, version: &str) -> Result<Option<String>, KernelError> {
        // A repository that is gone says nothing about what was built from it.
        if let Source::Git { .. } = source {
            return Ok(Some(format!("git-{version}")));
        }
        let known = source::known(&self.site, source)?;
        Ok(known.filter(|known| known.version == version).map(|known| known.id))
    }

    /// Applies every patch of the series in turn to the base's tree, and runs the tree's own checkpatch on each.
    ///
    /// # Errors
    /// As for [`Kernels::obtain`]; also for prebuilt images.
    pub fn inspect(
        &self,
        spec: &KernelSpec,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<Vec<Inspected>, KernelError> {
        inspect::inspect(&self.site, spec, progress)
    }

    /// What compilers and linkers warned of when an image was built; nothing if that was before warnings were kept.
    ///
    /// # Errors
    /// When the cache cannot be read.
    pub fn warnings(&self, image: &KernelImage) -> Result<Option<Vec<String>>, KernelError> {
        warnings::of_image(image)
    }

    /// The kernel's own tests of these collections (folders of `tools/testing/selftests`), from the cache or built now from
    /// the tree of `spec`, patches included. The inner error is what the series did wrong.
    ///
    /// # Errors
    /// As for [`Kernels::obtain`]; also when the tree has no such collection, or is none because the kernel is prebuilt.
    pub fn selftests(
        &self,
        spec: &KernelSpec,
        collections: &[String],
        log_dir: &Path,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<Result<Selftests, BuildEnd>, KernelError> {
        if prebuilt::is_prebuilt(&spec.base.source) {
            return Err(KernelError::BadBase {
                base: spec.base.name.clone(),
                reason: "it is prebuilt, so there is no tree to build tests from".to_owned(),
            });
        }
        selftests::obtain(&self.site, spec, collections, log_dir, progress)
    }

    /// The merged configuration of a kernel: of the cached one, or made now without building. The inner error is how
    /// far the specification gets otherwise.
    ///
    /// # Errors
    /// As for [`Kernels::obtain`]; also for a prebuilt image whose configuration is not known.
    pub fn config(
        &self,
        spec: &KernelSpec,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<Result<String, BuildEnd>, KernelError> {
        let unknown = || KernelError::BadBase {
            base: spec.base.name.clone(),
            reason: "it is a prebuilt image whose configuration is not known".to_owned(),
        };
        let image = match self.lookup(spec)? {
            None if prebuilt::is_prebuilt(&spec.base.source) => {
                Some(prebuilt::obtain(&self.site, spec, progress)?)
            }
            image => image,
        };
        match image {
            Some(image) => {
                let path = image.config.ok_or_else(unknown)?;
                std::fs::read_to_string(&path).map(Ok).map_err(crate::error::io("read", path))
            }
            None => workshop::merged_config(&self.site, spec, progress),
        }
    }

    /// Builds a kernel of the cache again, from nothing and apart from the cache, and compares.
    ///
    /// # Errors
    /// As for [`Kernels::obtain`]; also for prebuilt images and for specifications that do not build.
    pub fn reproduce(
        &self,
        spec: &KernelSpec,
        log_dir: &Path,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<Reproduction, KernelError> {
        let cached = match self.obtain(spec, log_dir, progress)? {
            BuildEnd::Built(image) if !image.toolchain.is_empty() => image,
            _ => {
                return Err(KernelError::BadBase {
                    base: spec.base.name.clone(),
                    reason: "only a kernel that builds can be built again".to_owned(),
                });
            }
        };
        match workshop::build_apart(&self.site, spec, log_dir, progress)? {
            Ok((key, rebuilt)) if key == cached.key => {
                Ok(Reproduction { key, cached: cached.image_sha256, rebuilt })
            }
            Ok((key, _)) => Err(KernelError::Unexpected {
                what: format!("a second build of {}", cached.key),
                reason: format!("its configuration came out differently, with key {key}"),
            }),
            Err(end) => Err(KernelError::Unexpected {
                what: format!("a second build of {}", cached.key),
                reason: format!("it failed where the first did not: {end:?}"),
            }),
        }
    }

    /// Every image of the cache, in the order of keys. Those that cannot be read are left out.
    ///
    /// # Errors
    /// When the cache cannot be listed.
    pub fn list(&self) -> Result<Vec<Stored>, KernelError> {
        let folder = self.site.layout.images();
        let mut stored = Vec::new();
        for entry in std::fs::read_dir(&folder).map_err(crate::error::io("list", &folder))? {
            let path = entry.map_err(crate::error::io("list", &folder))?.path();
            stored.extend(cache::read_manifest(&path).ok());
        }
        stored.sort_by(|a, b| a.key.cmp(&b.key));
        Ok(stored)
    }

    /// Reads every file of every image and says which images are damaged, and how.
    ///
    /// # Errors
    /// When the cache cannot be read.
    pub fn verify(&self) -> Result<Vec<(String, String)>, KernelError> {
        let folder = self.site.layout.images();
        let mut damaged = Vec::new();
        for entry in std::fs::read_dir(&folder).map_err(crate::error::io("list", &folder))? {
            let path = entry.map_err(crate::error::io("list", &folder))?.path();
            if let Some(reason) = cache::verify_fully(&path)? {
                let key = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned();
                damaged.push((key, reason));
            }
        }
        damaged.sort();
        Ok(damaged)
    }

    /// Removes what is not to be kept, the least recently used first, and all that is damaged. Images that live
    /// processes were given stay.
    ///
    /// # Errors
    /// When the cache cannot be changed.
    pub fn gc(&self, keep: &Keep) -> Result<Freed, KernelError> {
        cache::collect(&self.site.layout, keep)
    }

    /// Forgets which exact version a source was last resolved to, so that the next [`Kernels::obtain`] takes the best
    /// that is served then.
    ///
    /// # Errors
    /// When the cache cannot be changed.
    pub fn forget_version(&self, source: &Source) -> Result<(), KernelError> {
        source::forget(&self.site, source)
    }

    /// The key of the image that a specification is known to lead to.
    fn key(&self, spec: &KernelSpec) -> Result<Option<String>, KernelError> {
        if prebuilt::is_prebuilt(&spec.base.source) {
            return if spec.series.is_empty() && spec.options.is_empty() {
                prebuilt::key(&self.site, &spec.base.source)
            } else {
                Ok(None)
            };
        }
        let Some(resolved) = source::known(&self.site, &spec.base.source)? else { return Ok(None) };
        let request = identity::request(spec, &resolved.id, self.site.toolchain()?);
        let path = self.site.layout.request(&request);
        match std::fs::read_to_string(&path) {
            Ok(key) => {
                self.site.settle(&identity::source(&spec.base.source), &spec.base.name, &resolved)?;
                Ok(Some(key.trim().to_owned()))
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(crate::error::io("read", path)(error)),
        }
    }
}
