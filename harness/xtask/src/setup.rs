//! What a fresh machine lacks: Debian packages for building kernels, and our own binaries.

use std::{fs, path::Path};

use anyhow::{Context, Result};

use crate::run::{self, Run};

/// Host packages, and what each is for.
const PACKAGES: &[(&str, &str)] = &[
    ("bc", "kernel build"),
    ("binutils", "kernel build"),
    ("bison", "kernel build"),
    ("bubblewrap", "sandbox for kernel builds"),
    ("erofs-utils", "the guest's root image"),
    ("flex", "kernel build"),
    ("gcc", "kernel build"),
    ("git", "applying series"),
    ("kmod", "module indexes of prebuilt kernels"),
    ("libelf-dev", "kernel build (objtool)"),
    ("lz4", "kernel build (bzImage)"),
    ("make", "kernel build"),
    ("python3", "kernel build"),
    ("util-linux", "setpriv"),
    ("xz-utils", "Debian's kernel source"),
    ("zstd", "modules of prebuilt kernels"),
];

/// Makes this machine ready and builds what the other chores run.
pub(crate) fn everything() -> Result<()> {
    packages(PACKAGES)?;
    build()
}

/// Installs those of these Debian packages that are missing, each with what it is for.
pub(crate) fn packages(packages: &[(&str, &str)]) -> Result<()> {
    if !Path::new("/usr/bin/dpkg-query").exists() {
        println!("set-up: this is no Debian; install what you lack of:");
        for (package, purpose) in packages {
            println!("  {package:<14} {purpose}");
        }
        return Ok(());
    }
    let installed =
        Run::new("dpkg-query").args(["-W", "-f", "${db:Status-Abbrev} ${Package}\\n"]).output()?;
    let installed: Vec<&str> = installed.lines().filter_map(|line| line.strip_prefix("ii  ")).collect();
    let missing: Vec<_> = packages.iter().filter(|(package, _)| !installed.contains(package)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    println!("set-up: installing Debian packages:");
    for (package, purpose) in &missing {
        println!("  {package:<14} {purpose}");
    }
    let root = nix::unistd::geteuid().is_root();
    if !root {
        println!("set-up: sudo is asked for, for these packages only");
    }
    let apt = |arguments: &[&str]| {
        let run = if root { Run::new("apt-get") } else { Run::new("sudo").args(["apt-get"]) };
        run.args(arguments).env("DEBIAN_FRONTEND", "noninteractive").ok()
    };
    apt(&["update", "-q"])?;
    let mut install = vec!["install", "-q", "-y", "--no-install-recommends"];
    install.extend(missing.iter().map(|(package, _)| *package));
    apt(&install)?;
    Ok(())
}

/// What runs in guests, linked statically.
pub(crate) const GUEST_PROGRAMS: [&str; 3] = ["assay-agent", "assay-mark", "assay-bench"];

/// Builds `assay`, and beside it the plugin that QEMU loads to count instructions and the programs that run in guests.
pub(crate) fn build() -> Result<()> {
    const TARGET: &str = "x86_64-unknown-linux-gnu";
    // Where a position-independent executable relocates itself, the agent would do so at every boot, under emulation.
    const FLAGS: &str = r#"["-C", "target-feature=+crt-static", "-C", "relocation-model=static"]"#;
    run::cargo().args(["build", "--release", "--locked", "-p", "cli", "-p", "insncount"]).ok()?;
    run::cargo()
        .args([
            "build",
            "--profile",
            "guest",
            "--locked",
            "-p",
            "agent",
            "-p",
            "mark",
            "-p",
            "bench",
            "--target",
        ])
        .args([TARGET, "--config"])
        .args([format!("target.{TARGET}.rustflags={FLAGS}")])
        .ok()?;
    for program in GUEST_PROGRAMS {
        let built = run::target().join(TARGET).join("guest").join(program);
        let beside = run::target().join("release").join(program);
        let unfinished = beside.with_extension("unfinished");
        fs::copy(&built, &unfinished).with_context(|| format!("copying {}", built.display()))?;
        fs::rename(&unfinished, &beside).with_context(|| format!("publishing {}", beside.display()))?;
    }
    Ok(())
}
