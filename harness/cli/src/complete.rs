//! Shell completions. The shell asks `assay` itself what may stand at the cursor, so bases, series and runs complete too.

use std::{
    ffi::OsStr,
    io::Write,
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::Context;
use clap::{CommandFactory, ValueEnum};
use clap_complete::{
    CompleteEnv,
    engine::{CompletionCandidate, PathCompleter, ValueCompleter},
    env::{EnvCompleter, Shells},
};

use crate::{arguments::Arguments, failure::Failure};

/// Set by the shell's hook when it asks for what may stand at the cursor.
const VARIABLE: &str = "ASSAY_COMPLETE";

/// Shells that the hook is there for.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Shell {
    Bash,
    Zsh,
    Fish,
}

/// Answers a shell's question and exits, if this is one.
pub(crate) fn answer() {
    CompleteEnv::with_factory(Arguments::command).var(VARIABLE).complete();
}

/// Prints the hook that a shell has to read once.
pub(crate) fn print(shell: Shell) -> Result<ExitCode, Failure> {
    std::io::stdout().write_all(&hook(shell)?).context("writing to standard output")?;
    Ok(ExitCode::SUCCESS)
}

fn hook(shell: Shell) -> Result<Vec<u8>, Failure> {
    let name = match shell {
        Shell::Bash => "bash",
        Shell::Zsh => "zsh",
        Shell::Fish => "fish",
    };
    let shells = Shells::builtins();
    let completer: &dyn EnvCompleter =
        shells.completer(name).context("the shell is unknown to clap_complete")?;
    let mut text = Vec::new();
    completer
        .write_registration(VARIABLE, "assay", "assay", "assay", &mut text)
        .context("writing the hook")?;
    Ok(text)
}

/// The bases of the project that the current folder is in.
pub(crate) fn bases() -> Vec<CompletionCandidate> {
    candidates(project().map(|project| project.bases()))
}

/// The series of the project that the current folder is in, and files and folders: a series may be any of them.
pub(crate) fn series(current: &OsStr) -> Vec<CompletionCandidate> {
    let known = candidates(project().map(|project| project.series()));
    let begins = |candidate: &CompletionCandidate| {
        candidate.get_value().to_string_lossy().starts_with(&*current.to_string_lossy())
    };
    known.into_iter().filter(begins).chain(PathCompleter::any().complete(current)).collect()
}

/// The runs in the results folder, newest first; of `results` alone, since the options are not known here.
pub(crate) fn runs() -> Vec<CompletionCandidate> {
    let runs = store::list(Path::new("results")).ok();
    candidates(runs.map(|runs| {
        let name = |run: PathBuf| Some(run.file_name()?.to_str()?.to_owned());
        runs.into_iter().rev().filter_map(name).collect()
    }))
}

fn project() -> Option<scenario::Project> {
    match std::env::var_os("ASSAY_PROJECT") {
        Some(root) => Some(scenario::Project::at(root)),
        None => scenario::Project::containing(Path::new(""))
            .or_else(|problems| {
                // Installed, or called from elsewhere: what stands beside the program.
                let us = std::env::current_exe().ok();
                us.and_then(|us| scenario::Project::containing(&us).ok()).ok_or(problems)
            })
            .ok(),
    }
}

fn candidates(names: Option<Vec<String>>) -> Vec<CompletionCandidate> {
    names.unwrap_or_default().into_iter().map(CompletionCandidate::new).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shell_has_a_hook_that_asks_us() {
        for shell in Shell::value_variants() {
            let hook = String::from_utf8(hook(*shell).unwrap()).unwrap();
            assert!(hook.contains(VARIABLE) && hook.contains("assay"), "{hook}");
        }
    }
}
