//! The table: what each function executed.

use std::collections::BTreeMap;

use crate::{Context, Symbol, Symbols, Window};

/// What one window executed, by function and program.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Profile {
    /// The most instructions first.
    pub functions: Vec<Function>,
    /// User space; the most instructions first.
    pub programs: Vec<UserSpace>,
    /// Instructions that are no string instructions: the sum over both lists.
    pub instructions: u64,
    /// Passes through string instructions: the sum over both lists. With `instructions` it is all that QEMU counts.
    pub string_passes: u64,
}

/// A kernel function.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Function {
    /// `None` is all code that is no known function's.
    pub symbol: Option<Symbol>,
    /// Its first address; 0 where there is no symbol.
    pub start: u64,
    /// What it executed.
    pub total: Row,
    /// The same by vCPU and context. They add up to the total.
    pub parts: BTreeMap<(u32, Context), Row>,
}

/// What was executed, without string instructions but in `strings`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Row {
    /// Instructions.
    pub instructions: u64,
    /// Executions of the function's first instruction: how often it was called.
    pub entries: u64,
    /// Memory operands that instructions read.
    pub loads: u64,
    /// Memory operands that instructions wrote.
    pub stores: u64,
    /// Locked instructions and exchanges with memory.
    pub atomics: u64,
    /// Calls of functions.
    pub calls: u64,
    /// Calls through registers or memory, without retpolines.
    pub indirect_calls: u64,
    /// Jumps through registers or memory, without retpolines.
    pub indirect_jumps: u64,
    /// String instructions.
    pub strings: Strings,
}

/// String instructions. TCG executes one iteration at a time, each of which it counts, and one more pass that finds
/// nothing left to do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Strings {
    /// As TCG counts.
    pub passes: u64,
    /// Iterations that did something.
    pub iterations: u64,
    /// Bytes handled.
    pub bytes: u64,
}

impl Strings {
    /// Passes that found nothing left to do: executions of repeated `movs`, `stos` and `lods`, as often as they came to
    /// their end. (A comparison that ends early has none.)
    #[must_use]
    pub fn executions(&self) -> u64 {
        self.passes.saturating_sub(self.iterations)
    }
}

/// The user space of one program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserSpace {
    /// Its tasks' name.
    pub name: String,
    /// Instructions that are no string instructions.
    pub instructions: u64,
    /// Passes through string instructions.
    pub string_passes: u64,
    /// Bytes that these handled.
    pub string_bytes: u64,
}

impl Row {
    pub(crate) fn add(&mut self, other: &Self) {
        self.instructions += other.instructions;
        self.entries += other.entries;
        self.loads += other.loads;
        self.stores += other.stores;
        self.atomics += other.atomics;
        self.calls += other.calls;
        self.indirect_calls += other.indirect_calls;
        self.indirect_jumps += other.indirect_jumps;
        self.strings.passes += other.strings.passes;
        self.strings.iterations += other.strings.iterations;
        self.strings.bytes += other.strings.bytes;
    }
}

impl Profile {
    /// Resolves a window's addresses.
    #[must_use]
    pub fn new(window: &Window, symbols: &Symbols) -> Self {
        let mut functions: BTreeMap<u64, Function> = BTreeMap::new();
        let mut part = |address: u64, key: (u32, Context), seen: Row| {
            let found = symbols.find(address);
            let start = found.map_or(0, |(start, _)| start);
            let function = functions.entry(start).or_insert_with(|| Function {
                symbol: found.map(|(_, symbol)| symbol.clone()),
                start,
                total: Row::default(),
                parts: BTreeMap::new(),
            });
            let mut seen = seen;
            if address != start {
                seen.entries = 0;
            }
            function.total.add(&seen);
            function.parts.entry(key).or_default().add(&seen);
        };
        for code in &window.code {
            for (address, class, count) in code.instructions() {
                let times = |is: bool| if is { count } else { 0 };
                let row = if class.is_string() {
                    let strings = Strings { passes: count, ..Strings::default() };
                    Row { entries: count, strings, ..Row::default() }
                } else {
                    Row {
                        instructions: count,
                        entries: count,
                        loads: class.loads() * count,
                        stores: class.stores() * count,
                        atomics: times(class.is_atomic()),
                        calls: times(class.is_call()),
                        indirect_calls: times(class.is_indirect_call()),
                        indirect_jumps: times(class.is_indirect_jump()),
                        strings: Strings::default(),
                    }
                };
                part(address, (code.vcpu, code.context), row);
            }
        }
        for string in &window.strings {
            let strings = Strings { passes: 0, iterations: string.iterations(), bytes: string.bytes() };
            part(string.at, (string.vcpu, string.context), Row { strings, ..Row::default() });
        }
        let mut functions: Vec<_> = functions.into_values().collect();
        functions.sort_by_key(|function| (std::cmp::Reverse(function.total.instructions), function.start));
        let programs = programs(window);
        let sum = |of: fn(&Row) -> u64, user: fn(&UserSpace) -> u64| {
            functions.iter().map(|function| of(&function.total)).sum::<u64>()
                + programs.iter().map(user).sum::<u64>()
        };
        Self {
            instructions: sum(|row| row.instructions, |program| program.instructions),
            string_passes: sum(|row| row.strings.passes, |program| program.string_passes),
            functions,
            programs,
        }
    }

    /// How often functions of this name were called. Static functions share names.
    #[must_use]
    pub fn entries(&self, name: &str) -> u64 {
        let of_that_name =
            |function: &&Function| function.symbol.as_ref().is_some_and(|symbol| symbol.name == name);
        self.functions.iter().filter(of_that_name).map(|function| function.total.entries).sum()
    }

    /// What the kernel executed in one context, on all vCPUs.
    #[must_use]
    pub fn in_context(&self, context: Context) -> Row {
        let mut sum = Row::default();
        let parts = self.functions.iter().flat_map(|function| &function.parts);
        parts.filter(|((_, of), _)| *of == context).for_each(|(_, row)| sum.add(row));
        sum
    }
}

fn programs(window: &Window) -> Vec<UserSpace> {
    let mut found: BTreeMap<&str, UserSpace> = BTreeMap::new();
    for program in &window.programs {
        let user = found.entry(&program.name).or_insert_with(|| UserSpace {
            name: program.name.clone(),
            instructions: 0,
            string_passes: 0,
            string_bytes: 0,
        });
        user.instructions += program.insns;
        user.string_passes += program.string_passes;
        user.string_bytes += program.string_bytes;
    }
    let mut list: Vec<_> = found.into_values().collect();
    list.sort_by_key(|program| std::cmp::Reverse(program.instructions));
    list
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Counts;

    const FILE: &str = r#"{"insncount":{"version":1,"plugin_api":7,"vcpus":2,"whole":false}}
{"begin":1}
{"code":{"vcpu":0,"context":"task","at":"0xffffffff81000100","length":[4,1,2],"class":[1,36,1024],"count":[10,9,101]}}
{"code":{"vcpu":1,"context":"softirq","at":"0xffffffff81000100","length":[4],"class":[1],"count":[3]}}
{"code":{"vcpu":1,"context":"softirq","at":"0xffffffff81000300","length":[2],"class":[21],"count":[5]}}
{"string":{"vcpu":0,"context":"task","at":"0xffffffff81000105","name":"rep stosq","element":8,"accesses":100}}
{"program":{"vcpu":0,"name":"init","insns":10,"string_passes":3,"string_bytes":2}}
{"program":{"vcpu":1,"name":"init","insns":1,"string_passes":0,"string_bytes":0}}
{"end":{"window":1,"executed":142,"oddities":[]}}
"#;

    fn profile() -> Profile {
        let mut symbols = Symbols::default();
        symbols.add("ffffffff81000100 T clear_it\nffffffff81000200 T _etext\n");
        Profile::new(&Counts::read(FILE).unwrap().windows[0], &symbols)
    }

    #[test]
    fn rows_add_up_to_the_total_and_strings_stay_apart() {
        let profile = profile();
        assert_eq!(profile.instructions, 10 + 9 + 3 + 5 + 11);
        assert_eq!(profile.string_passes, 101 + 3);
        assert_eq!(profile.instructions + profile.string_passes, 142);
        for function in &profile.functions {
            let mut sum = Row::default();
            function.parts.values().for_each(|part| sum.add(part));
            assert_eq!(sum, function.total);
        }
    }

    #[test]
    fn a_function_has_its_calls_accesses_and_strings() {
        let profile = profile();
        let function = &profile.functions[0];
        assert_eq!(function.symbol.as_ref().unwrap().name, "clear_it");
        assert_eq!(profile.entries("clear_it"), 13);
        assert_eq!((function.total.loads, function.total.stores, function.total.calls), (13, 9, 9));
        assert_eq!(function.total.strings, Strings { passes: 101, iterations: 100, bytes: 800 });
        assert_eq!(function.total.strings.executions(), 1);
        assert_eq!(function.parts[&(1, Context::Softirq)].instructions, 3);
    }

    #[test]
    fn code_that_is_no_functions_has_a_row() {
        let profile = profile();
        let nameless = profile.functions.iter().find(|function| function.symbol.is_none()).unwrap();
        assert_eq!(nameless.total.instructions, 5);
        assert_eq!(nameless.total.atomics, 5);
        assert_eq!(profile.in_context(Context::Softirq).instructions, 8);
    }
}
