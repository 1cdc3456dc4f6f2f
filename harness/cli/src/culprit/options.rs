//! Options from a fragment or from a whole `.config`.

use std::{collections::BTreeMap, path::Path};

use plan::{ConfigOption, ConfigValue};

use crate::arguments::config_option;

/// A file with more options than these is a whole configuration, also without kconfig's first line.
const WHOLE: usize = 300;
/// The first lines that kconfig writes into one.
const WRITTEN: &str = "Automatically generated file; DO NOT EDIT.";
/// Beginnings of names that kconfig works out itself, from the architecture and the tools: nobody can ask for them.
const WORKED_OUT: [&str; 16] = [
    "ARCH_HAS_",
    "ARCH_HAVE_",
    "ARCH_SUPPORTS_",
    "ARCH_USES_",
    "ARCH_USE_",
    "ARCH_WANTS_",
    "ARCH_WANT_",
    "AS_HAS_",
    "AS_VERSION",
    "CC_HAS_",
    "CC_VERSION_TEXT",
    "CLANG_VERSION",
    "GCC_VERSION",
    "HAVE_",
    "LD_VERSION",
    "PAHOLE_VERSION",
];

/// The options of a file, in its order.
#[derive(Debug)]
pub(super) struct File {
    pub(super) options: Vec<ConfigOption>,
    /// Whether it is a whole configuration, of which most are as they are anyway.
    pub(super) is_whole: bool,
}

/// Reads the lines of a fragment or of a `.config`. Of an option that stands there twice the last line counts, as for kconfig.
///
/// # Errors
/// `file:line: what is wrong` for every line that is neither an option nor a comment; one for a file without options.
pub(super) fn read(path: &Path, text: &str) -> Result<File, Vec<String>> {
    let (mut options, mut wrong): (Vec<ConfigOption>, Vec<String>) = (vec![], vec![]);
    for (number, line) in (1..).zip(text.lines()) {
        match option(line) {
            Ok(None) => {}
            Ok(Some(one)) => {
                options.retain(|before| before.name != one.name);
                options.push(one);
            }
            Err(why) => wrong.push(format!("{}:{number}: {why}", path.display())),
        }
    }
    if wrong.is_empty() && options.is_empty() {
        wrong.push(format!("{}: it has no option", path.display()));
    }
    if !wrong.is_empty() {
        return Err(wrong);
    }
    let is_whole = options.len() > WHOLE || text.lines().take(3).any(|line| line.contains(WRITTEN));
    Ok(File { options, is_whole })
}

/// Those that a configuration has otherwise, without what kconfig works out itself. An option that it does not mention is not set.
pub(super) fn that_differ(options: Vec<ConfigOption>, config: &str) -> Vec<ConfigOption> {
    let there: BTreeMap<String, ConfigValue> = config
        .lines()
        .filter_map(|line| option(line).ok().flatten())
        .map(|one| (one.name, one.value))
        .collect();
    let is_worked_out = |name: &str| WORKED_OUT.iter().any(|beginning| name.starts_with(beginning));
    let differs = |one: &ConfigOption| *there.get(&one.name).unwrap_or(&ConfigValue::No) != one.value;
    options.into_iter().filter(|one| differs(one) && !is_worked_out(&one.name)).collect()
}

/// The option of a line; none of a comment or of an empty line.
fn option(line: &str) -> Result<Option<ConfigOption>, String> {
    let line = line.trim();
    if let Some(name) = line.strip_prefix("# CONFIG_").and_then(|rest| rest.strip_suffix(" is not set")) {
        return config_option(&format!("{name}=n")).map(Some);
    }
    if line.is_empty() || line.starts_with('#') {
        return Ok(None);
    }
    let wrong = || {
        let shown: String = line.escape_debug().take(60).collect();
        format!("`{shown}` is neither `CONFIG_X=...` nor `# CONFIG_X is not set` nor a comment")
    };
    let (name, value) =
        line.strip_prefix("CONFIG_").and_then(|rest| rest.split_once('=')).ok_or_else(wrong)?;
    let Some(inner) = value.strip_prefix('"') else {
        if value.is_empty() {
            return Err(wrong());
        }
        return config_option(&format!("{name}={value}")).map(Some);
    };
    let text = inner.strip_suffix('"').and_then(unescaped).ok_or_else(wrong)?;
    // The name is held against what a name may be; the text may look like a number and is none.
    let ConfigOption { name, .. } = config_option(&format!("{name}=y"))?;
    Ok(Some(ConfigOption { name, value: ConfigValue::Text(text) }))
}

/// Without the backslashes that kconfig puts before quotes and backslashes; none if a quote stands alone.
fn unescaped(text: &str) -> Option<String> {
    let (mut plain, mut rest) = (String::new(), text.chars());
    while let Some(c) = rest.next() {
        match c {
            '\\' => plain.push(rest.next()?),
            '"' => return None,
            c if c.is_control() => return None,
            c => plain.push(c),
        }
    }
    Some(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(options: &[ConfigOption]) -> Vec<String> {
        options.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_fragment_is_read_in_its_order_and_the_last_line_counts() {
        let text = "# one\n\nCONFIG_A=y\n# CONFIG_B is not set\nCONFIG_C=\"a \\\"b\\\" \\\\\"\nCONFIG_D=0x10\nCONFIG_E=\"64\"\nCONFIG_A=m\n";
        let file = read(Path::new("f"), text).unwrap();
        assert!(!file.is_whole);
        assert_eq!(
            lines(&file.options),
            [
                "# CONFIG_B is not set",
                "CONFIG_C=\"a \\\"b\\\" \\\\\"",
                "CONFIG_D=0x10",
                "CONFIG_E=\"64\"",
                "CONFIG_A=m"
            ]
        );
    }

    #[test]
    fn every_line_that_is_wrong_is_told_with_its_place() {
        let wrong = read(Path::new("x.config"), "CONFIG_A=y\nA=y\nCONFIG_B=\nCONFIG_C=\"a\nCONFIG_Ä=y\n")
            .unwrap_err();
        let places: Vec<&str> = wrong.iter().map(|line| line.split(": ").next().unwrap()).collect();
        assert_eq!(places, ["x.config:2", "x.config:3", "x.config:4", "x.config:5"], "{wrong:?}");
        assert_eq!(read(Path::new("x"), "# nothing\n").unwrap_err(), ["x: it has no option"]);
    }

    #[test]
    fn a_whole_configuration_is_told_by_its_first_lines_or_its_size() {
        let written = "#\n# Automatically generated file; DO NOT EDIT.\nCONFIG_A=y\n";
        assert!(read(Path::new("f"), written).unwrap().is_whole);
        let many: String = (0..400).map(|n| format!("CONFIG_O{n}=y\n")).collect();
        assert!(read(Path::new("f"), &many).unwrap().is_whole);
    }

    #[test]
    fn what_is_so_anyway_and_what_kconfig_works_out_is_no_unit() {
        let file = read(
            Path::new("f"),
            "CONFIG_A=y\n# CONFIG_B is not set\nCONFIG_C=m\nCONFIG_HAVE_D=y\nCONFIG_GCC_VERSION=120200\n",
        )
        .unwrap();
        assert_eq!(lines(&that_differ(file.options.clone(), "CONFIG_A=y\nCONFIG_C=y\n")), ["CONFIG_C=m"]);
        assert_eq!(
            lines(&that_differ(file.options, "CONFIG_B=y\nCONFIG_C=m\n")),
            ["CONFIG_A=y", "# CONFIG_B is not set"]
        );
    }
}
