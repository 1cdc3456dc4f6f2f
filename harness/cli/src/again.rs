//! The command that asks a run's question again, for its report.

use std::ffi::OsString;

use plan::Series;
use subprocess::Argv;

use crate::arguments::{Question, TreeConfig};

/// The command that asks a question again, from the same folder. `resolved` are the question's own series, in its order: one that
/// came from standard input is asked for where it was kept.
pub(crate) fn command(question: &Question, resolved: &[Series]) -> String {
    let mut words: Vec<OsString> = vec!["assay".into(), "run".into()];
    words.extend(question.scenario.iter().map(OsString::from));
    let mut option = |name: &str, value: OsString| words.extend([format!("--{name}").into(), value]);
    if let Some(base) = &question.base {
        option("base", base.into());
    }
    if let Some(flavour) = question.flavour {
        option("flavour", flavour.word().into());
    }
    if let Some(arm) = &question.arm {
        option("arm", arm.into());
    }
    for number in &question.replicate {
        option("replicate", number.to_string().into());
    }
    for (index, text) in question.series.series.iter().enumerate() {
        match resolved.get(index).filter(|_| text == "-") {
            Some(series) => option("series", series.folder.clone().into()),
            None => option("series", text.into()),
        }
    }
    if let Some(git) = &question.series.git {
        option("git", git.into());
    }
    let tree = &question.tree;
    if let Some(reference) = &tree.against {
        option("against", reference.into());
    }
    if tree.config == TreeConfig::Tree {
        option("config", "tree".into());
    }
    if tree.no_tree {
        words.push("--no-tree".into());
    }
    match &tree.tree {
        Some(Some(folder)) => {
            let mut word = OsString::from("--tree=");
            word.push(folder);
            words.push(word);
        }
        Some(None) => words.push("--tree".into()),
        None => {}
    }
    Argv(words).to_string()
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::arguments::{Arguments, Command, Run};

    fn question(words: &[&str]) -> Question {
        let arguments = Arguments::try_parse_from([&["assay", "run"], words].concat()).unwrap();
        let Command::Run(Run { question, .. }) = arguments.command else { panic!("not a run") };
        question
    }

    #[test]
    fn what_was_asked_is_asked_again() {
        let again = |words: &[&str]| command(&question(words), &[]);
        assert_eq!(again(&["scenarios/my own.yaml"]), "assay run 'scenarios/my own.yaml'");
        let words = [
            "net",
            "--base",
            "debian-7.3",
            "--flavour",
            "debug",
            "--arm",
            "new",
            "--series",
            "A..B",
            "--git",
            "../linux",
        ];
        assert_eq!(again(&words), format!("assay run {}", words.join(" ")));
        let words = ["--against", "origin/main", "--config", "tree", "--tree=/src/linux"];
        assert_eq!(again(&words), format!("assay run {}", words.join(" ")));
        assert_eq!(again(&["net", "--tree"]), "assay run net --tree");
        assert_eq!(again(&["net", "--no-tree"]), "assay run net --no-tree");
    }

    #[test]
    fn what_came_from_standard_input_is_asked_for_where_it_was_kept() {
        let kept = |name: &str| Series {
            name: name.into(),
            folder: format!("/cache/{name}").into(),
            patches: vec![],
        };
        let question = question(&["--series", "one.mbox", "--series", "-"]);
        assert_eq!(
            command(&question, &[kept("one"), kept("two")]),
            "assay run --series one.mbox --series /cache/two"
        );
    }
}
