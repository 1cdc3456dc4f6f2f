//! The two formats in which apt is told of archives (sources.list(5)).

use std::fs;
use std::io;
use std::path::Path;

use crate::DebianError;
use crate::error::At as _;

/// One archive that the machine's configuration names, for binary packages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) uri: String,
    pub(crate) suites: Vec<String>,
    pub(crate) components: Vec<String>,
    /// As written: key files, fingerprints, or a whole key. `None` leaves it to apt's trusted keys.
    pub(crate) signed_by: Option<String>,
}

/// Everything that is enabled in `etc`, which is `/etc/apt`. A machine without apt has nothing.
pub(crate) fn read(etc: &Path) -> Result<Vec<Entry>, DebianError> {
    let mut files = vec![etc.join("sources.list")];
    let parts = etc.join("sources.list.d");
    match fs::read_dir(&parts) {
        Ok(entries) => {
            for entry in entries {
                files.push(entry.at("reading", &parts)?.path());
            }
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error).at("reading", &parts),
    }
    // apt reads them in this order, too.
    files[1..].sort();
    let mut found = Vec::new();
    for file in files {
        let parse = match file.extension().and_then(|extension| extension.to_str()) {
            Some("list") => parse_list,
            Some("sources") => parse_deb822,
            _ => continue,
        };
        match fs::read_to_string(&file) {
            Ok(text) => found.extend(parse(&text)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error).at("reading", &file),
        }
    }
    Ok(found)
}

/// One-line format: `deb [option=value ...] uri suite component...`. What is not of that form, apt refuses itself.
pub(crate) fn parse_list(text: &str) -> Vec<Entry> {
    text.lines().filter_map(parse_line).collect()
}

fn parse_line(line: &str) -> Option<Entry> {
    let line = line.split('#').next().unwrap_or_default();
    let rest = line.trim().strip_prefix("deb")?;
    let rest = rest.strip_prefix(char::is_whitespace)?.trim_start();
    let (options, rest) = match rest.strip_prefix('[') {
        Some(rest) => rest.split_once(']')?,
        None => ("", rest),
    };
    let mut words = rest.split_whitespace().map(str::to_owned);
    let signed_by = options.split_whitespace().find_map(|option| option.strip_prefix("signed-by="));
    Some(Entry {
        uri: words.next()?,
        suites: vec![words.next()?],
        components: words.collect(),
        signed_by: signed_by.map(|value| value.replace(',', " ")),
    })
}

/// Stanzas of fields (deb822): one entry for each address.
pub(crate) fn parse_deb822(text: &str) -> Vec<Entry> {
    let mut found = Vec::new();
    let lines: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
    for stanza in lines.split(|line| line.trim().is_empty()) {
        let words = |name: &str| -> Vec<String> {
            field(stanza, name).unwrap_or_default().split_whitespace().map(str::to_owned).collect()
        };
        let disabled = words("Enabled").first().is_some_and(|value| {
            ["no", "false", "without", "off", "disable", "0"].contains(&value.to_lowercase().as_str())
        });
        if disabled || !words("Types").contains(&"deb".to_owned()) {
            continue;
        }
        found.extend(words("URIs").into_iter().map(|uri| Entry {
            uri,
            suites: words("Suites"),
            components: words("Components"),
            signed_by: field(stanza, "Signed-By").filter(|value| !value.trim().is_empty()),
        }));
    }
    found
}

/// A field's value with its continuation lines as they are written. Names are compared without regard to case.
fn field(stanza: &[&str], name: &str) -> Option<String> {
    let start = stanza.iter().position(|line| {
        line.split_once(':')
            .is_some_and(|(field, _)| !field.starts_with([' ', '\t']) && field.eq_ignore_ascii_case(name))
    })?;
    let mut value = stanza[start].split_once(':')?.1.trim().to_owned();
    for line in stanza[start + 1..].iter().take_while(|line| line.starts_with([' ', '\t'])) {
        value.push('\n');
        value.push_str(line);
    }
    Some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_entries_with_and_without_options() {
        let text = "\
# deb http://a.example/debian bookworm main\n\
deb http://a.example/debian/ bookworm main contrib # ours\n\
deb-src http://a.example/debian bookworm main\n\
 deb\t[ arch=amd64 signed-by=/usr/share/keyrings/a.gpg,/b.gpg ] http://b.example/x bookworm/updates main\n\
deb cdrom:\n";
        let found = parse_list(text);
        assert_eq!(found.len(), 2);
        assert_eq!(found[0].uri, "http://a.example/debian/");
        assert_eq!(found[0].components, ["main", "contrib"]);
        assert_eq!(found[0].signed_by, None);
        assert_eq!(found[1].suites, ["bookworm/updates"]);
        assert_eq!(found[1].signed_by.as_deref(), Some("/usr/share/keyrings/a.gpg /b.gpg"));
    }

    #[test]
    fn stanzas_as_debian_ships_them() {
        let found = parse_deb822(include_str!("../tests/fixtures/apt/debian.sources"));
        assert_eq!(found.len(), 2);
        assert_eq!(found[0].suites, ["bookworm", "bookworm-updates"]);
        assert_eq!(found[1].suites, ["bookworm-security"]);
        assert_eq!(found[0].signed_by.as_deref(), Some("/usr/share/keyrings/debian-archive-keyring.gpg"));
    }

    #[test]
    fn stanzas_that_are_off_or_for_sources_are_passed_over() {
        let text = "Types: deb deb-src\nenabled: No\nURIs: http://a.example/\nSuites: x\n\n\
                    Types: deb-src\nURIs: http://b.example/\nSuites: x\n\n\
                    types: deb-src deb\nURIs: http://c.example/\n http://d.example/\nSuites: x y\nComponents: main\n\
                    Signed-By:\n -----BEGIN PGP PUBLIC KEY BLOCK-----\n .\n =abcd\n";
        let found = parse_deb822(text);
        let uris: Vec<&str> = found.iter().map(|entry| entry.uri.as_str()).collect();
        assert_eq!(uris, ["http://c.example/", "http://d.example/"]);
        assert_eq!(
            found[0].signed_by.as_deref(),
            Some("\n -----BEGIN PGP PUBLIC KEY BLOCK-----\n .\n =abcd")
        );
    }

    #[test]
    fn a_machine_without_apt_has_no_entries() {
        assert_eq!(read(Path::new("/no/such/folder")).unwrap(), []);
    }
}
