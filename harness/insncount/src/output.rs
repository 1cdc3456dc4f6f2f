//! The file of counts: lines of JSON, described in `FORMAT.md`.

use std::{
    fmt::Write as _,
    io::{self, Write},
};

use crate::{
    block::Site,
    plugin::Plugin,
    stacks::{Stack, Stacks},
    vcpu::{Context, slot},
};

/// Raised when the lines change their meaning.
const VERSION: u32 = 2;

/// Instructions of one line follow each other without a gap; this many at most.
const LONGEST_LINE: usize = 512;

/// The first line.
pub(crate) fn header(plugin: &mut Plugin, api: i32) -> io::Result<()> {
    let (vcpus, whole) = (plugin.vcpus, plugin.whole);
    let sampled = match (&plugin.stacks, &plugin.no_stacks) {
        (Some(stacks), _) => format!(r#","sample":{}"#, stacks.every),
        (None, Some(why)) => format!(r#","no_stacks":{}"#, quoted(why)),
        (None, None) => String::new(),
    };
    writeln!(
        plugin.out,
        r#"{{"insncount":{{"version":{VERSION},"plugin_api":{api},"vcpus":{vcpus},"whole":{whole}{sampled}}}}}"#
    )?;
    plugin.out.flush()
}

/// What was counted in a window that has ended.
pub(crate) fn window(plugin: &mut Plugin, number: u64) -> io::Result<()> {
    let mut lines = String::new();
    let mut total = 0;
    let executed = plugin.blocks.executed(plugin.vcpus * Context::ALL.len());
    for vcpu in 0..plugin.vcpus {
        for context in Context::ALL {
            let executed = &executed[slot(vcpu, context)];
            total += executed.iter().map(|(_, count)| *count).sum::<i64>();
            code(&mut lines, vcpu, context, executed);
        }
        for site in plugin.strings.kernel() {
            for context in Context::ALL {
                let iterations = site.iterations(slot(vcpu, context));
                if iterations > 0 {
                    let (name, element) = (&site.kind.name, site.kind.element);
                    let (at, context) = (site.address, context.name());
                    let _ = writeln!(
                        lines,
                        r#"{{"string":{{"vcpu":{vcpu},"context":"{context}","at":"{at:#x}","name":"{name}","element":{element},"accesses":{iterations}}}}}"#
                    );
                }
            }
        }
        for (name, (plain, strings, bytes)) in plugin.programs.executed(vcpu) {
            total += plain + strings;
            let name = quoted(name);
            let _ = writeln!(
                lines,
                r#"{{"program":{{"vcpu":{vcpu},"name":{name},"insns":{plain},"string_passes":{strings},"string_bytes":{bytes}}}}}"#
            );
        }
    }
    if let Some(taken) = &plugin.stacks {
        stacks(&mut lines, taken);
    }
    let oddities: Vec<_> = plugin.oddities.drain(..).map(|oddity| quoted(&oddity)).collect();
    let oddities = oddities.join(",");
    writeln!(plugin.out, r#"{{"begin":{number}}}"#)?;
    plugin.out.write_all(lines.as_bytes())?;
    writeln!(plugin.out, r#"{{"end":{{"window":{number},"executed":{total},"oddities":[{oddities}]}}}}"#)?;
    plugin.out.flush()
}

/// A window that the machine's end cut short: nothing is said of what was counted.
pub(crate) fn unfinished(plugin: &mut Plugin, number: u64) -> io::Result<()> {
    writeln!(plugin.out, r#"{{"unfinished":{number}}}"#)
}

/// The last line.
pub(crate) fn footer(plugin: &mut Plugin) -> io::Result<()> {
    writeln!(plugin.out, r#"{{"powered_off":true}}"#)?;
    plugin.out.flush()
}

/// Writes one line for each stretch of code without a gap.
fn code(lines: &mut String, vcpu: usize, context: Context, executed: &[(Site, i64)]) {
    let follows = |(before, _): &(Site, i64), (next, _): &(Site, i64)| {
        before.address + u64::from(before.length) == next.address
    };
    for stretch in executed.chunk_by(follows).flat_map(|stretch| stretch.chunks(LONGEST_LINE)) {
        let context = context.name();
        let at = stretch[0].0.address;
        let _ = write!(lines, r#"{{"code":{{"vcpu":{vcpu},"context":"{context}","at":"{at:#x}","length":["#);
        list(lines, stretch, |(site, _)| site.length.into());
        lines.push_str(r#"],"class":["#);
        list(lines, stretch, |(site, _)| site.class.0.into());
        lines.push_str(r#"],"count":["#);
        list(lines, stretch, |(_, count)| *count);
        lines.push_str("]}}\n");
    }
}

fn list(lines: &mut String, stretch: &[(Site, i64)], of: fn(&(Site, i64)) -> i64) {
    for (index, site) in stretch.iter().enumerate() {
        let comma = if index == 0 { "" } else { "," };
        let _ = write!(lines, "{comma}{}", of(site));
    }
}

/// Writes one line for each stack that was seen.
fn stacks(lines: &mut String, stacks: &Stacks) {
    for (stack, samples) in stacks.taken() {
        let Stack { vcpu, context, program, complete, functions } = stack;
        let context = context.map_or("user", Context::name);
        let end = program.iter().position(|byte| *byte == 0).unwrap_or(program.len());
        let program = quoted(&String::from_utf8_lossy(&program[..end]));
        let functions: Vec<_> = functions.iter().map(|function| format!(r#""{function:#x}""#)).collect();
        let functions = functions.join(",");
        let _ = writeln!(
            lines,
            r#"{{"stack":{{"vcpu":{vcpu},"context":"{context}","program":{program},"complete":{complete},"samples":{samples},"functions":[{functions}]}}}}"#
        );
    }
}

/// A JSON string.
fn quoted(text: &str) -> String {
    let mut quoted = String::from('"');
    for letter in text.chars() {
        match letter {
            '"' | '\\' => quoted.extend(['\\', letter]),
            letter if letter.is_control() => {
                let _ = write!(quoted, "\\u{:04x}", u32::from(letter));
            }
            letter => quoted.push(letter),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{block::KERNEL, decode::Class};

    #[test]
    fn code_without_a_gap_is_one_line() {
        let site = |address, length| Site {
            address: KERNEL + address,
            length,
            class: Class(1),
            stores_by_operand: false,
        };
        let mut lines = String::new();
        code(&mut lines, 1, Context::Softirq, &[(site(0, 4), 3), (site(4, 2), 3), (site(16, 1), 7)]);
        assert_eq!(
            lines,
            r#"{"code":{"vcpu":1,"context":"softirq","at":"0x8000000000000000","length":[4,2],"class":[1,1],"count":[3,3]}}
{"code":{"vcpu":1,"context":"softirq","at":"0x8000000000000010","length":[1],"class":[1],"count":[7]}}
"#
        );
    }

    #[test]
    fn names_of_programs_are_escaped() {
        assert_eq!(quoted("a\"b\\c\n"), r#""a\"b\\c\u000a""#);
    }
}
