use super::*;

fn stat(cores: &[&str]) -> String {
    let lines: String = (0..).zip(cores).map(|(core, ticks)| format!("cpu{core} {ticks}\n")).collect();
    format!("cpu  0 0 0 0 0 0 0 0 0 0\n{lines}intr 1 2 3\nctxt 5\n")
}

fn reduced(before: &[&str], after: &[&str]) -> Reduced {
    reduce(&[Collector::Cpu], &changed(&[("/proc/stat", &stat(before), &stat(after))]))
}

#[test]
fn shares_are_of_all_ticks_and_guests_are_within_applications() {
    //                  user nice system idle iowait irq softirq steal guest guest_nice
    let before = ["100 10 50 1000 20 1 9 5 3 0"];
    let after = ["110 20 65 1030 25 2 18 25 8 0"];
    let reduced = reduced(&before, &after);
    let percent = |metric| {
        let [(dims, core), (_, all)] = values(&reduced, metric).try_into().unwrap();
        assert_eq!((dims, core), (vec!["0".to_owned(), "guest".to_owned()], all), "{metric}");
        core
    };
    let shares = ["cpu-app", "cpu-system", "cpu-softirq", "cpu-iowait", "cpu-steal", "cpu-guest", "cpu-busy"];
    assert_eq!(shares.map(percent), [20.0, 15.0, 10.0, 5.0, 20.0, 5.0, 45.0]);
}

#[test]
fn the_mean_over_cores_weighs_each_by_its_ticks() {
    let reduced = reduced(&["0 0 0 0 0 0 0 0 0 0"; 2], &["100 0 0 0 0 0 0 0 0 0", "0 0 0 100 0 0 0 0 0 0"]);
    let busy: Vec<f64> = values(&reduced, "cpu-busy").into_iter().map(|(_, value)| value).collect();
    assert_eq!(busy, [100.0, 0.0, 50.0]);
}

#[test]
fn an_iowait_that_goes_back_costs_nothing_but_itself() {
    let reduced = reduced(&["0 0 0 100 20 0 0 0 0 0"], &["50 0 0 155 15 0 0 0 0 0"]);
    assert_eq!(values(&reduced, "cpu-busy")[0].1, 50.0);
    assert_eq!(values(&reduced, "cpu-iowait"), []);
    assert_eq!(reduced.unavailable.len(), 1, "{:?}", reduced.unavailable);
}

#[test]
fn any_other_counter_that_goes_back_makes_its_core_and_the_mean_unavailable() {
    let reduced = reduced(&["10 0 9 0 0 0 0 0 0 0"; 2], &["20 0 8 9 0 0 0 0 0 0", "20 0 9 9 0 0 0 0 0 0"]);
    let [(dims, _)] = values(&reduced, "cpu-app").try_into().unwrap();
    assert_eq!(dims, ["1", "guest"]);
    assert!(reduced.unavailable[0].contains("(side guest, core 0): system went back from 9 to 8"));
    assert!(reduced.unavailable[1].contains("(side guest, core all): core 0: system went back"));
}

#[test]
fn a_core_that_comes_or_goes_is_told() {
    let reduced = reduced(&["1 0 0 0 0 0 0 0 0 0"], &["2 0 0 0 0 0 0 0 0 0"; 2]);
    assert_eq!(reduced.samples, []);
    assert!(reduced.unavailable[0].contains("its cores were 0 before the workload and 0, 1 after"));
}

#[test]
fn a_window_without_a_tick_has_no_shares() {
    let reduced = reduced(&["1 0 0 0 0 0 0 0 0 0"], &["1 0 0 0 0 0 0 0 0 0"]);
    assert_eq!(reduced.samples, []);
    assert!(reduced.unavailable[0].ends_with("no tick passed during the workload"));
}

#[test]
fn a_file_that_was_not_read_is_told_with_the_guests_words() {
    let mut window = two_guests();
    window.server.before.insert("/proc/stat".into(), Err("permission denied".into()));
    window.client.after.remove("/proc/stat");
    let reduced = reduce(&[Collector::Cpu], &window);
    assert_eq!(reduced.samples, []);
    assert!(
        reduced.unavailable[0]
            .ends_with("/proc/stat could not be read before the workload: permission denied")
    );
    assert!(reduced.unavailable[1].ends_with("/proc/stat was not read after the workload"));
}
