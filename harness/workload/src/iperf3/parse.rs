//! From both sides' reports to samples.

use measure::{Parts, Payload, Provenance, Traffic, metric};
use plan::{Amount, Iperf3, Iperf3Direction};

use super::{
    INTERVAL_BY_BYTES, INTERVAL_BY_TIME,
    report::{End, Interval, Report, Sum},
};
use crate::{Findings, ParseError, findings::Collected};

const CLIENT: &str = "iperf3 (client)";
const SERVER: &str = "iperf3 (server)";

/// Fewest whole intervals of [`INTERVAL_BY_BYTES`] from which a throughput is computed.
const MIN_INTERVALS: usize = 10;

/// Reads both sides' standard output.
///
/// Throughput is what the receiving side's application took. In a run limited by time it is iperf3's own summary, which
/// leaves the warm-up out. In a run limited by bytes, where that summary is wrong (see `INTERVAL_BY_BYTES`), it comes
/// from the receiver's reporting intervals, without the last one: within that one the transfer ended at an unknown
/// moment.
///
/// The payload of the window is what the receivers took, the warm-up included. Senders also count what still lies in
/// socket buffers when the test ends (3 % of all in one of the fixtures), and the octets of `/proc/net/netstat` also
/// count headers and retransmissions.
///
/// # Errors
/// If a side reports an error, if an output is cut off, if the server's warm-up lasted longer than the test, or if it is not a
/// report of the test that was asked for.
pub fn parse(params: &Iperf3, client: &[u8], server: &[u8]) -> Result<Findings, ParseError> {
    // The client's report first: when both sides failed, its words say more.
    let client = Report::read(CLIENT, client)?;
    let server = Report::read_server(SERVER, server, params.warmup_s)?;
    let forward = |sums| Direction {
        name: "client-to-server",
        client_sends: true,
        sums,
        client: &client,
        receiver: &server,
        receiving_tool: SERVER,
    };
    let backward = |sums| Direction {
        name: "server-to-client",
        client_sends: false,
        sums,
        client: &client,
        receiver: &client,
        receiving_tool: CLIENT,
    };
    let mut collected = Collected::new(Provenance::Iperf3);
    let mut payload = Payload { client_to_server: Some(0), server_to_client: Some(0) };
    match params.direction {
        Iperf3Direction::ClientToServer => {
            payload.client_to_server = forward(Sums::Plain).read(params, &mut collected)?;
        }
        Iperf3Direction::ServerToClient => {
            payload.server_to_client = backward(Sums::Plain).read(params, &mut collected)?;
        }
        Iperf3Direction::Both => {
            payload.client_to_server = forward(Sums::Plain).read(params, &mut collected)?;
            payload.server_to_client = backward(Sums::BidirReverse).read(params, &mut collected)?;
        }
    }
    Ok(collected.findings(Traffic::Bulk(payload)))
}

/// Whether the client's output is that of a test that came to its end. Its exit status does not tell: 3.12 exits with 0
/// after errors too.
pub(crate) fn is_complete(client: &[u8]) -> bool {
    Report::read(CLIENT, client).is_ok()
}

/// Under which names the client's report sums a direction up.
#[derive(Clone, Copy)]
enum Sums {
    /// `sum_sent`, `sum_received`.
    Plain,
    /// `sum_sent_bidir_reverse`, `sum_received_bidir_reverse`.
    BidirReverse,
}

impl Sums {
    fn of(self, end: &End) -> Result<(&Sum, &Sum), ParseError> {
        let (sent, received) = match self {
            Self::Plain => (("end.sum_sent", &end.sum_sent), ("end.sum_received", &end.sum_received)),
            Self::BidirReverse => (
                ("end.sum_sent_bidir_reverse", &end.sum_sent_bidir_reverse),
                ("end.sum_received_bidir_reverse", &end.sum_received_bidir_reverse),
            ),
        };
        Ok((present(sent)?, present(received)?))
    }
}

fn present<'a>((name, sum): (&str, &'a Option<Sum>)) -> Result<&'a Sum, ParseError> {
    sum.as_ref().ok_or_else(|| ParseError::Incomplete { tool: CLIENT, missing: format!("`{name}`") })
}

/// One direction of a test.
struct Direction<'a> {
    name: &'static str,
    client_sends: bool,
    sums: Sums,
    /// Knows both sides' sums: at the end of a test iperf3's server tells its own to the client.
    client: &'a Report,
    /// Of these two, the one that receives.
    receiver: &'a Report,
    receiving_tool: &'static str,
}

impl Direction<'_> {
    /// Adds this direction's samples; gives the payload of the whole window in bytes, if the report accounts for it.
    fn read(&self, params: &Iperf3, collected: &mut Collected) -> Result<Option<u64>, ParseError> {
        let (sent, received) = self.sums.of(&self.client.end)?;
        if sent.sender != self.client_sends || received.sender != self.client_sends {
            return Err(contradiction(CLIENT, "the direction that was asked for".to_owned()));
        }
        let dims = [("direction", self.name)];
        match params.amount {
            Amount::Seconds(_) => {
                collected.add(&metric::THROUGHPUT, received.bits_per_second, &dims);
                self.add_flows(params, &self.flows_by_time(params)?, collected);
            }
            Amount::Bytes(bytes) => match self.flows_by_intervals(params)? {
                Some(flows) => {
                    collected.add(&metric::THROUGHPUT, flows.iter().sum(), &dims);
                    self.add_flows(params, &flows, collected);
                }
                None => collected.lack(
                    &metric::THROUGHPUT,
                    format!(
                        "the transfer of {bytes} bytes ({}) took less than {MIN_INTERVALS} whole intervals of {} s, and \
                         iperf3 reports no finer: more bytes are needed",
                        self.name,
                        INTERVAL_BY_BYTES,
                    ),
                ),
            },
        }
        self.add_intervals(params, collected, &dims);
        match sent.retransmits {
            #[expect(
                clippy::cast_precision_loss,
                reason = "a count of segments in one test is far below 2^53"
            )]
            Some(retransmits) => collected.add(&metric::RETRANSMITS, retransmits as f64, &dims),
            None => collected.lack(&metric::RETRANSMITS, "the sending side does not report any"),
        }
        Ok(self.receiver.received_in_warmup(params.warmup_s).map(|warmup| warmup + received.bytes))
    }

    fn add_flows(&self, params: &Iperf3, flows: &[f64], collected: &mut Collected) {
        if params.flows < 2 {
            return;
        }
        for (flow, &rate) in flows.iter().enumerate() {
            let dims = [("direction", self.name), ("flow", &flow.to_string())];
            collected.add(&metric::FLOW_THROUGHPUT, rate, &dims);
        }
    }

    /// Bits per second of each flow, as iperf3 sums them up.
    fn flows_by_time(&self, params: &Iperf3) -> Result<Vec<f64>, ParseError> {
        let streams = self.client.end.streams.iter().map(|stream| &stream.receiver);
        let flows: Vec<f64> = streams
            .filter(|flow| flow.sender == self.client_sends)
            .map(|flow| flow.bits_per_second)
            .collect();
        self.check_flows(params, CLIENT, flows.len())?;
        Ok(flows)
    }

    /// Bits per second of each flow, over the whole intervals in which the transfer went on; `None` if they are too few.
    fn flows_by_intervals(&self, params: &Iperf3) -> Result<Option<Vec<f64>>, ParseError> {
        let intervals = &self.receiver.intervals;
        let measured: Vec<_> = intervals
            .iter()
            .filter(|interval| interval.streams.iter().any(|stream| !stream.omitted))
            .collect();
        // Of both directions: one that starves while the other finishes has not ended.
        let moved = |interval: &&Interval| interval.streams.iter().any(|stream| stream.bytes > 0);
        let Some(last) = measured.iter().rposition(moved) else {
            return Ok(None);
        };
        // The first interval after a warm-up is not whole either: 3.12 gives it the length of two.
        let first = usize::from(params.warmup_s > 0);
        if last < first + MIN_INTERVALS {
            return Ok(None);
        }
        let mut flows: Vec<(u32, u64, f64)> = Vec::new();
        for interval in &measured[first..last] {
            for stream in interval.streams.iter().filter(|stream| !stream.sender) {
                match flows.iter_mut().find(|(socket, ..)| *socket == stream.socket) {
                    Some((_, bytes, seconds)) => {
                        *bytes += stream.bytes;
                        *seconds += stream.seconds;
                    }
                    None => flows.push((stream.socket, stream.bytes, stream.seconds)),
                }
            }
        }
        self.check_flows(params, self.receiving_tool, flows.len())?;
        #[expect(clippy::cast_precision_loss, reason = "2^53 bytes are nine petabytes")]
        Ok(Some(flows.iter().map(|&(_, bytes, seconds)| bytes as f64 * 8.0 / seconds).collect()))
    }

    /// What the receiver took in each of its reporting intervals, warm-up excluded, all flows together. Of a test that is limited by bytes the
    /// last one is left out: it ends somewhere within it.
    fn add_intervals(&self, params: &Iperf3, collected: &mut Collected, dims: &[(&str, &str)]) {
        let taken = |interval: &Interval| {
            let streams = || interval.streams.iter().filter(|stream| !stream.sender && !stream.omitted);
            let seconds = streams().map(|stream| stream.seconds).fold(0.0, f64::max);
            #[expect(clippy::cast_precision_loss, reason = "2^53 bytes are nine petabytes")]
            let bytes = streams().map(|stream| stream.bytes).sum::<u64>() as f64;
            (seconds > 0.0).then_some((seconds, bytes * 8.0 / seconds))
        };
        let all: Vec<(f64, f64)> = self.receiver.intervals.iter().filter_map(taken).collect();
        let asked: f64 = match params.amount {
            Amount::Seconds(_) => INTERVAL_BY_TIME,
            Amount::Bytes(_) => INTERVAL_BY_BYTES,
        }
        .parse()
        .unwrap_or(1.0);
        // A short one is a rest, and one twice as long what 3.12 makes of the first after a warm-up.
        let is_whole = |(seconds, _): &&(f64, f64)| (seconds / asked - 1.0).abs() < 0.5;
        let Some((_, before_last)) = all.split_last() else { return };
        let last = all.last().filter(|_| matches!(params.amount, Amount::Seconds(_)));
        let values = before_last.iter().chain(last).filter(is_whole).map(|(_, rate)| *rate).collect();
        collected.add_within(&metric::THROUGHPUT, Parts::Intervals { seconds: asked }, values, dims);
    }

    fn check_flows(&self, params: &Iperf3, tool: &'static str, found: usize) -> Result<(), ParseError> {
        if usize::try_from(params.flows).is_ok_and(|flows| flows == found) {
            return Ok(());
        }
        let what = format!("the number of flows: {found} {}, {} were asked for", self.name, params.flows);
        Err(contradiction(tool, what))
    }
}

fn contradiction(tool: &'static str, what: String) -> ParseError {
    ParseError::Contradiction { tool, what }
}
