//! What apt's programs print.

use crate::{DebianError, Package, Served};

/// The packages of `--print-uris`: lines of `'URI' FILE SIZE SHA256:DIGEST` among the text for people, by name.
pub(crate) fn packages(text: &str) -> Result<Vec<Package>, DebianError> {
    let lines = text.lines().filter(|line| line.starts_with('\''));
    let mut packages = lines
        .map(|line| {
            let unknown = || DebianError::Output { about: "packages to fetch".into(), line: line.to_owned() };
            package(line).ok_or_else(unknown)
        })
        .collect::<Result<Vec<Package>, DebianError>>()?;
    packages.sort();
    packages.dedup();
    Ok(packages)
}

fn package(line: &str) -> Option<Package> {
    let (uri, rest) = line.strip_prefix('\'')?.split_once('\'')?;
    let mut words = rest.split_whitespace();
    let file = words.next()?.strip_suffix(".deb")?;
    let bytes = words.next()?.parse().ok()?;
    let sha256 = words.next()?.strip_prefix("SHA256:")?;
    let well_formed = sha256.len() == 64 && sha256.bytes().all(|byte| byte.is_ascii_hexdigit());
    let mut parts = file.split('_');
    let (name, version, architecture) = (parts.next()?, parts.next()?, parts.next()?);
    if !well_formed || parts.next().is_some() {
        return None;
    }
    Some(Package {
        name: name.into(),
        // In a file's name, apt writes the colon of an epoch as in an address.
        version: version.replace("%3a", ":"),
        architecture: architecture.into(),
        uri: uri.into(),
        sha256: sha256.to_ascii_lowercase(),
        bytes,
    })
}

/// The versions of `apt-cache madison`: lines of `NAME | VERSION | URI SUITE/COMPONENT ARCHITECTURE Packages`.
pub(crate) fn served(text: &str, name: &str) -> Result<Vec<Served>, DebianError> {
    let mut found = Vec::new();
    for line in text.lines().filter(|line| !line.trim().is_empty()) {
        let unknown = || DebianError::Output { about: format!("versions of {name}"), line: line.to_owned() };
        let mut columns = line.split('|').map(str::trim);
        let (Some(package), Some(version), Some(origin)) = (columns.next(), columns.next(), columns.next())
        else {
            return Err(unknown());
        };
        let mut origin = origin.split_whitespace().skip(1);
        let suite = origin.next().and_then(|place| place.rsplit_once('/')).map(|(suite, _)| suite);
        if package == name && origin.nth(1) == Some("Packages") {
            found.push(Served { version: version.into(), suite: suite.ok_or_else(unknown)?.into() });
        }
    }
    Ok(found)
}

/// Why apt found no solution: what it says about dependencies, or else its errors.
pub(crate) fn unmet(stdout: &str, stderr: &str) -> String {
    let mark = "The following packages have unmet dependencies:";
    match stdout.split_once(mark) {
        Some((_, reasons)) => reasons.trim_end().trim_start_matches('\n').to_owned(),
        None => stderr.lines().map(|line| line.trim_start_matches("E: ")).collect::<Vec<_>>().join("; "),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packages_are_read_from_among_the_text_for_people() {
        let found = packages(include_str!("../tests/fixtures/apt/install-print-uris.txt")).unwrap();
        assert_eq!(found.len(), 38);
        assert!(found.is_sorted());
        let busybox = found.iter().find(|package| package.name == "busybox-static").unwrap();
        assert_eq!(busybox.version, "1:1.37.0-6+b9");
        assert_eq!(busybox.architecture, "amd64");
        assert_eq!(busybox.bytes, 955_316);
        assert_eq!(busybox.sha256, "598a3fd92bdafc34cd81196b2952ad36e910e47a4ecf162f8ce5e8e262598e53");
        assert_eq!(
            busybox.uri,
            "http://mirror.example/debian/pool/main/b/busybox/busybox-static_1.37.0-6%2bb9_amd64.deb"
        );
    }

    #[test]
    fn a_package_without_a_strong_checksum_is_refused() {
        let line = "'http://m.example/a_1_all.deb' a_1_all.deb 10 MD5Sum:8c82dcf89447f04e600379a1a1871f3b\n";
        let error = packages(line).unwrap_err().to_string();
        assert!(error.contains("MD5Sum"), "{error}");
        assert!(packages("'http://m.example/a_1_all.deb' a_1_all.deb 10 SHA256:12\n").is_err());
        assert!(packages("'http://m.example/cut-o").is_err());
    }

    #[test]
    fn versions_are_read_with_their_suites() {
        let text = include_str!("../tests/fixtures/apt/madison.txt");
        let found = served(text, "busybox-static").unwrap();
        let expected = [("1:1.37.0-6+b9", "trixie"), ("1:1.35.0-4+deb12u1+b1", "bookworm")];
        assert_eq!(found, expected.map(|(v, s)| Served { version: v.into(), suite: s.into() }));
        assert_eq!(served(text, "linux-source-6.12").unwrap().len(), 2);
        assert_eq!(served(text, "nonexist").unwrap(), []);
        assert!(served("busybox-static | 1\n", "busybox-static").is_err());
    }

    #[test]
    fn unmet_dependencies_are_quoted() {
        let text = include_str!("../tests/fixtures/apt/install-unmet.txt");
        let reason = unmet(text, "E: Unable to correct problems, you have held broken packages.");
        assert!(reason.starts_with(" qemu-system-x86 : Depends: qemu-system-common (= 1:11.1.3"), "{reason}");
        assert!(reason.ends_with("but 1.16.3-2 is to be installed"), "{reason}");
        assert_eq!(
            unmet("Reading package lists...\n", "E: No such thing\nE: Stopped"),
            "No such thing; Stopped"
        );
    }
}
