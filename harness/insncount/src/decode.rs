//! What kind of instruction it is: decoded once, when a block is translated.

use iced_x86::{
    Code, Decoder, DecoderOptions, FlowControl, InstructionInfoFactory, Mnemonic, OpAccess, OpKind, Register,
};

use crate::{block::Exit, symbols::Symbols};

/// What an instruction does whenever it is executed, in bits; `FORMAT.md` has the table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Class(pub(crate) u16);

impl Class {
    const LOADS: u16 = 0b11;
    pub(crate) const STORES: u16 = Self::LOADS << Self::STORES_SHIFT;
    const STORES_SHIFT: u16 = 2;
    pub(crate) const ATOMIC: u16 = 1 << 4;
    pub(crate) const CALL: u16 = 1 << 5;
    pub(crate) const INDIRECT_CALL: u16 = 1 << 6;
    pub(crate) const INDIRECT_JUMP: u16 = 1 << 7;
    pub(crate) const RETURN: u16 = 1 << 8;
    pub(crate) const BRANCH: u16 = 1 << 9;
    pub(crate) const STRING: u16 = 1 << 10;

    fn of(instruction: &iced_x86::Instruction, factory: &mut InstructionInfoFactory) -> Self {
        let (mut loads, mut stores) = (0, 0);
        for memory in factory.info(instruction).used_memory() {
            let access = memory.access();
            loads += u16::from(matches!(
                access,
                OpAccess::Read | OpAccess::CondRead | OpAccess::ReadWrite | OpAccess::ReadCondWrite
            ));
            stores += u16::from(matches!(
                access,
                OpAccess::Write | OpAccess::CondWrite | OpAccess::ReadWrite | OpAccess::ReadCondWrite
            ));
        }
        let mut bits = loads.min(Self::LOADS) | (stores.min(Self::LOADS) << Self::STORES_SHIFT);
        // An exchange with memory is locked without saying so.
        let exchanges = instruction.mnemonic() == Mnemonic::Xchg && stores > 0;
        if instruction.has_lock_prefix() || exchanges {
            bits |= Self::ATOMIC;
        }
        bits |= match instruction.flow_control() {
            FlowControl::Call => Self::CALL,
            FlowControl::IndirectCall => Self::CALL | Self::INDIRECT_CALL,
            FlowControl::IndirectBranch => Self::BRANCH | Self::INDIRECT_JUMP,
            FlowControl::ConditionalBranch | FlowControl::UnconditionalBranch => Self::BRANCH,
            FlowControl::Return => Self::RETURN,
            _ => 0,
        };
        Self(bits)
    }
}

/// A string instruction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct StringKind {
    /// With its prefix, such as `rep movsb`.
    pub(crate) name: String,
    /// Bytes each iteration handles.
    pub(crate) element: u8,
    /// Whether an iteration stores (and does nothing else that is counted once).
    pub(crate) stores: bool,
    /// The bits of RCX that say how many iterations are left, where nothing else ends them: of a repeated `movs`, `stos` or
    /// `lods`.
    pub(crate) left: Option<u64>,
}

/// Memory that is to be watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Watched {
    /// A write of `preempt_count` that can change whose work it is.
    PreemptCount,
    /// A write of the current task.
    Task,
}

/// Whether a window begins or ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mark {
    Begin,
    End,
}

/// What the plugin has to know of an instruction.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Decoded {
    pub(crate) class: Class,
    pub(crate) string: Option<StringKind>,
    pub(crate) watched: Option<Watched>,
    pub(crate) mark: Option<Mark>,
    /// Where it leads to.
    pub(crate) exit: Exit,
    /// Loads or stores through an operand, and not only on the stack: it may reach a device.
    pub(crate) may_reach_device: bool,
}

/// `nopl DISPLACEMENT(%rax)` with these displacements is a mark; EAX has the window's number.
const MARKS: [(u32, Mark); 2] = [(0x4153_5901, Mark::Begin), (0x4153_5902, Mark::End)];

/// Counters of contexts in `preempt_count` begin here: include/linux/preempt.h, `SOFTIRQ_OFFSET` is 0x100 (and 0x200
/// disables softirqs, which is no context), `HARDIRQ_OFFSET` 0x10000.
const SOFTIRQ: u64 = 0x100;
const ABOVE_SOFTIRQ: u64 = 0x1_0000;

/// Decodes one instruction at `address`.
pub(crate) fn decode(
    bytes: &[u8],
    address: u64,
    symbols: &Symbols,
    factory: &mut InstructionInfoFactory,
) -> Decoded {
    let instruction = Decoder::with_ip(64, bytes, address, DecoderOptions::NONE).decode();
    if instruction.is_invalid() {
        return Decoded::default();
    }
    let mut class = Class::of(&instruction, factory);
    let string = string(&instruction);
    if string.is_some() {
        // Only what is not repeated can be said of one execution.
        class = Class(Class::STRING);
    }
    Decoded {
        class,
        watched: watched(&instruction, class, symbols),
        mark: mark(&instruction),
        exit: exit(&instruction),
        may_reach_device: string.is_none() && has_memory_operand(&instruction),
        string,
    }
}

fn exit(instruction: &iced_x86::Instruction) -> Exit {
    match instruction.flow_control() {
        FlowControl::Next => Exit::On,
        FlowControl::UnconditionalBranch | FlowControl::ConditionalBranch | FlowControl::Call => {
            Exit::To(instruction.near_branch_target())
        }
        _ => Exit::Anywhere,
    }
}

fn has_memory_operand(instruction: &iced_x86::Instruction) -> bool {
    (0..instruction.op_count()).any(|index| instruction.op_kind(index) == OpKind::Memory)
        && !matches!(instruction.mnemonic(), Mnemonic::Lea | Mnemonic::Nop)
}

fn string(instruction: &iced_x86::Instruction) -> Option<StringKind> {
    // Others of that kind have operands of another kind.
    let (name, stores) = match instruction.mnemonic() {
        Mnemonic::Movsb | Mnemonic::Movsw | Mnemonic::Movsq => ("movs", true),
        // The same mnemonic is an instruction on vectors.
        Mnemonic::Movsd if instruction.is_string_instruction() => ("movs", true),
        Mnemonic::Stosb | Mnemonic::Stosw | Mnemonic::Stosd | Mnemonic::Stosq => ("stos", true),
        Mnemonic::Lodsb | Mnemonic::Lodsw | Mnemonic::Lodsd | Mnemonic::Lodsq => ("lods", false),
        Mnemonic::Scasb | Mnemonic::Scasw | Mnemonic::Scasd | Mnemonic::Scasq => ("scas", false),
        Mnemonic::Cmpsb | Mnemonic::Cmpsw | Mnemonic::Cmpsq => ("cmps", false),
        Mnemonic::Cmpsd if instruction.is_string_instruction() => ("cmps", false),
        Mnemonic::Insb | Mnemonic::Insw | Mnemonic::Insd => ("ins", true),
        Mnemonic::Outsb | Mnemonic::Outsw | Mnemonic::Outsd => ("outs", false),
        _ => return None,
    };
    let element = u8::try_from(instruction.memory_size().size()).ok()?;
    let prefix = match () {
        () if !instruction.has_rep_prefix() && !instruction.has_repne_prefix() => "",
        () if matches!(name, "scas" | "cmps") && instruction.has_repne_prefix() => "repne ",
        () if matches!(name, "scas" | "cmps") => "repe ",
        () => "rep ",
    };
    let letter = match element {
        1 => 'b',
        2 => 'w',
        4 => 'l',
        _ => 'q',
    };
    let left = (prefix == "rep " && matches!(name, "movs" | "stos" | "lods")).then(|| counter(instruction));
    Some(StringKind { name: format!("{prefix}{name}{letter}"), element, stores, left })
}

/// Which bits of RCX count, by the size of addresses.
fn counter(instruction: &iced_x86::Instruction) -> u64 {
    let narrow = instruction.op_kinds().any(|kind| {
        matches!(kind, OpKind::MemoryESEDI | OpKind::MemorySegESI | OpKind::MemoryESDI | OpKind::MemorySegSI)
    });
    if narrow { u64::from(u32::MAX) } else { u64::MAX }
}

fn mark(instruction: &iced_x86::Instruction) -> Option<Mark> {
    if instruction.code() != Code::Nop_rm32
        || instruction.memory_base() != Register::RAX
        || instruction.memory_index() != Register::None
    {
        return None;
    }
    let displacement = u32::try_from(instruction.memory_displacement64()).ok()?;
    MARKS.iter().find(|(magic, _)| *magic == displacement).map(|(_, mark)| *mark)
}

fn watched(instruction: &iced_x86::Instruction, class: Class, symbols: &Symbols) -> Option<Watched> {
    let stores = class.0 & Class::STORES != 0;
    if !stores || instruction.memory_segment() != Register::GS {
        return None;
    }
    let operand = if instruction.is_ip_rel_memory_operand() {
        instruction.ip_rel_memory_address()
    } else if instruction.memory_base() == Register::None && instruction.memory_index() == Register::None {
        instruction.memory_displacement64()
    } else {
        return None;
    };
    if Some(operand) == symbols.current_task {
        return Some(Watched::Task);
    }
    if Some(operand) != symbols.preempt_count {
        return None;
    }
    let changes_context = match instruction.mnemonic() {
        Mnemonic::Inc | Mnemonic::Dec => false,
        Mnemonic::Add | Mnemonic::Sub if is_immediate(instruction) => {
            // Whatever its encoding, its lower half is what is added to the counter's.
            let [a, b, c, d, ..] = instruction.immediate(1).to_le_bytes();
            let by = u64::from(i32::from_le_bytes([a, b, c, d]).unsigned_abs());
            by & SOFTIRQ != 0 || by >= ABOVE_SOFTIRQ
        }
        _ => true,
    };
    changes_context.then_some(Watched::PreemptCount)
}

fn is_immediate(instruction: &iced_x86::Instruction) -> bool {
    !matches!(instruction.op_kind(1), OpKind::Register | OpKind::Memory)
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: u64 = 0xffff_ffff_8100_0000;

    fn decoded(bytes: &[u8]) -> Decoded {
        let symbols =
            Symbols { preempt_count: Some(0x2d788), current_task: Some(0x2d780), ..Symbols::default() };
        decode(bytes, AT, &symbols, &mut InstructionInfoFactory::new())
    }

    /// `OPCODE %gs:OPERAND(%rip)` with an immediate, as the compiler writes accesses to per-CPU variables.
    fn on_gs(opcode: &[u8], operand: u64, immediate: &[u8]) -> Vec<u8> {
        let length = 1 + opcode.len() + 4 + immediate.len();
        let next = AT + u64::try_from(length).unwrap();
        let mut bytes = [&[0x65], opcode].concat();
        bytes.extend(&operand.wrapping_sub(next).to_le_bytes()[..4]);
        bytes.extend(immediate);
        bytes
    }

    #[test]
    fn accesses_and_ways_to_branch_are_told_apart() {
        assert_eq!(decoded(&[0x48, 0x8b, 0x07]).class.0, 1, "mov (%rdi),%rax");
        assert_eq!(decoded(&[0x48, 0x89, 0x07]).class.0, 1 << 2, "mov %rax,(%rdi)");
        assert_eq!(decoded(&[0x90]).class.0, 0, "nop");
        assert_eq!(
            decoded(&[0xf0, 0x48, 0xff, 0x07]).class.0,
            1 | 1 << 2 | Class::ATOMIC,
            "lock incq (%rdi)"
        );
        assert_eq!(decoded(&[0x48, 0x87, 0x07]).class.0, 1 | 1 << 2 | Class::ATOMIC, "xchg %rax,(%rdi)");
        assert_eq!(decoded(&[0xff, 0xd0]).class.0, 1 << 2 | Class::CALL | Class::INDIRECT_CALL, "call *%rax");
        assert_eq!(decoded(&[0xff, 0xe0]).class.0, Class::BRANCH | Class::INDIRECT_JUMP, "jmp *%rax");
        assert_eq!(decoded(&[0xc3]).class.0, 1 | Class::RETURN, "ret");
        assert_eq!(decoded(&[0xc3]).exit, Exit::Anywhere);
        assert_eq!(decoded(&[0x75, 0xfe]).exit, Exit::To(AT), "jne to itself");
        assert_eq!(decoded(&[0x90]).exit, Exit::On);
    }

    #[test]
    fn string_instructions_are_a_class_of_their_own() {
        let rep_movsb = decoded(&[0xf3, 0xa4]);
        assert_eq!(rep_movsb.class.0, Class::STRING);
        assert_eq!(
            rep_movsb.string.unwrap(),
            StringKind { name: "rep movsb".to_owned(), element: 1, stores: true, left: Some(u64::MAX) }
        );
        assert_eq!(decoded(&[0x67, 0xf3, 0xaa]).string.unwrap().left, Some(0xffff_ffff), "by ECX");
        assert_eq!(decoded(&[0xf3, 0x6c]).string.unwrap().left, None, "rep insb");
        assert_eq!(decoded(&[0xf3, 0xa6]).string.unwrap().left, None, "repe cmpsb ends where strings differ");
        assert_eq!(decoded(&[0xa4]).string.unwrap().left, None, "movsb is not repeated");
        assert_eq!(decoded(&[0xf3, 0x48, 0xab]).string.unwrap().name, "rep stosq");
        assert_eq!(decoded(&[0xf2, 0xae]).string.unwrap().name, "repne scasb");
        assert_eq!(decoded(&[0xf2, 0x0f, 0x10, 0x07]).string, None, "movsd (%rdi),%xmm0");
    }

    #[test]
    fn marks_are_no_ops_with_a_magic_number() {
        assert_eq!(decoded(&[0x0f, 0x1f, 0x80, 0x01, 0x59, 0x53, 0x41]).mark, Some(Mark::Begin));
        assert_eq!(decoded(&[0x0f, 0x1f, 0x80, 0x02, 0x59, 0x53, 0x41]).mark, Some(Mark::End));
        assert_eq!(decoded(&[0x0f, 0x1f, 0x80, 0x00, 0x00, 0x00, 0x00]).mark, None, "a compiler's padding");
        assert_eq!(decoded(&[0x0f, 0x1f, 0x81, 0x01, 0x59, 0x53, 0x41]).mark, None, "another register");
    }

    #[test]
    fn writes_that_can_change_the_context_are_watched() {
        let add = |by: u32| decoded(&on_gs(&[0x81, 0x05], 0x2d788, &by.to_le_bytes())).watched;
        assert_eq!(add(0x1_0000), Some(Watched::PreemptCount), "irq_enter");
        assert_eq!(add(0x100), Some(Watched::PreemptCount), "a softirq begins");
        assert_eq!(add(0xffff_ff00), Some(Watched::PreemptCount), "and ends");
        assert_eq!(add(0x200), None, "softirqs are disabled");
        assert_eq!(decoded(&on_gs(&[0xff, 0x05], 0x2d788, &[])).watched, None, "preempt_disable: incl");
        assert_eq!(
            decoded(&on_gs(&[0x01, 0x35], 0x2d788, &[])).watched,
            Some(Watched::PreemptCount),
            "add %esi"
        );
        assert_eq!(decoded(&on_gs(&[0x89, 0x05], 0x2d780, &[])).watched, Some(Watched::Task));
        assert_eq!(decoded(&on_gs(&[0x8b, 0x05], 0x2d780, &[])).watched, None, "a load");
        assert_eq!(decoded(&on_gs(&[0x89, 0x05], 0x2d790, &[])).watched, None, "another variable");
    }
}
