//! Printing, in place of the standard library's macros, whose panic is the wrong answer to a closed pipe.
//!
//! A reader that has seen enough, such as `head`, is nobody's failure: the rest is dropped and the exit status is the
//! result's. A full disk is one. Nothing that is said on standard error is worth ending a run for.

use std::{
    fmt,
    io::{self, Write},
};

/// `print!`.
macro_rules! print {
    ($($words:tt)*) => { $crate::output::result(format_args!($($words)*)) };
}

/// `println!`.
macro_rules! println {
    () => { $crate::output::result(format_args!("\n")) };
    ($($words:tt)*) => { $crate::output::result(format_args!("{}\n", format_args!($($words)*))) };
}

/// `eprint!`.
macro_rules! eprint {
    ($($words:tt)*) => { $crate::output::message(format_args!($($words)*)) };
}

/// `eprintln!`.
macro_rules! eprintln {
    () => { $crate::output::message(format_args!("\n")) };
    ($($words:tt)*) => { $crate::output::message(format_args!("{}\n", format_args!($($words)*))) };
}

/// Exit status of results that could not be written: the machine's failure.
const UNAVAILABLE: i32 = 69;

/// Writes a result to standard output.
pub(crate) fn result(words: fmt::Arguments<'_>) {
    let mut stdout = io::stdout().lock();
    if let Err(error) = stdout.write_fmt(words).and_then(|()| stdout.flush())
        && error.kind() != io::ErrorKind::BrokenPipe
    {
        eprintln!("error: writing to standard output\n  caused by: {error}");
        std::process::exit(UNAVAILABLE);
    }
}

/// Writes to standard error.
pub(crate) fn message(words: fmt::Arguments<'_>) {
    // In one piece, or lines of several threads mix. Where nobody can be told, nobody is.
    let _ = io::stderr().write_all(fmt::format(words).as_bytes());
}
