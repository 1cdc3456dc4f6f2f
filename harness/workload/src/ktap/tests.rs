//! Reading what the kernel's tests write.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

/// Of the runner and the programs of linux 6.12, on Debian's kernel 6.18 without /dev/net/tun.
fn captured(name: &str) -> String {
    let path = format!("{}/../../tests/fixtures/selftests/{name}.tap", env!("CARGO_MANIFEST_DIR"));
    std::fs::read_to_string(path).unwrap()
}

fn words(outcomes: &[TestOutcome]) -> Vec<(&str, TestResult)> {
    outcomes.iter().map(|outcome| (outcome.test.as_str(), outcome.result)).collect()
}

fn read(program: &str, output: &str) -> Vec<TestOutcome> {
    outcomes("selftests", program, output, 1.5, Ended::ByItself)
}

#[test]
fn a_program_of_the_harness_yields_itself_and_its_subtests() {
    let outcomes = read("net:bind_timewait", &captured("bind_timewait"));
    assert_eq!(
        words(&outcomes),
        [
            ("net:bind_timewait", TestResult::Pass),
            ("net:bind_timewait / bind_timewait.localhost.1", TestResult::Pass),
            ("net:bind_timewait / bind_timewait.addrany.1", TestResult::Pass),
        ]
    );
    assert_eq!((outcomes[0].seconds, outcomes[1].seconds), (Some(1.5), None));
}

#[test]
fn a_program_that_fails_says_how() {
    let outcomes = read("net:tun", &captured("tun"));
    assert_eq!(outcomes.len(), 6);
    assert!(outcomes.iter().all(|outcome| outcome.result == TestResult::Fail), "{outcomes:?}");
    assert_eq!(outcomes[0].message, "exit=1");
    assert_eq!(outcomes[1].test, "net:tun / tun.delete_detach_close");
}

#[test]
fn a_program_without_subtests_is_one_test() {
    let outcomes = read("net:sk_so_peek_off", &captured("sk_so_peek_off"));
    assert_eq!(words(&outcomes), [("net:sk_so_peek_off", TestResult::Pass)]);
}

#[test]
fn an_output_that_ends_early_keeps_what_came_and_tells_what_did_not() {
    let whole = captured("tun");
    let cut = &whole[..whole.find("not ok 3").unwrap()];
    let outcomes = outcomes("selftests", "net:tun", cut, 60.0, Ended::DeadlinePassed);
    let results: Vec<_> = outcomes.iter().map(|outcome| outcome.result).collect();
    assert_eq!(
        results,
        [TestResult::Timeout, TestResult::Missing, TestResult::Fail, TestResult::Fail, TestResult::Missing]
    );
    assert_eq!(outcomes[4].message, "3 of 5 planned results did not come");
}

#[test]
fn the_runners_own_directives_are_read() {
    let last = |line: &str| {
        let output = format!("TAP version 13\n1..1\n# selftests: net: x.sh\n# text\n{line}\n");
        let outcome = read("net:x.sh", &output).remove(0);
        (outcome.result, outcome.message)
    };
    assert_eq!(last("ok 1 selftests: net: x.sh # SKIP"), (TestResult::Skip, String::new()));
    assert_eq!(
        last("not ok 1 selftests: net: x.sh # TIMEOUT 60 seconds"),
        (TestResult::Timeout, "60 seconds".into())
    );
    assert_eq!(last("not ok 1 selftests: net: x.sh # exit=255"), (TestResult::Fail, "exit=255".into()));
    assert_eq!(last(""), (TestResult::Fail, "its runner did not say how it ended".into()));
}

#[test]
fn nested_subtests_belong_to_the_result_that_follows_them() {
    // As KUnit writes it.
    let output = "KTAP version 1\n1..2\n    KTAP version 1\n    # Subtest: one\n    1..2\n    ok 1 a\n        ok 1 deep\n    \
                  not ok 2 b # XFAIL known\n[    1.2] kernel says something\nok 1 one\n    # Subtest: two\n    1..3\n    \
                  ok 1 - c # SKIP no device\nnot ok 2 two\n";
    let report = parse(output);
    let two = &report.tests[1];
    assert_eq!((two.name.as_str(), two.result, two.subtests.len()), ("two", TestResult::Fail, 2));
    assert_eq!((two.subtests[0].result, two.subtests[0].message.as_str()), (TestResult::Skip, "no device"));
    assert_eq!(two.subtests[1].result, TestResult::Missing);
    let one = &report.tests[0];
    let results: Vec<_> = one.subtests.iter().map(|test| (test.name.as_str(), test.result)).collect();
    assert_eq!(results, [("a", TestResult::Pass), ("b", TestResult::Xfail)]);
    assert_eq!(one.subtests[1].subtests[0].name, "deep");
}

#[test]
fn the_liberties_that_programs_take_are_understood() {
    let one = |line: &str| {
        parse(line).tests.first().map(|test| (test.name.clone(), test.result, test.message.clone()))
    };
    let is = |name: &str, result, message: &str| Some((name.to_owned(), result, message.to_owned()));
    assert_eq!(one("ok 3 # SKIP not here"), is("#3", TestResult::Skip, "not here"));
    assert_eq!(one("not ok 4"), is("#4", TestResult::Fail, ""));
    assert_eq!(one("ok 5 a - b # exit=0"), is("a - b", TestResult::Pass, "exit=0"));
    assert_eq!(one("not ok 6 - x # TODO later"), is("x", TestResult::Xfail, "later"));
    assert_eq!(one("ok 7 a#b"), is("a#b", TestResult::Pass, ""));
    assert_eq!(one("ok 8 x # skipped: none"), is("x", TestResult::Pass, "skipped: none"));
    assert_eq!(one("1..0 # SKIP no hardware"), is("(all)", TestResult::Skip, "no hardware"));
    for prose in ["ok", "ok then", "okay 1", "not ok", "ok 1x", "1..2 and on", "1..", "TEST: x [ OK ]"] {
        assert_eq!(one(prose), None, "{prose}");
    }
    assert_eq!(parse("Bail out! no memory\n").bailed_out.as_deref(), Some("no memory"));
}

#[test]
fn tests_of_one_name_stay_apart() {
    let output = "# ok 1 same\n# not ok 2 same\nnot ok 1 selftests: net: x # exit=1\n";
    assert_eq!(
        words(&read("net:x", output)),
        [
            ("net:x", TestResult::Fail),
            ("net:x / same", TestResult::Pass),
            ("net:x / same (2)", TestResult::Fail),
        ]
    );
}

/// A guest writes what it likes: thousands of results of one name, and a nesting without end.
#[test]
fn results_of_one_name_and_results_in_results_without_end_cost_little() {
    let began = std::time::Instant::now();
    let equal = read("net:x", &"# ok 1 same\n".repeat(30_000));
    assert_eq!(equal.len(), 20_001);
    assert_eq!(equal.last().unwrap().test, "net:x / same (20000)");
    let deep: String =
        (0..3000).rev().map(|level| format!("{}ok 1 {}\n", " ".repeat(level), "x".repeat(300))).collect();
    let deep = read("net:x", &deep);
    assert_eq!(deep.len(), 3001);
    assert!(deep.iter().all(|outcome| outcome.test.len() < 1000), "names are bounded");
    assert!(began.elapsed().as_secs() < 10, "{:?}", began.elapsed());
}

fn params(collections: &[&str], tests: &[&str], skip: &[&str]) -> Ktap {
    let owned = |words: &[&str]| words.iter().map(|&word| word.to_owned()).collect();
    Ktap {
        collections: owned(collections),
        tests: owned(tests),
        build: vec![],
        skip: owned(skip),
        flakes: vec![],
        timeout_s: 60,
        deadline_s: 600,
        from: plan::TestsFrom::Arm,
        nic: plan::TestNic::None,
    }
}

const LIST: &str = "net:tls\nnet:tun\nnet/lib:ksft.py\niommu:iommufd\niommu:iommufd_fail_nth\n";

#[test]
fn whole_collections_and_single_programs_run_and_what_was_not_built_is_told() {
    let (programs, not_built) =
        select(&params(&["iommu"], &["net:t*"], &["*_nth"]), LIST, "net:tls\tno header\nnet/lib:x\tno\n")
            .unwrap();
    assert_eq!(programs, ["net:tun", "iommu:iommufd"]);
    assert_eq!(not_built, BTreeMap::from([("net:tls".to_owned(), "no header".to_owned())]));
    let why = |params: &Ktap| select(params, LIST, "").unwrap_err();
    assert_eq!(why(&params(&["iommu"], &["net:tsl"], &[])), "no installed test is called `net:tsl`");
    assert!(why(&params(&["mm"], &[], &[])).starts_with("none of the installed tests"));
}

proptest! {
    #[test]
    fn whatever_a_guest_writes_is_read_without_a_fuss(output in "([ #]{0,6}(not )?ok? [0-9]{0,3}[ -]?.{0,9}\n?|1\\.\\.[0-9]{0,5}\n|.{0,12}\n|# Subtest: x\n){0,40}") {
        let all = outcomes("w", "c:p", &output, 0.0, Ended::ByItself);
        prop_assert_eq!(&all[0].test, "c:p");
        let names: BTreeSet<_> = all.iter().map(|outcome| &outcome.test).collect();
        prop_assert_eq!(names.len(), all.len(), "names are unique");
    }

    #[test]
    fn every_result_of_a_flat_program_is_read_back(results in proptest::collection::vec(any::<bool>(), 0..30)) {
        let mut output = format!("TAP version 13\n1..1\n# TAP version 13\n# 1..{}\n", results.len());
        for (index, passed) in results.iter().enumerate() {
            let word = if *passed { "ok" } else { "not ok" };
            output.push_str(&format!("# # RUN t.{index} ...\n# {word} {} t.{index}\n", index + 1));
        }
        output.push_str("ok 1 selftests: c: p\n");
        let all = outcomes("w", "c:p", &output, 0.0, Ended::ByItself);
        let read: Vec<bool> = all[1..].iter().map(|outcome| outcome.result == TestResult::Pass).collect();
        prop_assert_eq!(read, results);
    }
}
