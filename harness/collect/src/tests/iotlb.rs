use super::*;

fn traced(hits: u64, fills: u64, pages: u64, domain: u64, global: u64) -> GuestTrace {
    let counts = [hits, fills, pages, domain, global, pages + domain, 0];
    GuestTrace { iommu: true, events: EVENTS.map(str::to_owned).into_iter().zip(counts).collect() }
}

fn window(trace: TraceCounts) -> Window {
    let payload = Payload { client_to_server: Some(10 * 4096), server_to_client: Some(10 * 4096) };
    Window { traffic: Traffic::Bulk(payload), trace: Some(trace), ..two_guests() }
}

#[test]
fn events_are_counted_for_each_page_of_either_direction() {
    let trace =
        [("server".to_owned(), traced(40, 10, 5, 1, 3)), ("client".to_owned(), GuestTrace::default())];
    let reduced = reduce(&[Collector::Iotlb], &window(trace.into()));
    insta::assert_snapshot!(rows(&reduced), @r"
    iotlb-hits-per-page side=server 2
    iotlb-fills-per-page side=server 0.5
    iotlb-page-invalidations-per-page side=server 0.25
    iotlb-wide-invalidations-per-page side=server 0.2
    queued-waits-per-page side=server 0.3
    ");
    assert!(reduced.samples.iter().all(|sample| sample.provenance == Provenance::QemuTrace));
}

#[test]
fn both_guests_may_translate() {
    let trace = ["server", "client"].map(|guest| (guest.to_owned(), traced(1, 1, 1, 1, 1)));
    assert_eq!(reduce(&[Collector::Iotlb], &window(trace.into())).samples.len(), 10);
}

#[test]
fn an_event_that_qemu_lacks_is_named_and_no_zero() {
    let mut server = traced(1, 1, 1, 1, 1);
    server.events.remove("vtd_inv_desc_iotlb_global");
    let reduced = reduce(&[Collector::Iotlb], &window([("server".to_owned(), server)].into()));
    assert_eq!(reduced.samples.len(), 4);
    let expected = "iotlb-wide-invalidations-per-page (side server): this QEMU has no trace event `vtd_inv_desc_iotlb_global`";
    assert_eq!(reduced.unavailable, [expected]);
}

#[test]
fn without_trace_iommu_or_payload_there_is_a_reason() {
    let reason = |window: &Window| {
        let reduced = reduce(&[Collector::Iotlb], window);
        assert_eq!(reduced.samples, []);
        reduced.unavailable.join("\n")
    };
    assert!(reason(&two_guests()).ends_with("nothing was traced in this boot"));
    let none = [("server".to_owned(), GuestTrace { iommu: false, ..traced(1, 1, 1, 1, 1) })];
    assert!(reason(&window(none.into())).ends_with("no guest has an IOMMU"));
    let mut messages = window([("server".to_owned(), traced(1, 1, 1, 1, 1))].into());
    messages.traffic = Traffic::TcpMessages;
    assert!(reason(&messages).ends_with("no bulk payload"));
    messages.traffic = Traffic::Bulk(Payload { client_to_server: None, server_to_client: Some(0) });
    assert!(reason(&messages).contains("does not account"));
}
