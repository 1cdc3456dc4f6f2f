//! A kernel with modules in a closed world: a driver from its initramfs, another that the kernel asks for.

use serde_json::Value;
use tests::{Room, can_boot, long_tests, said, top};

fn functions(room: &Room, workload: &str) -> Vec<(String, f64)> {
    let output = room.sharing_command().args(["profile", "--json", "--workload", workload]).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    let whole: Value = serde_json::from_slice(&output.stdout).unwrap();
    let table = &whole["profiles"][0]["table"];
    let lines = table["lines"].as_array().unwrap().iter();
    lines
        .map(|line| (line["name"].as_str().unwrap().to_owned(), line["numbers"]["arm"].as_f64().unwrap()))
        .collect()
}

#[test]
fn long_functions_of_modules_have_names_and_the_same_counts_in_each_boot() {
    if !can_boot() || !long_tests() {
        return;
    }
    let room = Room::new();
    let scenario = top().join("tests/fixtures/scenarios/modular-exact.yaml");
    let output = room.sharing_command().arg("run").arg(&scenario).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    let of_driver = functions(&room, "tcp");
    assert!(
        of_driver.iter().any(|(name, count)| name == "e1000_clean_rx_irq" && *count > 0.0),
        "{of_driver:?}"
    );
    // Loaded within the window: no name, and in no case that of a module which lies before it.
    let of_dummy = functions(&room, "dummy");
    assert!(of_dummy.iter().all(|(name, _)| name != "cleanup_module"), "{of_dummy:?}");
    let output = room.sharing_command().args(["compare", "--exact"]).arg(room.run()).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
}
