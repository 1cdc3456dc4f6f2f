//! sockperf: latency of small messages.

mod parse;
#[cfg(test)]
mod tests;

use std::{net::IpAddr, time::Duration};

use plan::{Sockperf, SockperfMode, Transport};

pub use parse::parse;

/// sockperf's own default port.
pub const PORT: u16 = 11111;

/// In `under-load`, one message in so many is answered, as sockperf does by itself; said so that it stays so.
const REPLY_EVERY: &str = "100";

/// What runs on the server's side. It ends when it is interrupted.
#[must_use]
pub fn server_argv(params: &Sockperf, server: IpAddr) -> Vec<String> {
    let mut argv = vec!["sockperf".to_owned(), "server".to_owned()];
    argv.extend(common(params, server));
    argv
}

/// What runs on the client's side.
///
/// sockperf's clock is the processor's time-stamp counter, which it calibrates as it starts; [`parse`] checks the
/// outcome. Its other clock, `--no-rdtsc`, is no way out: in 3.7 it still scales its warm-up by the counter's rate and
/// drops seconds of observations.
#[must_use]
pub fn client_argv(params: &Sockperf, server: IpAddr) -> Vec<String> {
    let mut argv = vec!["sockperf".to_owned()];
    argv.push(
        match params.mode {
            SockperfMode::PingPong => "ping-pong",
            SockperfMode::UnderLoad { .. } => "under-load",
        }
        .to_owned(),
    );
    argv.extend(common(params, server));
    let mut option = |name: &str, value: &str| argv.extend([name.to_owned(), value.to_owned()]);
    option("--msg-size", &params.message_bytes.to_string());
    option("--time", &params.seconds.to_string());
    if let SockperfMode::UnderLoad { messages_per_second } = params.mode {
        option("--mps", &messages_per_second.to_string());
        option("--reply-every", REPLY_EVERY);
    }
    argv
}

fn common(params: &Sockperf, server: IpAddr) -> Vec<String> {
    let mut options = ["--ip", &server.to_string(), "--port", &PORT.to_string()].map(str::to_owned).to_vec();
    if params.transport == Transport::Tcp {
        options.push("--tcp".to_owned());
    }
    options
}

/// How long the client may take, start-up excluded.
pub(crate) fn duration(params: &Sockperf) -> Duration {
    Duration::from_secs(params.seconds.into())
}
