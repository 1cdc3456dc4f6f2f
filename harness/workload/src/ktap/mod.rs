//! The kernel's own tests: installed selftests on a disk, run by their own runner, one program at a time.

mod drive;
mod nic;
mod parse;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use measure::{RawFile, TestOutcome, TestResult};
use plan::{Ktap, Patterns, SUBTEST};

pub(crate) use drive::run;
pub use parse::{Report, Reported, parse};

/// Who is told how tests go, as they go: a guest may crash in the middle, and what was seen until then counts.
pub trait Tests: Sync {
    /// The disk that the tests of this workload are on, such as `/dev/vdb`.
    fn device(&self) -> String;

    /// A program begins.
    fn begins(&self, program: &str);

    /// A program has ended, with all that it said.
    fn ended(&self, outcomes: Vec<TestOutcome>, output: RawFile);
}

/// The programs that run, in the order of the tree's own list, and those that were not built, with the reasons.
///
/// # Errors
/// In words for people: patterns that are none, or nothing that runs.
pub fn select(
    params: &Ktap,
    list: &str,
    not_built: &str,
) -> Result<(Vec<String>, BTreeMap<String, String>), String> {
    let (named, skip) = (Patterns::new(&params.tests)?, Patterns::new(&params.skip)?);
    let wanted = |name: &str| {
        let collection = name.split_once(':').map_or("", |(collection, _)| collection);
        let whole = params.collections.iter().any(|wanted| wanted == collection);
        (whole || named.matches_test(name)) && !skip.matches_test(name)
    };
    let mut reasons: BTreeMap<String, String> = not_built
        .lines()
        .filter_map(|line| line.split_once('\t'))
        .map(|(name, reason)| (name.to_owned(), reason.to_owned()))
        .collect();
    reasons.retain(|name, _| wanted(name));
    let programs: Vec<String> = list
        .lines()
        .map(str::trim)
        // It becomes an argument of the tree's runner, which takes it for a pattern.
        .filter(|name| name.contains(':') && !name.contains(char::is_whitespace) && wanted(name))
        .filter(|name| !reasons.contains_key(*name))
        .map(str::to_owned)
        .collect();
    if programs.is_empty() && reasons.is_empty() {
        return Err("none of the installed tests is among those that are to run".to_owned());
    }
    for test in &params.tests {
        let pattern = Patterns::new(std::slice::from_ref(test))?;
        if !list.lines().any(|name| pattern.matches(name.trim())) {
            return Err(format!("no installed test is called `{test}`"));
        }
    }
    Ok((programs, reasons))
}

/// What one program said: first itself, then its subtests by their names.
///
/// `output` is that of `run_kselftest.sh -t COLLECTION:PROGRAM`, in which every line of the program stands behind `# `
/// and the runner's own word on it comes last.
#[must_use]
pub fn outcomes(workload: &str, program: &str, output: &str, seconds: f64, ended: Ended) -> Vec<TestOutcome> {
    let report = parse(output);
    // The runner's own result is the last at the outermost level; what is there besides has lost its parent.
    let own = report.tests.iter().rposition(|test| test.name.starts_with("selftests: "));
    let mut outcome = TestOutcome {
        workload: workload.to_owned(),
        test: program.to_owned(),
        result: TestResult::Fail,
        seconds: Some(seconds),
        message: String::new(),
    };
    let mut subtests: Vec<&Reported> = Vec::new();
    match (own, ended) {
        (Some(own), _) => {
            outcome.result = report.tests[own].result;
            outcome.message.clone_from(&report.tests[own].message);
            subtests.extend(&report.tests[own].subtests);
        }
        (None, Ended::DeadlinePassed) => {
            outcome.result = TestResult::Timeout;
            outcome.message = "neither it nor its runner came to an end".to_owned();
        }
        (None, Ended::ByItself) => outcome.message = "its runner did not say how it ended".to_owned(),
    }
    if let Some(reason) = report.bailed_out {
        outcome.message = [outcome.message.as_str(), reason.as_str()].join(" ").trim().to_owned();
    }
    let stray = report.tests.iter().enumerate().filter(|(index, _)| Some(*index) != own);
    subtests.extend(stray.map(|(_, test)| test));
    let mut outcomes = vec![outcome];
    let mut names = BTreeMap::from([(program.to_owned(), 1)]);
    for subtest in subtests {
        flatten(workload, program, subtest, &mut names, &mut outcomes);
    }
    outcomes
}

/// How the runner ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// In time.
    ByItself,
    /// It was killed.
    DeadlinePassed,
}

/// Most characters of the names above a subtest: each test has its whole name, and a guest decides how they nest.
const MAX_PARENT: usize = 600;

/// `plain`, or the first of `plain (2)`, `plain (3)` and so on that is not in `taken`: some programs give one name to several of
/// their tests, always in the same order. `taken` counts how often each name was asked for, so that thousands of equal ones cost
/// no more than others.
fn unused(plain: String, taken: &mut BTreeMap<String, u32>) -> String {
    let mut count = taken.get(&plain).map_or(1, |count| count + 1);
    let mut name = if count == 1 { plain.clone() } else { format!("{plain} ({count})") };
    while taken.contains_key(&name) {
        count += 1;
        name = format!("{plain} ({count})");
    }
    taken.insert(plain, count);
    taken.entry(name.clone()).or_insert(1);
    name
}

fn flatten(
    workload: &str,
    parent: &str,
    reported: &Reported,
    names: &mut BTreeMap<String, u32>,
    outcomes: &mut Vec<TestOutcome>,
) {
    let parent = parent.char_indices().nth(MAX_PARENT).map_or(parent, |(end, _)| &parent[..end]);
    let test = unused(format!("{parent}{SUBTEST}{}", reported.name), names);
    outcomes.push(TestOutcome {
        workload: workload.to_owned(),
        test: test.clone(),
        result: reported.result,
        seconds: None,
        message: reported.message.clone(),
    });
    for subtest in &reported.subtests {
        flatten(workload, &test, subtest, names, outcomes);
    }
}
