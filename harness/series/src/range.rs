//! Commits of a git repository as patches, by git's own `format-patch`.

use std::{path::Path, time::Duration};

use subprocess::{Output, Supervisor, Tool, ToolError};

use crate::{error::SeriesError, limits};

/// A thousand commits of a large tree on a slow disk.
const DEADLINE: Duration = Duration::from_secs(300);

/// The branch that a range ends at, if it ends at one: what its author calls the series.
pub(crate) fn branch(repository: &Path, range: &str, supervisor: &Supervisor) -> Option<String> {
    let (_, tip) = range.rsplit_once("..")?;
    let tip = if tip.is_empty() { "HEAD" } else { tip };
    let output = Tool::new("git")
        .arg("-C")
        .arg(repository)
        .args(["rev-parse", "--abbrev-ref", "--end-of-options", tip])
        .deadline(DEADLINE)
        .run(supervisor)
        .ok()?;
    let said = String::from_utf8_lossy(&output.stdout);
    let name = said.lines().rfind(|line| !line.starts_with('-'))?.trim().to_owned();
    (!name.is_empty() && name != "HEAD").then_some(name)
}

/// The commits of `range` as an mbox, oldest first.
pub(crate) fn patches(
    repository: &Path,
    range: &str,
    supervisor: &Supervisor,
) -> Result<Vec<u8>, SeriesError> {
    let refuse = |problem: String| Err(SeriesError::unusable(range, problem));
    if range.contains("...") {
        return refuse("is a symmetric difference (expected two dots: `A..B`)".to_owned());
    }
    if range.starts_with('-') || range.contains(char::is_whitespace) {
        return refuse("is no range of commits (expected `A..B`)".to_owned());
    }
    let git = |what: &str, arguments: &[&str]| -> Result<Output, SeriesError> {
        Tool::new("git")
            .args(["-c", "core.fsmonitor=false", "-c", "log.showSignature=false", "-C"])
            .arg(repository)
            .args(arguments)
            .args(["--end-of-options", range, "--"])
            .pass_env("HOME")
            .pass_env("XDG_CONFIG_HOME")
            .deadline(DEADLINE)
            .max_output(usize::try_from(limits::INPUT).unwrap_or(usize::MAX))
            .run_unchecked(supervisor)
            .map_err(|source| SeriesError::Git { what: what.to_owned(), source: Box::new(source) })
    };
    let commits = git("list the commits", &["rev-list", "--parents"])?;
    if !commits.ended.is_success() {
        let said = String::from_utf8_lossy(&commits.stderr);
        let said = said.trim().lines().next().unwrap_or_default().trim_start_matches("fatal: ").to_owned();
        return refuse(format!(
            "is neither a file nor a range of commits of {} (git: {said})",
            repository.display()
        ));
    }
    let text = String::from_utf8_lossy(&commits.stdout);
    let count = text.lines().count();
    if count == 0 {
        return refuse(format!("holds no commit of {}", repository.display()));
    }
    if count > limits::PATCHES {
        return refuse(format!("holds {count} commits, more than {}", limits::PATCHES));
    }
    // format-patch leaves merges out, and what they resolved with them.
    if let Some(merge) = text.lines().find(|line| line.split(' ').count() > 2) {
        let id: String = merge.chars().take(12).collect();
        return refuse(format!("has a merge in it, {id}, which is no patch (rebase it: git rebase A)"));
    }
    let arguments = [
        "format-patch",
        "--stdout",
        "--numbered",
        "--unified=3",
        "--binary",
        "--full-index",
        "--no-ext-diff",
        "--no-textconv",
        "--no-color",
        "--no-attach",
        "--no-signature",
        "--src-prefix=a/",
        "--dst-prefix=b/",
        "--no-renames",
        "--subject-prefix=PATCH",
        "--no-cover-letter",
        "--no-thread",
        "--no-add-header",
        "--no-to",
        "--no-cc",
        "--no-base",
        "--no-notes",
    ];
    let output = git("write the patches", &arguments)?;
    if output.ended.is_success() {
        return Ok(output.stdout);
    }
    let tail = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    Err(SeriesError::Git {
        what: format!("write the patches of {range}: {tail}"),
        source: Box::new(ToolError::Failed {
            argv: Tool::new("git").args(["format-patch", range]).argv(),
            ended: output.ended,
            tail: Default::default(),
        }),
    })
}
