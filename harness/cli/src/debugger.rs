//! `--gdb` and `assay gdb`: a guest says where its debugger stub and its symbols are, and gdb is started with both.

use std::{
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::Context;
use measure::KernelImage;
use plan::KernelSpec;
use serde::{Deserialize, Serialize};

use crate::{
    failure::Failure,
    places::{self, Runtime},
};

/// Where a guest describes itself, in its runtime folder.
const DESCRIPTION: &str = "debugger.json";
/// What the only guest of a machine is called.
const GUEST: &str = "guest";
/// Where the kernel's sources were while it was built: what its line numbers refer to.
const BUILT_IN: &str = "/src";

/// What gdb needs to know of a guest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Target {
    release: String,
    socket: PathBuf,
    vmlinux: Option<PathBuf>,
    /// The base's unpacked sources, where they are not where they were built.
    sources: Option<PathBuf>,
}

/// Where a kernel's sources are, whose lines its symbols name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Sources {
    /// Where they were when it was built: the user's own tree.
    InPlace,
    /// Here, as they were before the base's series were applied, if there were any.
    Unpacked { tree: PathBuf, patched: bool },
    /// Not there any more.
    Gone,
}

impl Sources {
    /// Those of a base, if its tree is still unpacked.
    pub(crate) fn of_base(tree: Option<PathBuf>, spec: &KernelSpec) -> Self {
        tree.map_or(Self::Gone, |tree| Self::Unpacked { tree, patched: !spec.series.is_empty() })
    }
}

/// Lets `assay gdb` find a guest that is about to boot, and tells the user how to attach.
pub(crate) fn announce(runtime: &Runtime, image: &KernelImage, sources: Sources) -> Result<(), Failure> {
    let target = Target {
        release: image.release.clone(),
        socket: machine::debugger_socket(runtime.folder(), GUEST),
        vmlinux: image.vmlinux.clone(),
        sources: match &sources {
            Sources::Unpacked { tree, .. } => Some(tree.clone()),
            Sources::InPlace | Sources::Gone => None,
        },
    };
    let path = runtime.folder().join(DESCRIPTION);
    let text = serde_json::to_vec(&target).context("describing the guest")?;
    fs::write(&path, text).with_context(|| format!("writing {}", path.display()))?;
    eprintln!("assay: attach with `assay gdb --pid {}`, or", std::process::id());
    eprintln!(
        "  gdb{}",
        target.arguments().iter().map(|word| format!(" {}", quoted(word))).collect::<String>()
    );
    match sources {
        _ if target.vmlinux.is_none() => {
            eprintln!("assay: this kernel came without symbols: gdb shows addresses only");
        }
        Sources::Gone => {
            eprintln!("assay: the kernel's sources are not unpacked any more: gdb shows lines by number");
        }
        Sources::Unpacked { patched: true, .. } => {
            eprintln!(
                "assay: the sources are the base's: in files that a series changes, gdb shows other lines"
            );
        }
        Sources::InPlace | Sources::Unpacked { patched: false, .. } => {}
    }
    Ok(())
}

impl Target {
    /// gdb's arguments, which attach it.
    fn arguments(&self) -> Vec<OsString> {
        let mut arguments: Vec<OsString> = vec!["-q".into()];
        let mut execute = |command: OsString| arguments.extend(["-ex".into(), command]);
        match &self.vmlinux {
            Some(vmlinux) => {
                // The kernel's own commands for gdb (`lx-ps`, `lx-dmesg`) are beside it, if it was built with them.
                if let Some(folder) = vmlinux.parent().filter(|folder| folder.join("vmlinux-gdb.py").exists())
                {
                    execute(with("add-auto-load-safe-path ", folder));
                }
                execute(with("file ", vmlinux));
            }
            None => execute("set architecture i386:x86-64".into()),
        }
        if let Some(sources) = &self.sources {
            execute(with(&format!("set substitute-path {BUILT_IN} "), sources));
        }
        execute(with("target remote ", &self.socket));
        arguments
    }
}

fn with(command: &str, path: &Path) -> OsString {
    let mut whole = OsString::from(command);
    whole.push(path);
    whole
}

/// As a shell takes it.
fn quoted(word: &OsString) -> String {
    let word = word.to_string_lossy();
    if word.contains([' ', '\'', '"', '$', '\\', '*', '?']) {
        format!("'{}'", word.replace('\'', r"'\''"))
    } else {
        word.into_owned()
    }
}

/// Becomes gdb, on the guest of this user that was booted for it.
pub(crate) fn gdb(pid: Option<u32>, arguments: Vec<OsString>) -> Result<ExitCode, Failure> {
    let target = choose(targets()?, pid)?;
    if !target.socket.exists() {
        let release = &target.release;
        return Err(Failure::user(format!(
            "assay: the guest with kernel {release} has not been started yet"
        )));
    }
    let mut all = target.arguments();
    all.extend(arguments);
    Err(subprocess::replace_ourselves("gdb", &all).into())
}

/// The guests that can be attached to, by the process id of their `assay`.
fn targets() -> Result<Vec<(u32, Target)>, Failure> {
    let mut targets = Vec::new();
    for (pid, folder) in places::living()? {
        let path = folder.join(DESCRIPTION);
        match fs::read(&path) {
            Ok(text) => {
                let target = serde_json::from_slice(&text)
                    .with_context(|| format!("{} is of another version of assay", path.display()))?;
                targets.push((pid, target));
            }
            // No guest, or none for debuggers, or it has just ended.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(error).with_context(|| format!("reading {}", path.display()))?,
        }
    }
    Ok(targets)
}

fn choose(targets: Vec<(u32, Target)>, wanted: Option<u32>) -> Result<Target, Failure> {
    let mut chosen: Vec<_> =
        targets.iter().filter(|(pid, _)| wanted.is_none_or(|wanted| *pid == wanted)).collect();
    match (chosen.pop(), chosen.is_empty()) {
        (Some((_, target)), true) => Ok(target.clone()),
        (None, _) if targets.is_empty() => Err(Failure::user(
            "assay: no guest for a debugger runs: boot one with `assay shell --gdb` or `assay exec --gdb -- COMMAND`",
        )),
        _ => {
            let list: String =
                targets.iter().map(|(pid, target)| format!("\n  --pid {pid}  {}", target.release)).collect();
            let problem = if wanted.is_some() { "no such guest; these run" } else { "which guest" };
            Err(Failure::user(format!("assay: {problem}:{list}")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(vmlinux: Option<&str>, sources: Option<&str>) -> Target {
        Target {
            release: "6.12.1".into(),
            socket: "/run/assay/7-0/gdb/guest".into(),
            vmlinux: vmlinux.map(Into::into),
            sources: sources.map(Into::into),
        }
    }

    fn words(target: &Target) -> String {
        target.arguments().iter().map(quoted).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn gdb_gets_symbols_then_sources_then_the_guest() {
        assert_eq!(
            words(&target(Some("/c/vmlinux"), Some("/c/tree"))),
            "-q -ex 'file /c/vmlinux' -ex 'set substitute-path /src /c/tree' \
             -ex 'target remote /run/assay/7-0/gdb/guest'"
        );
        assert_eq!(
            words(&target(None, None)),
            "-q -ex 'set architecture i386:x86-64' -ex 'target remote /run/assay/7-0/gdb/guest'"
        );
    }

    #[test]
    fn the_only_guest_is_chosen_and_several_are_listed() {
        let of = |pids: &[u32]| pids.iter().map(|&pid| (pid, target(None, None))).collect::<Vec<_>>();
        assert!(choose(of(&[7]), None).is_ok());
        assert!(choose(of(&[7, 8]), Some(8)).is_ok());
        let message = |targets, wanted| match choose(targets, wanted) {
            Err(failure @ Failure::User(_)) => failure.in_a_line(),
            other => panic!("{other:?}"),
        };
        assert!(message(of(&[]), None).contains("--gdb"));
        assert!(message(of(&[7, 8]), None).contains("--pid 8"));
        assert!(message(of(&[7]), Some(9)).contains("no such guest"));
    }
}
