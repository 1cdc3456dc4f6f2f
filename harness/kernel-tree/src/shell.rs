//! Commands that are shown to the user, to be pasted into a shell. None is run from here.

use std::path::Path;

/// A path as one word of a shell.
pub(crate) fn quoted(path: &Path) -> String {
    let text = path.to_string_lossy();
    if !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || "/._-+=:@%,".contains(c)) {
        return text.into_owned();
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_a_shell_would_change_is_quoted() {
        assert_eq!(quoted(Path::new("/home/me/linux-6.12")), "/home/me/linux-6.12");
        assert_eq!(quoted(Path::new("/home/me/my tree")), "'/home/me/my tree'");
        assert_eq!(quoted(Path::new("it's")), r"'it'\''s'");
    }
}
