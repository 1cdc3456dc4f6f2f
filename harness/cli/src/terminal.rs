//! What the terminal can show, and what the user wants to see.

use std::{ffi::OsString, io::IsTerminal, sync::OnceLock};

use clap::{Args, ValueEnum};

/// Columns of a terminal that is none: files and pipes are read in editors.
const ELSEWHERE: usize = 110;
/// Lines that are longer are hard to read, however wide the terminal is.
const WIDEST: usize = 120;

/// Decided once, when the command line is known.
static FLAGS: OnceLock<Flags> = OnceLock::new();

/// How much is shown, and how.
#[derive(Clone, Copy, Debug, Default, Args)]
#[command(next_help_heading = "Output")]
pub(crate) struct Flags {
    /// Colours: `auto` shows them on a terminal and follows NO_COLOR, CLICOLOR_FORCE, CLICOLOR and TERM=dumb.
    #[arg(long, global = true, value_enum, value_name = "WHEN", default_value_t = When::Auto)]
    color: When,
    /// No progress and no notes: only results and errors.
    #[arg(short, long, global = true)]
    quiet: bool,
}

/// When there are colours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum When {
    #[default]
    Auto,
    Always,
    Never,
}

impl Flags {
    /// What this process does from now on.
    pub(crate) fn settle(self) {
        // Only the first command line counts, and there is one.
        let _ = FLAGS.set(self);
    }
}

/// What the command line says about colours, before it is understood: messages about mistakes in it have colours, too.
pub(crate) fn wish(words: impl Iterator<Item = OsString>) -> clap::ColorChoice {
    let words: Vec<OsString> = words.take_while(|word| word != "--").collect();
    let given = words.iter().enumerate().rev().find_map(|(at, word)| match word.to_str()? {
        "--color" => words.get(at + 1)?.to_str().map(str::to_owned),
        word => word.strip_prefix("--color=").map(str::to_owned),
    });
    match given.as_deref() {
        Some("always") => clap::ColorChoice::Always,
        Some("never") => clap::ColorChoice::Never,
        _ => clap::ColorChoice::Auto,
    }
}

/// Whether progress and notes are unwanted.
pub(crate) fn quiet() -> bool {
    FLAGS.get().is_some_and(|flags| flags.quiet)
}

/// Columns to write for.
pub(crate) fn width() -> usize {
    let terminal = console::Term::stdout();
    if !terminal.is_term() {
        return ELSEWHERE;
    }
    usize::from(terminal.size().1).clamp(40, WIDEST)
}

/// Whether standard output shows colours.
pub(crate) fn colours() -> bool {
    let when = FLAGS.get().map_or(When::Auto, |flags| flags.color);
    coloured(when, std::io::stdout().is_terminal(), |name| std::env::var_os(name))
}

/// Whether standard error is a terminal on which a line can be written again.
pub(crate) fn redraws() -> bool {
    std::io::stderr().is_terminal() && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
}

/// By no-color.org and bixense.com/clicolors, in their order.
fn coloured(when: When, terminal: bool, variable: impl Fn(&str) -> Option<OsString>) -> bool {
    match when {
        When::Always => return true,
        When::Never => return false,
        When::Auto => {}
    }
    let set = |name: &str| variable(name).is_some_and(|value| !value.is_empty());
    let is = |name: &str, wanted: &str| variable(name).is_some_and(|value| value == wanted);
    if set("NO_COLOR") {
        return false;
    }
    if set("CLICOLOR_FORCE") && !is("CLICOLOR_FORCE", "0") {
        return true;
    }
    terminal && !is("TERM", "dumb") && !is("CLICOLOR", "0")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_says_no_is_heard_first_and_who_insists_second() {
        let shown = |when, terminal, set: &[(&str, &str)]| {
            coloured(when, terminal, |name| {
                set.iter().find(|(variable, _)| *variable == name).map(|(_, value)| value.into())
            })
        };
        for (terminal, variables, expected) in [
            (true, &[][..], true),
            (false, &[], false),
            (true, &[("NO_COLOR", "1")], false),
            (true, &[("NO_COLOR", "")], true),
            (false, &[("CLICOLOR_FORCE", "1")], true),
            (false, &[("CLICOLOR_FORCE", "0")], false),
            (true, &[("NO_COLOR", "1"), ("CLICOLOR_FORCE", "1")], false),
            (true, &[("CLICOLOR", "0")], false),
            (true, &[("TERM", "dumb")], false),
            (false, &[("TERM", "dumb"), ("CLICOLOR_FORCE", "1")], true),
        ] {
            assert_eq!(shown(When::Auto, terminal, variables), expected, "{terminal} {variables:?}");
        }
        assert!(shown(When::Always, false, &[("NO_COLOR", "1")]));
        assert!(!shown(When::Never, true, &[("CLICOLOR_FORCE", "1")]));
    }

    #[test]
    fn a_mistaken_command_line_still_says_which_colours() {
        let wish = |words: &[&str]| wish(words.iter().map(OsString::from));
        assert_eq!(wish(&["assay", "--color=never", "rum"]), clap::ColorChoice::Never);
        assert_eq!(wish(&["assay", "rum", "--color", "always"]), clap::ColorChoice::Always);
        assert_eq!(wish(&["assay", "exec", "--", "ls", "--color=never"]), clap::ColorChoice::Auto);
    }
}
