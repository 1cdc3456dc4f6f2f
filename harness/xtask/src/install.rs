//! `cargo xtask install`: `assay` for everyday use, with completions and man pages, below a prefix.
//!
//! Program, agent and data stay together in `lib/assay`, where `assay` looks for them; `bin/assay` is a link. The folder is made
//! anew beside the old one and takes its place when it is complete.

use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};

use crate::{run, run::Run, setup};

/// What `assay` reads besides its own program.
const DATA: [&str; 3] = ["kernels", "patches", "scenarios"];

/// Each shell, and where it looks for completions below a prefix.
const COMPLETIONS: [(&str, &str); 3] = [
    ("bash", "share/bash-completion/completions/assay"),
    ("zsh", "share/zsh/site-functions/_assay"),
    ("fish", "share/fish/vendor_completions.d/assay.fish"),
];

/// Builds, puts everything in place, and says what it did.
pub(crate) fn install(prefix: Option<PathBuf>) -> Result<()> {
    let prefix = match prefix {
        Some(prefix) => std::path::absolute(prefix).context("resolving the prefix")?,
        None => home()?.join(".local"),
    };
    setup::build()?;
    let built = run::assay();
    let beside = setup::GUEST_PROGRAMS.into_iter().chain(["libinsncount.so"]);
    let programs: Vec<_> =
        std::iter::once(built.clone()).chain(beside.map(|name| built.with_file_name(name))).collect();
    for line in place(&prefix, &programs, &run::top())? {
        println!("{line}");
    }
    let bin = prefix.join("bin");
    let path = std::env::var_os("PATH").unwrap_or_default();
    if !std::env::split_paths(&path).any(|folder| folder == bin) {
        println!("{} is not in PATH: add it, or call {}", bin.display(), bin.join("assay").display());
    }
    Ok(())
}

fn home() -> Result<PathBuf> {
    std::env::var_os("HOME").map(PathBuf::from).context("HOME is not set: name a folder with --prefix")
}

/// Puts these programs, the first of which is `assay`, and the data of the project at `top` below `prefix`. A line for each
/// thing that is in place then.
fn place(prefix: &Path, programs: &[PathBuf], top: &Path) -> Result<Vec<String>> {
    let lib = prefix.join("lib/assay");
    let unfinished = prefix.join("lib/assay.unfinished");
    remove(&unfinished)?;
    make(&unfinished)?;
    for program in programs {
        let name = program.file_name().context("a program has a name")?;
        copy(program, &unfinished.join(name))?;
    }
    for folder in DATA {
        copy_folder(&top.join(folder), &unfinished.join(folder))?;
    }
    // What runs at the moment keeps the files that it has open.
    let old = prefix.join("lib/assay.old");
    remove(&old)?;
    if lib.exists() {
        fs::rename(&lib, &old).with_context(|| format!("moving {}", lib.display()))?;
    }
    fs::rename(&unfinished, &lib).with_context(|| format!("publishing {}", lib.display()))?;
    remove(&old)?;

    let link = prefix.join("bin/assay");
    make(&prefix.join("bin"))?;
    let fresh = link.with_extension("unfinished");
    remove(&fresh)?;
    symlink("../lib/assay/assay", &fresh).with_context(|| format!("linking {}", fresh.display()))?;
    fs::rename(&fresh, &link).with_context(|| format!("publishing {}", link.display()))?;

    let assay = lib.join("assay");
    let mut done = vec![
        format!("{}  links to {}", link.display(), assay.display()),
        format!("{}  program, guest agent, {}", lib.display(), DATA.join(", ")),
    ];
    for (shell, path) in COMPLETIONS {
        let path = prefix.join(path);
        let hook = Run::new(&assay).args(["completions", shell]).output()?;
        make(path.parent().context("a completion is in a folder")?)?;
        fs::write(&path, hook).with_context(|| format!("writing {}", path.display()))?;
        let note = if shell == "zsh" { ", once its folder is in fpath" } else { "" };
        done.push(format!("{}  completions for {shell}{note}", path.display()));
    }
    let manual = prefix.join("share/man/man1");
    make(&manual)?;
    Run::new(&assay).args(["man".as_ref(), manual.as_os_str()]).output()?;
    done.push(format!("{}  man pages: man assay, man assay-run", manual.display()));
    Ok(done)
}

fn make(folder: &Path) -> Result<()> {
    fs::create_dir_all(folder).with_context(|| format!("creating {}", folder.display()))
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::copy(from, to).map(drop).with_context(|| format!("copying {} to {}", from.display(), to.display()))
}

/// Folders and plain files, which is all that there is.
fn copy_folder(from: &Path, to: &Path) -> Result<()> {
    make(to)?;
    for entry in fs::read_dir(from).with_context(|| format!("reading {}", from.display()))? {
        let entry = entry.with_context(|| format!("reading {}", from.display()))?;
        let (from, to) = (entry.path(), to.join(entry.file_name()));
        if from.is_dir() { copy_folder(&from, &to)? } else { copy(&from, &to)? }
    }
    Ok(())
}

/// Removes a file, a link or a folder, if it is there.
fn remove(path: &Path) -> Result<()> {
    let removed = match fs::symlink_metadata(path) {
        Err(_) => return Ok(()),
        Ok(found) if found.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
    };
    removed.with_context(|| format!("removing {}", path.display()))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    /// A program that answers as `assay` does: a hook on standard output, pages into a folder.
    fn program(folder: &Path, text: &str) -> PathBuf {
        let path = folder.join("assay");
        let script = format!("#!/bin/sh\n# {text}\n[ $1 = man ] && : > $2/assay.1 || echo hook for $2\n");
        fs::write(&path, script).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        path
    }

    #[test]
    fn a_second_installation_takes_the_first_ones_place() {
        let scratch = std::env::temp_dir().join(format!("assay-install-{}", std::process::id()));
        let (top, prefix) = (scratch.join("top"), scratch.join("prefix"));
        for folder in DATA {
            fs::create_dir_all(top.join(folder).join("inner")).unwrap();
            fs::write(top.join(folder).join("inner/file"), folder).unwrap();
        }
        let read = |path: &str| fs::read_to_string(prefix.join(path)).unwrap();
        place(&prefix, &[program(&scratch, "first")], &top).unwrap();
        assert_eq!(read("lib/assay/patches/inner/file"), "patches");
        assert_eq!(read("share/fish/vendor_completions.d/assay.fish"), "hook for fish\n");
        assert!(prefix.join("share/man/man1/assay.1").exists());

        fs::remove_dir_all(top.join("patches/inner")).unwrap();
        let done = place(&prefix, &[program(&scratch, "second")], &top).unwrap();
        assert!(read("bin/assay").contains("second"), "the link leads to the new program");
        assert!(!prefix.join("lib/assay/patches/inner").exists(), "nothing of the old one is left");
        assert!(!prefix.join("lib/assay.old").exists() && !prefix.join("lib/assay.unfinished").exists());
        assert_eq!(done.len(), 2 + COMPLETIONS.len() + 1);
        fs::remove_dir_all(scratch).unwrap();
    }
}
