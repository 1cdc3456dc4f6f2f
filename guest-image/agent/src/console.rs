//! Lines for whoever reads the machine's console.

use std::{
    fmt::Display,
    io::{self, Write},
};

use protocol::CONSOLE_PREFIX;

/// Writes `text` to standard error, which for PID 1 is the console; every line of it carries the agent's prefix.
pub(crate) fn say(text: impl Display) {
    // There is nobody to tell if the console cannot be written.
    let _ = io::stderr().write_all(lines(&text.to_string()).as_bytes());
}

/// Writes an error and its causes as one line.
pub(crate) fn say_error(what: &str, error: &dyn std::error::Error) {
    say(format_args!("{what}: {}", chain(error)));
}

/// An error and its causes, joined by colons.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

fn lines(text: &str) -> String {
    // One write for everything, so that lines of the kernel do not end up within ours.
    text.lines().map(|line| format!("{CONSOLE_PREFIX}{line}\n")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_carries_the_prefix() {
        assert_eq!(lines("a\nb\n"), format!("{CONSOLE_PREFIX}a\n{CONSOLE_PREFIX}b\n"));
    }

    #[test]
    fn a_chain_names_every_cause_once() {
        let error = crate::init::BootError::NoRootDisk {
            device: "/dev/vda".into(),
            source: io::Error::from(io::ErrorKind::NotFound),
        };
        assert_eq!(chain(&error), "mounting the root disk /dev/vda: entity not found");
    }
}
