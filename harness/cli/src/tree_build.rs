//! The kernel that is built in the tree that the user stands in.

use std::{
    fs::File,
    os::fd::AsFd,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use anyhow::Context;
use kernel::{Finished, Kernels};
use kernel_tree::{BuildFolder, Image, Stale, TreeError};
use measure::KernelImage;
use subprocess::Supervisor;

use crate::{
    arguments::GuestFlags,
    builds::{of_kernel, show},
    failure::Failure,
    progress::Progress,
};

/// Which build the flags, the environment and the current folder name; none outside kernel trees, and where a base is
/// asked for.
pub(crate) fn folder(flags: &GuestFlags) -> Result<Option<BuildFolder>, Failure> {
    // Flavours and options are a base's: a tree's kernel is what its own configuration says.
    if flags.base.is_some() || flags.flavour.is_some() || !flags.option.is_empty() || !flags.series.is_empty()
    {
        return Ok(None);
    }
    let output = std::env::var_os("KBUILD_OUTPUT");
    let found =
        BuildFolder::find(Path::new("."), flags.build.as_deref(), output.as_deref()).map_err(of_tree)?;
    if found.is_none() && flags.make {
        return Err(Failure::user(
            "assay: --make: the current folder is in no kernel tree (remedy: --build DIR, a tree or an output folder)",
        ));
    }
    Ok(found)
}

/// Why no kernel of this build can be booted, if there is none.
pub(crate) fn unusable(folder: &BuildFolder) -> Result<Option<TreeError>, Failure> {
    Ok(match folder.open() {
        Ok(_) => None,
        Err(error) => users::<()>(error)?.err(),
    })
}

/// The kernel of a build, taken into the cache; made first if that is asked for.
pub(crate) fn image(
    folder: &BuildFolder,
    make: bool,
    kernels: &Kernels,
    supervisor: &Supervisor,
    progress: &mut Progress,
) -> Result<Result<KernelImage, TreeError>, Failure> {
    if make && let Err(error) = run_make(folder, supervisor, progress)? {
        return users(error);
    }
    let build = match folder.open() {
        Ok(build) => build,
        Err(error) => return users(error),
    };
    let image = match &build.image {
        Image::Vmlinux(path) | Image::BzImage(path) => path.clone(),
    };
    progress.line(format!("booting {} ({})", image.display(), build.release));
    for note in &build.notes {
        progress.line(format!("note: {note}"));
    }
    let finished = Finished {
        name: folder.path().display().to_string(),
        strip: matches!(build.image, Image::Vmlinux(_)),
        image: image.clone(),
        config: build.config,
        system_map: build.system_map,
        release: build.release,
        modules: build.modules,
        lists: ["modules.builtin", "modules.builtin.modinfo"].map(|name| folder.path().join(name)).into(),
    };
    // Both only read; together they take as long as the longer one.
    let (adopted, stale) = std::thread::scope(|scope| {
        let stale = scope.spawn(|| if make { None } else { folder.stale(&image) });
        (kernels.adopt(&finished, &mut show(progress)), stale.join().ok().flatten())
    });
    if let Some(Stale { newest, count }) = stale {
        let others = if count > 1 { format!(" (and {} more)", count - 1) } else { String::new() };
        progress.line(format!(
            "note: {}{others} was changed after the kernel was built; --make builds it first",
            newest.display()
        ));
    }
    let adopted = adopted.map_err(of_kernel)?;
    // For debuggers: where its sources and objects are, too.
    Ok(Ok(KernelImage { vmlinux: build.vmlinux, ..adopted }))
}

/// make, with its output on our standard error: standard output is for the command in the guest.
fn run_make(
    folder: &BuildFolder,
    supervisor: &Supervisor,
    progress: &mut Progress,
) -> Result<Result<(), TreeError>, Failure> {
    progress.clear();
    let output = std::io::stderr().as_fd().try_clone_to_owned().context("duplicating standard error")?;
    let stop = Arc::new(AtomicBool::new(false));
    let tokio = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("starting the asynchronous runtime")?;
    let made = tokio.block_on(async {
        let (folder, supervisor, stopped) = (folder.clone(), supervisor.clone(), Arc::clone(&stop));
        let mut make = tokio::task::spawn_blocking(move || {
            folder.run_make(&supervisor, &File::from(output), &|| stopped.load(Ordering::Relaxed))
        });
        tokio::select! {
            made = &mut make => made,
            () = crate::interrupt::asked_to_stop() => {
                stop.store(true, Ordering::Relaxed);
                make.await
            }
        }
    });
    tokio.shutdown_timeout(Duration::from_secs(2));
    if stop.load(Ordering::Relaxed) {
        return Err(Failure::Interrupted("interrupted".into()));
    }
    made.context("waiting for make").map_err(Failure::from)
}

/// The user's to mend is a value: to `git bisect run` it is a commit that cannot be tested.
fn users<T>(error: TreeError) -> Result<Result<T, TreeError>, Failure> {
    if error.is_users() { Ok(Err(error)) } else { Err(error.into()) }
}

/// Whose failure it is.
pub(crate) fn of_tree(error: TreeError) -> Failure {
    if error.is_users() { Failure::user(format!("assay: {error}")) } else { error.into() }
}
