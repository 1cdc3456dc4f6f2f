//! Whether two windows executed the same: every count of every function.

use std::collections::{BTreeMap, BTreeSet};

use crate::{Context, Function, Profile, Row, UserSpace};

/// Where two profiles differ.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// How many functions and programs differ.
    pub functions: usize,
    /// The kernel function that differs first, in the order of the first profile's table, or the program.
    pub first: String,
    /// What of it, such as `instructions in softirqs`.
    pub what: String,
    /// The count of the first profile.
    pub before: u64,
    /// The count of the second.
    pub after: u64,
}

impl std::fmt::Display for Difference {
    /// `tcp_ack: 12345 -> 12346 instructions in softirq, and 16 more differ`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { functions, first, what, before, after } = self;
        write!(f, "{first}: {before} -> {after} {what}")?;
        match functions - 1 {
            0 => Ok(()),
            others => write!(f, ", and {others} more differ"),
        }
    }
}

impl Profile {
    /// Where `other`, of the same kernel, differs from it in any count; nothing if it does not.
    #[must_use]
    pub fn difference(&self, other: &Self) -> Option<Difference> {
        let mut found: Option<Difference> = None;
        let mut differs = |first: &str, (what, before, after): (String, u64, u64)| {
            let found = found.get_or_insert_with(|| {
                let first = first.to_owned();
                Difference { functions: 0, first, what, before, after }
            });
            found.functions += 1;
        };
        let theirs: BTreeMap<u64, &Function> = by_start(other);
        let nothing = Function { symbol: None, start: 0, total: Row::default(), parts: BTreeMap::new() };
        for function in &self.functions {
            let other = theirs.get(&function.start).copied().unwrap_or(&nothing);
            if let Some(count) = of_function(function, other) {
                differs(name(function), count);
            }
        }
        let ours = by_start(self);
        for function in other.functions.iter().filter(|function| !ours.contains_key(&function.start)) {
            if let Some(count) = of_function(&nothing, function) {
                differs(name(function), count);
            }
        }
        let none = UserSpace { name: String::new(), instructions: 0, string_passes: 0, string_bytes: 0 };
        let names: BTreeSet<&str> =
            self.programs.iter().chain(&other.programs).map(|program| program.name.as_str()).collect();
        for name in names {
            let of =
                |programs: &'_ [UserSpace]| programs.iter().find(|program| program.name == name).cloned();
            let (ours, theirs) = (of(&self.programs), of(&other.programs));
            if let Some(count) = of_program(ours.as_ref().unwrap_or(&none), theirs.as_ref().unwrap_or(&none))
            {
                differs(&format!("the program {name}"), count);
            }
        }
        found
    }
}

fn by_start(profile: &Profile) -> BTreeMap<u64, &Function> {
    profile.functions.iter().map(|function| (function.start, function)).collect()
}

fn name(function: &Function) -> &str {
    function.symbol.as_ref().map_or("code without a name", |symbol| symbol.name.as_str())
}

/// The first count that differs: what, and both.
fn of_function(ours: &Function, theirs: &Function) -> Option<(String, u64, u64)> {
    let mut places: Vec<&(u32, Context)> = ours.parts.keys().chain(theirs.parts.keys()).collect();
    places.sort_unstable();
    places.dedup();
    let row = |function: &Function, place| function.parts.get(place).copied().unwrap_or_default();
    places.into_iter().find_map(|place| {
        let (ours, theirs) = (row(ours, place), row(theirs, place));
        let counts = counts(&ours).into_iter().zip(counts(&theirs));
        let mut differing = counts.filter(|((_, before), (_, after))| before != after);
        let ((what, before), (_, after)) = differing.next()?;
        let (vcpu, context) = place;
        let vcpu = if *vcpu == 0 { String::new() } else { format!(" of vCPU {vcpu}") };
        Some((format!("{what} in {}{vcpu}", context.name()), before, after))
    })
}

fn counts(row: &Row) -> [(&'static str, u64); 11] {
    [
        ("instructions", row.instructions),
        ("calls of it", row.entries),
        ("loads", row.loads),
        ("stores", row.stores),
        ("atomics", row.atomics),
        ("calls", row.calls),
        ("indirect calls", row.indirect_calls),
        ("indirect jumps", row.indirect_jumps),
        ("passes of string instructions", row.strings.passes),
        ("iterations of string instructions", row.strings.iterations),
        ("bytes of string instructions", row.strings.bytes),
    ]
}

fn of_program(ours: &UserSpace, theirs: &UserSpace) -> Option<(String, u64, u64)> {
    let counts = [
        ("instructions", ours.instructions, theirs.instructions),
        ("passes of string instructions", ours.string_passes, theirs.string_passes),
        ("bytes of string instructions", ours.string_bytes, theirs.string_bytes),
    ];
    let found = counts.into_iter().find(|(_, before, after)| before != after)?;
    Some((found.0.to_owned(), found.1, found.2))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Counts, Symbols};

    const FILE: &str = r#"{"insncount":{"version":1,"plugin_api":7,"vcpus":1,"whole":false}}
{"begin":1}
{"code":{"vcpu":0,"context":"task","at":"0xffffffff81000100","length":[4],"class":[0],"count":[10]}}
{"code":{"vcpu":0,"context":"softirq","at":"0xffffffff81000300","length":[2],"class":[0],"count":[5]}}
{"program":{"vcpu":0,"name":"init","insns":7,"string_passes":0,"string_bytes":0}}
{"end":{"window":1,"executed":22,"oddities":[]}}
"#;

    fn profile(file: &str, map: &str) -> Profile {
        let mut symbols = Symbols::default();
        symbols.add(map);
        Profile::new(&Counts::read(file).unwrap().windows[0], &symbols)
    }

    const MAP: &str = "ffffffff81000100 T first\nffffffff81000300 t twin\nffffffff81000400 t twin\nffffffff81000500 T _etext\n";

    #[test]
    fn the_first_function_that_differs_is_named_with_both_counts() {
        let before = profile(FILE, MAP);
        assert_eq!(before.difference(&before), None);
        let more = FILE.replace("[5]", "[6]").replace("22", "23");
        let text = before.difference(&profile(&more, MAP)).unwrap().to_string();
        assert_eq!(text, "twin: 5 -> 6 instructions in softirq");
        let both = more.replace("[10]", "[8]").replace("23", "21");
        let text = before.difference(&profile(&both, MAP)).unwrap().to_string();
        assert_eq!(text, "first: 10 -> 8 instructions in task, and 1 more differ");
    }

    #[test]
    fn the_same_sum_in_another_function_context_or_program_differs() {
        let before = profile(FILE, MAP);
        for (from, to) in
            [("0xffffffff81000300", "0xffffffff81000400"), ("softirq", "hardirq"), ("\"init\"", "\"iperf3\"")]
        {
            let other = before.difference(&profile(&FILE.replace(from, to), MAP));
            assert!(other.is_some(), "{from}");
        }
    }
}
