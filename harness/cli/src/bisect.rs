//! Exit statuses for `git bisect run`: 0 good, 1 to 124 bad, 125 cannot be tested; from 128 on git stops and asks.

use std::{collections::BTreeMap, process::ExitCode};

use measure::BuildEnd;
use report::Outcome;
use store::ArmKernel;

use crate::{arguments::Crash, builds::describe, failure::Failure, guest::GuestEnd};

/// This commit cannot be tested; git tries another.
const SKIP: u8 = 125;
/// No commit could be tested so: git stops.
const STOP: u8 = 129;

/// What a command in a guest says about a commit. Everything but the verdict has been told by then.
pub(crate) fn of_guest(end: Result<GuestEnd<u8>, Failure>, crash: Crash) -> ExitCode {
    let (status, why) = match end {
        Ok(GuestEnd::Used(status)) => of_command(status),
        Ok(GuestEnd::NotBuilt(failed)) => (SKIP, Some(describe(&failed))),
        Ok(GuestEnd::NotInTree(error)) => (SKIP, Some(format!("assay: {error}"))),
        Ok(GuestEnd::NotTestable(message)) => (SKIP, Some(message)),
        Ok(GuestEnd::Crashed(crashed)) => {
            crashed.tell();
            (if crash == Crash::Bad { 1 } else { SKIP }, None)
        }
        Err(failure) => {
            failure.print();
            (of_failure(&failure), None)
        }
    };
    if let Some(why) = why {
        eprintln!("{why}");
    }
    eprintln!("assay: for git bisect: {}", in_words(status));
    ExitCode::from(status)
}

/// What a run says about a commit: that of its gates, where every kernel could be built.
pub(crate) fn of_run(outcome: Outcome, kernels: &BTreeMap<String, ArmKernel>) -> ExitCode {
    let built = kernels.values().all(|kernel| matches!(kernel.build, BuildEnd::Built(_)));
    let status = match outcome {
        _ if !built => SKIP,
        Outcome::Holds => 0,
        Outcome::Fails => 1,
        Outcome::Unclear => SKIP,
    };
    eprintln!("assay: for git bisect: {}", in_words(status));
    ExitCode::from(status)
}

/// A status of the command's own that git would take for something else becomes plain bad.
fn of_command(status: u8) -> (u8, Option<String>) {
    match status {
        0..=125 => (status, None),
        126.. => (1, Some(format!("assay: the command ended with {status}"))),
    }
}

fn of_failure(failure: &Failure) -> u8 {
    match failure {
        // The same for every commit.
        Failure::User(_) => STOP,
        Failure::Infrastructure(_) => SKIP,
        Failure::Interrupted(_) => 130,
    }
}

fn in_words(status: u8) -> &'static str {
    match status {
        0 => "good (0)",
        SKIP => "cannot be tested (125)",
        1..=127 => "bad",
        128.. => "stop",
    }
}

/// Ends a command line that could not be understood. Its usual status, 2, would be a bad commit.
pub(crate) fn mistaken(error: &clap::Error) -> ExitCode {
    let json = std::env::args_os().take_while(|word| word != "--").any(|word| word == "--json");
    if json && error.use_stderr() {
        let words = error.render().to_string();
        Failure::user(words.strip_prefix("error: ").unwrap_or(&words).trim_end().replace('\n', "\n "))
            .tell(true);
    } else {
        // The message is all there is to say; a closed standard error is nobody's loss.
        let _ = error.print();
    }
    let usual = u8::try_from(error.exit_code()).unwrap_or(2);
    let bisecting = std::env::args_os().take_while(|word| word != "--").any(|word| word == "--bisect");
    ExitCode::from(if bisecting && error.use_stderr() { STOP } else { usual })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_commands_own_word_makes_a_commit_good_or_bad() {
        assert_eq!([0, 1, 124, 125].map(|status| of_command(status).0), [0, 1, 124, 125]);
        // Killed by a signal, not found, or a status of its own that git would stop at.
        assert_eq!([126, 127, 139, 255].map(|status| of_command(status).0), [1; 4]);
    }

    #[test]
    fn failures_are_never_bad_commits() {
        assert_eq!(of_failure(&Failure::user("x")), 129);
        assert_eq!(of_failure(&Failure::Infrastructure(anyhow::anyhow!("x"))), 125);
        assert_eq!(of_failure(&Failure::Interrupted("x".into())), 130);
    }
}
