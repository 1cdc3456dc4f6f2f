//! Where the CPUs of a guest are that hangs: QEMU knows their registers, and a kernel that takes an NMI tells its stack.

use std::time::Duration;

use measure::{CpuState, CrashKind, CrashReport};
use serde_json::{Value, json};

use super::monitor::Monitor;
use crate::{MachineError, process::Process};

/// How long the kernel's answer to an NMI may take: a stack on a serial line, on a busy host.
const ANSWER_DEADLINE: Duration = Duration::from_secs(10);

/// The report of a hang with where the guest's CPUs are and what its kernel says to an NMI; any other as it is. What QEMU
/// does not tell is told in its place; if QEMU itself is stopped, it is not the guest that hangs, and that is the error.
pub(crate) async fn explained(
    process: &Process,
    monitor: Option<&Monitor>,
    report: CrashReport,
) -> Result<CrashReport, MachineError> {
    let (CrashKind::BootHang | CrashKind::Hang, Some(monitor)) = (report.kind, monitor) else {
        return Ok(report);
    };
    let command = json!({ "command-line": "info registers -a" });
    let cpus = match monitor.execute("human-monitor-command", command).await {
        Ok(text) => cpus(text.as_str().unwrap_or_default()),
        Err(error @ MachineError::SilentMonitor { .. }) => return Err(error),
        Err(error) => {
            let excerpt = format!("{}\n(where its CPUs are is not known: {error})", report.excerpt);
            return Ok(CrashReport { excerpt, ..report });
        }
    };
    // Only the first CPU is sent it (`apic_deliver_nmi`, the kernel's LINT1). Of one that waits, the stack says nothing.
    if cpus.first().is_some_and(CpuState::is_busy_in_kernel)
        && monitor.execute("inject-nmi", Value::Null).await.is_ok()
    {
        process.last_words(ANSWER_DEADLINE).await;
    }
    let lines: String = cpus.iter().map(|cpu| format!("\n(QEMU: {cpu})")).collect();
    let CrashReport { kind, title, .. } = report;
    let told = process.report(kind, title);
    Ok(CrashReport { excerpt: format!("{}{lines}", told.excerpt), cpus, ..told })
}

/// `CPU#N`, and further on `RIP=... CPL=... HLT=...` (`target/i386/cpu-dump.c`).
fn cpus(text: &str) -> Vec<CpuState> {
    let mut found = Vec::new();
    let mut cpu = 0;
    for line in text.lines() {
        if let Some(number) = line.trim().strip_prefix("CPU#") {
            cpu = number.trim().parse().unwrap_or(cpu);
        }
        if !line.starts_with("RIP=") {
            continue;
        }
        let field = |name: &str| line.split_whitespace().find_map(|word| word.strip_prefix(name));
        let hexadecimal = |name: &str| field(name).and_then(|value| u64::from_str_radix(value, 16).ok());
        if let (Some(address), Some(flags)) = (hexadecimal("RIP="), hexadecimal("RFL=")) {
            found.push(CpuState {
                cpu,
                address,
                ring: field("CPL=").and_then(|ring| ring.parse().ok()).unwrap_or(0),
                halted: field("HLT=") == Some("1"),
                // X86_EFLAGS_IF.
                interrupts: flags & (1 << 9) != 0,
            });
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    /// From `info registers -a` of QEMU 10.0, two CPUs.
    #[test]
    fn registers_say_where_cpus_are() {
        let text = "\nCPU#0\r\nRAX=0000000000000000 RBX=0000000000000000 RCX=0 RDX=0\r\n\
                    RIP=ffffffff81a5b4cf RFL=00000046 [---Z-P-] CPL=0 II=0 A20=1 SMM=0 HLT=0\r\n\
                    ES =0000 0000000000000000 ffffffff 00c00000\r\nCPU#1\r\n\
                    RIP=00000000004cefc9 RFL=00000246 [---Z-P-] CPL=3 II=0 A20=1 SMM=0 HLT=0\r\n";
        let cpus = cpus(text);
        assert_eq!(cpus.len(), 2);
        assert!(cpus[0].is_busy_in_kernel() && !cpus[0].interrupts && cpus[0].cpu == 0);
        assert_eq!((cpus[1].cpu, cpus[1].ring, cpus[1].interrupts), (1, 3, true));
        assert_eq!(cpus[0].to_string(), "CPU 0 is in the kernel at 0xffffffff81a5b4cf, interrupts off");
    }
}
