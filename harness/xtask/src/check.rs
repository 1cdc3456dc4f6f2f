//! What must hold of the text itself: format, lints, documentation, licences.

use anyhow::Result;

use crate::run::{self, Run};

pub(crate) fn check() -> Result<()> {
    run::cargo().args(["fmt", "--all", "--check"]).ok()?;
    run::cargo()
        .args(["clippy", "--quiet", "--locked", "--workspace", "--all-targets", "--", "-D", "warnings"])
        .ok()?;
    run::cargo()
        .args(["doc", "--quiet", "--locked", "--workspace", "--no-deps"])
        .env("RUSTDOCFLAGS", "-D warnings")
        .ok()?;
    deny()
}

/// cargo-deny is large to build and wants its advisory database, so it is used where it is installed.
fn deny() -> Result<()> {
    let installed = Run::new("sh").args(["-c", "command -v cargo-deny || true"]).output()?;
    if installed.trim().is_empty() {
        println!(
            "check: licences and advisories not checked: cargo-deny is not installed (cargo install cargo-deny)"
        );
        return Ok(());
    }
    run::cargo().args(["deny", "--locked", "check", "bans", "licenses", "sources"]).ok()?;
    Ok(())
}
