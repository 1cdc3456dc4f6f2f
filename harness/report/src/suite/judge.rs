//! Whether what must hold of tests does.

use plan::TestExpectation;
use stats::Class;

use super::{SuiteGate, TestRow};
use crate::{Outcome, number};

/// Boots of each arm from which on a test that always passed and now always fails is a new failure, whatever Fisher's test
/// says: with three, a test that fails by chance every other time looks so once in sixty-four runs.
const BOOTS_THAT_CONVINCE: u32 = 3;
/// Boots of both arms together from which on a test that always failed and now always passes is fixed. One boot less than
/// for failures on both sides: a baseline that dies in its first two boots gets no third.
const BOOTS_THAT_FIX: u32 = 2 * BOOTS_THAT_CONVINCE - 1;
/// Tests that are named in a reason; more are counted.
const NAMED: usize = 3;

/// Judges the tests that are no known flakes.
pub(super) fn judge(expect: TestExpectation, rows: &[TestRow], boots: [u32; 2], alpha: f64) -> SuiteGate {
    let gate = no_new_failures(expect, rows, boots, alpha);
    match (expect, gate.outcome) {
        (TestExpectation::Fixed, Outcome::Holds) => fixed(rows, alpha),
        (TestExpectation::Fixed | TestExpectation::NoNewFailures, _) => gate,
    }
}

/// Whether any test is fixed, where none fails newly.
fn fixed(rows: &[TestRow], alpha: f64) -> SuiteGate {
    let counted = rows.iter().filter(|row| !row.known_flake && row.class == Class::Fixed);
    let (sure, open): (Vec<&TestRow>, Vec<&TestRow>) = counted.partition(|row| {
        let (failed, passed) = (row.baseline.counts.failed, row.candidate.counts.passed);
        row.q.is_some_and(|q| q <= alpha) || (failed.min(passed) > 1 && failed + passed >= BOOTS_THAT_FIX)
    });
    let (outcome, reason) = match (sure.is_empty(), open.is_empty()) {
        (false, _) => {
            (Outcome::Holds, format!("{} fixed: {}", number::counted(sure.len(), "test"), names(&sure)))
        }
        (true, false) => {
            let count = number::counted(open.len(), "test");
            (Outcome::Unclear, format!("{count} may be fixed, too few boots to tell: {}", names(&open)))
        }
        (true, true) => (Outcome::Fails, "no test that fails in the baseline passes here".to_owned()),
    };
    SuiteGate { expect: TestExpectation::Fixed, outcome, reasons: vec![reason] }
}

fn no_new_failures(expect: TestExpectation, rows: &[TestRow], boots: [u32; 2], alpha: f64) -> SuiteGate {
    if boots.contains(&0) {
        let reasons = vec!["no test ran in both arms".to_owned()];
        return SuiteGate { expect, outcome: Outcome::Unclear, reasons };
    }
    let mut new = Vec::new();
    let mut open = Vec::new();
    let mut absent = Vec::new();
    let mut compared = false;
    for row in rows.iter().filter(|row| !row.known_flake) {
        let (before, after) = (row.baseline.counts, row.candidate.counts);
        compared |= before.total() > 0 && after.total() > 0;
        match row.class {
            Class::NewlyFailing | Class::SometimesFailing | Class::Flaky if is_worse(row, alpha) => {
                new.push(row);
            }
            Class::NewlyFailing
                if before.passed >= BOOTS_THAT_CONVINCE && after.failed >= BOOTS_THAT_CONVINCE =>
            {
                new.push(row);
            }
            Class::NewlyFailing | Class::SometimesFailing => open.push(row),
            // It did not fail in the baseline, for it was not there.
            Class::OneArmOnly if after.failed > 0 => open.push(row),
            Class::OneArmOnly if before.passed > 0 => absent.push(row),
            Class::OneArmOnly
            | Class::Fixed
            | Class::Flaky
            | Class::AlwaysFails
            | Class::AlwaysPasses
            | Class::Silent => {}
        }
    }
    let mut reasons = Vec::new();
    if !new.is_empty() {
        reasons.push(format!("{} newly: {}", fails(new.len()), names(&new)));
    }
    if !open.is_empty() {
        let how = match boots {
            [0..=1, 0..=1] if open.len() == 1 => "differs, one boot each",
            [0..=1, 0..=1] => "differ, one boot each",
            _ => "may fail newly, too few boots to tell",
        };
        reasons.push(format!("{} {how}: {}", number::counted(open.len(), "test"), names(&open)));
    }
    if !absent.is_empty() {
        let count = number::counted(absent.len(), "test");
        reasons.push(format!("{count} passed in the baseline and said nothing here: {}", names(&absent)));
    }
    let outcome = match (new.is_empty(), open.is_empty() && absent.is_empty()) {
        (false, _) => Outcome::Fails,
        (true, false) => Outcome::Unclear,
        (true, true) if !compared => {
            reasons.push("no test ran in both arms".to_owned());
            Outcome::Unclear
        }
        (true, true) => {
            reasons.push("no new failure".to_owned());
            Outcome::Holds
        }
    };
    SuiteGate { expect, outcome, reasons }
}

/// Whether a test fails more often, beyond chance.
fn is_worse(row: &TestRow, alpha: f64) -> bool {
    let rate = |counts: stats::PassFail| f64::from(counts.failed) / f64::from(counts.total().max(1));
    row.q.is_some_and(|q| q <= alpha) && rate(row.candidate.counts) > rate(row.baseline.counts)
}

fn fails(count: usize) -> String {
    if count == 1 { "1 test fails".to_owned() } else { format!("{count} tests fail") }
}

fn names(rows: &[&TestRow]) -> String {
    let mut names: Vec<&str> = rows.iter().take(NAMED).map(|row| row.test.as_str()).collect();
    let more = rows.len().saturating_sub(NAMED);
    let rest = format!("{more} more");
    if more > 0 {
        names.push(&rest);
    }
    names.join(", ")
}

#[cfg(test)]
mod tests {
    use stats::{PassFail, Tally, contrast};

    use super::*;

    /// A name, and passes and failures in both arms.
    type Test<'a> = (&'a str, (u32, u32), (u32, u32));

    fn rows(tests: &[Test<'_>]) -> Vec<TestRow> {
        let tally = |(passed, failed): (u32, u32)| Tally { counts: PassFail { passed, failed }, silent: 0 };
        let tallies: Vec<_> = tests.iter().map(|(_, b, a)| (tally(*b), tally(*a))).collect();
        let rows = tests.iter().zip(&tallies).zip(contrast(&tallies));
        rows.map(|(((name, ..), (baseline, candidate)), contrast)| TestRow {
            test: (*name).to_owned(),
            class: contrast.class,
            baseline: *baseline,
            candidate: *candidate,
            p: contrast.p,
            q: contrast.q,
            known_flake: name.starts_with("flake"),
            message: String::new(),
        })
        .collect()
    }

    fn verdict(tests: &[Test<'_>], boots: u32) -> (Outcome, String) {
        let gate = judge(TestExpectation::NoNewFailures, &rows(tests), [boots; 2], 0.05);
        (gate.outcome, gate.reasons.join("; "))
    }

    #[test]
    fn what_always_passed_and_now_always_fails_is_new_from_three_boots_on() {
        let same = ("same", (3, 0), (3, 0));
        assert_eq!(verdict(&[same], 3), (Outcome::Holds, "no new failure".into()));
        assert_eq!(
            verdict(&[same, ("net:a", (3, 0), (0, 3))], 3),
            (Outcome::Fails, "1 test fails newly: net:a".into())
        );
        assert_eq!(
            verdict(&[same, ("net:a", (2, 0), (0, 2))], 2),
            (Outcome::Unclear, "1 test may fail newly, too few boots to tell: net:a".into())
        );
        assert_eq!(
            verdict(&[("net:a", (1, 0), (0, 1))], 1),
            (Outcome::Unclear, "1 test differs, one boot each: net:a".into())
        );
        assert_eq!(
            verdict(&[("net:a", (1, 0), (0, 1)), ("net:b", (1, 0), (0, 1))], 1),
            (Outcome::Unclear, "2 tests differ, one boot each: net:a, net:b".into())
        );
    }

    #[test]
    fn what_fails_sometimes_is_decided_by_fishers_test() {
        assert_eq!(verdict(&[("a", (10, 0), (9, 1))], 10).0, Outcome::Unclear);
        assert_eq!(verdict(&[("a", (20, 0), (8, 12))], 20).0, Outcome::Fails);
        assert_eq!(
            verdict(&[("a", (18, 2), (4, 16))], 20).0,
            Outcome::Fails,
            "it was flaky before, but less"
        );
        assert_eq!(verdict(&[("a", (2, 1), (0, 3))], 3).0, Outcome::Holds, "it failed before as well");
        assert_eq!(verdict(&[("a", (4, 16), (18, 2))], 20).0, Outcome::Holds, "better is no failure");
    }

    #[test]
    fn a_fix_is_one_test_that_failed_always_and_passes_always_and_no_new_failure() {
        let verdict = |tests: &[Test<'_>], boots: [u32; 2]| {
            let gate = judge(TestExpectation::Fixed, &rows(tests), boots, 0.05);
            (gate.outcome, gate.reasons.join("; "))
        };
        let same = ("same", (3, 0), (3, 0));
        let broken = ("broken", (0, 3), (0, 3));
        assert_eq!(
            verdict(&[same, broken, ("net:a", (0, 2), (3, 0))], [2, 3]),
            (Outcome::Holds, "1 test fixed: net:a".into())
        );
        assert_eq!(
            verdict(&[same, ("net:a", (0, 1), (3, 0))], [1, 3]),
            (Outcome::Unclear, "1 test may be fixed, too few boots to tell: net:a".into())
        );
        assert_eq!(
            verdict(&[same, broken], [3, 3]),
            (Outcome::Fails, "no test that fails in the baseline passes here".into())
        );
        assert_eq!(
            verdict(&[("net:b", (3, 0), (0, 3)), ("net:a", (0, 3), (3, 0))], [3, 3]),
            (Outcome::Fails, "1 test fails newly: net:b".into()),
            "what it breaks weighs more"
        );
        assert_eq!(
            verdict(&[("flake", (0, 3), (3, 0)), same], [3, 3]).0,
            Outcome::Fails,
            "a flake is no proof"
        );
    }

    #[test]
    fn known_flakes_decide_nothing_and_nothing_at_all_is_unclear() {
        assert_eq!(verdict(&[("flake", (5, 0), (0, 5)), ("b", (5, 0), (5, 0))], 5).0, Outcome::Holds);
        assert_eq!(verdict(&[], 3), (Outcome::Unclear, "no test ran in both arms".into()));
        let gone = verdict(&[("a", (3, 0), (0, 0)), ("b", (3, 0), (3, 0))], 3);
        assert_eq!(gone, (Outcome::Unclear, "1 test passed in the baseline and said nothing here: a".into()));
        let half_done = judge(TestExpectation::NoNewFailures, &rows(&[("a", (1, 0), (0, 0))]), [1, 0], 0.05);
        assert_eq!(half_done.outcome, Outcome::Unclear);
        assert_eq!(
            half_done.reasons,
            ["no test ran in both arms"],
            "a run that is not finished names no tests"
        );
        assert_eq!(verdict(&[("new", (0, 0), (0, 3)), ("b", (3, 0), (3, 0))], 3).0, Outcome::Unclear);
    }
}
