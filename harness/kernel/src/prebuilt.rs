//! Images that exist already: the user's own, or a Debian kernel package. They go through the cache too, so that they
//! cannot change during a run and an unprivileged machine can read them.

use std::{
    fs,
    path::{Path, PathBuf},
    time::{Duration, UNIX_EPOCH},
};

use measure::KernelImage;
use plan::{KernelSpec, Source};

use crate::{
    KernelError, cache,
    cache::{CONFIG, Draft, Found, IMAGE},
    digest::{self, Fields},
    error::{io, tool, user_file},
    folder, identity, lock,
    progress::{Listener, stage},
    sandbox::{self, OUTPUT, Sandbox},
    site::Site,
    source::{self, Resolved, package},
    work::Work,
};

/// Indexing a distribution's modules.
const DEPMOD_DEADLINE: Duration = Duration::from_secs(600);
/// Larger than any kernel image.
const MAX_IMAGE: u64 = 2 << 30;
/// Another process copies or fetches.
const LOCK_DEADLINE: Duration = Duration::from_secs(2 * 3600);

/// Where the files of an image are before they are in the cache.
#[derive(Debug)]
struct Parts {
    image: PathBuf,
    /// Holds `lib/modules/<release>`.
    modules: Option<PathBuf>,
    config: Option<PathBuf>,
}

/// Whether this kind of source is an image already.
pub(crate) fn is_prebuilt(source: &Source) -> bool {
    matches!(source, Source::PrebuiltImage { .. } | Source::DebianImage { .. })
}

/// The cache key of the image, as far as it can be told without network.
pub(crate) fn key(site: &Site, source: &Source) -> Result<Option<String>, KernelError> {
    match source {
        Source::PrebuiltImage { image, modules, config } => {
            for named in [Some(image), modules.as_ref(), config.as_ref()].into_iter().flatten() {
                fs::metadata(named).map_err(user_file("find", named))?;
            }
            let mut fields = Fields::new("prebuilt image").with("image", digest::of_file(image)?);
            if let Some(config) = config {
                fields = fields.with("config", digest::of_file(config)?);
            }
            if let Some(modules) = modules {
                fields = fields.with("modules", listing(&modules.join("lib/modules"))?);
            }
            Ok(Some(fields.finish()))
        }
        _ => Ok(source::recorded(site, source)?.map(|resolved| package_key(&resolved))),
    }
}

fn package_key(resolved: &Resolved) -> String {
    Fields::new("prebuilt package").with("package", &resolved.id).finish()
}

/// Names, sizes and times of all files: modules are many, and reading them all would take longer than a lookup may.
fn listing(root: &Path) -> Result<String, KernelError> {
    let mut lines = Vec::new();
    folder::visit(root, &mut |path, metadata| {
        if metadata.is_file() {
            let time = metadata.modified().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
            lines.push(format!("{} {} {:?}\n", path.display(), metadata.len(), time));
        }
        Ok(())
    })?;
    lines.sort_unstable();
    Ok(lines.concat())
}

/// The image in the cache: found, or put there now.
pub(crate) fn obtain(
    site: &Site,
    spec: &KernelSpec,
    listener: &mut Listener<'_>,
) -> Result<KernelImage, KernelError> {
    if !spec.series.is_empty() || !spec.options.is_empty() {
        return Err(KernelError::BadBase {
            base: spec.base.name.clone(),
            reason: "it is a prebuilt image, so no series and no options can go into it".to_owned(),
        });
    }
    let work = Work::new(&site.layout)?;
    match &spec.base.source {
        Source::PrebuiltImage { image, modules, config } => {
            let parts = Parts { image: image.clone(), modules: modules.clone(), config: config.clone() };
            let key = key(site, &spec.base.source)?.expect("an image on this host has a key");
            let version = format!("sha256:{}", digest::of_file(image)?);
            store(site, spec, &key, &version, &parts, &work, listener)
        }
        Source::DebianImage { package, suites, versions } => {
            stage(listener, format!("resolve {package}"));
            let (resolved, packages) = kernel_package(site, &spec.base, package, suites, versions)?;
            site.settle(&identity::source(&spec.base.source), &spec.base.name, &resolved)?;
            let key = package_key(&resolved);
            let image = match cache::find(&site.layout, &key)? {
                Found::Sound(image, pin) => {
                    site.pin(pin);
                    *image
                }
                _ => {
                    let contents = package::fetch(site, &packages, &work, listener)?;
                    let parts = package_parts(&spec.base.name, &contents)?;
                    store(site, spec, &key, &resolved.version, &parts, &work, listener)?
                }
            };
            source::record(site, &spec.base.source, &resolved)?;
            Ok(image)
        }
        _ => Err(KernelError::BadBase {
            base: spec.base.name.clone(),
            reason: "it is a source tree and no image".to_owned(),
        }),
    }
}

/// The package that really holds a kernel: a meta-package's dependency.
fn kernel_package(
    site: &Site,
    base: &plan::Base,
    package: &str,
    suites: &[String],
    versions: &[String],
) -> Result<(Resolved, Vec<debian::Package>), KernelError> {
    let recorded = source::recorded(site, &base.source)?;
    let preferred = recorded.as_ref().map(|resolved| resolved.version.as_str());
    let (_, main) = package::resolve(site, package, suites, versions, preferred)?;
    let request = debian::Request {
        suites: suites.to_vec(),
        packages: main
            .iter()
            .map(|main| debian::Wanted {
                name: main.name.clone(),
                version: Some(main.version.clone()),
                suite: None,
            })
            .collect(),
        with_dependencies: true,
        recommends: false,
        omit: Vec::new(),
    };
    let all = site
        .packages
        .resolve(&request)
        .map_err(|source| KernelError::Debian { what: package.to_owned(), source: Box::new(source) })?;
    // A real image carries its release, with a dash and an ABI or version: `linux-image-6.1.0-40-cloud-amd64`.
    let real = |name: &str| {
        name.strip_prefix("linux-image-").is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
    };
    let found: Vec<debian::Package> = all.into_iter().filter(|found| real(&found.name)).collect();
    let Some(kernel) = found.first() else {
        return Err(KernelError::BadBase {
            base: base.name.clone(),
            reason: format!("{package} neither is a kernel package nor depends on one"),
        });
    };
    Ok((package::exact(kernel), found))
}

/// Where a Debian kernel package has its parts.
fn package_parts(base: &str, contents: &Path) -> Result<Parts, KernelError> {
    let boot = contents.join("boot");
    let mut files = Vec::new();
    for entry in fs::read_dir(&boot).map_err(io("list", &boot))? {
        files.push(entry.map_err(io("list", &boot))?.path());
    }
    let named = |prefix: &str| {
        files
            .iter()
            .find(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(prefix)))
            .cloned()
    };
    let image = named("vmlinuz-").ok_or_else(|| KernelError::BadBase {
        base: base.to_owned(),
        reason: "the package has no vmlinuz in /boot".to_owned(),
    })?;
    // Debian moved modules from /lib to /usr/lib between releases.
    let modules = [contents.to_owned(), contents.join("usr")]
        .into_iter()
        .find(|root| root.join("lib/modules").is_dir());
    Ok(Parts { image, modules, config: named("config-") })
}

/// Copies the parts into a new entry.
fn store(
    site: &Site,
    spec: &KernelSpec,
    key: &str,
    version: &str,
    parts: &Parts,
    work: &Work,
    listener: &mut Listener<'_>,
) -> Result<KernelImage, KernelError> {
    let base = &spec.base;
    let _lock = lock::exclusive(&site.layout.lock("prebuilt", key), &base.name, LOCK_DEADLINE, listener)?;
    stage(listener, format!("take {} into the cache", base.name));
    let entry = work.at("entry");
    folder::create(&entry)?;
    copy(&parts.image, &entry.join(IMAGE))?;
    let release = release(&folder::read_regular(&entry.join(IMAGE), MAX_IMAGE)?).ok_or_else(|| {
        KernelError::BadBase {
            base: base.name.clone(),
            reason: format!("{} is neither a bzImage nor an ELF vmlinux of Linux", parts.image.display()),
        }
    })?;
    if !crate::tree::is_release_of(&release, &base.version) {
        let reason = format!("its image calls itself {release}, but version {} was expected", base.version);
        return Err(KernelError::BadBase { base: base.name.clone(), reason });
    }
    if let Some(config) = &parts.config {
        copy(config, &entry.join(CONFIG))?;
    }
    if let Some(modules) = &parts.modules {
        let from = modules.join("lib/modules").join(&release);
        if !from.is_dir() {
            let reason = format!("it names modules, but {} is not there", from.display());
            return Err(KernelError::BadBase { base: base.name.clone(), reason });
        }
        copy_modules(&from, &entry.join("modules/lib/modules").join(&release))?;
        index_modules(site, &entry.join("modules"), &release)?;
    }
    let draft = Draft {
        folder: &entry,
        key: key.to_owned(),
        base: base.name.clone(),
        series: Vec::new(),
        options: Vec::new(),
        release,
        source_version: version.to_owned(),
        toolchain: String::new(),
        build_seconds: 0.0,
        build_steps: 0,
    };
    let (image, pin) = cache::publish(&site.layout, &draft)?;
    site.pin(pin);
    Ok(image)
}

fn copy(from: &Path, to: &Path) -> Result<(), KernelError> {
    fs::copy(from, to).map(|_| ()).map_err(io("copy", from))
}

/// Copies a folder of modules without its links: `build` and `source` lead to trees that are elsewhere.
fn copy_modules(from: &Path, to: &Path) -> Result<(), KernelError> {
    folder::create(to)?;
    for entry in fs::read_dir(from).map_err(io("list", from))? {
        let entry = entry.map_err(io("list", from))?;
        let (path, kind) = (entry.path(), entry.file_type().map_err(io("examine", entry.path()))?);
        if kind.is_dir() {
            copy_modules(&path, &to.join(entry.file_name()))?;
        } else if kind.is_file() {
            copy(&path, &to.join(entry.file_name()))?;
        }
    }
    Ok(())
}

/// Makes `modules.dep` and its like where a package leaves that to its installation.
pub(crate) fn index_modules(site: &Site, root: &Path, release: &str) -> Result<(), KernelError> {
    if root.join("lib/modules").join(release).join("modules.dep").is_file() {
        return Ok(());
    }
    if !Path::new("/usr/sbin/depmod").exists() && !Path::new("/sbin/depmod").exists() {
        return Err(KernelError::MissingTools { missing: "depmod".to_owned(), packages: "kmod".to_owned() });
    }
    site.require_sandbox()?;
    let owner = sandbox::owner();
    folder::visit(root, &mut |path, _| folder::give(path, owner))?;
    Sandbox::new()
        .write(root, OUTPUT)
        .tool("/", ["depmod", "-b", OUTPUT, release])
        .deadline(DEPMOD_DEADLINE)
        .run(&site.supervisor)
        .map(|_| ())
        .map_err(tool(format!("index the modules of {release}")))
}

/// What an image calls itself: from the header of a bzImage, from the banner in a vmlinux.
fn release(image: &[u8]) -> Option<String> {
    let word = |text: &[u8]| {
        let end = text.iter().take(256).position(|byte| *byte == 0 || byte.is_ascii_whitespace())?;
        let word = std::str::from_utf8(&text[..end]).ok()?;
        (!word.is_empty()).then(|| word.to_owned())
    };
    // Documentation/arch/x86/boot.rst: `HdrS` at 0x202; at 0x20e the offset of the version, less 0x200.
    if image.get(0x202..0x206) == Some(b"HdrS") {
        let offset = u16::from_le_bytes([*image.get(0x20e)?, *image.get(0x20f)?]);
        return word(image.get(usize::from(offset) + 0x200..)?);
    }
    if !image.starts_with(b"\x7fELF") {
        return None;
    }
    const BANNER: &[u8] = b"Linux version ";
    let mut rest = image;
    loop {
        let at = rest.windows(BANNER.len()).position(|window| window == BANNER)?;
        rest = &rest[at + BANNER.len()..];
        // The format string of another banner may come first.
        if let Some(found) = word(rest).filter(|found| found.starts_with(|c: char| c.is_ascii_digit())) {
            return Some(found);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_release_of_either_kind_of_image() {
        let mut bzimage = vec![0; 0x400];
        bzimage[0x202..0x206].copy_from_slice(b"HdrS");
        bzimage[0x20e..0x210].copy_from_slice(&0x100u16.to_le_bytes());
        bzimage[0x300..0x310].copy_from_slice(b"6.1.0-40-cloud (");
        assert_eq!(release(&bzimage).unwrap(), "6.1.0-40-cloud");
        let elf = b"\x7fELF..Linux version %s (%s)\0...Linux version 6.12.9 (assay@lab) (gcc)\0";
        assert_eq!(release(elf).unwrap(), "6.12.9");
        assert_eq!(release(b"\x7fELF no kernel"), None);
        assert_eq!(release(b"MZ"), None);
    }
}
