//! Counting QEMU's trace events within a window.

use std::{collections::BTreeMap, time::Duration};

use measure::GuestTrace;
use serde::Deserialize;
use serde_json::{Value, json};

use super::monitor::Monitor;
use crate::{MachineError, errors::ErrorStream};

/// What is counted of the emulated Intel IOMMU (`hw/i386/trace-events` in QEMU). An event that a QEMU does not know is
/// left out of the counts, so that nobody takes it for zero.
const EVENTS: &[&str] = &[
    "vtd_iotlb_page_hit",
    "vtd_iotlb_page_update",
    "vtd_iotlb_reset",
    "vtd_iotlb_cc_hit",
    "vtd_iotlb_cc_update",
    "vtd_inv_desc_iotlb_global",
    "vtd_inv_desc_iotlb_domain",
    "vtd_inv_desc_iotlb_pages",
    "vtd_inv_desc_iotlb_pasid_pages",
    "vtd_inv_desc_iotlb_pasid",
    "vtd_inv_desc_wait_sw",
    "vtd_inv_desc_wait_irq",
    "vtd_dmar_fault",
];

/// How events of invalidations of the translation cache begin, whatever they name.
const INVALIDATIONS: &str = "vtd_inv_desc_iotlb_";

/// A full pipe of events is counted in a fraction of a second.
const DRAIN_DEADLINE: Duration = Duration::from_secs(60);

#[derive(Debug, Deserialize)]
struct EventState {
    name: String,
    state: String,
}

/// What is counted within a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Traced {
    /// All that an emulated IOMMU tells: a line for each translation, which slows a guest down.
    Everything,
    /// What its kernel asks of it: invalidations of its translation cache.
    Invalidations,
}

/// Begins a window: from here on events are counted.
pub(crate) async fn start(
    monitor: &Monitor,
    errors: &ErrorStream,
    traced: Traced,
) -> Result<(), MachineError> {
    let mut known = known_events(monitor).await?;
    if traced == Traced::Invalidations {
        known.retain(|event| event.starts_with(INVALIDATIONS));
    }
    errors.watch(&known);
    set(monitor, &known, true).await
}

/// Ends a window and gives its counts.
///
/// The virtual CPUs stand still while the events are switched off: none is then in the middle of writing one.
pub(crate) async fn stop(
    monitor: &Monitor,
    errors: &ErrorStream,
    iommu: bool,
) -> Result<GuestTrace, MachineError> {
    monitor.execute("stop", Value::Null).await?;
    let counted = async {
        let known = known_events(monitor).await?;
        set(monitor, &known, false).await?;
        errors.counts(DRAIN_DEADLINE).await
    };
    let events: Result<BTreeMap<String, u64>, MachineError> = counted.await;
    monitor.execute("cont", Value::Null).await?;
    Ok(GuestTrace { iommu, events: events? })
}

/// Those of [`EVENTS`] that this QEMU was built with.
pub(crate) async fn known_events(monitor: &Monitor) -> Result<Vec<String>, MachineError> {
    let mut known = Vec::new();
    for event in EVENTS {
        let answer = monitor.try_execute("trace-event-get-state", json!({ "name": event })).await?;
        // A refusal means that the name is unknown; `unavailable` that it was left out of the build.
        let Ok(value) = answer else { continue };
        let states: Vec<EventState> =
            serde_json::from_value(value).map_err(|error| MachineError::Monitor {
                guest: "any".into(),
                command: "trace-event-get-state".into(),
                message: error.to_string(),
            })?;
        known.extend(states.into_iter().filter(|state| state.state != "unavailable").map(|state| state.name));
    }
    Ok(known)
}

async fn set(monitor: &Monitor, events: &[String], enable: bool) -> Result<(), MachineError> {
    for event in events {
        monitor.execute("trace-event-set-state", json!({ "name": event, "enable": enable })).await?;
    }
    Ok(())
}
