//! A scenario whose evidence is exact, from its file to its verdict.

use std::path::Path;

use profile::{Counts, Profile, Symbols};
use serde_json::Value;
use tests::{Room, can_boot, said};

/// Payload of the scenario, in KiB.
const KIB: u64 = 4096;

/// Rounds of the planted loop for each KiB (`PLANTED_SLOWDOWN_LOOPS`).
const ROUNDS: u64 = 200;

fn gate<'a>(report: &'a Value, arm: &str) -> &'a Value {
    report["model"]["gates"].as_array().unwrap().iter().find(|gate| gate["arm"] == arm).unwrap()
}

/// What each boot of a side had, by its block: `[trial, block, value]`.
fn values(gate: &Value, side: &str) -> Vec<(u64, f64)> {
    let boots = gate[side].as_array().unwrap().iter();
    boots.map(|boot| (boot[1].as_u64().unwrap(), boot[2].as_f64().unwrap())).collect()
}

/// What the trials of an arm counted.
fn profiles(run: &Path, report: &Value, arm: &str) -> Vec<Profile> {
    let mut symbols = Symbols::default();
    let file: Value = serde_json::from_str(&std::fs::read_to_string(run.join("run.json")).unwrap()).unwrap();
    let map = &file["kernels"][arm]["build"]["system_map"];
    symbols.add(&std::fs::read_to_string(map.as_str().unwrap()).unwrap());
    let arms = report["model"]["arms"].as_array().unwrap();
    let trials = arms.iter().find(|one| one["name"] == arm).unwrap()["trials"].as_array().unwrap();
    let of_trial = |trial: &Value| {
        let counts = run.join(format!("trials/{}/raw/insncount.jsonl", trial["index"]));
        let counts = Counts::read(&std::fs::read_to_string(counts).unwrap()).unwrap();
        Profile::new(&counts.windows[0], &symbols)
    };
    let mut trials: Vec<&Value> = trials.iter().collect();
    trials.sort_by_key(|trial| trial["block"].as_u64().unwrap());
    trials.into_iter().map(of_trial).collect()
}

#[test]
fn a_planted_loop_is_found_to_the_instruction_and_a_second_baseline_is_the_same() {
    if !can_boot() {
        return;
    }
    let room = Room::new();
    let output =
        room.sharing_command().args(["run", "scenarios/planted-slowdown-exact.yaml"]).output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    let report = room.report();

    let again = gate(&report, "again");
    assert_eq!(again["judgement"]["verdict"], "same", "{again}");
    let by_block = |side| {
        let mut values = values(again, side);
        values.sort_by_key(|(block, _)| *block);
        values
    };
    assert_eq!(by_block("baseline_by_boot"), by_block("candidate_by_boot"));
    assert_eq!(by_block("baseline_by_boot").len(), 4);
    assert_eq!(gate(&report, "slower")["judgement"]["verdict"], "worse");

    let run = room.run();
    let (baseline, again) = (profiles(&run, &report, "baseline"), profiles(&run, &report, "again"));
    assert_eq!(baseline.len(), 4);
    assert!(baseline == again, "every function of every boot");
    assert_ne!(baseline[0], baseline[1], "blocks differ by their random numbers");
    for profile in profiles(&run, &report, "slower") {
        let named = |function: &&profile::Function| {
            function.symbol.as_ref().is_some_and(|symbol| symbol.name == "planted_slowdown")
        };
        let planted = profile.functions.iter().find(named).unwrap().total;
        // How many instructions make a round is the compiler's business; that it is a whole number of them is not.
        let rounds = ROUNDS * KIB;
        let per_round = (planted.instructions + rounds / 2) / rounds;
        let off = planted.instructions.abs_diff(per_round * rounds);
        assert!(
            (2..=8).contains(&per_round) && off * 100 <= planted.instructions,
            "{planted:?}, {rounds} rounds"
        );
        assert!(planted.entries > 0);
    }
    profiles_name_it(&room, &report);
}

/// `assay profile` names the function first, with the right count, and the report does as well.
fn profiles_name_it(room: &Room, report: &Value) {
    let output = room.sharing_command().args(["profile", "--json"]).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    let whole: Value = serde_json::from_slice(&output.stdout).unwrap();
    for profiles in [&whole["profiles"], &report["model"]["profiles"]] {
        let table = |arm: &str| {
            let profiles = profiles.as_array().unwrap().iter();
            profiles.map(|profile| &profile["table"]).find(|table| table["arm"] == arm).unwrap()
        };
        let first = &table("slower")["lines"][0];
        assert_eq!(first["name"], "planted_slowdown", "{first}");
        assert_eq!(first["change"]["change"], "new", "{first}");
        let difference = first["numbers"]["difference"].as_f64().unwrap();
        let rounds = f64::from(u32::try_from(ROUNDS).unwrap());
        let per_round = (difference / rounds).round();
        assert!((difference - per_round * rounds).abs() <= difference / 100.0, "{difference} for each KiB");
        for line in table("again")["lines"].as_array().unwrap() {
            for counts in line["numbers"]["by_block"].as_array().unwrap() {
                assert_eq!(counts[1], counts[2], "{line}");
            }
        }
    }
}
