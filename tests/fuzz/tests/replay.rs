//! Every kept input, through its target: valid ones that give parsers their coverage, and every one that once was a finding.

use std::{fs, path::Path, time::Duration};

/// Most processor time of one input in an unoptimised build.
const MOST: Duration = fuzz::SLOWEST.saturating_mul(2);

fn replay(target: &str) {
    let run = fuzz::TARGETS.iter().find(|(name, _)| *name == target).expect("a target").1;
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target);
    let mut count = 0;
    for entry in fs::read_dir(&folder).expect("the corpus is there") {
        let path = entry.expect("it can be listed").path();
        let input = fs::read(&path).expect("it can be read");
        // The name stands above the panic's words, if it is one.
        println!("{}", path.display());
        fuzz::in_time(run, &input, MOST);
        count += 1;
    }
    assert!(count > 0, "the corpus of {target} is empty");
}

macro_rules! targets {
    ($($target:ident)*) => {
        $(#[test]
        fn $target() {
            replay(stringify!($target));
        })*

        #[test]
        fn every_target_is_replayed() {
            let replayed = [$(stringify!($target)),*];
            assert!(fuzz::TARGETS.iter().map(|(name, _)| *name).eq(replayed));
        }
    };
}

targets! { wire mail tools counters console documents host bundle runs instructions imports }

/// What was captured is not only refused: a parser that reads nothing any more would pass every other test here.
#[test]
fn honest_bundles_are_understood() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus/bundle");
    let mut count = 0;
    for entry in fs::read_dir(&folder).expect("the corpus is there") {
        let entry = entry.expect("it can be listed");
        if entry.file_name().to_string_lossy().starts_with("honest-") {
            let input = fs::read(entry.path()).expect("it can be read");
            if let Err(why) = fuzz::bundle::understand(&input) {
                panic!("{}: {why}", entry.path().display());
            }
            count += 1;
        }
    }
    assert!(count > 0, "there are no honest bundles");
}

/// Every input cut in its middle, and with a byte of it lost. The formats that people keep are cut at every byte by
/// their own crates' tests.
#[test]
fn kept_inputs_cut_anywhere() {
    for (target, run) in fuzz::TARGETS {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target);
        for entry in fs::read_dir(&folder).expect("the corpus is there") {
            let input = fs::read(entry.expect("it can be listed").path()).expect("it can be read");
            let middle = input.len() / 2;
            run(&input[..middle]);
            run(&[&input[..middle], input.get(middle + 1..).unwrap_or_default()].concat());
        }
    }
}
