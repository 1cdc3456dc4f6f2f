//! Stacks as the kernel prints them (`arch/x86/kernel/dumpstack.c`).

use measure::Frame;

/// Most frames of one stack that are kept.
const MOST: usize = 64;

/// `function+0xOFFSET/0xSIZE [module]`, with what may stand around it.
pub(crate) fn symbol(text: &str) -> Option<Frame> {
    let (function, rest) = text.trim().split_once("+0x")?;
    let function = function.rsplit([' ', ':']).next().unwrap_or(function);
    if function.is_empty() || !function.chars().all(|c| c.is_ascii_alphanumeric() || "_.$".contains(c)) {
        return None;
    }
    let (offset, rest) = rest.split_once("/0x")?;
    let digits = rest.find(|c: char| !c.is_ascii_hexdigit()).unwrap_or(rest.len());
    let (size, rest) = rest.split_at(digits);
    let module = rest
        .trim_start()
        .strip_prefix('[')
        .and_then(|module| module.split_once(']'))
        // A module's build id may follow its name.
        .and_then(|(module, _)| module.split(' ').next())
        .filter(|module| !module.is_empty())
        .map(str::to_owned);
    Some(Frame {
        function: function.to_owned(),
        offset: u64::from_str_radix(offset, 16).ok()?,
        size: u64::from_str_radix(size, 16).ok()?,
        module,
        certain: true,
        lines: vec![],
    })
}

/// The first stack in a complaint's lines, innermost first: the instruction that faulted, if it is told, and the trace.
pub(crate) fn first_stack(lines: &[&str]) -> Vec<Frame> {
    let mut frames: Vec<Frame> = Vec::new();
    let mut state = State::Before;
    for words in lines {
        match state {
            State::Before => {
                if let Some(rest) = words.strip_prefix("RIP: 0010:") {
                    if frames.is_empty() {
                        frames.extend(symbol(rest));
                    }
                } else if is_head(words) {
                    state = State::Inside;
                }
            }
            State::Inside => match entry(words) {
                Some(frame) => {
                    let repeats = frames.len() == 1
                        && frames[0].function == frame.function
                        && frames[0].offset == frame.offset;
                    if !repeats && frames.len() < MOST {
                        frames.push(frame);
                    }
                }
                // Where an interrupt or a fault came in between: the unwinder names that function nowhere else.
                None if words.starts_with("RIP: 0010:") => {
                    let interrupted = words.strip_prefix("RIP: 0010:").and_then(symbol);
                    frames.extend(interrupted.filter(|_| frames.len() < MOST));
                }
                None if goes_on(words) => {}
                None if frames.is_empty() => state = State::Before,
                None => break,
            },
        }
    }
    frames
}

enum State {
    Before,
    Inside,
}

/// What stands before a stack's first function.
pub(crate) fn is_head(words: &str) -> bool {
    words.starts_with("Call Trace:") || words == "stack backtrace:" || is_access(words)
}

/// `write to 0xffffffffa0233e20 of 8 bytes by task 70 on cpu 3:` (kernel/kcsan/report.c, print_report): one end of a race.
fn is_access(words: &str) -> bool {
    words.ends_with(':')
        && words.contains(" to 0x")
        && words.contains(" bytes by ")
        && words.contains(" on cpu ")
}

/// A line of a stack.
fn entry(words: &str) -> Option<Frame> {
    let (certain, rest) = match words.strip_prefix("? ") {
        Some(rest) => (false, rest),
        None => (true, words),
    };
    // An address may stand before the function, and nothing else.
    let first = rest.split_whitespace().next()?;
    if !first.contains("+0x") {
        return None;
    }
    symbol(rest).map(|frame| Frame { certain, ..frame })
}

/// Lines within a stack that are no function: its contexts, and the registers at a context's border.
fn goes_on(words: &str) -> bool {
    const REGISTERS: &[&str] = &[
        "RIP: 0010:",
        "Code: ",
        "RSP: ",
        "RAX: ",
        "RDX: ",
        "RBP: ",
        "R10: ",
        "R13: ",
        "<TASK>",
        "<IRQ>",
        "</IRQ>",
        "<NMI>",
        "</NMI>",
        "<SOFTIRQ>",
        "</SOFTIRQ>",
        "Call Trace:",
        "CPU: ",
        "Hardware name: ",
        "Tainted: ",
    ];
    REGISTERS.iter().any(|begin| words.starts_with(begin))
}

/// Functions that report, or that everything waits in: a complaint is not about them.
const MACHINERY: &[&str] = &[
    "___might_sleep",
    "__asan_",
    "__bad_area",
    "__check_heap_object",
    "__check_object_size",
    "__die",
    "__fortify_panic",
    "__fortify_report",
    "__hwasan_",
    "__kasan_",
    "__down_",
    "__list_add_valid",
    "__list_del_entry_valid",
    "__lock_acquire",
    "__might_fault",
    "__might_resched",
    "__might_sleep",
    "__mutex_lock",
    "__report_bug",
    "__schedule",
    "__stack_chk_fail",
    "__tsan_",
    "__ubsan_",
    "__warn",
    "_raw_read_",
    "_raw_spin_",
    "_raw_write_",
    "asm_exc_",
    "asm_sysvec_",
    "bad_area",
    "bad_page",
    "check_noncircular",
    "check_panic_on_warn",
    "check_prev",
    "debug_check_no_locks",
    "debug_object_",
    "debug_print_object",
    "debug_smp_processor_id",
    "default_do_nmi",
    "delay_",
    "die",
    "down_read",
    "down_write",
    "do_raw_",
    "do_error_trap",
    "do_syscall_",
    "do_trap",
    "do_user_addr_fault",
    "dump_",
    "end_repeat_nmi",
    "entry_SYSCALL_",
    "exc_",
    "exit_to_user_mode",
    "fixup_bug",
    "fortify_panic",
    "handle_bug",
    "io_schedule",
    "irqentry_exit",
    "kasan_",
    "kcsan_",
    "kfence_",
    "kthread_should_stop",
    "lock_acquire",
    "lock_release",
    "lockdep_",
    "mark_lock",
    "memcpy",
    "memmove",
    "memset",
    "mutex_lock",
    "native_",
    "nmi_",
    "oops_",
    "page_fault_oops",
    "percpu_down_",
    "panic",
    "preempt_schedule",
    "print_",
    "pv_",
    "queued_",
    "refcount_warn_saturate",
    "register_lock_class",
    "rep_movs_",
    "rep_stos_",
    "report_bug",
    "rwsem_",
    "schedule",
    "search_extable",
    "show_regs",
    "show_stack",
    "show_trace",
    "skb_over_panic",
    "skb_panic",
    "skb_under_panic",
    "spin_bug",
    "spin_dump",
    "syscall_exit_to_user_mode",
    "sysvec_",
    "trace_hardirqs_",
    "trigger_",
    "ubsan_",
    "unknown_nmi_error",
    "unwind_",
    "usercopy_abort",
    "validate_chain",
    "vpanic",
    "warn_slowpath",
    "watchdog",
    "ww_mutex_lock",
];

/// Whether a complaint can be about this function. What reports is built in; a module is what is reported of, whatever it calls
/// itself: `kasan_stack_oob` of `kasan_test`.
pub(crate) fn tells(frame: &Frame) -> bool {
    let function = frame.function.as_str();
    if frame.module.is_some() {
        return true;
    }
    let plain = function.strip_prefix("__pi_").unwrap_or(function).trim_start_matches("__x86_");
    !MACHINERY.iter().any(|begin| plain.starts_with(begin))
}

/// A function's name without what the compiler added for its copies and parts.
pub(crate) fn base(function: &str) -> &str {
    match function.find('.') {
        Some(dot) if dot > 0 => &function[..dot],
        _ => function,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn symbols_with_modules_and_without() {
        let frame = symbol("crasher_init+0xc7/0xff0 [crasher]").unwrap();
        assert_eq!((frame.function.as_str(), frame.offset, frame.size), ("crasher_init", 0xc7, 0xff0));
        assert_eq!(frame.module.as_deref(), Some("crasher"));
        assert_eq!(
            symbol("slab-out-of-bounds in tcp_v4_rcv.isra.0+0x1/0x22").unwrap().function,
            "tcp_v4_rcv.isra.0"
        );
        assert_eq!(symbol("f+0x1/0x2, CPU#0: sh/43").unwrap().module, None);
        for none in ["", "f", "f+0x", "f+0x1", "+0x1/0x2", "f+0xg/0x1", "f+0x1/0x", "a-b+0x1/0x2"] {
            assert_eq!(symbol(none), None, "{none:?}");
        }
    }

    #[test]
    fn a_stack_ends_where_something_else_begins() {
        let lines = [
            "RIP: 0010:inner+0x1/0x10",
            "Call Trace:",
            "<TASK>",
            "? guessed+0x1/0x10",
            "outer+0x2/0x10",
            "RIP: 0033:0x4cefc9",
            "never+0x1/0x10",
        ];
        let functions: Vec<_> = first_stack(&lines).into_iter().map(|f| (f.function, f.certain)).collect();
        let expected = [("inner", true), ("guessed", false), ("outer", true)];
        assert_eq!(functions, expected.map(|(name, certain)| (name.to_owned(), certain)));
    }

    #[test]
    fn the_function_that_was_interrupted_is_on_the_stack() {
        let lines = [
            "Call Trace:",
            "<NMI>",
            "exc_nmi+0x1/0x10",
            "RIP: 0010:spins+0x2/0x10",
            "</NMI>",
            "<TASK>",
            "f+0x3/0x10",
        ];
        let functions: Vec<_> = first_stack(&lines).into_iter().map(|f| f.function).collect();
        assert_eq!(functions, ["exc_nmi", "spins", "f"]);
    }

    #[test]
    fn names_lose_what_the_compiler_added() {
        assert_eq!(base("tcp_ack.constprop.0.isra.0"), "tcp_ack");
        assert_eq!(base(".dot"), ".dot");
    }
}
