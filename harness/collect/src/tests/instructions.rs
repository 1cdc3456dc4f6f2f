//! What a closed world executed.

use std::collections::BTreeMap;

use measure::{InstructionCounts, Payload, Traffic, Window, metric};
use plan::Collector;

use super::{changed, values};
use crate::{Reduced, reduce};

fn counted(traffic: Traffic) -> Reduced {
    let by_context = |task, idle| BTreeMap::from([("task".to_owned(), task), ("idle".to_owned(), idle)]);
    let lacking = || Err("the kernel has no function page_pool_alloc_netmems".to_owned());
    let mut events: BTreeMap<String, Result<u64, String>> =
        metric::EVENTS.iter().map(|event| ((*event).to_owned(), Ok(0))).collect();
    events.insert("iommu-maps".to_owned(), Ok(6));
    events.insert("page-pool-allocations".to_owned(), lacking());
    events.insert("page-pool-slow-allocations".to_owned(), lacking());
    let instructions = InstructionCounts {
        kernel: by_context(8192, 1000),
        string_bytes: by_context(4096, 4096),
        string_executions: 32,
        device: Some(2048),
        user: 10,
        events,
    };
    reduce(&[Collector::Instructions], &Window { instructions: Some(instructions), traffic, ..changed(&[]) })
}

fn bulk() -> Traffic {
    Traffic::Bulk(Payload { client_to_server: Some(8192), server_to_client: Some(0) })
}

#[test]
fn idle_tasks_are_no_work_and_what_has_no_function_is_not_zero() {
    let reduced = counted(bulk());
    assert_eq!(values(&reduced, "kernel-instructions-per-kib"), [(vec![], 1024.0)]);
    assert_eq!(values(&reduced, "string-bytes-per-byte"), [(vec![], 0.5)]);
    assert_eq!(values(&reduced, "string-executions-per-kib"), [(vec![], 4.0)]);
    let of = |metric| values(&reduced, metric);
    assert_eq!(of("device-instructions-per-kib"), [(vec![], 256.0)]);
    assert_eq!(of("stack-instructions-per-kib"), [(vec![], 768.0)], "what stands for hardware is apart");
    let events = values(&reduced, "kernel-events-per-page");
    assert_eq!(events.len(), metric::EVENTS.len() - 2);
    assert!(events.contains(&(vec!["iommu-maps".to_owned()], 3.0)));
    assert!(events.contains(&(vec!["iommu-unmaps".to_owned()], 0.0)));
    assert_eq!(
        reduced.unavailable,
        [
            "kernel-events (event page-pool-allocations; event page-pool-slow-allocations): the kernel has no function \
          page_pool_alloc_netmems"
        ]
    );
}

#[test]
fn without_payload_there_are_counts_only() {
    let reduced = counted(Traffic::Unknown);
    assert!(values(&reduced, "kernel-events").contains(&(vec!["iommu-maps".to_owned()], 6.0)));
    assert_eq!(values(&reduced, "kernel-events-per-page"), []);
    assert_eq!(values(&reduced, "kernel-instructions-per-kib"), []);
    assert!(reduced.unavailable.iter().any(|what| what.starts_with("kernel-events-per-page")), "{reduced:?}");
}
