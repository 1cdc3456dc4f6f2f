//! Kernels that somebody else built: what make left in a developer's build folder, taken into the cache so that it
//! cannot change while it boots and an unprivileged machine can read it. The build folder is only read.

use std::{
    fs,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    time::Duration,
};

use measure::KernelImage;
use subprocess::Tool;

use crate::{
    KernelError,
    cache::{self, CONFIG, Draft, Found, IMAGE, SYSTEM_MAP},
    digest::Fields,
    error::{io, tool, user_file},
    folder, lock, prebuilt,
    progress::{Listener, stage},
    site::Site,
    work::Work,
};

/// Stripping a kernel, or a few thousand modules, on a slow disk.
const STRIP_DEADLINE: Duration = Duration::from_secs(1200);
/// Another process takes the same kernel.
const LOCK_DEADLINE: Duration = Duration::from_secs(3600);
/// Modules for one call of strip: far below the longest command line.
const BATCH: usize = 500;

/// Kernels of one build folder that stay in the cache: a developer goes back and forth between a few, and builds hundreds.
const KEPT: usize = 4;

/// A kernel that is built already, with its modules where make left them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finished {
    /// Where it comes from: the absolute path of the build folder.
    pub name: String,
    /// A bzImage, or a vmlinux with a PVH note.
    pub image: PathBuf,
    /// Whether the image is a vmlinux, which boots as well without its symbols and takes a tenth of the room.
    pub strip: bool,
    /// Its `.config`.
    pub config: PathBuf,
    /// Its `System.map`, if there is one.
    pub system_map: Option<PathBuf>,
    /// What it calls itself.
    pub release: String,
    /// Each module's file and its place in `lib/modules/RELEASE`.
    pub modules: Vec<(PathBuf, PathBuf)>,
    /// `modules.builtin` and its like, which go beside the modules; those that are not there are left out.
    pub lists: Vec<PathBuf>,
}

impl Finished {
    /// The files that decide what boots.
    fn files(&self) -> impl Iterator<Item = &Path> {
        [&self.image, &self.config]
            .into_iter()
            .chain(self.modules.iter().map(|(file, _)| file))
            .map(PathBuf::as_path)
    }

    /// Which files they are at present: by place, size and time of change, as make tells them apart. Reading them all would
    /// take longer than a boot.
    fn identity(&self) -> Result<String, KernelError> {
        let mut lines = String::new();
        for file in self.files() {
            let found = fs::metadata(file).map_err(user_file("find", file))?;
            lines.push_str(&format!(
                "{} {} {} {} {}.{}\n",
                file.display(),
                found.dev(),
                found.ino(),
                found.size(),
                found.mtime(),
                found.mtime_nsec()
            ));
        }
        Ok(lines)
    }
}

/// The kernel as an entry of the cache: found, or copied there now.
pub(crate) fn adopt(
    site: &Site,
    finished: &Finished,
    listener: &mut Listener<'_>,
) -> Result<KernelImage, KernelError> {
    let identity = finished.identity()?;
    let key = Fields::new("finished build 1").with("files", &identity).finish();
    if let Some(image) = found(site, &key)? {
        return Ok(image);
    }
    let _lock = lock::exclusive(&site.layout.lock("adopted", &key), &finished.name, LOCK_DEADLINE, listener)?;
    if let Some(image) = found(site, &key)? {
        return Ok(image);
    }
    stage(listener, format!("take the kernel of {}", finished.name));
    let work = Work::new(&site.layout)?;
    let entry = work.at("entry");
    folder::create(&entry)?;
    let image = entry.join(IMAGE);
    if finished.strip {
        strip(site, &["--strip-all"], &["-o".as_ref(), image.as_ref(), finished.image.as_ref()])?;
    } else {
        copy(&finished.image, &image)?;
    }
    copy(&finished.config, &entry.join(CONFIG))?;
    if let Some(map) = &finished.system_map {
        copy(map, &entry.join(SYSTEM_MAP))?;
    }
    if !finished.modules.is_empty() {
        modules(site, finished, &entry.join("modules"))?;
    }
    if finished.identity()? != identity {
        return Err(KernelError::Unexpected {
            what: format!("the kernel of {}", finished.name),
            reason: "it changed while it was copied: make is at work (remedy: wait for it)".to_owned(),
        });
    }
    let draft = Draft {
        folder: &entry,
        key,
        base: finished.name.clone(),
        series: Vec::new(),
        options: Vec::new(),
        release: finished.release.clone(),
        source_version: format!("built in {}", finished.name),
        toolchain: String::new(),
        build_seconds: 0.0,
        build_steps: 0,
    };
    let (image, pin) = cache::publish(&site.layout, &draft)?;
    site.pin(pin);
    cache::supersede(&site.layout, &finished.name, KEPT)?;
    Ok(image)
}

/// The entry, if it is there and sound. A damaged one is set aside.
fn found(site: &Site, key: &str) -> Result<Option<KernelImage>, KernelError> {
    match cache::find(&site.layout, key)? {
        Found::Sound(image, pin) => {
            site.pin(pin);
            Ok(Some(*image))
        }
        Found::Nothing => Ok(None),
        Found::Damaged { .. } => cache::set_aside(&site.layout, key).map(|_| None),
    }
}

/// Lays the modules out as `make modules_install` would, without running anybody's Makefile: stripped, indexed, unsigned.
fn modules(site: &Site, finished: &Finished, root: &Path) -> Result<(), KernelError> {
    let tree = root.join("lib/modules").join(&finished.release);
    folder::create(&tree)?;
    let mut order = String::new();
    let mut copies = Vec::new();
    for (file, place) in &finished.modules {
        let to = tree.join(place);
        if let Some(parent) = to.parent() {
            folder::create(parent)?;
        }
        copy(file, &to)?;
        order.push_str(&format!("{}\n", place.display()));
        copies.push(to);
    }
    for batch in copies.chunks(BATCH) {
        strip(
            site,
            &["--strip-debug"],
            &batch.iter().map(PathBuf::as_ref).collect::<Vec<&std::ffi::OsStr>>(),
        )?;
    }
    folder::write_durably(&tree.join("modules.order"), order.as_bytes())?;
    for list in &finished.lists {
        match (fs::read(list), list.file_name()) {
            (Ok(text), Some(name)) => folder::write_durably(&tree.join(name), &text)?,
            (Err(error), _) if error.kind() == std::io::ErrorKind::NotFound => {}
            (Err(error), _) => return Err(user_file("read", list)(error)),
            (Ok(_), None) => {}
        }
    }
    prebuilt::index_modules(site, root, &finished.release)
}

fn copy(from: &Path, to: &Path) -> Result<(), KernelError> {
    fs::copy(from, to).map(|_| ()).map_err(user_file("copy", from))?;
    // What the user's mode bits say is the user's; depmod and the guest's user read these.
    fs::set_permissions(to, std::os::unix::fs::PermissionsExt::from_mode(0o644)).map_err(io("open up", to))
}

/// binutils' strip, as the caller: what it reads is the caller's own, who is about to boot it.
fn strip(site: &Site, flags: &[&str], files: &[&std::ffi::OsStr]) -> Result<(), KernelError> {
    Tool::new("strip")
        .args(flags)
        .args(files)
        .deadline(STRIP_DEADLINE)
        .run(&site.supervisor)
        .map(|_| ())
        .map_err(tool("strip the kernel's symbols"))
}
