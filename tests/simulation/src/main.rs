//! Makes all cells, and writes the table once all of them are made.

use std::{
    io::Write as _,
    path::PathBuf,
    sync::{Mutex, PoisonError},
    time::Instant,
};

use anyhow::Context as _;
use clap::Parser;
use simulation::{Size, everything};

#[derive(Parser)]
#[command(about = "How often verdicts are wrong, and how often they find what is there")]
struct Arguments {
    /// Where the table is written; standard output if it is not said.
    #[arg(long, value_name = "FILE")]
    table: Option<PathBuf>,
    /// Data sets of a cell.
    #[arg(long, default_value_t = 2000)]
    data_sets: usize,
    /// Histories in which a culprit is looked for, in each way.
    #[arg(long, default_value_t = 1000)]
    histories: usize,
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let started = Instant::now();
    let shown = Mutex::new(0);
    let progress = |done: usize, all: usize| {
        let mut shown = shown.lock().unwrap_or_else(PoisonError::into_inner);
        // One line for every tenth part; threads may come in any order.
        if done * 10 / all > *shown {
            *shown = done * 10 / all;
            eprintln!("{done} of {all} cells, {:.0} s", started.elapsed().as_secs_f64());
        }
    };
    let text = everything(Size { data_sets: arguments.data_sets, histories: arguments.histories }, progress);
    match &arguments.table {
        Some(path) => std::fs::write(path, text).with_context(|| format!("writing {}", path.display()))?,
        None => std::io::stdout().write_all(text.as_bytes())?,
    }
    Ok(())
}
