//! Help texts are what they were, and every command that they and the README show is one.

use clap::CommandFactory;

use crate::arguments::Arguments;

/// Every visible command with its words: `kernel build`.
fn commands() -> Vec<(String, clap::Command)> {
    fn collect(words: &str, command: &clap::Command, all: &mut Vec<(String, clap::Command)>) {
        all.push((words.to_owned(), command.clone()));
        for subcommand in command.get_subcommands().filter(|subcommand| !subcommand.is_hide_set()) {
            collect(format!("{words} {}", subcommand.get_name()).trim(), subcommand, all);
        }
    }
    let mut command = Arguments::command().term_width(100);
    command.build();
    let mut all = Vec::new();
    collect("", &command, &mut all);
    all
}

fn long_help(command: &clap::Command) -> String {
    command.clone().term_width(100).render_long_help().to_string()
}

#[test]
fn every_help_text_is_as_it_was_read_last() {
    for (words, command) in commands() {
        let name = if words.is_empty() { "assay".to_owned() } else { words.replace(' ', "-") };
        insta::with_settings!({ omit_expression => true, prepend_module_to_snapshot => false }, {
            insta::assert_snapshot!(name, long_help(&command));
        });
    }
}

#[test]
fn help_fits_into_100_columns() {
    for (words, command) in commands() {
        for line in long_help(&command).lines() {
            assert!(line.chars().count() <= 100, "{words}: {line}");
        }
    }
}

#[test]
fn every_command_shows_an_example_or_contains_ones_that_do() {
    // Whose only argument is a kernel, as `kernel build` shows it, or that have none.
    let plain = ["kernel list", "kernel path", "kernel config", "kernel fragment"];
    for (words, command) in commands() {
        let has = command.get_after_long_help().is_some_and(|text| text.to_string().contains("Examples:"));
        assert_eq!(has, !plain.contains(&words.as_str()), "{words}");
    }
}

/// The words of a command line, as a shell has them: quotes are read, and redirections, pipes and comments end it.
fn words(line: &str) -> Vec<String> {
    let (mut words, mut word, mut quote) = (Vec::new(), None::<String>, None);
    for c in line.chars() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (None, '\'' | '"') => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (None, ' ') => words.extend(word.take()),
            (None, '>' | '<' | '|' | '#') if word.is_none() => return words,
            (_, c) => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    words
}

/// What stands in a line after the word `assay` as a command of its own.
fn example(line: &str) -> Option<Vec<String>> {
    let line = line.trim_start().trim_start_matches("$ ");
    let all = words(line);
    let at = all.iter().position(|word| word == "assay")?;
    // `sudo assay`, `git bisect run assay`.
    let leads = ["", "sudo", "git bisect run"].contains(&all[..at].join(" ").as_str());
    leads.then(|| all[at..].to_vec())
}

fn assert_understood(line: &str) -> bool {
    let Some(words) = example(line) else { return false };
    let understood = Arguments::command().try_get_matches_from(&words);
    if let Err(error) = understood {
        panic!("{line}: {error}");
    }
    true
}

#[test]
fn every_example_is_understood() {
    let mut seen = 0;
    for (_, command) in commands() {
        let text = command.get_after_long_help().map(ToString::to_string).unwrap_or_default();
        let examples = text.lines().filter(|line| line.starts_with("  ") && !line.starts_with("   "));
        seen += examples.filter(|line| assert_understood(line)).count();
    }
    assert!(seen > 50, "{seen}");
}

#[test]
fn every_command_of_the_readme_is_understood() {
    let readme = include_str!("../../../../../README.md");
    let code = readme.lines().filter(|line| line.starts_with("    "));
    let seen = code.filter(|line| assert_understood(line)).count();
    assert!(seen > 10, "{seen}");
}

#[test]
fn variables_that_help_names_are_read_somewhere() {
    let sources = [
        include_str!("../../places.rs"),
        include_str!("../../terminal.rs"),
        include_str!("../../tune.rs"),
        include_str!("../../tree_build.rs"),
        include_str!("../../arguments.rs"),
        include_str!("../../../../debian/src/mirror.rs"),
    ];
    let upper = |word: &&str| word.len() > 4 && word.chars().all(|c| c.is_ascii_uppercase() || c == '_');
    let mut seen = 0;
    for text in [super::ASSAY, super::TUNE] {
        let (_, environment) = text.split_once("Environment:\n").expect("it has the section");
        let (environment, _) = environment.split_once("\n\n").expect("files come after it");
        // Their lines are indented by two.
        let named = environment.lines().filter(|line| line.starts_with("  ") && !line.starts_with("   "));
        for name in named.flat_map(|line| line.split([',', ' ', '='])).filter(upper) {
            assert!(sources.iter().any(|source| source.contains(&format!("\"{name}\""))), "{name}");
            seen += 1;
        }
    }
    assert!(seen >= 12, "{seen}");
}
