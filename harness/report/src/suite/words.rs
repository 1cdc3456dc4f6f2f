//! Tests in words and tables, for every rendering alike.

use plan::TestExpectation;
use stats::{Class, Tally};

use super::{Suite, SuiteComparison, TestRow};
use crate::number;

/// What an expectation is called.
pub(crate) fn expectation(expect: TestExpectation) -> &'static str {
    match expect {
        TestExpectation::NoNewFailures => "no new failures",
        TestExpectation::Fixed => "fixed",
    }
}

/// What a class is called.
pub(crate) fn class(class: Class) -> &'static str {
    match class {
        Class::NewlyFailing => "newly failing",
        Class::Fixed => "fixed",
        Class::SometimesFailing => "fails at times",
        Class::Flaky => "flaky",
        Class::OneArmOnly => "in one arm only",
        Class::AlwaysFails => "always fails",
        Class::AlwaysPasses => "always passes",
        Class::Silent => "skipped",
    }
}

/// How many tests of each collection do what, as a table with a heading.
pub(crate) fn counts(suite: &Suite) -> Vec<Vec<String>> {
    let heading = ["collection", "arm", "boots", "pass", "fail", "vary", "skip", "not built"];
    let mut rows = vec![heading.map(str::to_owned).to_vec()];
    rows.extend(suite.counts.iter().map(|counts| {
        let numbers = [counts.boots, counts.pass, counts.fail, counts.vary, counts.skip, counts.not_built];
        let words = [counts.collection.clone(), counts.arm.clone()];
        words.into_iter().chain(numbers.map(|number| number.to_string())).collect()
    }));
    rows
}

/// `2 of 3 fail`, or that it said neither.
pub(crate) fn tally(tally: Tally) -> String {
    match (tally.counts.total(), tally.silent) {
        (0, 0) => "not there".to_owned(),
        (0, silent) => format!("skipped in {silent}"),
        (total, _) => format!("{} of {total} fail", tally.counts.failed),
    }
}

/// Differing tests as a table with a heading.
pub(crate) fn differing(comparison: &SuiteComparison, most: usize) -> Vec<Vec<String>> {
    let heading = ["test", "", &comparison.baseline, &comparison.arm, "p", "q"];
    let mut rows = vec![heading.map(str::to_owned).to_vec()];
    rows.extend(comparison.differing.iter().take(most).map(|row| {
        let kind = if row.known_flake { "known flake" } else { class(row.class) };
        let p = |p: Option<f64>| p.map_or_else(|| "-".to_owned(), number::probability);
        vec![row.test.clone(), kind.to_owned(), tally(row.baseline), tally(row.candidate), p(row.p), p(row.q)]
    }));
    rows
}

/// A differing test in a line of its own.
pub(crate) fn sentence(comparison: &SuiteComparison, row: &TestRow) -> String {
    let kind = if row.known_flake { "known flake" } else { class(row.class) };
    let SuiteComparison { baseline, arm, .. } = comparison;
    let mut line =
        format!("{}: {kind}; {baseline} {}, {arm} {}", row.test, tally(row.baseline), tally(row.candidate));
    if let (Some(p), Some(q)) = (row.p, row.q) {
        line.push_str(&format!("; p {}, q {}", number::probability(p), number::probability(q)));
    }
    if !row.message.is_empty() {
        line.push_str(&format!("; {}", row.message));
    }
    line
}

/// Failing tests, programs before their subtests, each in a line.
pub(crate) fn failures(rows: &[TestRow], most: usize) -> Vec<String> {
    let mut lines: Vec<String> = rows
        .iter()
        .take(most)
        .map(|row| {
            let mut line = row.test.clone();
            if row.baseline.counts.passed > 0 {
                line.push_str(&format!(" ({})", tally(row.baseline)));
            }
            if row.known_flake {
                line.push_str(" (known flake)");
            }
            if !row.message.is_empty() {
                line.push_str(": ");
                line.push_str(&row.message);
            }
            line
        })
        .collect();
    if rows.len() > most {
        lines.push(format!("{} more, in report.json", rows.len() - most));
    }
    lines
}

/// `1,480 tests are alike: 1,450 always pass, 12 always fail, 18 are skipped`.
pub(crate) fn alike(comparison: &SuiteComparison) -> String {
    let of = |class: Class| comparison.classes.get(&class).copied().unwrap_or_default();
    let (pass, fail, skip) = (of(Class::AlwaysPasses), of(Class::AlwaysFails), of(Class::Silent));
    let total = number::counted((pass + fail + skip) as usize, "test");
    format!("{total} alike in both: {pass} always pass, {fail} always fail, {skip} are skipped or not built")
}
