//! Streams with and without copies over zcsim, in real guests.

use tests::{Room, can_boot, long_tests, said};

/// Long, since its kernel is one that no other test builds.
#[test]
fn zero_copy_is_measured_where_it_is_none_the_cell_is_void() {
    if !can_boot() || !long_tests() {
        return;
    }
    let room = Room::new();
    let output = crate::run(&room, "zero-copy-off-path").output().unwrap();
    assert_eq!(output.status.code(), Some(3), "{}", said(&output));
    let report = room.report();
    let voids = report["model"]["voids"].as_array().unwrap();
    let cells: Vec<(&str, &str)> = voids
        .iter()
        .map(|void| {
            let receive = void["at"].as_object().and_then(|at| at.values().next()?.as_str());
            (void["workload"].as_str().unwrap(), receive.unwrap_or_default())
        })
        .collect();
    let expected = [("no-header-split", "devmem"), ("no-header-split", "zcrx"), ("not-steered", "")];
    assert_eq!(cells, expected, "{voids:?}");
    let reasons = report["conclusion"]["reasons"].to_string();
    assert!(reasons.contains("tcp-data-split") && reasons.contains("went without a copy"), "{reasons}");
    let shares: Vec<f64> = report["model"]["explored"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|row| {
            row["series"]["metric"] == "zero-copy-share" && row["series"]["dims"]["side"] == "server"
        })
        .map(|row| row["baseline"]["median"].as_f64().unwrap())
        .collect();
    assert_eq!(shares, [100.0, 100.0], "of devmem and zcrx, and of no void cell");
}
