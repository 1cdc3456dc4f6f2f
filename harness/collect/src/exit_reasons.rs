//! Why a virtual CPU left its guest, in words: the names of the processors' manuals, in lower case
//! (`arch/x86/include/uapi/asm/{svm,vmx}.h`).

/// `KVM_ISA_VMX` of `arch/x86/kvm/trace.h`; the other one is SVM.
const VMX: u64 = 1;

/// The name of a reason, or its number.
pub(crate) fn name(isa: u64, reason: u64) -> String {
    let known = if isa == VMX { vmx(reason & 0xffff) } else { svm(reason) };
    known.map_or_else(|| format!("{reason:#x}"), str::to_owned)
}

/// AMD64 Architecture Programmer's Manual, volume 2, appendix C.
fn svm(reason: u64) -> Option<&'static str> {
    Some(match reason {
        0x00..=0x0f => "read-cr",
        0x10..=0x1f => "write-cr",
        0x20..=0x2f => "read-dr",
        0x30..=0x3f => "write-dr",
        0x40..=0x5f => "exception",
        0x60 => "intr",
        0x61 => "nmi",
        0x62 => "smi",
        0x63 => "init",
        0x64 => "vintr",
        0x65 => "cr0-sel-write",
        0x6e => "rdtsc",
        0x6f => "rdpmc",
        0x72 => "cpuid",
        0x74 => "iret",
        0x75 => "swint",
        0x76 => "invd",
        0x77 => "pause",
        0x78 => "hlt",
        0x79 => "invlpg",
        0x7b => "ioio",
        0x7c => "msr",
        0x7e => "ferr-freeze",
        0x7f => "shutdown",
        0x80 => "vmrun",
        0x81 => "vmmcall",
        0x87 => "rdtscp",
        0x89 => "wbinvd",
        0x8a => "monitor",
        0x8b => "mwait",
        0x8d => "xsetbv",
        0x8e => "rdpru",
        0x8f => "efer-write-trap",
        0x400 => "npf",
        0x401 => "avic-incomplete-ipi",
        0x402 => "avic-unaccelerated-access",
        0x403 => "vmgexit",
        _ => return None,
    })
}

/// Intel 64 and IA-32 Software Developer's Manual, volume 3, appendix C.
fn vmx(reason: u64) -> Option<&'static str> {
    Some(match reason {
        0 => "exception-nmi",
        1 => "external-interrupt",
        2 => "triple-fault",
        7 => "interrupt-window",
        8 => "nmi-window",
        10 => "cpuid",
        12 => "hlt",
        14 => "invlpg",
        15 => "rdpmc",
        16 => "rdtsc",
        18 => "vmcall",
        28 => "cr-access",
        29 => "dr-access",
        30 => "io-instruction",
        31 => "msr-read",
        32 => "msr-write",
        36 => "mwait",
        39 => "monitor",
        40 => "pause",
        44 => "apic-access",
        45 => "eoi-induced",
        48 => "ept-violation",
        49 => "ept-misconfig",
        51 => "rdtscp",
        52 => "preemption-timer",
        54 => "wbinvd",
        55 => "xsetbv",
        56 => "apic-write",
        58 => "invpcid",
        62 => "pml-full",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::name;

    #[test]
    fn reasons_have_the_names_of_their_processor() {
        assert_eq!([name(2, 0x400), name(2, 0x78), name(2, 0x460)], ["npf", "hlt", "0x460"]);
        assert_eq!([name(1, 48), name(1, 0x8000_0000_0000_0000 | 12)], ["ept-violation", "hlt"]);
    }
}
