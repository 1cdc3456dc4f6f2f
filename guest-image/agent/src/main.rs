//! The static guest agent: PID 1 of every lab guest, and an ordinary process on a real host.
//!
//! As PID 1 it turns an initramfs into a usable system (mounts, modules, the root disk), forks, and then only reaps;
//! the child answers the host's frames over a virtio-serial port. With `--stdio` it answers frames on its standard
//! streams and leaves the system alone. If the child dies, PID 1 exits, and the kernel panics: the machine's stop is
//! seen by whoever watches it.
//!
//! Invariant: it knows no workload. What a tool's output or a file under /proc means is the host's business.

mod console;
mod exec;
mod init;
mod interact;
mod kernel_log;
mod leader;
mod listening;
mod namespace;
mod pattern;
mod perturb;
mod played;
mod power;
mod program;
mod pump;
mod put;
mod read;
mod serve;
mod session;
mod share;
mod source;
mod terminal;
mod trace;

use std::{io, process::ExitCode};

use crate::serve::Role;

/// The conversation ended because the host closed it between two frames.
const EXIT_CLOSED: u8 = 0;
/// The conversation ended because a frame was malformed or the stream failed.
const EXIT_BROKEN: u8 = 65;
/// The command line was not understood.
const EXIT_USAGE: u8 = 64;

fn main() -> ExitCode {
    // A panic in one thread would otherwise leave a request unanswered for ever, and the machine looking alive.
    std::panic::set_hook(Box::new(|panic| {
        console::say(format_args!("{panic}"));
        std::process::abort();
    }));
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    // The kernel passes words of its command line that it does not know on to PID 1: they are no business of ours.
    if std::process::id() == 1 {
        return init::run();
    }
    match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["--stdio"] => serve::serve(io::stdin(), io::stdout(), Role::Guest),
        ["--version"] => {
            println!("assay-agent {} (protocol {})", env!("CARGO_PKG_VERSION"), protocol::VERSION);
            ExitCode::SUCCESS
        }
        _ => {
            console::say("usage: assay-agent --stdio | --version; without arguments it runs as PID 1 only");
            ExitCode::from(EXIT_USAGE)
        }
    }
}
