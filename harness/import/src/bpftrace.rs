//! Maps that bpftrace prints, keyed by a process and a system call, in both spellings:
//!
//! ```text
//! @total[fc_vcpu 0, write]: 15664
//! @total[qemu-system-x86, tracepoint:syscalls:sys_enter_writev]: 554089
//! ```
//!
//! `@interval` is the part of `@total` since it was last printed; `@time` is nanoseconds in the call.

use std::sync::LazyLock;

use measure::metric::imported;
use regex::Regex;

use crate::{
    Part,
    text::{Line, expect_number, word},
};

static ENTRY: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"^@(?<map>\w*)\[(?<key>.+)\]:\s*(?<value>\S+)\s*$").expect("a constant pattern")
});

/// Whether it is an entry of a map.
pub(crate) fn is_line(text: &str) -> bool {
    text.trim_start().strip_prefix('@').is_some_and(|rest| {
        rest.trim_start_matches(|char: char| char.is_ascii_alphanumeric() || char == '_').starts_with('[')
    })
}

pub(crate) fn take(part: &mut Part, line: &Line) -> Result<(), Vec<String>> {
    entry(part, line).map_err(|message| vec![message])
}

fn entry(part: &mut Part, line: &Line) -> Result<(), String> {
    let found = ENTRY.captures(line.text.trim()).ok_or("no whole entry of a map: cut off or damaged")?;
    let (process, call) = found["key"].rsplit_once(", ").unwrap_or(("all", &found["key"]));
    let call = call.strip_prefix("tracepoint:").unwrap_or(call);
    let call = call.strip_prefix("syscalls:").unwrap_or(call);
    let call = ["sys_enter_", "sys_exit_"].iter().find_map(|start| call.strip_prefix(start)).unwrap_or(call);
    let value = expect_number(&found["value"], "the entry's value")?;
    let dims = [("process", process), ("syscall", call)];
    match &found["map"] {
        "total" | "count" | "calls" | "" => part.add(&imported::SYSCALLS, value, &dims, line.number),
        "interval" => {}
        "time" => {
            let dims = [dims[0], dims[1], ("of", "total")];
            part.add(&imported::SYSCALL_TIME, value / 1e6, &dims, line.number);
        }
        other => {
            return Err(format!(
                "what the map `@{}` counts is not known (@total, @count, @time are)",
                word(other)
            ));
        }
    }
    Ok(())
}
