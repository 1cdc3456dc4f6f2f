//! Complaints whose cause is the emulator and not the kernel.

use measure::{Complaint, ComplaintKind};

/// A breakpoint, as one byte.
const INT3: &str = "cc";

/// Whether a kernel died of a breakpoint that its memory did not have any more when it looked: the reason, if so.
///
/// A kernel that patches its own code writes a breakpoint over an instruction, has every CPU see it, writes the rest, and takes the breakpoint away
/// (`text_poke_bp_batch`, arch/x86/kernel/alternative.c); who runs into it meanwhile is sent on. Where an emulator's threads are vCPUs, one of them
/// may execute what it translated before the breakpoint was gone, after the kernel has stopped to expect it: `Oops: int3`, with code in
/// which the byte before the program counter is another one. A breakpoint that is really there is the kernel's own.
#[must_use]
pub fn artefact(complaint: &Complaint) -> Option<&'static str> {
    let is_breakpoint = complaint.kind == ComplaintKind::Oops && complaint.words.contains("int3: ");
    let code = complaint.excerpt.lines().find_map(|line| line.split_once("Code: "))?.1;
    let before = code.split_once(" <")?.0.rsplit(' ').next()?;
    let is_byte = before.len() == 2 && before.bytes().all(|digit| digit.is_ascii_hexdigit());
    (is_breakpoint && is_byte && before != INT3).then_some(
        "a vCPU executed a breakpoint of the kernel's code patching that its memory did not have any more",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As arch/x86/kernel/dumpstack.c prints it, with these bytes before the program counter.
    fn oops(first: &str, before: &str) -> Option<&'static str> {
        let console = format!(
            "[    0.9] {first}\n\
             [    0.9] CPU: 1 UID: 0 PID: 33 Comm: kworker/1:1 Not tainted 6.12.117+ #1\n\
             [    0.9] RIP: 0010:set_next_task_fair+0x41/0x230\n\
             [    0.9] Code: 48 89 e5 41 54 {before} <1f> 44 00 00 5b 5d\n\
             [    0.9] Call Trace:\n[    0.9]  <TASK>\n[    0.9]  __schedule+0x3f1/0x9b0\n[    0.9]  </TASK>\n\
             [    0.9] ---[ end trace 0000000000000000 ]---\n\
             [    0.9] Kernel panic - not syncing: Fatal exception\n"
        );
        let found = crate::read("guest", console.as_bytes());
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].fatal);
        artefact(&found[0])
    }

    #[test]
    fn a_breakpoint_that_is_not_there_is_the_emulators_and_one_that_is_there_the_kernels() {
        assert!(oops("Oops: int3: 0000 [#1] SMP NOPTI", "0f").is_some());
        assert!(oops("int3: 0000 [#1] SMP", "0f").is_some());
        assert!(oops("Oops: int3: 0000 [#1] SMP NOPTI", "cc").is_none());
    }

    #[test]
    fn other_faults_and_code_that_is_not_told_are_the_kernels() {
        assert!(oops("Oops: general protection fault: 0000 [#1] SMP", "0f").is_none());
        assert!(oops("Oops: int3: 0000 [#1] SMP NOPTI", "Unable to access opcode bytes at 0x1.").is_none());
    }
}
