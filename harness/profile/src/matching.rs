//! Which function of one kernel is which of another.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::{Context, Function, Profile, Symbols, is_cold, logical_name, subsystem};

/// The source files of functions, by their first addresses: paths from the top of the kernel's tree.
pub type SourceFiles = BTreeMap<u64, String>;

/// What the instructions of a function in one context were, in one boot.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Cell {
    /// Instructions that are no string instructions.
    pub(crate) instructions: u64,
    /// Bytes that string instructions handled.
    pub(crate) string_bytes: u64,
    /// Calls of the function.
    pub(crate) entries: u64,
    /// Memory operands that were read.
    pub(crate) loads: u64,
    /// Memory operands that were written.
    pub(crate) stores: u64,
    /// Calls that it made.
    pub(crate) calls: u64,
}

impl Cell {
    fn of(row: &crate::Row) -> Self {
        Self {
            instructions: row.instructions,
            string_bytes: row.strings.bytes,
            entries: row.entries,
            loads: row.loads,
            stores: row.stores,
            calls: row.calls,
        }
    }

    pub(crate) fn add(&mut self, other: &Self) {
        self.instructions += other.instructions;
        self.string_bytes += other.string_bytes;
        self.entries += other.entries;
        self.loads += other.loads;
        self.stores += other.stores;
        self.calls += other.calls;
    }
}

/// What tells a function from the others of its kernel. Static functions share names, so that the file belongs to it where it is
/// known.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Identity {
    pub(crate) module: Option<String>,
    /// Without the suffixes of copies and parts; `None` is code without a symbol.
    pub(crate) name: Option<String>,
    pub(crate) file: Option<String>,
}

/// A function with all its copies and parts, in one arm.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Logical {
    /// The symbols that were executed.
    pub(crate) symbols: BTreeSet<String>,
    /// Bytes of their code.
    pub(crate) size: u64,
    /// For each boot, by context.
    pub(crate) boots: Vec<BTreeMap<Context, Cell>>,
}

impl Logical {
    /// All boots and contexts together.
    pub(crate) fn sum(&self) -> Cell {
        let mut sum = Cell::default();
        self.boots.iter().flat_map(BTreeMap::values).for_each(|cell| sum.add(cell));
        sum
    }
}

/// The functions that the boots of an arm executed.
pub(crate) fn logical(
    profiles: &[&Profile],
    symbols: &Symbols,
    files: Option<&SourceFiles>,
) -> BTreeMap<Identity, Logical> {
    let homes = homes(profiles, files);
    let mut all: BTreeMap<Identity, Logical> = BTreeMap::new();
    for (boot, profile) in profiles.iter().enumerate() {
        for function in &profile.functions {
            let logical = all.entry(identity(function, files, &homes)).or_insert_with(|| Logical {
                boots: vec![BTreeMap::new(); profiles.len()],
                ..Logical::default()
            });
            if let Some(symbol) = &function.symbol
                && logical.symbols.insert(symbol.name.clone())
            {
                logical.size += symbols.size(function.start);
            }
            for ((_, context), row) in &function.parts {
                logical.boots[boot].entry(*context).or_default().add(&Cell::of(row));
            }
        }
    }
    all
}

/// The one file of each name that has one only. An unlikely part may begin with what was inlined from a header, so that its
/// own line says little.
fn homes<'a>(profiles: &[&'a Profile], files: Option<&'a SourceFiles>) -> BTreeMap<&'a str, Option<&'a str>> {
    let mut homes: BTreeMap<&str, Option<&str>> = BTreeMap::new();
    for function in profiles.iter().flat_map(|profile| &profile.functions) {
        let Some(symbol) = function.symbol.as_ref().filter(|symbol| !is_cold(&symbol.name)) else { continue };
        let Some(file) = files.and_then(|files| files.get(&function.start)) else { continue };
        let home = homes.entry(logical_name(&symbol.name)).or_insert(Some(file));
        if *home != Some(file) {
            *home = None;
        }
    }
    homes
}

fn identity(
    function: &Function,
    files: Option<&SourceFiles>,
    homes: &BTreeMap<&str, Option<&str>>,
) -> Identity {
    let Some(symbol) = &function.symbol else { return Identity { module: None, name: None, file: None } };
    let name = logical_name(&symbol.name);
    let own = || files.and_then(|files| files.get(&function.start)).cloned();
    let home = homes.get(name).copied().flatten().filter(|_| is_cold(&symbol.name));
    Identity {
        module: symbol.module.clone(),
        name: Some(name.to_owned()),
        file: home.map(str::to_owned).or_else(own),
    }
}

/// In what a function differs between two kernels, besides what it executes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "change", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Change {
    /// The baseline's kernel has no such function.
    New,
    /// The arm's kernel has no such function.
    Gone,
    /// Both kernels have it, and only the arm executed it.
    NotExecutedBefore,
    /// Both kernels have it, and only the baseline executed it.
    NotExecutedAnyMore,
    /// Taken for a function that is gone, by the rule that [`RENAMED`] states.
    Renamed {
        /// Its name in the baseline.
        from: String,
    },
    /// In another source file.
    Moved {
        /// The baseline's.
        from: String,
    },
    /// Compiled into other copies and parts.
    Split {
        /// The symbols that the baseline executed.
        before: Vec<String>,
        /// The symbols that the arm executed.
        after: Vec<String>,
    },
}

/// When a function that is gone and one that is new are taken for the same.
pub const RENAMED: &str = "a function that is gone and a new one of the same source folder are taken for one that was renamed where the \
     bytes of their code, their calls, and the instructions, reads, writes and calls in each of these differ by a tenth at \
     most, and no other fits either of them";

/// How far apart what was renamed may be.
const ALIKE: f64 = 0.1;

/// A function of both kernels, or of one.
#[derive(Clone, Debug)]
pub(crate) struct Pair {
    pub(crate) before: Option<(Identity, Logical)>,
    pub(crate) after: Option<(Identity, Logical)>,
    pub(crate) change: Option<Change>,
}

impl Pair {
    /// As the arm has it, or else the baseline.
    pub(crate) fn identity(&self) -> &Identity {
        let (identity, _) = self.after.as_ref().or(self.before.as_ref()).expect("one of the arms has it");
        identity
    }
}

type Functions = BTreeMap<Identity, Logical>;

/// The names that a kernel has.
pub(crate) fn names(symbols: &Symbols) -> BTreeSet<&str> {
    symbols.names().map(logical_name).collect()
}

/// Puts the functions of two arms together: by name and file, then by name, then by likeness.
pub(crate) fn pair(
    mut before: Functions,
    mut after: Functions,
    names_before: &BTreeSet<&str>,
    names_after: &BTreeSet<&str>,
) -> Vec<Pair> {
    let mut pairs = Vec::new();
    let both: Vec<Identity> = before.keys().filter(|key| after.contains_key(key)).cloned().collect();
    let moved = |before: &Functions, after: &Functions| -> Vec<(Identity, Identity)> {
        before.keys().filter_map(|from| Some((from.clone(), only(after, before, from)?.clone()))).collect()
    };
    for key in both {
        let (from, to) = (before.remove(&key), after.remove(&key));
        if let (Some(from), Some(to)) = (from, to) {
            let change = split(&from, &to);
            pairs.push(Pair { before: Some((key.clone(), from)), after: Some((key, to)), change });
        }
    }
    for (from, to) in moved(&before, &after) {
        if let (Some(old), Some(new)) = (before.remove(&from), after.remove(&to)) {
            let change = match &from.file {
                Some(file) if from.file != to.file => Some(Change::Moved { from: file.clone() }),
                _ => split(&old, &new),
            };
            pairs.push(Pair { before: Some((from, old)), after: Some((to, new)), change });
        }
    }
    let is_in =
        |names: &BTreeSet<&str>, key: &Identity| key.name.as_deref().is_none_or(|name| names.contains(name));
    for (from, to) in
        renamed(&before, &after, |key| !is_in(names_after, key), |key| !is_in(names_before, key))
    {
        if let (Some(old), Some(new)) = (before.remove(&from), after.remove(&to)) {
            let change = from.name.clone().map(|from| Change::Renamed { from });
            pairs.push(Pair { before: Some((from, old)), after: Some((to, new)), change });
        }
    }
    pairs.extend(before.into_iter().map(|(key, old)| {
        let change = if is_in(names_after, &key) { Change::NotExecutedAnyMore } else { Change::Gone };
        Pair { before: Some((key, old)), after: None, change: Some(change) }
    }));
    pairs.extend(after.into_iter().map(|(key, new)| {
        let change = if is_in(names_before, &key) { Change::NotExecutedBefore } else { Change::New };
        Pair { before: None, after: Some((key, new)), change: Some(change) }
    }));
    pairs
}

/// The one function of that name in `there`, if it is the only one in `here`, too.
fn only<'a>(there: &'a Functions, here: &Functions, key: &Identity) -> Option<&'a Identity> {
    let same = |other: &&Identity| (&other.module, &other.name) == (&key.module, &key.name);
    let mut found = there.keys().filter(same);
    let alone = found.next().filter(|_| found.next().is_none())?;
    (here.keys().filter(same).count() == 1).then_some(alone)
}

fn split(before: &Logical, after: &Logical) -> Option<Change> {
    // The numbers behind `isra` and the like count within a file, and move with what stands before.
    let kinds = |logical: &Logical| -> BTreeSet<String> {
        let kind =
            |symbol: &String| symbol.trim_end_matches(|c: char| c == '.' || c.is_ascii_digit()).to_owned();
        logical.symbols.iter().map(kind).collect()
    };
    (kinds(before) != kinds(after)).then(|| Change::Split {
        before: before.symbols.iter().cloned().collect(),
        after: after.symbols.iter().cloned().collect(),
    })
}

/// Pairs by the rule that [`RENAMED`] states.
fn renamed(
    before: &Functions,
    after: &Functions,
    is_gone: impl Fn(&Identity) -> bool,
    is_new: impl Fn(&Identity) -> bool,
) -> Vec<(Identity, Identity)> {
    let gone: Vec<_> = before.iter().filter(|(key, _)| is_gone(key)).collect();
    let new: Vec<_> = after.iter().filter(|(key, _)| is_new(key)).collect();
    let fit = |(from, old): &(&Identity, &Logical), (to, now): &(&Identity, &Logical)| {
        let near = from.module == to.module && folder(from) == folder(to);
        near && are_alike(old, now)
    };
    let mut pairs = Vec::new();
    for from in &gone {
        let mut fitting = new.iter().filter(|to| fit(from, to));
        let (Some(to), None) = (fitting.next(), fitting.next()) else { continue };
        if gone.iter().filter(|other| fit(other, to)).count() == 1 {
            pairs.push((from.0.clone(), to.0.clone()));
        }
    }
    pairs
}

fn folder(key: &Identity) -> Option<&str> {
    key.file.as_deref().map(|file| file.rsplit_once('/').map_or("", |(folder, _)| folder))
}

fn are_alike(before: &Logical, after: &Logical) -> bool {
    let (old, new) = (before.sum(), after.sum());
    // Boots may have different numbers of each arm.
    let boots = |logical: &Logical| float(u64::try_from(logical.boots.len().max(1)).unwrap_or(u64::MAX));
    let per_boot = |cell: Cell, logical| float(cell.entries) / boots(logical);
    let per_call = |of: fn(&Cell) -> u64| {
        let each = |cell: &Cell| float(of(cell)) / float(cell.entries.max(1));
        near(each(&old), each(&new))
    };
    old.entries > 0
        && new.entries > 0
        && near(float(before.size), float(after.size))
        && near(per_boot(old, before), per_boot(new, after))
        && per_call(|cell| cell.instructions)
        && per_call(|cell| cell.loads)
        && per_call(|cell| cell.stores)
        && per_call(|cell| cell.calls)
}

fn near(first: f64, second: f64) -> bool {
    (first - second).abs() <= ALIKE * first.max(second)
}

#[expect(clippy::cast_precision_loss, reason = "counts of instructions stay far below 2^53")]
pub(crate) fn float(count: u64) -> f64 {
    count as f64
}

/// The subsystem of a function; `None` if its file is not known.
pub(crate) fn subsystem_of(key: &Identity) -> Option<&str> {
    key.file.as_deref().map(subsystem)
}
