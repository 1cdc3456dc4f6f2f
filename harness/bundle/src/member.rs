//! Names of members: what may become the name of a file here.

use std::collections::BTreeSet;

use crate::Damage;

/// Longest name of a member.
const LONGEST: usize = 240;
/// Longest name of one folder or file in it.
const LONGEST_PART: usize = 120;

/// Whether `text` can be a member's name: `/` between plain names of printable ASCII, none of which leads elsewhere, is hidden,
/// could be an option, or means something to any file system.
#[must_use]
pub fn is_member_path(text: &str) -> bool {
    text.len() <= LONGEST && text.split('/').all(is_plain)
}

fn is_plain(part: &str) -> bool {
    !part.is_empty()
        && part.len() <= LONGEST_PART
        && !part.starts_with(['.', '-'])
        && !part.ends_with('.')
        && part.bytes().all(is_plain_byte)
}

fn is_plain_byte(byte: u8) -> bool {
    byte.is_ascii_graphic() && !br#"/\:*?"<>|`$"#.contains(&byte)
}

/// A file's name as one part of a member's: what cannot be in one is `_`.
#[must_use]
pub fn safe_name(name: &str) -> String {
    let mut safe: String = name
        .chars()
        .take(LONGEST_PART)
        .map(|c| if u8::try_from(c).is_ok_and(is_plain_byte) { c } else { '_' })
        .collect();
    if safe.is_empty() || safe.starts_with(['.', '-']) {
        safe.replace_range(..safe.len().min(1), "_");
    }
    if safe.ends_with('.') {
        safe.pop();
        safe.push('_');
    }
    safe
}

/// What a stranger called a member, fit for a message.
pub(crate) fn shown(name: &[u8]) -> String {
    let text: String = name.escape_ascii().take(LONGEST).map(char::from).collect();
    text
}

/// Checks the names of a manifest: each plain, none twice (nor on a file system that does not tell cases apart), none the folder
/// of another.
pub(crate) fn check_names<'a>(names: impl Iterator<Item = &'a str>) -> Result<(), Damage> {
    let hostile = |name: &str, reason: &str| Damage::Hostile {
        member: shown(name.as_bytes()),
        reason: reason.to_owned(),
    };
    let (mut files, mut folders) = (BTreeSet::new(), BTreeSet::new());
    let mut order = Vec::new();
    for name in names {
        if !is_member_path(name) {
            return Err(hostile(name, "has a name that could leave the bundle's folder or mislead"));
        }
        let folded = name.to_ascii_lowercase();
        let parents = folded.match_indices('/').map(|(at, _)| folded[..at].to_owned());
        folders.extend(parents);
        if !files.insert(folded) {
            return Err(hostile(name, "is there twice"));
        }
        order.push(name);
    }
    match order.into_iter().find(|name| folders.contains(&name.to_ascii_lowercase())) {
        Some(name) => Err(hostile(name, "is both a file and a folder")),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_leads_out_of_its_folder() {
        for bad in [
            "",
            "/",
            "/etc/passwd",
            "..",
            "../x",
            "a/../b",
            "a/./b",
            "a//b",
            "a/",
            ".hidden",
            "a/.git/x",
            "-rf",
            "a/-x",
            "a\\b",
            "C:x",
            "a\nb",
            "a\0",
            "a b",
            "ä",
            "a.",
            "x/$(id)",
            "`id`",
            "NUL:",
            "a*",
        ] {
            assert!(!is_member_path(bad), "{bad:?}");
        }
        assert!(!is_member_path(&"x".repeat(121)) && !is_member_path(&["x"; 130].join("/")));
        for good in ["run.json", "trials/0/raw/rtt@message=1K.txt", "builds/debian-6.12+x.log", "a~b,c;d"] {
            assert!(is_member_path(good), "{good:?}");
        }
    }

    #[test]
    fn any_name_becomes_a_safe_one() {
        for name in ["", ".", "..", "-x", "ä b/c", "0001-net: x?.patch", &"ü".repeat(500), "x."] {
            let safe = safe_name(name);
            assert!(is_member_path(&safe) && !safe.contains('/'), "{name:?}: {safe:?}");
        }
        assert_eq!(safe_name("0001-net-fix.patch"), "0001-net-fix.patch");
    }

    #[test]
    fn no_member_stands_for_another() {
        let check = |names: &[&str]| check_names(names.iter().copied()).is_ok();
        assert!(check(&["a", "b/a", "b/c"]));
        assert!(!check(&["a", "b", "a"]) && !check(&["Run.json", "run.json"]) && !check(&["a/b", "A/B"]));
        assert!(!check(&["a", "a/b"]) && !check(&["x/Y/z", "x/y"]));
    }
}
