//! Which files a pattern of the protocol names.

/// Whether `path` matches, where `*` stands for any part of one component.
pub(crate) fn matches(pattern: &str, path: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == path,
        Some((before, after)) => {
            let Some(rest) = path.strip_prefix(before) else { return false };
            let component = rest.find('/').unwrap_or(rest.len());
            (0..=component).filter(|&at| rest.is_char_boundary(at)).any(|at| matches(after, &rest[at..]))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_matches_within_one_component() {
        assert!(matches("/sys/class/net/*/address", "/sys/class/net/lo/address"));
        assert!(matches("/proc/stat", "/proc/stat"));
        assert!(matches("/a/*", "/a/b.c"));
        assert!(!matches("/a/*", "/a/b/c"));
        assert!(!matches("/a/*/d", "/a/b/c/d"));
        assert!(!matches("/a", "/ab"));
    }
}
