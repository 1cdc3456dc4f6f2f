//! Which function an address belongs to.

use std::collections::BTreeMap;

/// A function of the kernel or of a module.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Symbol {
    /// As the kernel has it, suffixes included.
    pub name: String,
    /// `None` in the kernel itself.
    pub module: Option<String>,
}

/// The functions of a kernel, by their first addresses.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Symbols {
    starts: BTreeMap<u64, Found>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Found {
    Function {
        symbol: Symbol,
        global: bool,
    },
    /// Code ends here.
    End,
}

/// Bytes.
const PAGE: u64 = 4096;

/// Symbols of the linker's, between which there are functions (arch/x86/kernel/vmlinux.lds.S).
const BOUNDS: [&str; 6] = ["_etext", "_einittext", "__end_rodata", "__init_begin", "_stext", "_text"];

impl Symbols {
    /// Adds what a `System.map` or `/proc/kallsyms` lists: `ADDRESS TYPE NAME`, and `[MODULE]` behind the name of a
    /// module's. Both may be added. Other lines say nothing, and neither do those with hidden addresses, which are 0.
    ///
    /// Where several functions begin at one address, a global one gives its name, and the first in the alphabet among those. A module's code
    /// ends with the page in which its last function begins: what lies behind may be a module that was loaded after the list was made.
    pub fn add(&mut self, list: &str) {
        let mut last: BTreeMap<String, u64> = BTreeMap::new();
        for line in list.lines() {
            let mut words = line.split_ascii_whitespace();
            let (Some(address), Some(kind), Some(name)) = (words.next(), words.next(), words.next()) else {
                continue;
            };
            let Ok(address) = u64::from_str_radix(address, 16) else { continue };
            let module = words.next().map(|word| word.trim_matches(['[', ']']).to_owned());
            // `w` and `W` are weak functions; variables and absolute numbers are none.
            let is_function = matches!(kind, "t" | "T" | "w" | "W");
            if address == 0 || !is_function || name.starts_with("__pfx_") {
                // Padding before a function is the padding's function to the kernel, and is never executed.
                continue;
            }
            if let Some(module) = &module {
                let last = last.entry(module.clone()).or_default();
                *last = address.max(*last);
            }
            let found = if module.is_none() && is_bound(name) {
                Found::End
            } else {
                let global = matches!(kind, "T" | "W");
                Found::Function { symbol: Symbol { name: name.to_owned(), module }, global }
            };
            match self.starts.entry(address) {
                std::collections::btree_map::Entry::Vacant(entry) => {
                    entry.insert(found);
                }
                std::collections::btree_map::Entry::Occupied(mut entry) => {
                    if found.rank() < entry.get().rank() {
                        entry.insert(found);
                    }
                }
            }
        }
        for address in last.into_values() {
            // The kernel gives each module pages of its own (kernel/module/main.c, move_module).
            let end = (address | (PAGE - 1)).checked_add(1);
            end.map(|end| self.starts.entry(end).or_insert(Found::End));
        }
    }

    /// The names of all functions.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.starts.values().filter_map(|found| match found {
            Found::Function { symbol, .. } => Some(symbol.name.as_str()),
            Found::End => None,
        })
    }

    /// The function at an address and its first address.
    #[must_use]
    pub fn find(&self, address: u64) -> Option<(u64, &Symbol)> {
        match self.starts.range(..=address).next_back()? {
            (start, Found::Function { symbol, .. }) => Some((*start, symbol)),
            (_, Found::End) => None,
        }
    }

    /// Bytes from a function's first address to what comes behind it, padding included; 0 where no function begins.
    #[must_use]
    pub fn size(&self, start: u64) -> u64 {
        if !matches!(self.starts.get(&start), Some(Found::Function { .. })) {
            return 0;
        }
        let next = self.starts.range(start.saturating_add(1)..).next();
        next.map_or(0, |(next, _)| next - start)
    }
}

/// Whether a symbol is the linker's, before or behind a section: it may have the address of a function, and is none.
fn is_bound(name: &str) -> bool {
    let ends = ["_text_start", "_text_end", "_thunk_start", "_thunk_end"];
    BOUNDS.contains(&name) || (name.starts_with("__") && ends.iter().any(|end| name.ends_with(end)))
}

impl Found {
    /// The lowest gives the name.
    fn rank(&self) -> (u8, &str) {
        match self {
            Self::Function { symbol, global: true } => (0, &symbol.name),
            Self::Function { symbol, global: false } => (1, &symbol.name),
            Self::End => (2, ""),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn symbols() -> Symbols {
        let mut symbols = Symbols::default();
        symbols.add(
            "\
ffffffff81000000 T _text
ffffffff81000000 T startup_64
ffffffff810000f0 t __pfx_do_one
ffffffff81000100 t do_one.constprop.0
ffffffff81000200 t local_name
ffffffff81000200 T tcp_alias
ffffffff81000200 T tcp_a
ffffffff81000240 d data
ffffffff81000300 T _etext
0000000000000000 T hidden
",
        );
        symbols.add("ffffffffc0201000 t igb_poll\t[igb]\nffffffff81000100 t do_one.constprop.0\n");
        symbols
    }

    #[test]
    fn addresses_belong_to_the_function_before_them() {
        let symbols = symbols();
        let name = |address| symbols.find(address).map(|(start, symbol)| (start, symbol.name.as_str()));
        assert_eq!(name(0xffff_ffff_8100_0000), Some((0xffff_ffff_8100_0000, "startup_64")));
        assert_eq!(name(0xffff_ffff_8100_01ff), Some((0xffff_ffff_8100_0100, "do_one.constprop.0")));
        assert_eq!(name(0xffff_ffff_8100_0250), Some((0xffff_ffff_8100_0200, "tcp_a")));
        assert_eq!(name(0xffff_ffff_8100_0300), None, "behind the code");
        assert_eq!(name(0x1000), None);
    }

    #[test]
    fn what_bounds_a_section_gives_no_function_its_name() {
        let mut symbols = Symbols::default();
        symbols.add(
            "ffffffff819a2150 T __softirqentry_text_end\nffffffff819a2150 T __x86_indirect_thunk_array\n",
        );
        let (_, symbol) = symbols.find(0xffff_ffff_819a_2150).unwrap();
        assert_eq!(symbol.name, "__x86_indirect_thunk_array");
    }

    #[test]
    fn a_function_is_as_long_as_to_what_comes_behind_it() {
        let symbols = symbols();
        assert_eq!(symbols.size(0xffff_ffff_8100_0200), 0x100);
        assert_eq!(symbols.size(0xffff_ffff_8100_0201), 0, "nothing begins there");
        assert_eq!(
            symbols.size(0xffff_ffff_c020_1000),
            0x1000,
            "nobody knows where the last one of a module ends"
        );
        assert!(symbols.names().any(|name| name == "tcp_a"));
    }

    #[test]
    fn modules_functions_name_their_module() {
        let symbols = symbols();
        let (_, symbol) = symbols.find(0xffff_ffff_c020_1010).unwrap();
        assert_eq!(symbol, &Symbol { name: "igb_poll".to_owned(), module: Some("igb".to_owned()) });
    }

    #[test]
    fn a_module_that_was_loaded_later_is_not_taken_for_the_one_before_it() {
        let mut symbols = symbols();
        symbols.add("ffffffffc0203000 t cubic_init\t[tcp_cubic]\n");
        let name = |address| symbols.find(address).map(|(_, symbol)| symbol.name.as_str());
        assert_eq!(name(0xffff_ffff_c020_1ff0), Some("igb_poll"));
        assert_eq!(name(0xffff_ffff_c020_2000), None);
        assert_eq!(name(0xffff_ffff_c020_3000), Some("cubic_init"));
        assert_eq!(name(0xffff_ffff_c020_4000), None);
        assert_eq!(symbols.size(0xffff_ffff_c020_1000), 0x1000);
    }
}
