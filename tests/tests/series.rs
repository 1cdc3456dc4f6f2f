//! Series from anywhere, as a user names them.
#![expect(clippy::unwrap_used, reason = "a test ends at what it did not expect")]

use std::process::Output;

use tests::{Room, said};

const MAILBOX: &str = "tests/fixtures/series/page-pool.mbox";

fn assay(room: &Room, arguments: &[&str]) -> Output {
    room.command().args(arguments).output().unwrap()
}

fn json(output: &Output) -> serde_json::Value {
    assert_eq!(output.status.code(), Some(0), "{}", said(output));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn a_mailbox_is_the_candidate_of_the_default_scenario() {
    let room = Room::new();
    let plan = json(&assay(&room, &["plan", "--series", MAILBOX, "--base", "debian-7.3", "--json"]));
    assert_eq!(plan["name"], "net");
    let arms: Vec<(&str, usize)> = plan["arms"]
        .as_array()
        .unwrap()
        .iter()
        .map(|arm| (arm["name"].as_str().unwrap(), arm["kernel"]["series"].as_array().unwrap().len()))
        .collect();
    assert_eq!(arms, [("baseline", 0), ("candidate", 1)]);
    let series = &plan["arms"][1]["kernel"]["series"][0];
    assert_eq!(plan["arms"][1]["kernel"]["base"]["name"], "debian-7.3");
    assert_eq!(series["patches"].as_array().unwrap().len(), 2);
    let patch = std::fs::read_to_string(series["patches"][0]["path"].as_str().unwrap()).unwrap();
    assert!(patch.contains("Reviewed-by: Zoë Reviewer <zoe@example.net>"), "{patch}");
}

#[test]
fn what_was_understood_is_shown() {
    let room = Room::new();
    let shown = json(&assay(&room, &["series", "show", MAILBOX, "--json"]));
    assert_eq!(shown[0]["version"], 2);
    assert_eq!(shown[0]["cover"]["subject"], "page_pool: Make unmaps and recycling traceable");
    assert_eq!(shown[0]["patches"][0]["trailers"][1]["added_from"], "<r1@example.net>");
    let hooks = json(&assay(&room, &["series", "show", "iommu-hooks", "--json"]));
    let counts: Vec<usize> =
        hooks.as_array().unwrap().iter().map(|series| series["patches"].as_array().unwrap().len()).collect();
    assert_eq!(counts, [5, 5], "one for each folder that its bases have");
}

#[test]
fn what_is_wrong_with_a_series_is_the_users_to_mend() {
    let room = Room::new();
    let told = |arguments: &[&str]| {
        let output = assay(&room, arguments);
        assert_eq!(output.status.code(), Some(2), "{}", said(&output));
        String::from_utf8(output.stderr).unwrap()
    };
    let nowhere = told(&["series", "show", "nowhere"]);
    assert!(nowhere.contains("no such file or folder") && nowhere.contains("iommu-hooks"), "{nowhere}");
    assert!(told(&["series", "show", "README.md"]).contains("neither an mbox nor a mail nor a diff"));
    let fake = "tests/fixtures/fake/scenarios/twins.yaml";
    let prebuilt = told(&["run", fake, "--series", MAILBOX]);
    assert!(prebuilt.contains("--series: `") && prebuilt.contains("cannot be patched"), "{prebuilt}");
    let arm = told(&["plan", "scenarios/net.yaml", "--series", MAILBOX, "--arm", "candidat"]);
    assert!(arm.contains("--arm: there is no arm `candidat`"), "{arm}");
    assert!(told(&["run"]).contains("name a scenario"));
    assert!(!room.results().exists(), "nothing was begun");
}
