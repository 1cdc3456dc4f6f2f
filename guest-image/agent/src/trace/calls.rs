//! From the entries and exits of system calls to a table of what each cost.

use std::collections::BTreeMap;

use super::ring::{Entry, u16_at, u32_at, u64_at};

/// The numbers that the kernel gave `raw_syscalls:sys_enter` and `sys_exit`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Kinds {
    pub(super) enter: u16,
    pub(super) exit: u16,
}

/// An entry into a system call, or the return from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Edge {
    /// In nanoseconds.
    pub(super) time: u64,
    pub(super) thread: u32,
    /// The call's number.
    pub(super) number: u64,
    /// What it returned; none on entry.
    pub(super) returned: Option<i64>,
}

/// Where the fields of both events stand: after the common ones (type, flags, preemption count, thread) follow the call's
/// number and, on return, its value (`include/trace/events/syscalls.h`).
const THREAD: usize = 4;
const NUMBER: usize = 8;
const RETURNED: usize = 16;

impl Edge {
    /// None for entries of other kinds, and for what is shorter than its kind.
    pub(super) fn of(entry: &Entry<'_>, kinds: Kinds) -> Option<Self> {
        let kind = u16_at(entry.data, 0)?;
        let returned = match kind {
            _ if kind == kinds.enter => None,
            _ if kind == kinds.exit => Some(u64_at(entry.data, RETURNED)?.cast_signed()),
            _ => return None,
        };
        let (thread, number) = (u32_at(entry.data, THREAD)?, u64_at(entry.data, NUMBER)?);
        Some(Self { time: entry.time, thread, number, returned })
    }
}

/// What the calls of one number cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Cost {
    calls: u64,
    /// Calls that returned an error.
    errors: u64,
    nanoseconds: u64,
    shortest: u64,
    longest: u64,
    /// Sum of squared durations.
    squares: u128,
}

impl Cost {
    fn add(&mut self, nanoseconds: u64, failed: bool) {
        self.shortest = if self.calls == 0 { nanoseconds } else { self.shortest.min(nanoseconds) };
        self.longest = self.longest.max(nanoseconds);
        self.calls += 1;
        self.errors += u64::from(failed);
        self.nanoseconds = self.nanoseconds.saturating_add(nanoseconds);
        self.squares = self.squares.saturating_add(u128::from(nanoseconds).pow(2));
    }
}

/// Costs by the calls' numbers. A call that has not returned is none.
pub(super) fn costs(mut edges: Vec<Edge>) -> BTreeMap<u64, Cost> {
    // A thread may enter on one core and return on another. The sort is stable: of one core, the order is the kernel's.
    edges.sort_by_key(|edge| edge.time);
    let mut entered: BTreeMap<u32, (u64, u64)> = BTreeMap::new();
    let mut costs: BTreeMap<u64, Cost> = BTreeMap::new();
    for edge in edges {
        let Some(returned) = edge.returned else {
            entered.insert(edge.thread, (edge.number, edge.time));
            continue;
        };
        match entered.remove(&edge.thread) {
            Some((number, since)) if number == edge.number => {
                let failed = (-4095..0).contains(&returned);
                costs.entry(number).or_default().add(edge.time.saturating_sub(since), failed);
            }
            // A new thread returns from a call that it never entered.
            _ => {}
        }
    }
    costs
}

/// A line for each number: number, calls, errors, nanoseconds in all, of the shortest, of the longest, sum of their squares.
/// Before them a line with what was lost: entries that the ring had no room for.
pub(super) fn table(costs: &BTreeMap<u64, Cost>, lost: u64) -> String {
    let mut text = format!("lost {lost}\n");
    for (number, cost) in costs {
        let Cost { calls, errors, nanoseconds, shortest, longest, squares } = cost;
        text.push_str(&format!("{number} {calls} {errors} {nanoseconds} {shortest} {longest} {squares}\n"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const KINDS: Kinds = Kinds { enter: 400, exit: 399 };

    fn event(kind: u16, thread: u32, number: u64, returned: i64) -> Vec<u8> {
        let mut bytes = kind.to_le_bytes().to_vec();
        bytes.extend([0, 0]);
        bytes.extend(thread.to_le_bytes());
        bytes.extend(number.to_le_bytes());
        bytes.extend(returned.to_le_bytes());
        bytes
    }

    fn edge(time: u64, kind: u16, thread: u32, number: u64, returned: i64) -> Option<Edge> {
        Edge::of(&Entry { time, data: &event(kind, thread, number, returned) }, KINDS)
    }

    #[test]
    fn calls_are_paired_by_thread_whatever_the_order_of_cores() {
        let edges = [
            // What one core wrote.
            edge(10, 400, 7, 47, 0),
            edge(30, 400, 8, 1, 0),
            edge(90, 399, 7, 47, -11),
            // And another.
            edge(25, 399, 7, 47, 65_536),
            edge(40, 399, 8, 1, 5),
            edge(50, 400, 7, 47, 0),
            // Never returns; and one that was never entered.
            edge(95, 400, 8, 231, 0),
            edge(60, 399, 9, 56, 0),
        ];
        let costs = costs(edges.into_iter().map(Option::unwrap).collect());

        let write = "1 1 0 10 10 10 100";
        let recvmsg = "47 2 1 55 15 40 1825";
        assert_eq!(table(&costs, 3), format!("lost 3\n{write}\n{recvmsg}\n"));
    }

    #[test]
    fn other_events_and_short_ones_are_none() {
        assert_eq!(edge(1, 401, 1, 1, 1), None);
        assert_eq!(Edge::of(&Entry { time: 1, data: &event(399, 1, 1, 1)[..16] }, KINDS), None);
    }
}
