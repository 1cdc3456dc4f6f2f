//! Paths in which `*` matches within one component.

use std::{fs, path::PathBuf};

/// Most paths that one pattern may match.
const MOST_MATCHES: usize = 4096;

/// Existing paths that match, in the order of their names. A pattern without `*` is returned whether it exists or not:
/// reading it says so.
pub(crate) fn expand(pattern: &str) -> Result<Vec<PathBuf>, String> {
    let Some(relative) = pattern.strip_prefix('/') else {
        return Err(format!("`{pattern}` is not an absolute path"));
    };
    let mut paths = vec![PathBuf::from("/")];
    for component in relative.split('/').filter(|component| !component.is_empty()) {
        if component == ".." {
            return Err(format!("`{pattern}` leaves a folder by `..`"));
        }
        if component.contains('*') {
            paths = children(&paths, component);
            if paths.len() > MOST_MATCHES {
                return Err(format!("`{pattern}` matches more than {MOST_MATCHES} paths"));
            }
        } else {
            for path in &mut paths {
                path.push(component);
            }
        }
    }
    // What follows the last `*` need not exist below every folder that matched.
    if pattern.contains('*') {
        paths.retain(|path| path.symlink_metadata().is_ok());
    }
    Ok(paths)
}

fn children(folders: &[PathBuf], component: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for folder in folders {
        // A match of an earlier component that is no folder, or has gone since.
        let Ok(entries) = fs::read_dir(folder) else { continue };
        let mut names: Vec<_> = entries
            .flatten()
            .map(|entry| entry.file_name())
            .filter(|name| matches(component.as_bytes(), name.as_encoded_bytes()))
            .collect();
        names.sort();
        found.extend(names.into_iter().map(|name| folder.join(name)));
        if found.len() > MOST_MATCHES {
            break;
        }
    }
    found
}

/// Whether `*` in `pattern` can stand for something that makes it `name`. As in a shell, a leading dot is matched by a
/// leading dot only. Takes time in proportion to the product of the lengths at worst.
fn matches(pattern: &[u8], name: &[u8]) -> bool {
    if name.first() == Some(&b'.') && pattern.first() != Some(&b'.') {
        return false;
    }
    let (mut at, mut here) = (0, 0);
    // Where to go on when the last `*` has to swallow one more byte.
    let mut retry = None;
    while here < name.len() {
        if pattern.get(at) == Some(&b'*') {
            retry = Some((at + 1, here));
            at += 1;
        } else if pattern.get(at) == Some(&name[here]) {
            at += 1;
            here += 1;
        } else if let Some((after, swallowed)) = retry {
            retry = Some((after, swallowed + 1));
            at = after;
            here = swallowed + 1;
        } else {
            return false;
        }
    }
    pattern[at..].iter().all(|&byte| byte == b'*')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_star_stands_for_anything_within_a_name() {
        for (pattern, name, expected) in [
            ("*", "eth0", true),
            ("eth*", "eth0", true),
            ("*0", "eth0", true),
            ("e*h*0", "eth0", true),
            ("e*h*1", "eth0", false),
            ("eth0*", "eth0", true),
            ("eth", "eth0", false),
            ("*a*b", "aXbXab", true),
            ("*", ".hidden", false),
            (".*", ".hidden", true),
        ] {
            assert_eq!(matches(pattern.as_bytes(), name.as_bytes()), expected, "{pattern} {name}");
        }
    }

    #[test]
    fn stars_are_expanded_component_by_component_and_sorted() {
        let root = tempfile::tempdir().unwrap();
        for folder in ["net/eth1", "net/eth0", "net/lo"] {
            fs::create_dir_all(root.path().join(folder)).unwrap();
        }
        for file in ["net/eth1/rx", "net/eth0/rx", "net/eth0/tx"] {
            fs::write(root.path().join(file), "").unwrap();
        }
        let found = expand(&format!("{}/net/*/rx", root.path().display())).unwrap();
        assert_eq!(found, ["net/eth0/rx", "net/eth1/rx"].map(|path| root.path().join(path)));
    }

    #[test]
    fn a_path_without_stars_stays_even_if_it_does_not_exist() {
        assert_eq!(expand("/no/such/file").unwrap(), [PathBuf::from("/no/such/file")]);
    }

    #[test]
    fn relative_and_climbing_patterns_are_refused() {
        assert!(expand("proc/stat").is_err());
        assert!(expand("/proc/../etc/*").is_err());
    }

    proptest! {
        #[test]
        fn agrees_with_the_obvious_recursive_matcher(pattern in "[ab*]{0,8}", name in "[ab]{0,8}") {
            fn obvious(pattern: &[u8], name: &[u8]) -> bool {
                match (pattern.split_first(), name.split_first()) {
                    (None, None) => true,
                    (Some((b'*', rest)), _) => obvious(rest, name) || (!name.is_empty() && obvious(pattern, &name[1..])),
                    (Some((byte, rest)), Some((other, others))) => byte == other && obvious(rest, others),
                    _ => false,
                }
            }
            prop_assert_eq!(matches(pattern.as_bytes(), name.as_bytes()), obvious(pattern.as_bytes(), name.as_bytes()));
        }
    }
}
