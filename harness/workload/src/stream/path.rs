//! Whether the path that was asked for was taken. Pure.

use flow::{Counters, NicState, Provider, QueueKind, Report};
use plan::{Receive, Send, Stream};

/// What a driver calls the bytes that its hardware wrote into a provider's memory.
const PROVIDER_BYTES: &str = "rx_unreadable_bytes";
/// Packets that hardware GRO made (`NETDEV_A_QSTATS_RX_HW_GRO_PACKETS`).
const HARDWARE_GRO: &str = "rx-hw-gro-packets";

/// Why a stream that came to its end says nothing about what was asked: in one sentence, the first reason that is found.
/// None if the path was taken, as both applications, the driver, the page pools and the NIC's own state tell.
#[must_use]
pub fn not_taken(params: &Stream, receiver: &Report, sender: &Report) -> Option<String> {
    if receiver.bytes == 0 || receiver.nanoseconds == 0 {
        return Some("nothing arrived in the time that was given".to_owned());
    }
    of_nic(params, receiver, sender)
        .or_else(|| of_receiver(params, receiver))
        .or_else(|| of_sender(params, sender))
}

/// What was set, as it was read back in the window.
fn of_nic(params: &Stream, receiver: &Report, sender: &Report) -> Option<String> {
    let switch = |asked: Option<bool>, is: Option<bool>, what: &str| {
        (asked.is_some() && asked != is).then(|| {
            let word = |on| if on { "on" } else { "off" };
            let is = is.map_or("not told", word);
            format!("{what} was asked to be {}, and is {is}", asked.map_or("", word))
        })
    };
    let of = |report: &Report| report.nic.clone().unwrap_or_default();
    let (of_receiver, of_sender): (NicState, NicState) = (of(receiver), of(sender));
    if let Some(why) = switch(params.nic.hardware_gro, of_receiver.hardware_gro, "hardware GRO") {
        return Some(why);
    }
    if let Some(why) = switch(params.nic.header_split, of_receiver.header_split, "header split") {
        return Some(why);
    }
    let sizes = [
        ("gro_ipv4_max_size", params.big_tcp.gro_max_bytes, of_receiver.gro_ipv4_max_size),
        ("gso_ipv4_max_size", params.big_tcp.gso_max_bytes, of_sender.gso_ipv4_max_size),
    ];
    for (what, asked, is) in sizes {
        if let (Some(asked), Some(is)) = (asked, is)
            && asked != is
        {
            return Some(format!("{what} was asked to be {asked}, and is {is}"));
        }
    }
    if params.nic.hardware_gro == Some(true) {
        let packets = queue_counter(&receiver.before, &receiver.after, HARDWARE_GRO);
        if packets == Some(0) {
            return Some("hardware GRO made no packet (`rx-hw-gro-packets` of the queues)".to_owned());
        }
    }
    None
}

fn of_receiver(params: &Stream, report: &Report) -> Option<String> {
    if !params.receive.is_zero_copy() {
        return None;
    }
    let word = params.receive.word();
    if let Some(why) = too_little(params, report, &format!("receive: {word}")) {
        return Some(why);
    }
    if !params.receive.needs_queue() {
        return None;
    }
    if !has_provider(params, &report.after) {
        return Some(format!("receive: {word}: no page pool of the interface has the application's memory"));
    }
    let landed = driver_counter(&report.before, &report.after, PROVIDER_BYTES);
    if let Some(landed) = landed.filter(|landed| is_less(*landed, report.bytes, params.least_zero_copy)) {
        return Some(format!(
            "receive: {word}: the NIC wrote {landed} of {} bytes into the application's memory (`{PROVIDER_BYTES}`)",
            report.bytes
        ));
    }
    let copies = report.zcrx_copies.filter(|copies| {
        let rest = report.bytes.saturating_sub(copies.bytes);
        is_less(rest, report.bytes, params.least_zero_copy)
    })?;
    Some(format!("receive: {word}: io_uring copied {} of {} bytes", copies.bytes, report.bytes))
}

fn of_sender(params: &Stream, report: &Report) -> Option<String> {
    if params.send == Send::Plain {
        return None;
    }
    let word = params.send.word();
    if let Some(completions) = report.completions
        && completions.total > 0
        && is_less(
            completions.total - completions.copied.min(completions.total),
            completions.total,
            params.least_zero_copy,
        )
    {
        return Some(format!(
            "send: {word}: {} of {} completions say that the kernel copied",
            completions.copied, completions.total
        ));
    }
    too_little(params, report, &format!("send: {word}"))
}

/// Too small a part of the payload went without a copy, as the side itself tells.
fn too_little(params: &Stream, report: &Report, what: &str) -> Option<String> {
    is_less(report.zero_copy_bytes, report.bytes, params.least_zero_copy)
        .then(|| format!("{what}: {} of {} bytes went without a copy", report.zero_copy_bytes, report.bytes))
}

#[expect(clippy::cast_precision_loss, reason = "shares are compared, to a few digits")]
fn is_less(part: u64, whole: u64, least: f64) -> bool {
    whole == 0 || (part as f64) < whole as f64 * least
}

fn has_provider(params: &Stream, after: &Counters) -> bool {
    let Some(pools) = &after.page_pools else { return true };
    pools.iter().filter_map(|pool| pool.provider).any(|provider| match provider {
        Provider::Dmabuf { .. } => matches!(params.receive, Receive::Devmem { .. }),
        Provider::IoUring => matches!(params.receive, Receive::Zcrx(_)),
    })
}

/// What a driver's counter grew by; none if it has no such counter.
fn driver_counter(before: &Counters, after: &Counters, name: &str) -> Option<u64> {
    let of = |counters: &Counters| counters.driver.as_ref()?.get(name).copied();
    Some(of(after)?.saturating_sub(of(before)?))
}

/// What a counter of all receive queues grew by; none if no queue has it.
fn queue_counter(before: &Counters, after: &Counters, name: &str) -> Option<u64> {
    let of = |counters: &Counters| {
        let queues = counters.queues.as_ref()?.iter().filter(|queue| queue.kind == QueueKind::Receive);
        let found: Vec<u64> = queues.filter_map(|queue| queue.statistics.get(name).copied()).collect();
        (!found.is_empty()).then(|| found.iter().fold(0_u64, |sum, count| sum.saturating_add(*count)))
    };
    Some(of(after)?.saturating_sub(of(before)?))
}
