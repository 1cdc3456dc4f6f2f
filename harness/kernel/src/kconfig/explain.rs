//! One sentence on why an option is not what was asked for.

use std::{collections::BTreeMap, fmt};

use super::{
    expression::{Expression, Tristate, number},
    parse::{Definition, Kconfig},
};

/// An option that was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Asked {
    /// Without `CONFIG_`.
    pub(crate) name: String,
    /// As in a `.config` after the `=`; `n` for `is not set`.
    pub(crate) value: String,
    /// Who asked: a fragment's name, or the arm.
    pub(crate) by: String,
}

/// The values of a `.config`. An option that is not there is `n`.
#[derive(Clone, Debug, Default)]
pub(crate) struct Values(BTreeMap<String, String>);

impl Values {
    /// Reads a `.config`.
    pub(crate) fn parse(config: &str) -> Self {
        let pairs = config.lines().filter_map(|line| line.strip_prefix("CONFIG_")?.split_once('='));
        Self(pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
    }

    pub(crate) fn get(&self, name: &str) -> String {
        self.0.get(name).cloned().unwrap_or_else(|| "n".to_owned())
    }
}

impl fmt::Display for Asked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, value, by } = self;
        match value.as_str() {
            "n" => write!(f, "CONFIG_{name} off (asked by {by})"),
            value => write!(f, "CONFIG_{name}={value} (asked by {by})"),
        }
    }
}

/// One line for an option that did not survive: what was asked, what it became, which dependency it lacks.
pub(crate) fn explain(kconfig: &Kconfig, values: &Values, asked: &Asked) -> String {
    let became = match values.get(&asked.name).as_str() {
        "n" => "is not set".to_owned(),
        value => format!("became {value}"),
    };
    format!("{asked} {became}: {}", reason(kconfig, values, asked))
}

fn reason(kconfig: &Kconfig, values: &Values, asked: &Asked) -> String {
    let Some(definitions) = kconfig.definitions.get(&asked.name) else {
        return "no Kconfig file of this tree defines such an option".to_owned();
    };
    let value = |name: &str| values.get(name);
    if asked.value == "n" || (asked.value == "m" && values.get(&asked.name) == "y") {
        let forced = selectors(kconfig, &asked.name, |by, condition| {
            value(by) != "n" && condition.is_none_or(|c| c.evaluate(&value) != Some(Tristate::No))
        });
        if !forced.is_empty() {
            return format!("selected by {}", forced.join(", "));
        }
    }
    if !definitions.iter().any(|definition| definition.prompt) {
        return match selectors(kconfig, &asked.name, |_, _| true).as_slice() {
            [] => "it has no prompt, so it follows from its default and cannot be asked for".to_owned(),
            selectors => format!("it has no prompt; it is selected by {}", some_of(selectors)),
        };
    }
    let needed = if asked.value == "m" { Tristate::Module } else { Tristate::Yes };
    let mut lacking: Vec<String> = Vec::new();
    for definition in definitions.iter().filter(|definition| definition.prompt) {
        let lacks = definition.lacks(&value, needed);
        if lacks.is_empty() {
            return unhindered(kconfig, values, asked, definition);
        }
        lacking.push(lacks.join("; "));
    }
    lacking.join(", or ")
}

impl Definition {
    /// What of its dependencies does not hold, with the values that are to blame.
    fn lacks(&self, value: &dyn Fn(&str) -> String, needed: Tristate) -> Vec<String> {
        let mut lacks = Vec::new();
        for term in self.depends.iter().flat_map(Expression::conjuncts) {
            // Only a tristate is held down to `m` by a dependency that is a module.
            let needed = if self.kind.as_deref() == Some("tristate") { needed } else { Tristate::Module };
            let text = match term.evaluate(value) {
                Some(has) if has >= needed => continue,
                Some(_) => format!("lacks {}", blame(term, value)),
                None => format!("may lack {term}, which asks the compiler"),
            };
            if !lacks.contains(&text) {
                lacks.push(text);
            }
        }
        // What a compiler says matters only where nothing else is to blame.
        if lacks.iter().any(|text| text.starts_with("lacks")) {
            lacks.retain(|text| text.starts_with("lacks"));
        }
        lacks
    }
}

/// A term that does not hold, with the values of its options.
fn blame(term: &Expression, value: &dyn Fn(&str) -> String) -> String {
    let mut named: Vec<&str> = Vec::new();
    for symbol in term.symbols() {
        let literal = matches!(symbol, "y" | "m" | "n") || number(symbol).is_some();
        if !literal && !named.contains(&symbol) {
            named.push(symbol);
        }
    }
    let values: Vec<String> = named
        .into_iter()
        .map(|name| match value(name).as_str() {
            "n" => format!("{name} is not set"),
            value => format!("{name}={value}"),
        })
        .collect();
    format!("{term} ({})", values.join(", "))
}

/// Why an option whose dependencies hold is still another.
fn unhindered(kconfig: &Kconfig, values: &Values, asked: &Asked, definition: &Definition) -> String {
    let value = |name: &str| values.get(name);
    if let Some(choice) = definition.choice {
        let chosen = kconfig.definitions.iter().find(|(name, definitions)| {
            **name != asked.name
                && values.get(name) == "y"
                && definitions.iter().any(|definition| definition.choice == Some(choice))
        });
        if let Some((name, _)) = chosen {
            return format!("its choice went to {name}");
        }
    }
    if let Some(wanted) = number(&asked.value) {
        let bounds = definition.ranges.iter().find(|(_, _, condition)| {
            condition.as_ref().is_none_or(|c| c.evaluate(&value) != Some(Tristate::No))
        });
        if let Some((low, high, _)) = bounds {
            return format!("{wanted} is outside its range, {low} to {high}");
        }
    }
    match definition.kind.as_deref() {
        Some("bool") if asked.value == "m" => "it is a bool, which cannot be a module".to_owned(),
        Some(kind @ ("int" | "hex")) if number(&asked.value).is_none() => {
            format!("it takes a number ({kind})")
        }
        Some("string") if !asked.value.starts_with('"') => "it takes a quoted text".to_owned(),
        Some(kind @ ("bool" | "tristate")) if !matches!(asked.value.as_str(), "y" | "m" | "n") => {
            format!("it is a {kind}")
        }
        _ => "its dependencies hold, so something else decides it".to_owned(),
    }
}

fn selectors(
    kconfig: &Kconfig,
    target: &str,
    counts: impl Fn(&str, Option<&Expression>) -> bool,
) -> Vec<String> {
    let mut names: Vec<String> = kconfig
        .selects
        .iter()
        .filter(|select| select.target == target && counts(&select.by, select.condition.as_ref()))
        .map(|select| select.by.clone())
        .collect();
    names.sort_unstable();
    names.dedup();
    names
}

/// The first few of a list, and how many more there are.
fn some_of(names: &[String]) -> String {
    const SHOWN: usize = 6;
    let shown = names[..names.len().min(SHOWN)].join(", ");
    match names.len().saturating_sub(SHOWN) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOT: &str = r#"
mainmenu "x"
source "arch/$(SRCARCH)/Kconfig"
menu "Devices"
	depends on HAS_IOMEM
config NIC
	tristate "A NIC" if EXPERT
	depends on PCI && (FAST || \
		SLOW)
	select LIBNIC if BUS
	help
	  if BROKEN this help text is not read as Kconfig.

	  config GHOST
config LIBNIC
	tristate
endmenu
choice
	prompt "Preemption"
	default NONE
config NONE
	bool "none"
config LAZY
	bool "lazy" # with a comment
	depends on $(success,true)
endchoice
if NET
config RING
	int "ring"
	range 8 512
	depends on PCI
endif
config HIDDEN
	def_bool y
config NEEDS_FLAG
	bool "flag"
	depends on $(cc-option,-fflag)
"#;

    fn kconfig() -> Kconfig {
        Kconfig::parse("Kconfig", "x86", &|path| match path {
            "Kconfig" => Some(ROOT.to_owned()),
            "arch/x86/Kconfig" => Some("config PCI\n\tbool \"PCI\"\nconfig BUS\n\tbool \"bus\"\n".to_owned()),
            _ => None,
        })
    }

    fn line(config: &str, name: &str, value: &str) -> String {
        let asked = Asked { name: name.to_owned(), value: value.to_owned(), by: "net".to_owned() };
        explain(&kconfig(), &Values::parse(config), &asked)
    }

    #[test]
    fn names_the_dependency_and_what_it_is() {
        assert_eq!(
            line("CONFIG_PCI=y\nCONFIG_HAS_IOMEM=y\nCONFIG_EXPERT=y\n", "NIC", "y"),
            "CONFIG_NIC=y (asked by net) is not set: lacks FAST || SLOW (FAST is not set, SLOW is not set)"
        );
        let all = line("CONFIG_SLOW=m\n", "NIC", "m");
        for part in ["lacks HAS_IOMEM (HAS_IOMEM is not set)", "lacks EXPERT", "lacks PCI"] {
            assert!(all.contains(part), "{all}");
        }
        assert!(!all.contains("FAST"), "{all}");
    }

    #[test]
    fn a_module_dependency_does_not_carry_a_built_in_option() {
        let config = "CONFIG_PCI=y\nCONFIG_HAS_IOMEM=y\nCONFIG_EXPERT=y\nCONFIG_FAST=m\nCONFIG_NIC=m\n";
        assert_eq!(
            line(config, "NIC", "y"),
            "CONFIG_NIC=y (asked by net) became m: lacks FAST || SLOW (FAST=m, SLOW is not set)"
        );
    }

    #[test]
    fn an_option_that_nobody_defines_is_unknown() {
        assert!(line("", "NICK", "y").ends_with("no Kconfig file of this tree defines such an option"));
        assert!(line("", "GHOST", "y").contains("no Kconfig file"));
    }

    #[test]
    fn selected_and_promptless_options_say_by_whom() {
        let config = "CONFIG_NIC=y\nCONFIG_BUS=y\nCONFIG_LIBNIC=y\n";
        assert_eq!(line(config, "LIBNIC", "n"), "CONFIG_LIBNIC off (asked by net) became y: selected by NIC");
        assert!(line("", "LIBNIC", "y").ends_with("it has no prompt; it is selected by NIC"));
        assert!(line("CONFIG_HIDDEN=y", "HIDDEN", "n").contains("cannot be asked for"));
    }

    #[test]
    fn choices_ranges_and_kinds_are_told() {
        let lazy = line("CONFIG_NONE=y\n", "LAZY", "y");
        assert!(lazy.ends_with("may lack $(success,true), which asks the compiler"), "{lazy}");
        assert!(line("CONFIG_LAZY=y\n", "NONE", "y").ends_with("its choice went to LAZY"));
        let net = "CONFIG_NET=y\nCONFIG_PCI=y\nCONFIG_RING=8\n";
        assert!(line(net, "RING", "9999").ends_with("9999 is outside its range, 8 to 512"));
        assert!(line("CONFIG_PCI=y\n", "RING", "16").ends_with("lacks NET (NET is not set)"));
        assert!(line("CONFIG_PCI=y\n", "PCI", "m").ends_with("it is a bool, which cannot be a module"));
        assert!(
            line("", "NEEDS_FLAG", "y").ends_with("may lack $(cc-option,-fflag), which asks the compiler")
        );
    }
}
