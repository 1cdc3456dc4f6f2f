use measure::KvmWindow;

use super::*;

fn counted(before: &[(&str, u64)], after: &[(&str, u64)]) -> Result<KvmWindow, String> {
    let counters = |counters: &[(&str, u64)]| {
        counters.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect()
    };
    Ok(KvmWindow { elapsed: Duration::from_secs(2), before: counters(before), after: counters(after) })
}

/// Ten pages, and what KVM counted of each guest.
fn window(guests: &[(&str, Result<KvmWindow, String>)]) -> Window {
    let payload = Payload { client_to_server: Some(10 * 4096), server_to_client: Some(0) };
    let kvm = guests.iter().map(|(guest, counted)| ((*guest).to_owned(), counted.clone())).collect();
    Window { traffic: Traffic::Bulk(payload), kvm: Some(kvm), ..two_guests() }
}

#[test]
fn exits_are_counted_by_what_they_were_for() {
    let server = counted(
        &[("exits", 100), ("io_exits", 7), ("mmio_exits", 0), ("pages_4k", 5)],
        &[("exits", 300), ("io_exits", 7), ("mmio_exits", 0), ("pages_4k", 9)],
    );
    let client = Err("the guest runs under tcg, not kvm".to_owned());
    let reduced = reduce(&[Collector::KvmExits], &window(&[("server", server), ("client", client)]));
    assert!(reduced.samples.iter().all(|sample| sample.provenance == Provenance::Debugfs));
    insta::assert_snapshot!(rows(&reduced), @r"
    kvm-exits kind=exits side=server 100
    kvm-exits kind=io_exits side=server 0
    kvm-exits-per-page side=server 20
    unavailable: kvm-exits, kvm-exits-per-page (side client): the guest runs under tcg, not kvm
    ");
}

#[test]
fn counts_that_went_with_a_virtual_machine_are_told() {
    let server = counted(&[("exits", 100)], &[("exits", 99)]);
    let reduced = reduce(&[Collector::KvmExits], &window(&[("server", server)]));
    assert_eq!(reduced.samples, []);
    insta::assert_snapshot!(rows(&reduced), @r"
    unavailable: kvm-exits (side server, kind exits): a virtual machine ended during the workload
    unavailable: kvm-exits-per-page (side server): exits went back from 100 to 99
    ");
}

#[test]
fn a_guest_that_runs_guests_tells_of_them_and_another_nothing() {
    let files = |exits: &str| -> Files {
        let files = [("clock:monotonic", "1000000000\n"), ("/sys/kernel/debug/kvm/exits", exits)];
        let files = files.map(|(path, text)| (path.to_owned(), Ok(text.as_bytes().to_vec())));
        let hidden = ("/sys/kernel/debug/kvm/io_exits".to_owned(), Err("No such file".to_owned()));
        files.into_iter().chain([hidden]).collect()
    };
    let mut window = window(&[]);
    window.server = SideFiles { before: files("0\n"), after: files("0\n") };
    window.client = SideFiles { before: files("50\n"), after: files("80\n") };
    window.client.after.insert("clock:monotonic".into(), Ok(b"4000000000\n".to_vec()));
    let reduced = reduce(&[Collector::KvmExits], &window);
    assert_eq!(rows(&reduced), "nested-kvm-exits kind=exits side=client 10");
}

#[test]
fn counters_that_were_not_asked_for_are_no_zero() {
    let reduced = reduce(&[Collector::KvmExits], &two_guests());
    assert_eq!(
        rows(&reduced),
        "unavailable: kvm-exits, kvm-exits-per-page: the host's counters were not read"
    );
}
