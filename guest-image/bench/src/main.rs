//! `assay-bench receive` and `assay-bench send`: a TCP stream in one of many ways, with a report of what it took.
//!
//! What is asked and reported is `guest-image/flow`'s. Each mode is a file, in `receive` and in `send`.

use std::{io::Write, process::ExitCode};

use clap::Parser;
use flow::{Ask, Report};

use crate::{cli::Cli, error::Failure, stop::Stop};

mod cli;
mod control;
mod conversation;
mod error;
mod nic;
mod payload;
mod receive;
mod report;
mod send;
mod stop;
mod sys;
mod tally;
mod tokens;
mod udmabuf;
mod uring;
mod window;

fn main() -> ExitCode {
    let cli = Cli::parse();
    match run(cli).and_then(|report| print(&report)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("assay-bench: {failure}");
            ExitCode::from(u8::try_from(failure.status()).unwrap_or(u8::MAX))
        }
    }
}

fn run(cli: Cli) -> Result<Report, Failure> {
    let ask = cli.ask()?;
    let deadline = match &ask {
        Ask::Receive(receive) => receive.deadline,
        Ask::Send(send) => send.deadline,
    };
    let stop = Stop::watch(deadline)?;
    let report = match &ask {
        Ask::Receive(receive) => receive::run(receive, &stop),
        Ask::Send(send) => send::run(send, &stop),
    };
    report.map_err(|failure| stop.explain(failure))
}

fn print(report: &Report) -> Result<(), Failure> {
    let mut line = serde_json::to_vec(report).map_err(|error| Failure::call("writing the report", error))?;
    line.push(b'\n');
    std::io::stdout().write_all(&line).map_err(|error| Failure::call("writing the report", error))
}
