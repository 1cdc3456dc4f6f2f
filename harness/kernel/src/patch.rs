//! Reading patches and what `git apply` says about them.

use measure::ApplyFailure;

/// Where git stopped: the first place that it names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Place {
    file: Option<String>,
    line: Option<u32>,
}

/// What git's refusal of a path looks like, and what it means.
const ESCAPES: &[(&str, &str, &str)] = &[
    ("error: invalid path '", "'", "git does not touch such a path"),
    ("error: affected file '", "' is beyond a symbolic link", "it leads through a symbolic link"),
];

/// The path that git refused to touch and the reason, if that is what it says.
pub(crate) fn refused_path(stderr: &str) -> Option<(String, String)> {
    stderr.lines().find_map(|line| {
        ESCAPES.iter().find_map(|(before, after, reason)| {
            let rest = line.strip_prefix(before)?;
            let (path, _) = rest.split_once(after)?;
            Some((path.to_owned(), (*reason).to_owned()))
        })
    })
}

/// The failure that git's message describes, with the hunk from the patch itself.
pub(crate) fn failure(name: String, patch: &str, stderr: &str) -> ApplyFailure {
    let errors: Vec<&str> = stderr.lines().filter(|line| line.starts_with("error:")).collect();
    let message = if errors.is_empty() { stderr.trim().to_owned() } else { errors.join("\n") };
    let place = errors.iter().find_map(|line| place(line)).unwrap_or_default();
    let hunk = place.file.as_deref().and_then(|file| hunk(patch, file, place.line));
    ApplyFailure { patch: name, file: place.file, line: place.line, hunk, message }
}

/// The place in one of git's error lines.
fn place(line: &str) -> Option<Place> {
    let rest = line.strip_prefix("error: ")?;
    if let Some(found) = rest.strip_prefix("patch failed: ") {
        let (file, line) = found.rsplit_once(':')?;
        return Some(Place { file: Some(file.to_owned()), line: line.parse().ok() });
    }
    const SAYINGS: &[&str] = &[
        ": No such file or directory",
        ": already exists in working directory",
        ": patch does not apply",
        ": does not exist in index",
        ": wrong type",
        ": removal patch leaves file contents",
        ": cannot read the current contents",
    ];
    let file = SAYINGS.iter().find_map(|saying| rest.strip_suffix(saying))?;
    Some(Place { file: Some(file.to_owned()), line: None })
}

/// The hunk of `file` that begins at `line` of the old file, or its first one.
fn hunk(patch: &str, file: &str, line: Option<u32>) -> Option<String> {
    let mut in_file = false;
    let mut hunk: Vec<&str> = Vec::new();
    for text in patch.lines() {
        if !hunk.is_empty() {
            if text.starts_with(['+', '-', ' ', '\\']) && !text.starts_with("-- ") || text.is_empty() {
                hunk.push(text);
                continue;
            }
            break;
        }
        if text.starts_with("diff --git ") {
            in_file = false;
        }
        if let Some(name) = text.strip_prefix("--- ").or_else(|| text.strip_prefix("+++ ")) {
            in_file |= stripped(name) == Some(file);
        }
        if in_file && text.starts_with("@@ ") && line.is_none_or(|line| old_start(text) == Some(line)) {
            hunk.push(text);
        }
    }
    while hunk.last().is_some_and(|text| text.is_empty()) {
        hunk.pop();
    }
    (!hunk.is_empty()).then(|| hunk.join("\n"))
}

/// A header's path without its first folder, `a/` or `b/`.
fn stripped(name: &str) -> Option<&str> {
    let name = name.split('\t').next()?.trim_end();
    name.split_once('/').map(|(_, rest)| rest)
}

/// The first line in the old file, from `@@ -12,7 +12,9 @@`.
fn old_start(header: &str) -> Option<u32> {
    header.strip_prefix("@@ -")?.split([',', ' ']).next()?.parse().ok()
}

/// The paths that `git apply --numstat -z` lists.
pub(crate) fn touched(numstat: &[u8]) -> Vec<String> {
    String::from_utf8_lossy(numstat)
        .split('\0')
        .filter_map(|entry| entry.splitn(3, '\t').nth(2))
        .map(str::to_owned)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATCH: &str = "From 1\nSubject: x\n\n---\n a.c | 2 +-\n\ndiff --git a/net/a.c b/net/a.c\n--- a/net/a.c\n\
        +++ b/net/a.c\n@@ -3,3 +3,3 @@ f\n one\n-two\n+TWO\n three\n@@ -40,2 +40,3 @@ g\n x\n+y\n z\n\
        diff --git a/net/b.c b/net/b.c\n--- a/net/b.c\n+++ b/net/b.c\n@@ -40 +40 @@ h\n-p\n+q\n-- \n2.47\n";

    #[test]
    fn a_failed_hunk_is_quoted_from_the_patch() {
        let stderr = "Checking patch net/a.c...\nerror: while searching for:\nx\nz\n\n\
            error: patch failed: net/a.c:40\nerror: net/a.c: patch does not apply\n";
        let failure = failure("s/0001.patch".into(), PATCH, stderr);
        assert_eq!(failure.file.as_deref(), Some("net/a.c"));
        assert_eq!(failure.line, Some(40));
        assert_eq!(failure.hunk.as_deref(), Some("@@ -40,2 +40,3 @@ g\n x\n+y\n z"));
        assert!(failure.message.contains("net/a.c: patch does not apply"));
    }

    #[test]
    fn a_missing_file_gives_its_first_hunk_and_the_signature_is_left_out() {
        let failure = failure("s/1".into(), PATCH, "error: net/b.c: No such file or directory\n");
        assert_eq!((failure.file.as_deref(), failure.line), (Some("net/b.c"), None));
        assert_eq!(failure.hunk.as_deref(), Some("@@ -40 +40 @@ h\n-p\n+q"));
    }

    #[test]
    fn a_patch_that_git_cannot_read_has_only_a_message() {
        let failure = failure(
            "s/1".into(),
            "garbage",
            "error: No valid patches in input (allow with \"--allow-empty\")\n",
        );
        assert_eq!((failure.file, failure.hunk), (None, None));
        assert!(failure.message.contains("No valid patches"));
    }

    #[test]
    fn refusals_name_the_path() {
        assert_eq!(refused_path("error: invalid path '../x'\n").unwrap().0, "../x");
        let (path, reason) = refused_path("error: affected file 'l/x' is beyond a symbolic link").unwrap();
        assert_eq!((path.as_str(), reason.contains("symbolic link")), ("l/x", true));
        assert_eq!(refused_path("error: net/a.c: patch does not apply"), None);
    }

    #[test]
    fn numstat_paths_may_hold_anything_but_nul() {
        assert_eq!(touched(b"1\t2\tnet/a b.c\0-\t-\tx\ty\0"), ["net/a b.c", "x\ty"]);
    }
}
