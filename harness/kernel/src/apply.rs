//! Applying a series to an arm's private tree with git's own machinery, in a sandbox that can write that tree only.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use measure::ApplyFailure;
use plan::{PatchFile, Series};
use subprocess::{Output, Supervisor};

use crate::{
    KernelError, digest,
    error::{tool, user_file},
    folder, patch,
    sandbox::{INPUT, SOURCE, Sandbox},
};

/// A patch takes milliseconds.
const DEADLINE: Duration = Duration::from_secs(300);

/// How applying ended.
#[derive(Debug)]
pub(crate) enum ApplyEnd {
    /// These paths, relative to the tree, were changed, made or removed.
    Applied(Vec<PathBuf>),
    /// A patch does not apply.
    Failed(ApplyFailure),
}

/// Applies all series in order. `tree` must be private, and its folders the sandbox's; files in it may be shared,
/// since git replaces a file instead of writing into it. `scratch` gets copies of the patches.
pub(crate) fn apply(
    supervisor: &Supervisor,
    series: &[Series],
    tree: &Path,
    scratch: &Path,
) -> Result<ApplyEnd, KernelError> {
    folder::create(scratch)?;
    let mut touched = Vec::new();
    for (series, patch) in
        series.iter().flat_map(|series| series.patches.iter().map(move |patch| (series, patch)))
    {
        let name = format!("{}/{}", series.name, file_name(patch));
        let text = read_planned(patch)?;
        let copy = scratch.join("patch");
        folder::write_durably(&copy, &text)?;
        match apply_one(supervisor, &name, &text, &copy, tree)? {
            ApplyEnd::Applied(paths) => touched.extend(paths),
            failed @ ApplyEnd::Failed(_) => return Ok(failed),
        }
    }
    Ok(ApplyEnd::Applied(touched))
}

pub(crate) fn file_name(patch: &PatchFile) -> String {
    patch.path.file_name().unwrap_or(patch.path.as_os_str()).to_string_lossy().into_owned()
}

/// The patch, if it is still the one that was planned. What is checked here is what is applied.
pub(crate) fn read_planned(patch: &PatchFile) -> Result<Vec<u8>, KernelError> {
    let text = fs::read(&patch.path).map_err(user_file("read", &patch.path))?;
    let found = digest::of_bytes(&text);
    if found != patch.sha256 {
        return Err(KernelError::PatchChanged {
            path: patch.path.clone(),
            planned: patch.sha256.clone(),
            found,
        });
    }
    Ok(text)
}

fn apply_one(
    supervisor: &Supervisor,
    name: &str,
    text: &[u8],
    copy: &Path,
    tree: &Path,
) -> Result<ApplyEnd, KernelError> {
    let text = String::from_utf8_lossy(text);
    let git = |arguments: &[&str]| -> Result<Output, KernelError> {
        Sandbox::new()
            .read(copy, INPUT)
            .write(tree, SOURCE)
            .tool(SOURCE, ["git", "-c", "core.hooksPath=/dev/null", "apply"].iter().chain(arguments))
            .arg(INPUT)
            .deadline(DEADLINE)
            .run_unchecked(supervisor)
            .map_err(tool(format!("apply {name}")))
    };
    let failed = |output: &Output| -> Result<ApplyEnd, KernelError> {
        let stderr = String::from_utf8_lossy(&output.stderr);
        if let Some((path, reason)) = patch::refused_path(&stderr) {
            return Err(KernelError::PatchEscapes { patch: name.to_owned(), path, reason });
        }
        if !stderr.lines().any(|line| line.starts_with("error:") || line.starts_with("fatal:")) {
            // bubblewrap's words, or none at all.
            let reason = format!("git {}: {}", output.ended, stderr.trim());
            return Err(KernelError::Unexpected { what: format!("applying {name}"), reason });
        }
        Ok(ApplyEnd::Failed(patch::failure(name.to_owned(), &text, &stderr)))
    };
    // Without touching anything: the paths as git itself reads them.
    let listed = git(&["--numstat", "-z"])?;
    if !listed.ended.is_success() {
        return failed(&listed);
    }
    let touched = patch::touched(&listed.stdout);
    for path in &touched {
        refuse_escape(name, path)?;
    }
    let applied = git(&["--whitespace=nowarn"])?;
    if !applied.ended.is_success() {
        return failed(&applied);
    }
    for path in &touched {
        refuse_link_out(name, tree, path)?;
    }
    Ok(ApplyEnd::Applied(touched.into_iter().map(PathBuf::from).collect()))
}

/// Refuses a path that is not plainly within the tree. git refuses such paths too; neither has to be trusted alone.
pub(crate) fn refuse_escape(patch: &str, path: &str) -> Result<(), KernelError> {
    let reason = if folder::beneath(Path::new(path)).is_none() || path.split('/').any(|name| name == "..") {
        "it leads out of the tree"
    } else if path.split('/').any(|name| name.eq_ignore_ascii_case(".git")) {
        "git keeps it for itself"
    } else {
        return Ok(());
    };
    Err(KernelError::PatchEscapes {
        patch: patch.to_owned(),
        path: path.to_owned(),
        reason: reason.to_owned(),
    })
}

/// Refuses a symbolic link, just made, whose target lies outside the tree.
fn refuse_link_out(patch: &str, tree: &Path, path: &str) -> Result<(), KernelError> {
    let Ok(target) = fs::read_link(tree.join(path)) else {
        // No link, or a file that the patch removed.
        return Ok(());
    };
    let from = Path::new(path).parent().unwrap_or(Path::new(""));
    if !target.is_absolute() && folder::beneath(&from.join(&target)).is_some() {
        return Ok(());
    }
    Err(KernelError::PatchEscapes {
        patch: patch.to_owned(),
        path: path.to_owned(),
        reason: format!("it is a symbolic link to `{}`", target.display()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_that_leave_the_tree_are_refused_without_git() {
        for path in
            ["../x", "/etc/passwd", "a/../../x", "net/../a.c", ".git/hooks/post-checkout", "net/.GIT/config"]
        {
            assert!(refuse_escape("s/1", path).is_err(), "{path}");
        }
        for path in ["net/a.c", ".gitignore", "a/..b"] {
            refuse_escape("s/1", path).unwrap();
        }
    }

    #[test]
    fn links_may_stay_within_the_tree_only() {
        let room = tempfile::tempdir().unwrap();
        fs::create_dir(room.path().join("d")).unwrap();
        for (name, target, allowed) in
            [("a", "../Kconfig", true), ("b", "../../x", false), ("c", "/etc/passwd", false)]
        {
            std::os::unix::fs::symlink(target, room.path().join("d").join(name)).unwrap();
            assert_eq!(
                refuse_link_out("s/1", room.path(), &format!("d/{name}")).is_ok(),
                allowed,
                "{target}"
            );
        }
        refuse_link_out("s/1", room.path(), "d/removed").unwrap();
    }
}
