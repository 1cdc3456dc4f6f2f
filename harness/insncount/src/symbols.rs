//! The few addresses of a kernel that tell contexts, programs and faults apart, from its `System.map`.

use std::collections::HashMap;

/// Bits of `preempt_count` that say whose work is done (include/linux/preempt.h). The one that says that a softirq is
/// served never moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Layout {
    pub(crate) hardirq: u32,
    pub(crate) nmi: u32,
}

impl Layout {
    /// Without a count of `local_interrupt_disable()`.
    pub(crate) const CLASSIC: Self = Self { hardirq: 0xf_0000, nmi: 0xf0_0000 };

    /// With it, below them. Such a kernel keeps the need to reschedule in
    /// another word on x86-64.
    pub(crate) const WITH_DISABLE_COUNT: Self = Self { hardirq: 0xf00_0000, nmi: 0xf000_0000 };
}

impl Default for Layout {
    fn default() -> Self {
        Self::CLASSIC
    }
}

/// What a handler's first instruction finds on its stack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Frame {
    /// How far above the stack pointer the interrupted address is.
    pub(crate) above: u64,
    /// At the stack pointer is a page fault's error code.
    pub(crate) is_page_fault: bool,
}

/// Where in the kernel to look.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Symbols {
    /// Operand of the instructions that access this CPU's `preempt_count`, relative to GS.
    pub(crate) preempt_count: Option<u64>,
    /// Operand of the instructions that access this CPU's current task, relative to GS.
    pub(crate) current_task: Option<u64>,
    /// Which bits of `preempt_count` are which.
    pub(crate) layout: Layout,
    /// `init_task`, the first CPU's idle task.
    pub(crate) init_task: Option<u64>,
    /// By handlers' first instructions.
    pub(crate) faults: HashMap<u64, Frame>,
    /// Functions where the current task may have another name than before.
    pub(crate) renames: Vec<u64>,
    /// Functions that give a task another name, mostly the current one.
    pub(crate) namings: Vec<u64>,
}

/// Exceptions that push an error code, by the kernel's names (arch/x86/include/asm/idtentry.h, `DECLARE_IDTENTRY_ERRORCODE`).
const WITH_ERROR_CODE: [&str; 9] = [
    "double_fault",
    "invalid_tss",
    "segment_not_present",
    "stack_segment",
    "general_protection",
    "page_fault",
    "alignment_check",
    "control_protection",
    "vmm_communication",
];

/// The vectors of those.
const VECTORS_WITH_ERROR_CODE: [u64; 10] = [8, 10, 11, 12, 13, 14, 17, 21, 29, 30];
const EARLY_VECTORS: u64 = 32;
const PAGE_FAULT: u64 = 14;

/// Exceptions that end their block by themselves: the instruction that raises them is its last one and counts, or they
/// come between blocks.
const AT_THE_END: [&str; 8] = [
    "invalid_op",
    "device_not_available",
    "int3",
    "debug",
    "overflow",
    "nmi",
    "nmi_kvm_vmx",
    "machine_check",
];

/// Called when a program's task gets its name, or right after: fs/exec.c `finalize_exec`, arch/x86/kernel/process_64.c
/// `start_thread`.
const RENAMES: [&str; 2] = ["finalize_exec", "start_thread"];

/// Called to give a task its name, also one that it asks for (`PR_SET_NAME`): fs/exec.c.
const NAMINGS: [&str; 1] = ["__set_task_comm"];

impl Symbols {
    /// The first that a kernel must have.
    pub(crate) fn missing(&self) -> Option<&'static str> {
        match () {
            () if self.preempt_count.is_none() => Some("pcpu_hot or __preempt_count"),
            () if self.current_task.is_none() => Some("pcpu_hot or current_task"),
            () if self.init_task.is_none() => Some("init_task"),
            () if self.faults.is_empty() => Some("asm_exc_page_fault"),
            () => None,
        }
    }

    /// Understands a `System.map`.
    pub(crate) fn parse(map: &str) -> Self {
        let mut found = Self::default();
        let mut early = (None, None);
        // From 6.2 to 6.14 both are members of one structure: arch/x86/include/asm/current.h `struct pcpu_hot`.
        let mut hot = None;
        for line in map.lines() {
            let mut words = line.split_ascii_whitespace();
            let (Some(address), Some(_), Some(name)) = (words.next(), words.next(), words.next()) else {
                continue;
            };
            let Ok(address) = u64::from_str_radix(address, 16) else { continue };
            match name {
                "pcpu_hot" => hot = Some(address),
                "__preempt_count" => found.preempt_count = Some(address),
                "current_task" => found.current_task = Some(address),
                "local_interrupt_disable_state" => found.layout = Layout::WITH_DISABLE_COUNT,
                "init_task" => found.init_task = Some(address),
                "early_idt_handler_array" => early.0 = Some(address),
                "early_idt_handler_common" => early.1 = Some(address),
                name if RENAMES.contains(&name) => found.renames.push(address),
                name if NAMINGS.contains(&name) => found.namings.push(address),
                name => {
                    let Some(exception) = name.strip_prefix("asm_exc_") else { continue };
                    if !AT_THE_END.contains(&exception) && !exception.starts_with("xen_") {
                        let above = if WITH_ERROR_CODE.contains(&exception) { 8 } else { 0 };
                        let is_page_fault = exception == "page_fault";
                        found.faults.insert(address, Frame { above, is_page_fault });
                    }
                }
            }
        }
        if let Some(hot) = hot {
            found.current_task = Some(hot);
            found.preempt_count = Some(hot + 8);
        }
        if let (Some(array), Some(end)) = early
            && end > array
        {
            // Until the kernel has its own table, arch/x86/kernel/head_64.S has a stub for each vector.
            let size = (end - array) / EARLY_VECTORS;
            found.faults.extend((0..EARLY_VECTORS).map(|vector| {
                let above = if VECTORS_WITH_ERROR_CODE.contains(&vector) { 8 } else { 0 };
                (array + vector * size, Frame { above, is_page_fault: vector == PAGE_FAULT })
            }));
        }
        found
    }
}

/// First addresses of the kernel's functions, ascending. Padding before a function is the padding's function to the
/// kernel, and is never executed.
pub(crate) fn functions(map: &str) -> Vec<u64> {
    let function = |line: &str| {
        let mut words = line.split_ascii_whitespace();
        let (address, kind, name) = (words.next()?, words.next()?, words.next()?);
        let address = u64::from_str_radix(address, 16).ok()?;
        let is_function = matches!(kind, "t" | "T" | "w" | "W") && !name.starts_with("__pfx_");
        (is_function && address != 0).then_some(address)
    };
    let mut found: Vec<u64> = map.lines().filter_map(function).collect();
    found.sort_unstable();
    found.dedup();
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn handlers_and_the_current_cpus_variables_are_found() {
        let map = "\
000000000002d780 D pcpu_hot
ffffffff8220a940 D init_task
ffffffff813b8460 T finalize_exec
ffffffff813b7000 T __set_task_comm
ffffffff81a01240 T asm_exc_int3
ffffffff81a01280 T asm_exc_page_fault
ffffffff81a01030 T asm_exc_divide_error
ffffffff82732f00 T early_idt_handler_array
ffffffff827330a0 t early_idt_handler_common
";
        let found = Symbols::parse(map);
        assert_eq!(found.current_task, Some(0x2d780));
        assert_eq!(found.preempt_count, Some(0x2d788));
        assert_eq!(found.init_task, Some(0xffff_ffff_8220_a940));
        assert_eq!(found.renames, [0xffff_ffff_813b_8460]);
        assert_eq!(found.namings, [0xffff_ffff_813b_7000]);
        assert_eq!(found.faults[&0xffff_ffff_81a0_1280], Frame { above: 8, is_page_fault: true });
        assert_eq!(found.faults[&0xffff_ffff_81a0_1030], Frame { above: 0, is_page_fault: false });
        assert!(!found.faults.contains_key(&0xffff_ffff_81a0_1240));
        assert_eq!(found.faults[&(0xffff_ffff_8273_2f00 + 14 * 13)], Frame { above: 8, is_page_fault: true });
        assert_eq!(found.faults.len(), 2 + 32);
    }

    #[test]
    fn newer_kernels_have_a_variable_each() {
        let found = Symbols::parse(
            "ffffffff82baf018 D current_task\nffffffff82baf028 D __preempt_count\n\
             ffffffff82bb1e18 D local_interrupt_disable_state\n",
        );
        assert_eq!(found.preempt_count, Some(0xffff_ffff_82ba_f028));
        assert_eq!(found.current_task, Some(0xffff_ffff_82ba_f018));
        assert_eq!(found.layout, Layout::WITH_DISABLE_COUNT);
    }

    #[test]
    fn functions_are_code_without_their_padding() {
        let map = "ffffffff81000200 T b\nffffffff81000100 t a\nffffffff810000f0 t __pfx_a\n\
                   ffffffff82000000 D data\nffffffff81000100 T alias\nnonsense\n";
        assert_eq!(functions(map), [0xffff_ffff_8100_0100, 0xffff_ffff_8100_0200]);
    }

    #[test]
    fn what_is_no_map_has_nothing() {
        assert_eq!(Symbols::parse("not a map\n\u{0}\n"), Symbols::default());
    }
}
