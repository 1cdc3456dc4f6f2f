//! iperf3: bulk throughput over TCP.

mod parse;
mod report;
#[cfg(test)]
mod tests;

use std::{net::IpAddr, time::Duration};

use plan::{Amount, Iperf3, Iperf3Direction};

pub(crate) use parse::is_complete;
pub use parse::parse;

/// iperf3's own default port.
pub const PORT: u16 = 5201;

/// Seconds between iperf3's reports when a run is limited by bytes.
///
/// From 3.16 on iperf3 notices only at the end of a reporting interval that all bytes have been moved, so that its own
/// summary divides them by too long a time (esnet/iperf issue 1768; seen here with 3.18: 200 MB that took 0.1 s were
/// reported as 1.0 s). The throughput is therefore taken from whole intervals, which must be short. This is the
/// shortest that iperf3 accepts.
const INTERVAL_BY_BYTES: &str = "0.1";

/// Seconds between iperf3's reports when a run is limited by time.
const INTERVAL_BY_TIME: &str = "1";

/// Longest wait for the server's answer to a connection, in milliseconds. The server listens before the client starts.
const CONNECT_TIMEOUT_MS: &str = "10000";

/// What runs on the server's side. It ends after one client.
#[must_use]
pub fn server_argv(params: &Iperf3) -> Vec<String> {
    let port = PORT.to_string();
    ["iperf3", "--server", "--one-off", "--json", "--port", &port, "--interval", interval(params.amount)]
        .map(str::to_owned)
        .to_vec()
}

/// What runs on the client's side.
#[must_use]
pub fn client_argv(params: &Iperf3, server: IpAddr) -> Vec<String> {
    let mut argv: Vec<String> = ["iperf3", "--client"].map(str::to_owned).to_vec();
    argv.push(server.to_string());
    let mut option = |name: &str, value: &str| argv.extend([name.to_owned(), value.to_owned()]);
    option("--port", &PORT.to_string());
    option("--interval", interval(params.amount));
    option("--connect-timeout", CONNECT_TIMEOUT_MS);
    option("--parallel", &params.flows.to_string());
    option("--length", &params.message_bytes.to_string());
    match params.amount {
        Amount::Seconds(seconds) => option("--time", &seconds.to_string()),
        Amount::Bytes(bytes) => option("--bytes", &bytes.to_string()),
    }
    if params.warmup_s > 0 {
        option("--omit", &params.warmup_s.to_string());
    }
    if let Some(congestion) = &params.congestion {
        option("--congestion", congestion);
    }
    match params.direction {
        Iperf3Direction::ClientToServer => {}
        Iperf3Direction::ServerToClient => argv.push("--reverse".to_owned()),
        Iperf3Direction::Both => argv.push("--bidir".to_owned()),
    }
    argv.push("--json".to_owned());
    argv
}

fn interval(amount: Amount) -> &'static str {
    match amount {
        Amount::Seconds(_) => INTERVAL_BY_TIME,
        Amount::Bytes(_) => INTERVAL_BY_BYTES,
    }
}

/// How long the client may take, start-up excluded. A transfer of bytes may crawl at 1 MiB/s, a hundredth of what an
/// emulated NIC under TCG does.
pub(crate) fn duration(params: &Iperf3) -> Duration {
    let measured = match params.amount {
        Amount::Seconds(seconds) => u64::from(seconds),
        Amount::Bytes(bytes) => bytes.div_ceil(1024 * 1024),
    };
    Duration::from_secs(measured.saturating_add(u64::from(params.warmup_s)))
}
