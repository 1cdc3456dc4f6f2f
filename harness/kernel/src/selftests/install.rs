//! make in the sandbox: the kernel's headers for user space, then the tests.

use std::{
    collections::BTreeMap,
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    time::Duration,
};

use nix::unistd::syncfs;
use subprocess::{Output, Supervisor};

use super::log::failures;
use crate::{
    KernelError, build,
    error::{io, sys, tool},
    folder,
    sandbox::{self, OBJECTS, OUTPUT, SOURCE, Sandbox},
};

/// The tests of networking take a minute, those of BPF twenty.
const DEADLINE: Duration = Duration::from_secs(2 * 3600);
/// Where programs are called by the names that Makefiles use, first in the sandbox's path.
const AWK: &str = "/tools/awk";
const PATH: &str = "/tools:/usr/bin:/usr/sbin";
/// The names of all programs, one a line, as the tree's own runner has them.
const LIST: &str = "kselftest-list.txt";
/// Larger than any such list or log.
const MAX_BYTES: u64 = 64 << 20;

/// A build that is to be made.
pub(super) struct Installation<'a> {
    pub(super) supervisor: &'a Supervisor,
    /// A Debian root with the compiler and the libraries.
    pub(super) root: &'a Path,
    /// Private, patched.
    pub(super) tree: &'a Path,
    pub(super) build: PathBuf,
    pub(super) output: PathBuf,
    pub(super) log: PathBuf,
}

impl Installation<'_> {
    /// Builds and installs; gives the programs that could not be built, with the reasons. The inner error is the tree's:
    /// nothing could be built at all.
    pub(super) fn make(
        &self,
        collections: &[String],
    ) -> Result<Result<BTreeMap<String, String>, String>, KernelError> {
        folder::create_for(&self.build, sandbox::owner())?;
        folder::create_for(&self.output, sandbox::owner())?;
        let objects = format!("O={OBJECTS}");
        let headers = self.run(&[&objects, "headers"])?;
        if !headers.ended.is_success() {
            return Ok(Err(last_lines(&headers.stderr)));
        }
        let targets = format!("TARGETS={}", collections.join(" "));
        let output = format!("INSTALL_PATH={OUTPUT}");
        let jobs = format!("-j{}", std::thread::available_parallelism().map_or(1, usize::from));
        // One program that does not build must not keep the others from being installed (`--ignore-errors`), and the
        // words of each must stay together.
        let words = ["-C", "tools/testing/selftests", "--ignore-errors", "--output-sync=target", &jobs];
        let installed = self.run(&[&words[..], &[&objects, &targets, &output, "install"]].concat())?;
        if let Some(reason) =
            build::host_failure(&String::from_utf8_lossy(&installed.stderr), installed.ended)
        {
            return Err(KernelError::BuildInterrupted { reason, log: self.log.clone() });
        }
        self.settle()?;
        let list = self.output.join(LIST);
        if !list.is_file() {
            return Ok(Err(last_lines(&installed.stderr)));
        }
        let list = folder::read_regular(&list, MAX_BYTES)?;
        let log = fs::read(&self.log).map_err(io("read", &self.log))?;
        Ok(Ok(missing(&String::from_utf8_lossy(&list), &self.output, &String::from_utf8_lossy(&log))))
    }

    fn run(&self, words: &[&str]) -> Result<Output, KernelError> {
        Sandbox::in_root(self.root)
            .write(self.tree, SOURCE)
            .write(&self.build, OBJECTS)
            .write(&self.output, OUTPUT)
            // Debian makes this link when the package is installed, by a script, and the one that is called cc.
            .read(&self.root.join("usr/bin/mawk"), AWK)
            .env("CC", "gcc")
            .env("PATH", PATH)
            .tool(SOURCE, ["make"].into_iter().chain(words.iter().copied()))
            .deadline(DEADLINE)
            .log(&self.log)
            .run_unchecked(self.supervisor)
            .map_err(tool("make selftests"))
    }

    /// Makes what was installed ours, readable for all and durable. What the build left there is untrusted: it is packed
    /// as it is, and nothing of it is run on the host.
    fn settle(&self) -> Result<(), KernelError> {
        let ours = sandbox::owner().map(|_| (nix::unistd::geteuid(), nix::unistd::getegid()));
        folder::visit(&self.output, &mut |path, metadata| {
            folder::give(path, ours)?;
            let kind = metadata.file_type();
            if kind.is_dir() || kind.is_file() {
                let executable = kind.is_dir() || metadata.permissions().mode() & 0o100 != 0;
                let mode = if executable { 0o755 } else { 0o644 };
                fs::set_permissions(path, Permissions::from_mode(mode)).map_err(io("open up", path))?;
            } else if !kind.is_symlink() {
                return Err(KernelError::Unexpected {
                    what: path.display().to_string(),
                    reason: "installed tests are folders, files and links".to_owned(),
                });
            }
            Ok(())
        })?;
        let whole = fs::File::open(&self.output).map_err(io("open", &self.output))?;
        syncfs(&whole).map_err(sys("sync", &self.output))
    }
}

/// The programs of `list` that were not installed, with what the log says of them.
fn missing(list: &str, installed: &Path, log: &str) -> BTreeMap<String, String> {
    let failures = failures(log);
    let programs = list.lines().filter_map(|line| {
        let (collection, program) = line.trim().split_once(':')?;
        let inside = Path::new(collection).join(program);
        // A name that leads out of the folder is none of an installed program.
        let there = folder::beneath(&inside).is_some_and(|inside| installed.join(inside).is_file());
        (!there).then(|| {
            let target = format!("{collection}/{program}");
            let reason = failures.iter().find(|(failed, _)| failed.ends_with(&target));
            let reason = reason.map_or("the build does not say why", |(_, reason)| reason.as_str());
            (format!("{collection}:{program}"), reason.to_owned())
        })
    });
    programs.collect()
}

fn last_lines(output: &[u8]) -> String {
    let text = String::from_utf8_lossy(output);
    let lines: Vec<&str> = text.lines().rev().take(10).collect();
    lines.into_iter().rev().collect::<Vec<_>>().join("\n")
}
