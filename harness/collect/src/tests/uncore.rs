//! Counters of processors, as perf gives them.

use std::time::Duration;

use measure::{HardwareCount, HardwareWindow};

use super::*;

fn counts(provenance: Provenance, figures: &[(&str, f64)]) -> Vec<HardwareCount> {
    let of = |(figure, value): &(&str, f64)| HardwareCount {
        provenance,
        figure: (*figure).to_owned(),
        value: Ok(*value),
        counted_percent: 50.0,
    };
    figures.iter().map(of).collect()
}

fn window(counts: Vec<HardwareCount>) -> Window {
    let payload = Payload { client_to_server: Some(1000 * 4096), server_to_client: Some(0) };
    let hardware = HardwareWindow { elapsed: Duration::from_secs(2), counts };
    Window { traffic: Traffic::Bulk(payload), hardware: Some(Ok(hardware)), ..two_guests() }
}

#[test]
fn emerald_rapids_tells_the_seeds_figures_and_the_ninth_bit_counts() {
    let figures = [
        ("first_lookups", 10_000.0),
        ("all_lookups", 18_000.0),
        ("misses", 1_200.0),
        ("memory_accesses_low", 2_400.0),
        ("memory_accesses", 2_500.0),
        ("occupancy", 100_000.0),
        ("occupancy_ninth_bit", 400.0),
        ("invalidations", 100.0),
    ];
    let reduced = reduce(&[Collector::Uncore], &window(counts(Provenance::UncoreIio, &figures)));
    // (100000 + 256 * 400) / 1200.
    insta::assert_snapshot!(rows(&reduced), @r"
    hardware-counted  50
    iotlb-misses-per-page  1.2
    iotlb-first-lookups-per-page  10
    iotlb-all-lookups-per-page  18
    iotlb-invalidations-per-page  0.1
    iommu-memory-accesses-per-page  2.4
    iommu-all-memory-accesses-per-page  2.5
    page-walk-occupancy  101200
    memory-reads-per-miss  2
    page-walk-time  168.66666666666666
    ");
}

#[test]
fn ice_lake_has_invalidations_by_kind_and_the_iommu_itself_has_hits() {
    let ice_lake = [
        ("global_invalidations", 1.0),
        ("domain_invalidations", 9.0),
        ("page_invalidations", 90.0),
        ("memory_accesses", 2_000.0),
    ];
    let mut both = counts(Provenance::UncoreIio, &ice_lake);
    both.extend(counts(
        Provenance::Dmar,
        &[("all_lookups", 18_000.0), ("hits", 16_800.0), ("occupancy", 7.0)],
    ));
    let reduced = reduce(&[Collector::Uncore], &window(both));
    assert_eq!(values(&reduced, "iotlb-invalidations-per-page"), [(vec![], 0.1)]);
    assert_eq!(values(&reduced, "iommu-memory-accesses-per-page"), [(vec![], 2.0)]);
    assert_eq!(values(&reduced, "iotlb-misses-per-page"), [(vec![], 1.2)]);
    assert_eq!(values(&reduced, "page-walk-time"), []);
    let own = reduced.samples.iter().find(|sample| sample.metric == "iotlb-misses-per-page").unwrap();
    assert_eq!(own.provenance, Provenance::Dmar);
}

#[test]
fn what_was_not_counted_has_a_reason_and_no_zero() {
    let mut refused = counts(Provenance::UncoreIio, &[("misses", 1.0), ("all_lookups", 1.0)]);
    refused[0].value = Err("not supported".into());
    let reduced = reduce(&[Collector::Uncore], &window(refused));
    assert_eq!(values(&reduced, "iotlb-misses-per-page"), []);
    assert_eq!(reduced.unavailable, ["iotlb-misses-per-page: not supported"]);
    let none = Window { hardware: Some(Err("no uncore PMU".into())), ..window(vec![]) };
    let reduced = reduce(&[Collector::Uncore], &none);
    assert_eq!(reduced.samples, []);
    assert!(
        reduced.unavailable[0].ends_with("memory-reads-per-miss: no uncore PMU"),
        "{:?}",
        reduced.unavailable
    );
}
