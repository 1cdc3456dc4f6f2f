//! Maps, invalidations, exits and received payload over time, each level's on the host's axis.
//!
//! Every kernel counts its own tracepoints by when they are hit: histograms whose key is the time of CLOCK_MONOTONIC in buckets of 10 ms
//! (`common_timestamp.buckets`, Documentation/trace/histogram.rst). Nothing is written for an event, and no ring can overflow. Each
//! clock was read from outside before and after the workload, so that buckets can be laid on one axis, to within the error of these
//! readings.

use measure::{ClockReading, SideFiles, Timeline, TimelineRow, Unit, Window};

use crate::{
    Preparation, Reduced,
    files::{by_kernel, float, number},
    hist::{self, Keyed, Row, counted, field},
};

/// The source with which clocks are read.
pub const CLOCK: &str = crate::per::CLOCK;

/// Of what kernels count in, in nanoseconds.
const BUCKET: u64 = 10_000_000;
/// Of what is shown, in nanoseconds: some buckets, so that a bucket which lies in two of them matters little.
const INTERVAL: u64 = 100_000_000;
/// Buckets that a histogram has room for: 164 s in which something happens in each.
const SIZE: u32 = 16_384;

/// Each event with what it is called, the value that is added up besides hits, and how a row becomes a number.
struct Event {
    what: &'static str,
    event: &'static str,
    value: Option<&'static str>,
    unit: Unit,
}

/// `include/trace/events/{iommu,net}.h`, `drivers/iommu/intel/trace.h`, `arch/x86/kvm/trace.h`.
const EVENTS: [Event; 5] = [
    Event { what: "maps", event: "iommu/map", value: None, unit: Unit::PerSecond },
    Event { what: "unmaps", event: "iommu/unmap", value: None, unit: Unit::PerSecond },
    Event { what: "invalidations", event: "intel_iommu/qi_submit", value: None, unit: Unit::PerSecond },
    Event { what: "exits", event: "kvm/kvm_exit", value: None, unit: Unit::PerSecond },
    // What the stack took from drivers, acknowledgements included.
    Event { what: "received", event: "net/netif_receive_skb", value: Some("len"), unit: Unit::BitsPerSecond },
];

pub(crate) fn sources() -> impl Iterator<Item = String> {
    EVENTS.iter().map(|event| hist::file(event.event))
}

pub(crate) fn preparations() -> impl Iterator<Item = Preparation> {
    EVENTS.iter().map(|Event { event, value, .. }| Preparation {
        path: hist::trigger(event),
        line: format!(
            "hist:keys=common_timestamp.buckets={BUCKET}{}:size={SIZE}:clock=mono",
            value.map(|value| format!(":vals={value}")).unwrap_or_default()
        ),
    })
}

pub(crate) fn reduce(window: &Window, reduced: &mut Reduced) {
    let Some(levels) = &window.levels else {
        return reduced.unavailable.push("timeline: no clock was read around the workload".to_owned());
    };
    let Some(end) = levels.clocks.values().flatten().map(|clocks| clocks[1].host_ns).max() else {
        let why = levels.clocks.values().find_map(|clocks| clocks.as_ref().err());
        let why = why.map_or("no clock was read", String::as_str);
        return reduced.unavailable.push(format!("timeline: {why}"));
    };
    let mut timeline = Timeline {
        dims: measure::Dims::new(),
        seconds: seconds(INTERVAL),
        clock_errors: Default::default(),
        rows: Vec::new(),
    };
    for (guest, counts) in &levels.invalidations {
        let row = TimelineRow {
            level: format!("qemu of {guest}"),
            what: "invalidations".to_owned(),
            unit: Unit::PerSecond,
            values: rates(&sampled(counts), end),
        };
        timeline.rows.push(row);
    }
    let mut kernels = by_kernel(window);
    // From the outside in: who carries guests comes before them.
    let guests = kernels.len() - window.carriers.len();
    kernels.rotate_left(guests);
    for (guest, files) in kernels {
        let read = levels.clocks.get(guest).ok_or("its clock was not read".to_owned());
        let clock = match read.and_then(|read| Clock::of(read.as_ref().map_err(String::clone)?)) {
            Ok(clock) => clock,
            Err(why) => {
                reduced.unavailable.push(format!("timeline of {guest}: {why}"));
                continue;
            }
        };
        timeline.clock_errors.insert(guest.to_owned(), clock.error);
        for event in &EVENTS {
            match pieces(files, event, &clock) {
                // A level without an IOMMU, or without guests, has nothing to show there.
                Ok(pieces) if pieces.is_empty() => {}
                Ok(pieces) => timeline.rows.push(TimelineRow {
                    level: guest.to_owned(),
                    what: event.what.to_owned(),
                    unit: event.unit,
                    values: rates(&pieces, end),
                }),
                Err(why) => reduced.unavailable.push(format!("timeline of {guest}, {}: {why}", event.what)),
            }
        }
    }
    reduced.timeline = Some(timeline);
}

/// What a kernel counted of an event within the window.
fn pieces(files: &SideFiles, event: &Event, clock: &Clock) -> Result<Vec<Piece>, String> {
    let mut pieces = Vec::new();
    for (key, row) in counted(files, event.event, Keyed::ByTime)? {
        let (start, amount) = (when(&key)?, amount(event, row));
        // Buckets of earlier windows have not grown.
        if amount > 0.0 {
            let (from, to) = (clock.on_axis(start), clock.on_axis(start.saturating_add(BUCKET)));
            pieces.push(Piece { from, to, amount });
        }
    }
    Ok(pieces)
}

/// Something that happened between two moments of the axis, in nanoseconds.
struct Piece {
    from: f64,
    to: f64,
    amount: f64,
}

fn seconds(nanoseconds: u64) -> f64 {
    float(nanoseconds) / 1e9
}

fn amount(event: &Event, row: Row) -> f64 {
    match event.value {
        Some(_) => 8.0 * float(row.sum),
        None => float(row.hits),
    }
}

/// The beginning of a bucket: `common_timestamp: ~ 120000000-129999999`.
fn when(key: &str) -> Result<u64, String> {
    let range = field(key, "common_timestamp").and_then(|value| value.strip_prefix('~'));
    let (start, _) =
        range.and_then(|range| range.trim().split_once('-')).ok_or_else(|| format!("`{key}` is no time"))?;
    number(start)
}

/// A guest's clock: the line through its two readings.
struct Clock {
    first: ClockReading,
    /// Nanoseconds of the host for each of its own.
    pace: f64,
    /// In seconds.
    error: f64,
}

impl Clock {
    fn of([first, last]: &[ClockReading; 2]) -> Result<Self, String> {
        let pace =
            (float(last.host_ns) - float(first.host_ns)) / (float(last.guest_ns) - float(first.guest_ns));
        // A clock of a guest is the host's, calibrated by the guest's kernel. What is further off is no clock, or a liar's.
        if !(0.5..=2.0).contains(&pace) {
            return Err(format!("{pace:.3} s passed for each of its own"));
        }
        Ok(Self { first: *first, pace, error: seconds(first.error_ns.max(last.error_ns)) })
    }

    /// The moment of the axis, in nanoseconds, at which it shows this.
    fn on_axis(&self, guest_ns: u64) -> f64 {
        float(self.first.host_ns) + (float(guest_ns) - float(self.first.guest_ns)) * self.pace
    }
}

/// What was counted between two moments at which a counter was looked at.
fn sampled(counts: &[(u64, u64)]) -> Vec<Piece> {
    let pieces = counts.windows(2).filter_map(|pair| {
        let [(from, before), (to, after)] = pair else { return None };
        let amount = after.checked_sub(*before).filter(|amount| *amount > 0)?;
        Some(Piece { from: float(*from), to: float(*to), amount: float(amount) })
    });
    pieces.collect()
}

/// Rates in a second in each interval from zero to `end`. What lies in several is shared out by time.
fn rates(pieces: &[Piece], end: u64) -> Vec<f64> {
    let count = usize::try_from(end.div_ceil(INTERVAL)).unwrap_or(usize::MAX).min(MOST);
    let mut amounts = vec![0.0; count];
    for Piece { from, to, amount } in pieces {
        let to = to.max(from + 1.0);
        let length = to - from;
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "clamped to the axis by the casts"
        )]
        let (first, last) = ((from / float(INTERVAL)) as usize, (to / float(INTERVAL)) as usize);
        for index in first..=last.min(count.saturating_sub(1)) {
            #[expect(clippy::cast_precision_loss, reason = "a few thousand intervals")]
            let begins = index as f64 * float(INTERVAL);
            let within = to.min(begins + float(INTERVAL)) - from.max(begins);
            if let Some(sum) = amounts.get_mut(index).filter(|_| within > 0.0) {
                *sum += amount * within / length;
            }
        }
    }
    amounts.iter().map(|amount| amount / seconds(INTERVAL)).collect()
}

/// Most intervals that are kept: ten minutes.
const MOST: usize = 6000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_says_when_it_begins() {
        assert_eq!(when("common_timestamp: ~ 120000000-129999999"), Ok(120_000_000));
        for none in ["common_timestamp: 12", "size: ~ 1-2", "common_timestamp: ~ x-2"] {
            assert!(when(none).is_err(), "{none}");
        }
    }

    #[test]
    fn moments_lie_on_the_line_through_both_readings() {
        let reading = |guest_ns, host_ns| ClockReading { guest_ns, host_ns, error_ns: 0 };
        // A guest whose clock is half as fast, and was at 5 s when the axis was at 1 s.
        let clocks = [reading(5_000_000_000, 1_000_000_000), reading(6_000_000_000, 3_000_000_000)];
        let clock = Clock::of(&clocks).unwrap();
        let at = |guest_ns| clock.on_axis(guest_ns).round();
        assert_eq!([at(5_000_000_000), at(5_500_000_000), at(4_500_000_000)], [1e9, 2e9, 0.0]);
        // One that stands still, goes backwards or races says nothing.
        for (before, after) in [(7, 7), (9, 7), (7, 30_000)] {
            assert!(Clock::of(&[reading(before, 10), reading(after, 30)]).is_err(), "{before} {after}");
        }
    }

    #[test]
    fn what_lies_in_several_intervals_is_shared_out_and_nothing_is_lost() {
        let piece = |from, to, amount| Piece { from, to, amount };
        let found = rates(&[piece(150e6, 250e6, 10.0), piece(299e6, 299e6, 1.0)], 400_000_000);
        assert_eq!(found.iter().map(|rate| rate.round()).collect::<Vec<_>>(), [0.0, 50.0, 60.0, 0.0]);
        // Before and behind the axis there is nothing.
        assert_eq!(rates(&[piece(-300e6, -200e6, 5.0), piece(500e6, 600e6, 5.0)], 100_000_000), [0.0]);
        assert_eq!(rates(&[piece(-50e6, 50e6, 10.0)], 100_000_000), [50.0]);
    }

    #[test]
    fn a_counter_that_was_looked_at_gives_its_growth() {
        let pieces = sampled(&[(0, 5), (100_000_000, 5), (200_000_000, 25), (300_000_000, 20)]);
        assert_eq!(rates(&pieces, 300_000_000), [0.0, 200.0, 0.0]);
    }
}
