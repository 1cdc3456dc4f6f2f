//! One image in the cache: what it consists of, how it gets there, and whether it is still what it was.

use std::{
    collections::BTreeMap,
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use measure::KernelImage;
use serde::{Deserialize, Serialize};

use super::Layout;
use crate::{
    KernelError, digest,
    error::io,
    folder,
    lock::{self, Lock},
};

/// The file that makes a folder an entry.
const MANIFEST: &str = "manifest.json";
/// Holds `lib/modules/<release>`.
const MODULES: &str = "modules";
/// Changed at every use, for [`super::gc`].
pub(super) const USED: &str = "used";

/// The version of [`Stored`]'s form on disk.
const FORMAT: u32 = 1;

/// An image of the cache, as its manifest has it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stored {
    /// The version of this form.
    format: u32,
    /// The cache key: source, series, merged configuration, compiler, linker.
    pub key: String,
    /// The base's name when it was built.
    pub base: String,
    /// The names of the series that it carries.
    pub series: Vec<String>,
    /// The options that its arm asked for, as lines of a `.config`.
    pub options: Vec<String>,
    /// What `uname -r` says.
    pub release: String,
    /// The exact version of the source.
    pub source_version: String,
    /// Compiler and linker; empty for a prebuilt image.
    pub toolchain: String,
    /// Seconds that it took to patch, configure, compile and export it; 0 for a prebuilt image.
    pub build_seconds: f64,
    /// Steps of make that the build took; 0 for a prebuilt image.
    pub build_steps: u64,
    /// Bytes of all files.
    pub bytes: u64,
    /// Every file with its sha256.
    files: BTreeMap<String, String>,
}

/// What is about to become an entry: a folder of files and the facts about them.
#[derive(Debug)]
pub(crate) struct Draft<'a> {
    /// Holds exactly the entry's files, and belongs to nobody else any more.
    pub(crate) folder: &'a Path,
    pub(crate) key: String,
    pub(crate) base: String,
    pub(crate) series: Vec<String>,
    pub(crate) options: Vec<String>,
    pub(crate) release: String,
    pub(crate) source_version: String,
    pub(crate) toolchain: String,
    pub(crate) build_seconds: f64,
    pub(crate) build_steps: u64,
}

/// What is at the place of an entry.
#[derive(Debug)]
pub(crate) enum Found {
    /// A sound image, and a lock that keeps it from being removed.
    Sound(Box<KernelImage>, Lock),
    /// Something is wrong with it.
    Damaged { reason: String },
    /// There is none.
    Nothing,
}

/// Looks for an image and verifies it: the boot image by its checksum, the other files by their presence.
pub(crate) fn find(layout: &Layout, key: &str) -> Result<Found, KernelError> {
    let folder = layout.image(key);
    if !folder.is_dir() {
        return Ok(Found::Nothing);
    }
    // Whoever holds the lock alone is removing the entry.
    let Some(pin) = lock::try_shared(&layout.lock("image", key))? else {
        return Ok(Found::Nothing);
    };
    let stored = match read_manifest(&folder) {
        Ok(stored) => stored,
        Err(error) => return Ok(Found::Damaged { reason: chain(&error) }),
    };
    if let Some(missing) = stored.files.keys().find(|name| !folder.join(name).is_file()) {
        return Ok(Found::Damaged { reason: format!("{missing} is missing") });
    }
    let image = stored.image(&folder);
    let found = digest::of_file(&image.image)?;
    if found != image.image_sha256 {
        let reason = format!("its image has sha256 {found}, not {}", image.image_sha256);
        return Ok(Found::Damaged { reason });
    }
    // Only gc reads this time; a cache on a read-only file system works without.
    let _ = folder::touch(&folder.join(USED));
    Ok(Found::Sound(Box::new(image), pin))
}

/// Checks every file of an entry against its checksum; what is wrong, if anything is.
pub(crate) fn verify_fully(folder: &Path) -> Result<Option<String>, KernelError> {
    let stored = match read_manifest(folder) {
        Ok(stored) => stored,
        Err(error) => return Ok(Some(chain(&error))),
    };
    for (name, sha256) in &stored.files {
        let path = folder.join(name);
        if !path.is_file() {
            return Ok(Some(format!("{name} is missing")));
        }
        let found = digest::of_file(&path)?;
        if found != *sha256 {
            return Ok(Some(format!("{name} has sha256 {found}, not {sha256}")));
        }
    }
    Ok(None)
}

/// Reads an entry's manifest.
pub(crate) fn read_manifest(folder: &Path) -> Result<Stored, KernelError> {
    let path = folder.join(MANIFEST);
    let text = fs::read(&path).map_err(io("read", &path))?;
    let stored: Stored = serde_json::from_slice(&text).map_err(|error| KernelError::Unexpected {
        what: path.display().to_string(),
        reason: error.to_string(),
    })?;
    if stored.format != FORMAT {
        let reason = format!("form {} where {FORMAT} is understood", stored.format);
        return Err(KernelError::Unexpected { what: path.display().to_string(), reason });
    }
    if !stored.files.contains_key(IMAGE) {
        return Err(KernelError::Unexpected {
            what: path.display().to_string(),
            reason: "no image".to_owned(),
        });
    }
    Ok(stored)
}

/// The file that boots.
pub(crate) const IMAGE: &str = "image";
/// The file with symbols and line numbers.
pub(crate) const VMLINUX: &str = "vmlinux";
/// The symbol table.
pub(crate) const SYSTEM_MAP: &str = "System.map";
/// The merged configuration.
pub(crate) const CONFIG: &str = "config";

impl Stored {
    /// The facts that downstream needs, with paths into `folder`.
    fn image(&self, folder: &Path) -> KernelImage {
        let file = |name: &str| self.files.contains_key(name).then(|| folder.join(name));
        let has_modules = self.files.keys().any(|name| name.starts_with("modules/"));
        KernelImage {
            key: self.key.clone(),
            release: self.release.clone(),
            source_version: self.source_version.clone(),
            image: folder.join(IMAGE),
            vmlinux: file(VMLINUX),
            system_map: file(SYSTEM_MAP),
            config: file(CONFIG),
            modules: has_modules.then(|| folder.join(MODULES)),
            image_sha256: self.files.get(IMAGE).cloned().unwrap_or_default(),
            toolchain: self.toolchain.clone(),
            build_seconds: 0.0,
        }
    }
}

/// Turns a draft into an entry: made readable for everybody, made durable, moved to its place in one step. If the
/// place is taken, what is there stays. Gives the image with the seconds that its build took.
pub(crate) fn publish(layout: &Layout, draft: &Draft<'_>) -> Result<(KernelImage, Lock), KernelError> {
    let (files, bytes) = settle(draft.folder)?;
    let stored = Stored {
        format: FORMAT,
        key: draft.key.clone(),
        base: draft.base.clone(),
        series: draft.series.clone(),
        options: draft.options.clone(),
        release: draft.release.clone(),
        source_version: draft.source_version.clone(),
        toolchain: draft.toolchain.clone(),
        build_seconds: draft.build_seconds,
        build_steps: draft.build_steps,
        bytes,
        files,
    };
    let text = serde_json::to_vec_pretty(&stored).expect("a manifest has only strings, numbers and maps");
    folder::write_durably(&draft.folder.join(USED), b"")?;
    folder::write_durably(&draft.folder.join(MANIFEST), &text)?;
    folder::publish(draft.folder, &layout.image(&draft.key))?;
    match find(layout, &draft.key)? {
        Found::Sound(image, pin) => Ok((KernelImage { build_seconds: draft.build_seconds, ..*image }, pin)),
        Found::Damaged { reason } => {
            Err(KernelError::Unexpected { what: format!("kernel {} just published", draft.key), reason })
        }
        Found::Nothing => Err(KernelError::Unexpected {
            what: format!("kernel {} just published", draft.key),
            reason: "another process is removing it".to_owned(),
        }),
    }
}

/// Makes the files of a draft ours and durable, and digests them. What a build left there is untrusted: anything but
/// folders and regular files is refused.
fn settle(root: &Path) -> Result<(BTreeMap<String, String>, u64), KernelError> {
    let (mut files, mut bytes) = (BTreeMap::new(), 0);
    let ours = crate::sandbox::owner().map(|_| (nix::unistd::geteuid(), nix::unistd::getegid()));
    folder::visit(root, &mut |path, metadata| {
        folder::give(path, ours)?;
        let mode = if metadata.is_dir() { 0o755 } else { 0o644 };
        if metadata.is_dir() {
            fs::set_permissions(path, Permissions::from_mode(mode)).map_err(io("open up", path))?;
            return Ok(());
        }
        let file = folder::open_regular(path)?;
        file.set_permissions(Permissions::from_mode(mode)).map_err(io("open up", path))?;
        file.sync_all().map_err(io("sync", path))?;
        let name = path.strip_prefix(root).expect("visited below its root");
        let name = name.to_str().ok_or_else(|| KernelError::Unexpected {
            what: path.display().to_string(),
            reason: "a name that is not UTF-8".to_owned(),
        })?;
        files.insert(name.to_owned(), digest::of_file(path)?);
        bytes += metadata.len();
        Ok(())
    })?;
    folder::visit(root, &mut |path, metadata| if metadata.is_dir() { folder::sync(path) } else { Ok(()) })?;
    Ok((files, bytes))
}

/// Moves a damaged entry out of the way, for somebody to look at; says where it is now.
pub(crate) fn set_aside(layout: &Layout, key: &str) -> Result<PathBuf, KernelError> {
    let from = layout.image(key);
    // Its own folder, since the same key may be damaged twice.
    let place = tempfile::Builder::new()
        .prefix(&format!("{}-", key.get(..12).unwrap_or(key)))
        .tempdir_in(layout.damaged())
        .map_err(io("create a folder in", layout.damaged()))?
        .keep();
    let to = place.join(key);
    fs::rename(&from, &to).map_err(io("set aside", &from))?;
    folder::sync(&layout.images())?;
    Ok(to)
}

/// An error and its causes in one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}
