//! Histograms of the kernel's tracepoints and probes.

use super::*;

const TRACING: [Collector; 3] = [Collector::Tracepoints, Collector::Probes, Collector::Iotlb];

#[test]
fn the_kernel_is_asked_to_count_each_event_once() {
    let lines: Vec<String> = preparations(&TRACING)
        .into_iter()
        .map(|Preparation { path, line }| format!("{} < {line}", path.trim_start_matches("/sys/kernel/")))
        .collect();
    insta::assert_snapshot!(lines.join("\n"));
    assert_eq!(preparations(&[Collector::Cpu, Collector::Iotlb, Collector::Syscalls]), []);
    // The kernel's limit for names of events (MAX_EVENT_NAME_LEN), with the longest prefix or ending.
    assert!(FUNCTIONS.iter().all(|function| format!("{function}_entry").len() < 64));
}
