//! What a guest executed in a closed world.

use measure::{InstructionCounts, Provenance, Window, metric};

use crate::{
    Reduced,
    files::float,
    per::{PAGE, pages},
};

const FROM: Provenance = Provenance::TcgInsn;

/// The context whose instructions are no work: how long a machine idles is its clock's business.
const IDLE: &str = "idle";

const KIB: f64 = 1024.0;

pub(crate) fn reduce(window: &Window, reduced: &mut Reduced) {
    let Some(InstructionCounts { kernel, string_bytes, string_executions, device, user, events }) =
        &window.instructions
    else {
        let all = [
            metric::KERNEL_INSTRUCTIONS,
            metric::USER_INSTRUCTIONS,
            metric::STRING_BYTES,
            metric::KERNEL_EVENTS,
        ];
        reduced.lack(&all, &[], "nothing was counted");
        return;
    };
    let work = |counts: &std::collections::BTreeMap<String, u64>| {
        float(counts.iter().filter(|(context, _)| *context != IDLE).map(|(_, count)| count).sum())
    };
    let (instructions, bytes) = (work(kernel), work(string_bytes));
    reduced.add(&metric::KERNEL_INSTRUCTIONS, instructions, FROM, &[]);
    for (context, count) in kernel {
        let dims = [("context", context.as_str())];
        reduced.add(&metric::KERNEL_INSTRUCTIONS_BY_CONTEXT, float(*count), FROM, &dims);
    }
    reduced.add(&metric::USER_INSTRUCTIONS, float(*user), FROM, &[]);
    reduced.add(&metric::STRING_BYTES, bytes, FROM, &[]);
    let pages = pages(window);
    if let Err(why) = &pages {
        reduced.lack(&[metric::KERNEL_EVENTS_PER_PAGE], &[], why);
    }
    for &event in metric::EVENTS {
        let dims = [("event", event)];
        match events.get(event) {
            Some(Ok(count)) => {
                reduced.add(&metric::KERNEL_EVENTS, float(*count), FROM, &dims);
                if let Ok(pages) = pages {
                    reduced.add(&metric::KERNEL_EVENTS_PER_PAGE, float(*count) / pages, FROM, &dims);
                }
            }
            Some(Err(why)) => reduced.lack(&[metric::KERNEL_EVENTS], &dims, why),
            None => reduced.lack(&[metric::KERNEL_EVENTS], &dims, "it was not looked for"),
        }
    }
    let payload = pages.map(|pages| pages * PAGE);
    let per_kib = payload.clone().map(|payload| instructions / (payload / KIB));
    reduced.put(&metric::KERNEL_INSTRUCTIONS_PER_KIB, per_kib, FROM, &[]);
    let executions = payload.clone().map(|payload| float(*string_executions) / (payload / KIB));
    reduced.put(&metric::STRING_EXECUTIONS_PER_KIB, executions, FROM, &[]);
    if let Some(device) = device.map(float) {
        let of_device = payload.clone().map(|payload| device / (payload / KIB));
        reduced.put(&metric::DEVICE_INSTRUCTIONS_PER_KIB, of_device, FROM, &[]);
        let of_stack = payload.clone().map(|payload| (instructions - device) / (payload / KIB));
        reduced.put(&metric::STACK_INSTRUCTIONS_PER_KIB, of_stack, FROM, &[]);
    }
    reduced.put(&metric::STRING_BYTES_PER_BYTE, payload.map(|payload| bytes / payload), FROM, &[]);
}
