//! Kernel events that executed instructions tell of: accesses to memory, locks, allocations, the IOMMU's work.
//!
//! An event is either what instructions are, or entries of functions that stand for it ([`TABLE`]). The functions of one
//! event never call each other, so that nothing counts twice. What the compiler put into its callers is no function any
//! more: where none of an event's functions is in the kernel it cannot be told, which is not zero.

use std::collections::{HashMap, HashSet};

use crate::{Context, Profile, Row, Symbols};

/// How an event is found.
#[derive(Clone, Copy, Debug)]
enum Found {
    /// By what instructions do.
    Instructions(fn(&Row) -> u64),
    /// By the first instructions of functions. Each inner list is one function, by its names in kernels of different ages or
    /// compilers, and the first that a kernel has counts.
    Entries(&'static [&'static [&'static str]]),
}

/// The events, in the order of reports.
///
/// Names are those of 6.1 to 7.3. Since 6.10 allocating functions end in `_noprof` (include/linux/alloc_tag.h).
const TABLE: [(&str, Found); 12] = [
    // Operands in memory, of the instruction as the manual has it, string instructions apart.
    ("memory-accesses", Found::Instructions(|row| row.loads + row.stores)),
    // With a lock prefix, and exchanges with memory.
    ("atomics", Found::Instructions(|row| row.atomics)),
    // Those through a retpoline (arch/x86/lib/retpoline.S) are added: `THUNKS`.
    (INDIRECT_CALLS, Found::Instructions(|row| row.indirect_calls)),
    // kernel/locking/spinlock.c. Attempts count, whether they succeed or not.
    (
        "spin-locks",
        Found::Entries(&[
            &["_raw_spin_lock"],
            &["_raw_spin_lock_bh"],
            &["_raw_spin_lock_irq"],
            &["_raw_spin_lock_irqsave"],
            &["_raw_spin_lock_nested"],
            &["_raw_spin_lock_irqsave_nested"],
            &["_raw_spin_trylock"],
            &["_raw_spin_trylock_bh"],
            &["_raw_read_lock"],
            &["_raw_read_lock_bh"],
            &["_raw_read_lock_irq"],
            &["_raw_read_lock_irqsave"],
            &["_raw_read_trylock"],
            &["_raw_write_lock"],
            &["_raw_write_lock_bh"],
            &["_raw_write_lock_irq"],
            &["_raw_write_lock_irqsave"],
            &["_raw_write_trylock"],
        ]),
    ),
    // kernel/locking/mutex.c and rwsem.c; with the lock validator the names have a suffix.
    (
        "sleeping-locks",
        Found::Entries(&[
            &["mutex_lock", "mutex_lock_nested"],
            &["mutex_lock_interruptible", "mutex_lock_interruptible_nested"],
            &["mutex_lock_killable", "mutex_lock_killable_nested"],
            &["mutex_trylock"],
            &["down_read"],
            &["down_read_nested"],
            &["down_read_interruptible"],
            &["down_read_killable"],
            &["down_read_trylock"],
            &["down_write"],
            &["down_write_nested"],
            &["down_write_killable"],
            &["down_write_trylock"],
        ]),
    ),
    // mm/slub.c. A call for a whole array of objects counts once.
    (
        "slab-allocations",
        Found::Entries(&[
            &["kmem_cache_alloc_noprof", "kmem_cache_alloc"],
            &["kmem_cache_alloc_node_noprof", "kmem_cache_alloc_node"],
            &["kmem_cache_alloc_lru_noprof", "kmem_cache_alloc_lru"],
            &["kmem_cache_alloc_bulk_noprof", "kmem_cache_alloc_bulk"],
            &["__kmalloc_noprof", "__kmalloc"],
            &["__kmalloc_node_noprof", "__kmalloc_node"],
            &["__kmalloc_node_track_caller_noprof", "__kmalloc_node_track_caller"],
            &["__kmalloc_cache_noprof", "kmalloc_trace"],
            &["__kmalloc_cache_node_noprof", "kmalloc_node_trace"],
        ]),
    ),
    // mm/page_alloc.c; in newer kernels the second is a wrapper of the first.
    (
        "page-allocations",
        Found::Entries(&[&["__alloc_frozen_pages_noprof", "__alloc_pages_noprof", "__alloc_pages"]]),
    ),
    // net/core/page_pool.c: what drivers ask for, and how often the pool had no page left.
    ("page-pool-allocations", Found::Entries(&[&["page_pool_alloc_netmems", "page_pool_alloc_pages"]])),
    (
        "page-pool-slow-allocations",
        Found::Entries(&[&["__page_pool_alloc_netmems_slow", "__page_pool_alloc_pages_slow"]]),
    ),
    // drivers/iommu/iommu.c: where mapping of one range, of a list, and for DMA come together.
    ("iommu-maps", Found::Entries(&[&["iommu_map_nosync", "__iommu_map"]])),
    ("iommu-unmaps", Found::Entries(&[&["__iommu_unmap"]])),
    // drivers/iommu/intel/dmar.c and amd/iommu.c: a batch of invalidations is handed over and awaited.
    ("iommu-invalidations", Found::Entries(&[&["qi_submit_sync"], &["iommu_completion_wait"]])),
];

const INDIRECT_CALLS: &str = "indirect-calls";

/// Thunks that calls through a register go through, with retpolines. A tail call is one to them.
const THUNKS: [&str; 2] = ["__x86_indirect_thunk_", "__x86_indirect_call_thunk_"];

/// What was seen of one event, all contexts but idle tasks together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Such as `iommu-maps`.
    pub name: &'static str,
    /// How often; or why that cannot be told.
    pub count: Result<u64, String>,
}

/// The names of all events.
pub fn event_names() -> impl Iterator<Item = &'static str> {
    TABLE.iter().map(|(name, _)| *name)
}

/// What a window's instructions tell of events.
#[must_use]
pub fn events(profile: &Profile, symbols: &Symbols) -> Vec<Event> {
    let known: HashSet<&str> = symbols.names().filter_map(whole).collect();
    let mut all = Row::default();
    let mut entries: HashMap<&str, u64> = HashMap::new();
    for function in &profile.functions {
        let mut row = Row::default();
        function.parts.iter().filter(|((_, of), _)| *of != Context::Idle).for_each(|(_, part)| row.add(part));
        all.add(&row);
        if let Some(name) = function.symbol.as_ref().and_then(|symbol| whole(&symbol.name)) {
            *entries.entry(name).or_default() += row.entries;
        }
    }
    let is_thunk = |name: &&str| THUNKS.iter().any(|thunk| name.starts_with(thunk));
    let through_thunks: u64 = entries.iter().filter(|(name, _)| is_thunk(name)).map(|(_, count)| count).sum();
    TABLE
        .iter()
        .map(|(name, found)| {
            let count = match found {
                Found::Instructions(of) if *name == INDIRECT_CALLS => Ok(of(&all) + through_thunks),
                Found::Instructions(of) => Ok(of(&all)),
                Found::Entries(functions) => entered(functions, &known, &entries),
            };
            Event { name, count }
        })
        .collect()
}

/// How often these functions were entered, of those that the kernel has.
fn entered(
    functions: &[&[&str]],
    known: &HashSet<&str>,
    entries: &HashMap<&str, u64>,
) -> Result<u64, String> {
    let found: Vec<&str> = functions
        .iter()
        .filter_map(|names| names.iter().copied().find(|name| known.contains(name)))
        .collect();
    if found.is_empty() {
        let names = functions.concat().join(", ");
        return Err(format!(
            "the kernel has no function {names}: it is not built in, or inlined, and cannot be told"
        ));
    }
    Ok(found.iter().map(|name| entries.get(name).copied().unwrap_or(0)).sum())
}

/// The name of a function in the source. A part of one that is entered by itself, such as `.cold`, has none: that is no
/// call.
fn whole(name: &str) -> Option<&str> {
    match name.split_once('.') {
        None => Some(name),
        Some((name, suffix)) => {
            ["constprop.", "isra.", "llvm."].iter().any(|kind| suffix.starts_with(kind)).then_some(name)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Counts;

    /// A lock, its slow path, a thunk, an atomic one, a function of the IOMMU's that was specialised, and an idle task.
    const COUNTS: &str = r#"{"insncount":{"version":1,"plugin_api":7,"vcpus":1,"whole":false}}
{"begin":1}
{"code":{"vcpu":0,"context":"task","at":"0xffffffff81000100","length":[4,1,2],"class":[21,36,101],"count":[10,9,3]}}
{"code":{"vcpu":0,"context":"softirq","at":"0xffffffff81000100","length":[4],"class":[21],"count":[3]}}
{"code":{"vcpu":0,"context":"idle","at":"0xffffffff81000100","length":[4],"class":[21],"count":[100]}}
{"code":{"vcpu":0,"context":"task","at":"0xffffffff81000200","length":[4],"class":[0],"count":[1]}}
{"code":{"vcpu":0,"context":"task","at":"0xffffffff81000300","length":[4],"class":[0],"count":[6]}}
{"code":{"vcpu":0,"context":"task","at":"0xffffffff81000400","length":[4],"class":[0],"count":[5]}}
{"end":{"window":1,"executed":137,"oddities":[]}}
"#;

    const MAP: &str = "\
ffffffff81000100 T _raw_spin_lock
ffffffff81000200 t _raw_spin_lock_bh.cold
ffffffff81000300 t __iommu_map.constprop.0
ffffffff81000400 T __x86_indirect_thunk_rax
ffffffff81000500 T page_pool_alloc_netmems
ffffffff81000600 T _etext
";

    fn count(name: &str) -> Result<u64, String> {
        let mut symbols = Symbols::default();
        symbols.add(MAP);
        let profile = Profile::new(&Counts::read(COUNTS).unwrap().windows[0], &symbols);
        events(&profile, &symbols).into_iter().find(|event| event.name == name).unwrap().count
    }

    #[test]
    fn entries_of_functions_and_kinds_of_instructions_are_counted_but_for_idle_tasks() {
        assert_eq!(count("spin-locks"), Ok(13));
        assert_eq!(count("iommu-maps"), Ok(6));
        assert_eq!(count("atomics"), Ok(13));
        // One operand is read and one written by each locked instruction, one is written by a call, and one is read and one
        // written by a call through memory.
        assert_eq!(count("memory-accesses"), Ok(13 * 2 + 9 + 3 * 2));
        assert_eq!(count("indirect-calls"), Ok(3 + 5));
    }

    #[test]
    fn what_did_not_happen_is_zero_and_what_cannot_be_told_is_not() {
        assert_eq!(count("page-pool-allocations"), Ok(0));
        let why = count("page-pool-slow-allocations").unwrap_err();
        assert!(
            why.contains("no function __page_pool_alloc_netmems_slow, __page_pool_alloc_pages_slow"),
            "{why}"
        );
        assert!(count("sleeping-locks").is_err());
    }

    #[test]
    fn no_function_stands_for_two_events() {
        let functions = TABLE.iter().filter_map(|(_, found)| match found {
            Found::Entries(functions) => Some(functions.concat()),
            Found::Instructions(_) => None,
        });
        let mut names: Vec<&str> = functions.flatten().collect();
        let all = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), all);
    }
}
