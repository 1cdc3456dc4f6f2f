//! Whether KVM is of any use: not whether the device opens, but whether a guest really runs.
//!
//! There are hosts on which `/dev/kvm` opens, virtual machines can be made and a dozen instructions run, and yet no
//! ordinary guest ever boots: software-only KVM under another hypervisor is one. There are others whose CPU says that it
//! virtualises, and nothing runs. So both are asked for: the CPU's flag, and a guest that has really run, in long mode,
//! with paging, with a store, a load, an `out` and a `hlt`; as the user that QEMU will run as.

#![expect(unsafe_code, reason = "giving memory to a guest is a promise that it stays mapped")]

use std::{ffi::OsString, os::unix::fs::MetadataExt, path::Path, process::ExitCode, time::Duration};

use kvm_bindings::{KVM_MAX_CPUID_ENTRIES, kvm_segment, kvm_userspace_memory_region};
use kvm_ioctls::{Kvm, VcpuExit, VcpuFd, VmFd};
use nix::unistd::Gid;
use subprocess::{Ended, RunAs, Supervisor, Tool, ToolError, sandbox_ids};
use vm_memory::{Bytes, GuestAddress, GuestMemoryBackend, GuestMemoryMmap};

/// A guest of a dozen instructions takes microseconds; one that hangs must not hold up the harness.
const DEADLINE: Duration = Duration::from_secs(2);

const DEVICE: &str = "/dev/kvm";

/// As whom guests run with KVM: without privileges, but in the group that the device is for, as a user of this machine
/// who may use it is. Root's own group would be more than that.
pub(crate) fn user() -> RunAs {
    match std::fs::metadata(DEVICE) {
        Ok(device) if device.gid() != 0 && device.mode() & 0o060 == 0o060 => {
            RunAs::UnprivilegedInGroup(Gid::from_raw(device.gid()))
        }
        _ => RunAs::Unprivileged,
    }
}

/// Whether guests can run with KVM here, as the user that QEMU will run as; otherwise why not.
///
/// The guest runs in a child, so that one which never returns can be ended.
pub(crate) fn probe(helper: &[OsString], supervisor: &Supervisor) -> Result<(), String> {
    let cpuinfo = std::fs::read_to_string("/proc/cpuinfo")
        .map_err(|error| format!("reading /proc/cpuinfo: {error}"))?;
    if !virtualises(&cpuinfo) {
        return Err(
            "the CPU flags have neither vmx nor svm: no hardware virtualisation reaches this machine".into(),
        );
    }
    if !Path::new(DEVICE).exists() {
        return Err("there is no /dev/kvm".into());
    }
    let Some((program, arguments)) = helper.split_first() else {
        return Err("there is no program to probe it with".into());
    };
    let probe = Tool::new(program)
        .args(arguments)
        .arg(crate::helper::PROBE_KVM)
        .run_as(user())
        .deadline(DEADLINE)
        .run_unchecked(supervisor);
    match probe {
        Ok(output) if output.ended == Ended::Exited(0) => Ok(()),
        Ok(output) => {
            let said = String::from_utf8_lossy(&output.stderr);
            // A root harness gives its guests to a user of no privileges.
            let user = sandbox_ids().map(|(uid, _)| format!(", as user {uid}: guests do not run as root"));
            Err(format!(
                "a tiny guest did not run: {} ({}{})",
                said.trim(),
                output.ended,
                user.unwrap_or_default()
            ))
        }
        Err(ToolError::DeadlinePassed { .. }) => {
            Err(format!("a guest of a dozen instructions did not end within {} s", DEADLINE.as_secs()))
        }
        Err(error) => Err(format!("the probe could not be run: {error}")),
    }
}

fn virtualises(cpuinfo: &str) -> bool {
    let flags = cpuinfo.lines().find(|line| line.starts_with("flags"));
    flags.is_some_and(|line| line.split_ascii_whitespace().any(|flag| flag == "vmx" || flag == "svm"))
}

/// The body of the child.
pub(crate) fn probe_child() -> ExitCode {
    match run_guest() {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("{why}");
            ExitCode::FAILURE
        }
    }
}

const MEMORY: usize = 64 * 1024;
const PML4: u64 = 0x1000;
const PDPT: u64 = 0x2000;
const PD: u64 = 0x3000;
const CODE: u64 = 0x8000;
const DATA: u64 = 0x9000;
const PORT: u8 = 0x10;
const PATTERN: u64 = 0x1122_3344_5566_7788;

/// Stores a pattern, loads it back, sends its highest byte to a port, halts.
fn code() -> Vec<u8> {
    let mut code = vec![0x48, 0xb8]; // mov rax, PATTERN
    code.extend(PATTERN.to_le_bytes());
    code.extend([0x48, 0xa3]); // mov [DATA], rax
    code.extend(DATA.to_le_bytes());
    code.extend([0x31, 0xc0]); // xor eax, eax
    code.extend([0x48, 0xa1]); // mov rax, [DATA]
    code.extend(DATA.to_le_bytes());
    code.extend([0x48, 0xc1, 0xe8, 0x38]); // shr rax, 56
    code.extend([0xe6, PORT]); // out PORT, al
    code.push(0xf4); // hlt
    code
}

fn run_guest() -> Result<(), String> {
    let failed = |what: &'static str| move |error: kvm_ioctls::Error| format!("{what}: {error}");
    let kvm = Kvm::new().map_err(failed("opening /dev/kvm"))?;
    let vm = kvm.create_vm().map_err(failed("making a virtual machine"))?;
    // Intel needs three pages of its own for real mode, even if the guest never enters it.
    vm.set_tss_address(0xfffb_d000).map_err(failed("setting the TSS address"))?;
    let memory = memory(&vm)?;
    let mut vcpu = vm.create_vcpu(0).map_err(failed("making a virtual CPU"))?;
    let cpuid =
        kvm.get_supported_cpuid(KVM_MAX_CPUID_ENTRIES).map_err(failed("reading the supported CPUID"))?;
    vcpu.set_cpuid2(&cpuid).map_err(failed("setting the CPUID"))?;
    enter_long_mode(&vcpu).map_err(failed("setting the registers"))?;

    match vcpu.run().map_err(failed("running the guest"))? {
        VcpuExit::IoOut(port, [byte]) if port == u16::from(PORT) && u64::from(*byte) == PATTERN >> 56 => {}
        other => return Err(format!("it was to write to a port, and there was {other:?}")),
    }
    match vcpu.run().map_err(failed("running the guest"))? {
        VcpuExit::Hlt => {}
        other => return Err(format!("it was to halt, and there was {other:?}")),
    }
    let stored: u64 = memory
        .read_obj(GuestAddress(DATA))
        .map_err(|error| format!("reading the guest's memory: {error}"))?;
    if stored == PATTERN { Ok(()) } else { Err(format!("it stored {stored:#x} and not {PATTERN:#x}")) }
}

/// Memory with page tables that map the first 2 MiB to themselves, and the code.
fn memory(vm: &VmFd) -> Result<GuestMemoryMmap, String> {
    let memory = GuestMemoryMmap::from_ranges(&[(GuestAddress(0), MEMORY)])
        .map_err(|error| format!("mapping the guest's memory: {error}"))?;
    let filled = || -> Result<u64, vm_memory::GuestMemoryError> {
        let (present_writable, large) = (0b11, 1 << 7);
        memory.write_obj(PDPT | present_writable, GuestAddress(PML4))?;
        memory.write_obj(PD | present_writable, GuestAddress(PDPT))?;
        memory.write_obj(present_writable | large, GuestAddress(PD))?;
        memory.write_slice(&code(), GuestAddress(CODE))?;
        Ok(memory.get_host_address(GuestAddress(0))? as u64)
    };
    let userspace_addr = filled().map_err(|error| format!("filling the guest's memory: {error}"))?;
    let region = kvm_userspace_memory_region {
        slot: 0,
        guest_phys_addr: 0,
        memory_size: MEMORY as u64,
        userspace_addr,
        flags: 0,
    };
    // SAFETY: the region is the whole of `memory`, which the caller keeps mapped until the guest has run for the last
    // time; this process ends right after.
    unsafe { vm.set_user_memory_region(region) }
        .map_err(|error| format!("giving memory to the guest: {error}"))?;
    Ok(memory)
}

fn enter_long_mode(vcpu: &VcpuFd) -> Result<(), kvm_ioctls::Error> {
    let mut special = vcpu.get_sregs()?;
    let data = kvm_segment {
        base: 0,
        limit: u32::MAX,
        selector: 0x10,
        type_: 0b0011, // Read and write, accessed.
        present: 1,
        s: 1,
        db: 1,
        g: 1,
        ..kvm_segment::default()
    };
    let code = kvm_segment { selector: 0x8, type_: 0b1011, l: 1, db: 0, ..data };
    special.cs = code;
    (special.ds, special.es, special.ss) = (data, data, data);
    special.cr3 = PML4;
    special.cr4 = 1 << 5; // PAE
    special.cr0 = 1 << 31 | 1 << 4 | 1; // PG, ET, PE
    special.efer = 1 << 10 | 1 << 8; // LMA, LME
    vcpu.set_sregs(&special)?;
    let mut general = vcpu.get_regs()?;
    general.rip = CODE;
    general.rflags = 1 << 1; // Always set.
    vcpu.set_regs(&general)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_flags_of_the_flags_line_count() {
        assert!(virtualises("processor\t: 0\nflags\t\t: fpu vmx sse\n"));
        assert!(virtualises("flags\t\t: fpu svm\n"));
        assert!(!virtualises("flags\t\t: fpu vmmcall svm_lock\nvmx flags\t: vmx\n"));
        assert!(!virtualises(""));
    }
}
