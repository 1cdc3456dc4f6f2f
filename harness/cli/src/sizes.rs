//! `assay size`: how much of everything a receiver needs.

use std::process::ExitCode;

use anyhow::Context;
use size::{Answer, Ip, Need};

use crate::{arguments::Size, failure::Failure, terminal};

pub(crate) fn size(flags: &Size) -> Result<ExitCode, Failure> {
    let answer = Answer::to(Need {
        rate_bps: flags.rate,
        rtt_ns: flags.rtt,
        mtu: flags.mtu,
        ip: if flags.ipv6 { Ip::V6 } else { Ip::V4 },
        queues: flags.queues,
        buffer_bytes: flags.buffer,
        ring: flags.ring,
        message_bytes: flags.message,
    });
    if flags.json {
        println!("{}", serde_json::to_string_pretty(&answer).context("writing the sizes as JSON")?);
    } else {
        print!("{}", size::text(&answer, terminal::width()));
    }
    Ok(ExitCode::SUCCESS)
}
