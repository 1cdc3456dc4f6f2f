//! The patterns that plans hold as text: one place says which are well-formed and what they mean.

use glob::Pattern;
use regex::{Regex, RegexBuilder};

/// Most bytes that a compiled regular expression may take: scenarios are other people's files.
const REGEX_LIMIT: usize = 1 << 20;

/// The group of a regular expression that a value stands in.
pub const VALUE: &str = "value";

/// A regular expression that finds values: `^` and `$` are a line's, and it has a group [`VALUE`], or only one group.
///
/// # Errors
/// Why it is none, in words for people.
pub fn value_regex(pattern: &str) -> Result<Regex, String> {
    let regex =
        RegexBuilder::new(pattern).multi_line(true).size_limit(REGEX_LIMIT).build().map_err(|error| {
            // The last line says what is wrong; those before it draw where.
            let text = error.to_string();
            text.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned()
        })?;
    let named = regex.capture_names().flatten().any(|name| name == VALUE);
    if named || regex.captures_len() == 2 {
        Ok(regex)
    } else {
        Err(format!("has {} groups, and none is called `{VALUE}`", regex.captures_len() - 1))
    }
}

/// Names by patterns as a shell has them; `*` matches a `/` as well.
#[derive(Clone, Debug, Default)]
pub struct Patterns(Vec<Pattern>);

impl Patterns {
    /// Of these patterns.
    ///
    /// # Errors
    /// The first that is none, and why.
    pub fn new(patterns: &[String]) -> Result<Self, String> {
        let compiled =
            |pattern: &String| Pattern::new(pattern).map_err(|error| format!("`{pattern}`: {}", error.msg));
        patterns.iter().map(compiled).collect::<Result<_, _>>().map(Self)
    }

    /// Whether one of them matches `name`.
    #[must_use]
    pub fn matches(&self, name: &str) -> bool {
        self.0.iter().any(|pattern| pattern.matches(name))
    }

    /// Whether one of them matches the test `name`, or the program that the subtest `name` belongs to.
    #[must_use]
    pub fn matches_test(&self, name: &str) -> bool {
        let program = name.split_once(SUBTEST).map(|(program, _)| program);
        self.matches(name) || program.is_some_and(|name| self.matches(name))
    }
}

/// What stands between a program's name and those of its subtests.
pub const SUBTEST: &str = " / ";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_regular_expression_needs_one_group_or_one_called_value() {
        let why = |pattern| value_regex(pattern).unwrap_err();
        assert!(value_regex("(a)").is_ok() && value_regex("(a)(?<value>b)").is_ok());
        assert_eq!(why("a"), "has 0 groups, and none is called `value`");
        assert_eq!(why("(a)(b)"), "has 2 groups, and none is called `value`");
        assert_eq!(why("(a"), "unclosed group");
        assert!(value_regex(r"(\w{1000}){1000}").is_err(), "too large to be compiled");
    }

    #[test]
    fn patterns_match_whole_names_and_the_subtests_of_a_program() {
        let patterns = Patterns::new(&["net:udpgro*".into(), "net:tls / *bidir*".into()]).unwrap();
        assert!(
            patterns.matches_test("net:udpgro_bench.sh")
                && patterns.matches_test("net:udpgro.sh / ipv4 / tcp")
        );
        assert!(patterns.matches_test("net:tls / tls.13_gcm.bidir") && !patterns.matches_test("net:tls"));
        assert!(!patterns.matches_test("other-net:udpgro.sh"));
        assert!(Patterns::new(&["[".into()]).unwrap_err().starts_with("`[`: "));
    }
}
