//! A world for one fault: processes, network, mounts and temporary folders of its own, of which we are the first process.
#![expect(
    clippy::disallowed_methods,
    reason = "faults are injected from outside: the supervisor is one of the things that break"
)]

use std::{
    cell::Cell,
    collections::BTreeSet,
    ffi::OsString,
    fs::{self, File},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use nix::{
    mount::{MntFlags, MsFlags, mount, umount2},
    sys::statvfs::statvfs,
};

use crate::{
    census::{Census, TEMPORARY},
    child::{Said, Started},
    fault::Ending,
    scene::Scene,
};

/// Where everything of a world is. Short: a socket's path must fit into 107 bytes.
pub(crate) const ROOM: &str = "/tmp/f";
/// KiB of a disk that is large enough for everything here.
const ROOMY: u64 = 8 << 20;
/// A folder that is there on every system, to move mounts through.
const ASIDE: &str = "/mnt";
/// What a fault itself needs; not counted.
pub(crate) const OWN: &str = "/tmp/f/own";
/// What is written to the machine's cache.
const LAYER: &str = "/var/tmp/layer";
/// Root's cache of kernels on this machine.
const MACHINES_CACHE: &str = "/var/cache/assay";

/// The world that we are the first process of.
#[derive(Debug)]
pub(crate) struct World {
    /// The project's top folder.
    pub(crate) top: PathBuf,
    pub(crate) scene: Scene,
    assay: PathBuf,
    /// What comes before `assay` in its next command: a program that sets a limit and becomes it.
    pub(crate) through: Vec<String>,
    /// Variables for the next commands.
    pub(crate) variables: Vec<(OsString, OsString)>,
    /// KiB that such a run leaves in the results and in the cache.
    pub(crate) used: (u64, u64),
    /// What its guests boot besides their kernels.
    pub(crate) boots: BTreeSet<PathBuf>,
    /// How long a run takes that finds everything in the cache.
    pub(crate) usual: Duration,
    /// What was there before anything was run, and after the first run that nobody disturbed.
    pub(crate) before: Census,
    /// The names in the run that nobody disturbed.
    pub(crate) names: BTreeSet<String>,
    said: Cell<u32>,
    visible: Vec<PathBuf>,
}

impl World {
    /// Makes the world around us, and runs its scene once without a fault: that fills the cache, and shows what is usual.
    pub(crate) fn enter(scene: Scene) -> Result<Self> {
        ensure!(std::process::id() == 1, "a world begins with its first process: run it through unshare(1)");
        let (top, assay) = (tests::top(), tests::assay());
        let programs = assay.parent().context("assay is in a folder")?.to_owned();
        let visible: Vec<PathBuf> = [top.clone(), programs].into();
        private_folders(&visible)?;
        for folder in ["home", "said", "own", "cache", "results"] {
            let path = Path::new(ROOM).join(folder);
            fs::create_dir_all(&path).with_context(|| format!("creating {}", path.display()))?;
            if matches!(folder, "cache" | "results") {
                tmpfs(&path, &format!("mode=755,{}", size(ROOMY)))?;
            }
        }
        // Builds and guests run as a user of their own.
        fs::set_permissions(ROOM, fs::Permissions::from_mode(0o755)).context("opening up the room")?;
        let mut world = Self {
            top,
            scene,
            assay,
            through: vec![],
            variables: vec![],
            used: (0, 0),
            boots: BTreeSet::new(),
            usual: Duration::ZERO,
            before: Census::default(),
            names: BTreeSet::new(),
            said: Cell::new(0),
            visible,
        };
        scene.prepare(&world)?;
        world.undisturbed()?;
        world.before = world.census()?;
        Ok(world)
    }

    fn undisturbed(&mut self) -> Result<()> {
        let expected = Ending::Exit(self.scene.exit());
        // The first fills the cache; where the machine's is there it has nothing to fill.
        for _ in 0..if self.scene == Scene::Guests { 1 } else { 2 } {
            self.forget_results()?;
            let begin = Instant::now();
            let said = self.start()?.wait()?;
            self.usual = begin.elapsed();
            ensure!(said.ending == expected, "without any fault it ends otherwise:\n{}", said.all());
        }
        let run = self.run()?.context("a run that nobody disturbed has a folder")?;
        self.names = names(&run)?;
        self.boots = boots(&run)?;
        self.used = (kib_in(&self.results())?, kib_in(&self.cache())?);
        self.forget_results()
    }

    /// Where runs go.
    pub(crate) fn results(&self) -> PathBuf {
        Path::new(ROOM).join("results")
    }

    /// The cache.
    pub(crate) fn cache(&self) -> PathBuf {
        Path::new(ROOM).join("cache")
    }

    /// Starts the scene's command.
    pub(crate) fn start(&self) -> Result<Started> {
        self.begin(&self.scene.command(), None)
    }

    /// Starts the scene's command with this terminal in place of its streams.
    pub(crate) fn start_on(&self, terminal: File) -> Result<Started> {
        self.begin(&self.scene.command(), Some(terminal))
    }

    /// Starts `assay` with these arguments.
    pub(crate) fn assay(&self, arguments: &[impl AsRef<str>]) -> Result<Started> {
        let arguments: Vec<String> = arguments.iter().map(|word| word.as_ref().to_owned()).collect();
        self.begin(&arguments, None)
    }

    fn begin(&self, arguments: &[String], terminal: Option<File>) -> Result<Started> {
        let mut words = self.through.clone();
        words.push(self.assay.display().to_string());
        let (results, cache) = (self.results(), self.cache());
        words.extend(["--results".into(), results.display().to_string()]);
        words.extend(["--cache".into(), cache.display().to_string()]);
        words.extend_from_slice(arguments);
        let (program, rest) = words.split_first().context("a command has a program")?;
        let number = self.said.get();
        self.said.set(number + 1);
        let file = |stream: &str| Path::new(ROOM).join("said").join(format!("{number}.{stream}"));
        let (stdout, stderr) = (file("out"), file("err"));
        let open = |path: &Path| File::create(path).with_context(|| format!("creating {}", path.display()));
        let mut command = Command::new(program);
        command
            .args(rest)
            .current_dir(&self.top)
            .env("HOME", format!("{ROOM}/home"))
            .env_remove("TMPDIR")
            .env_remove("XDG_RUNTIME_DIR")
            .env_remove("XDG_STATE_HOME")
            .env_remove("XDG_CACHE_HOME")
            .env_remove("ASSAY_CACHE")
            .env_remove("ASSAY_PROJECT")
            .envs(self.variables.iter().cloned())
            .stdin(Stdio::null())
            .stdout(open(&stdout)?)
            .stderr(open(&stderr)?);
        if let Some(terminal) = terminal {
            let again = || terminal.try_clone().context("copying a terminal's descriptor");
            command.stdin(again()?).stdout(again()?).stderr(again()?);
        }
        let child = command.spawn().with_context(|| format!("starting {program}"))?;
        Ok(Started { child, stdout, stderr })
    }

    /// Runs a tool of the host to a good end; gives its standard output.
    pub(crate) fn tool(&self, program: &str, arguments: &[&str]) -> Result<String> {
        let output = Command::new(program)
            .args(arguments)
            .current_dir(&self.top)
            .stdin(Stdio::null())
            .output()
            .with_context(|| format!("starting {program}"))?;
        if !output.status.success() {
            bail!("{program}: {}", String::from_utf8_lossy(&output.stderr));
        }
        String::from_utf8(output.stdout).with_context(|| format!("{program} wrote no UTF-8"))
    }

    /// The folder of the newest run, if one was begun.
    pub(crate) fn run(&self) -> Result<Option<PathBuf>> {
        let Ok(entries) = fs::read_dir(self.results()) else { return Ok(None) };
        let mut runs = Vec::new();
        for entry in entries {
            let path = entry.context("reading the results")?.path();
            if path.join("run.json").is_file() {
                runs.push(path);
            }
        }
        runs.sort();
        Ok(runs.pop())
    }

    /// Whether the trial at this index is finished, in any run.
    pub(crate) fn finished(&self, index: u32) -> Result<bool> {
        Ok(self.run()?.is_some_and(|run| run.join(format!("trials/{index}/trial.json")).is_file()))
    }

    /// Removes all runs.
    pub(crate) fn forget_results(&self) -> Result<()> {
        empty(&self.results())
    }

    /// What is there now.
    pub(crate) fn census(&self) -> Result<Census> {
        let cache = self.cache();
        let mut besides = self.visible.clone();
        besides.extend([
            self.results(),
            self.cache(),
            Path::new(ROOM).join("said"),
            OWN.into(),
            LAYER.into(),
        ]);
        // Of the machine's own cache what was changed is enough.
        let changed = Path::new(LAYER).join("upper");
        if self.scene != Scene::Guests {
            return Census::take(&cache, &besides);
        }
        let mut census = Census::take(&changed, &besides)?;
        // What was made anew in its old place is not left behind.
        let lower = machines_cache();
        census.cache.retain(|path| match Path::new(path).strip_prefix(&changed) {
            Ok(name) => !lower.join(name).exists(),
            Err(_) => true,
        });
        Ok(census)
    }

    /// Gives the disk of the results or of the cache so many KiB, of which what is there takes its part; all that it may want if none
    /// are named.
    pub(crate) fn resize(&self, disk: &Path, kib: Option<u64>) -> Result<()> {
        let none: Option<&str> = None;
        let size = size(kib.unwrap_or(ROOMY));
        mount(none, disk, none, MsFlags::MS_REMOUNT, Some(size.as_str()))
            .with_context(|| format!("resizing {}", disk.display()))
    }

    /// Makes the disk of the results or of the cache read-only, or writable again.
    pub(crate) fn read_only(&self, disk: &Path, yes: bool) -> Result<()> {
        let none: Option<&str> = None;
        let flag = if yes { MsFlags::MS_RDONLY } else { MsFlags::empty() };
        mount(none, disk, none, MsFlags::MS_REMOUNT | flag, none)
            .with_context(|| format!("changing the mount of {}", disk.display()))
    }

    /// The machine's cache with a layer over it that takes every change, and goes with the world.
    pub(crate) fn layer_over_the_machines_cache(&self) -> Result<()> {
        let lower = machines_cache();
        let shown = lower.display();
        ensure!(lower.is_dir(), "there is no cache of kernels in {shown}: cargo xtask test builds them");
        let layer = Path::new(LAYER);
        for folder in ["upper", "work"] {
            fs::create_dir_all(layer.join(folder)).context("creating the layer's folders")?;
        }
        // Folders of the lower one may be renamed.
        let options =
            format!("lowerdir={shown},upperdir={0}/upper,workdir={0}/work,redirect_dir=on", layer.display());
        mount(Some("overlay"), &self.cache(), Some("overlay"), MsFlags::empty(), Some(options.as_str()))
            .with_context(|| format!("laying a file system over {shown}"))
    }
}

/// The names in a run's folder, those of its folders included.
pub(crate) fn names(run: &Path) -> Result<BTreeSet<String>> {
    fn walk(top: &Path, folder: &Path, found: &mut BTreeSet<String>) -> Result<()> {
        for entry in fs::read_dir(folder).with_context(|| format!("reading {}", folder.display()))? {
            let path = entry.context("reading a run")?.path();
            if let Ok(name) = path.strip_prefix(top) {
                found.insert(name.display().to_string());
            }
            if path.is_dir() {
                walk(top, &path, found)?;
            }
        }
        Ok(())
    }
    let mut found = BTreeSet::new();
    walk(run, run, &mut found)?;
    Ok(found)
}

/// The images that a run's guests booted, as its `environment.json` names them.
fn boots(run: &Path) -> Result<BTreeSet<PathBuf>> {
    let text = fs::read(run.join("environment.json")).context("reading what the guests booted")?;
    let environment: serde_json::Value =
        serde_json::from_slice(&text).context("reading what the guests booted")?;
    let arms = environment["boots"].as_object().into_iter().flatten();
    let images = arms.flat_map(|(_, boot)| ["initramfs", "root_disk"].map(|name| &boot[name]["path"]));
    Ok(images.filter_map(|path| Some(PathBuf::from(path.as_str()?))).collect())
}

fn machines_cache() -> PathBuf {
    std::env::var_os("ASSAY_CACHE").map_or_else(|| MACHINES_CACHE.into(), PathBuf::from)
}

/// The text of both streams without what differs from machine to machine.
pub(crate) fn portable(text: &str, top: &Path) -> String {
    text.replace(&format!("{}/", top.display()), "").replace(&format!("{ROOM}/"), "")
}

/// Removes what is in a folder.
pub(crate) fn empty(folder: &Path) -> Result<()> {
    for entry in fs::read_dir(folder).with_context(|| format!("reading {}", folder.display()))? {
        let path = entry.with_context(|| format!("reading {}", folder.display()))?.path();
        if path.is_dir() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) }
            .with_context(|| format!("removing {}", path.display()))?;
    }
    Ok(())
}

fn size(kib: u64) -> String {
    format!("size={kib}k")
}

/// What is used of the file system that `folder` is on.
pub(crate) fn kib_in(folder: &Path) -> Result<u64> {
    let found = statvfs(folder).with_context(|| format!("looking at {}", folder.display()))?;
    Ok((found.blocks() - found.blocks_free()) * found.fragment_size() / 1024)
}

fn tmpfs(place: &Path, options: &str) -> Result<()> {
    mount(Some("tmpfs"), place, Some("tmpfs"), MsFlags::empty(), Some(options))
        .with_context(|| format!("mounting a tmpfs on {}", place.display()))
}

/// Empty file systems in place of the machine's temporary folders; those of `visible` that are in one stay where they are.
fn private_folders(visible: &[PathBuf]) -> Result<()> {
    tmpfs(Path::new(ASIDE), "mode=755")?;
    let hidden: Vec<&PathBuf> =
        visible.iter().filter(|path| TEMPORARY.iter().any(|folder| path.starts_with(folder))).collect();
    let aside = |index: usize| Path::new(ASIDE).join(index.to_string());
    let none: Option<&str> = None;
    for (index, path) in hidden.iter().enumerate() {
        fs::create_dir_all(aside(index)).context("creating a place for a mount")?;
        mount(Some(*path), &aside(index), none, MsFlags::MS_BIND | MsFlags::MS_REC, none)
            .with_context(|| format!("keeping {} in sight", path.display()))?;
    }
    for folder in TEMPORARY.iter().map(Path::new).filter(|folder| folder.is_dir()) {
        tmpfs(folder, "mode=1777")?;
    }
    for (index, path) in hidden.iter().enumerate() {
        fs::create_dir_all(path).with_context(|| format!("creating {}", path.display()))?;
        mount(Some(&aside(index)), *path, none, MsFlags::MS_MOVE, none)
            .with_context(|| format!("putting {} back", path.display()))?;
    }
    umount2(ASIDE, MntFlags::empty()).context("unmounting the place for mounts")
}

/// What a fault does when it only has to run the scene's command to its end.
pub(crate) fn to_the_end(world: &World) -> Result<Said> {
    world.start()?.wait()
}
