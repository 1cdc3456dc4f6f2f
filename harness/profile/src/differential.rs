//! Two arms side by side, or one alone: rows that add up to the total.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use stats::benjamini_hochberg;

use crate::{
    Change, Context, Numbers, Pair, Per, Profile, SourceFiles, Stacks, Symbols, hint,
    matching::{Identity, logical, names, pair, subsystem_of},
    numbers::Blocks,
};

/// What rows are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum By {
    /// Kernel functions, and programs.
    Function,
    /// Subsystems of the kernel, by source file.
    Subsystem,
    /// Whose work the kernel did.
    Context,
    /// Programs; the kernel is one row.
    Program,
}

impl By {
    /// As the command line has it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Function => "function",
            Self::Subsystem => "subsystem",
            Self::Context => "context",
            Self::Program => "program",
        }
    }
}

/// What one boot executed in a workload's window.
#[derive(Clone, Debug, PartialEq)]
pub struct Boot {
    /// Its block: the boots of a block differ in their kernels alone.
    pub block: u32,
    /// KiB of payload that the workload moved; none if that is not known.
    pub kib: Option<f64>,
    /// What was executed.
    pub profile: Profile,
    /// Who called, by samples.
    pub stacks: Stacks,
}

/// The boots of an arm, and what is known of its kernel.
#[derive(Clone, Debug)]
pub struct ArmBoots<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its kernel's functions.
    pub symbols: &'a Symbols,
    /// Their source files; none if the kernel's lines are not at hand.
    pub files: Option<&'a SourceFiles>,
    /// One for each block at most.
    pub boots: &'a [Boot],
}

/// Which part of the total a row is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// The kernel's work.
    Kernel,
    /// User space.
    User,
    /// The kernel in its idle task: how long a machine idles is its clock's business.
    Idle,
}

/// A row.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Line {
    /// Of the function, subsystem, context or program.
    pub name: String,
    /// Which part of the total it is in.
    pub kind: Kind,
    /// The module that the function is in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub module: Option<String>,
    /// The function's source file, if it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// In what the function differs between the kernels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub change: Option<Change>,
    /// What it may be due to, in words: nothing follows from it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// How many rows it stands for, where it stands for others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stands_for: Option<usize>,
    /// What was counted.
    pub numbers: Numbers,
}

/// A table of instructions, and one of string instructions, which are never summed with the rest.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Differential {
    /// What is compared with; none if the arm stands alone.
    pub baseline: Option<String>,
    /// The arm that is looked at.
    pub arm: String,
    /// What rows are.
    pub by: By,
    /// What counts are divided by.
    pub per: Per,
    /// Blocks that both arms have a boot of.
    pub blocks: Vec<u32>,
    /// What the counts of each of those are divided by: the block, the baseline's divisor, the arm's.
    pub divisor_by_block: Vec<(u32, f64, f64)>,
    /// Blocks that lack one of them.
    pub left_out: usize,
    /// Confidence of the intervals; none with a single block, or without a baseline.
    pub confidence: Option<f64>,
    /// The smallest p-value that so many blocks can yield: no row can have a smaller q.
    pub smallest_p: Option<f64>,
    /// Whether source files are known.
    pub has_files: bool,
    /// Instructions that are no string instructions: the kernel's, then user space, then idling, the largest differences of each
    /// first. They add up to the total.
    pub lines: Vec<Line>,
    /// Everything that was executed, without string instructions.
    pub total: Line,
    /// Bytes that string instructions handled, in the same order.
    pub strings: Vec<Line>,
    /// All of those.
    pub strings_total: Line,
}

/// What a row is made of: its counts in each block, baseline and arm.
type Counts = Vec<(u64, u64)>;

/// What tells rows apart.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    kind: Kind,
    name: String,
    /// Functions of one name are told apart by their place among the pairs.
    pair: Option<usize>,
}

impl Differential {
    /// Compares an arm with a baseline block by block, or shows it alone.
    #[must_use]
    pub fn new(baseline: Option<&ArmBoots<'_>>, arm: &ArmBoots<'_>, by: By) -> Self {
        let shared = blocks(baseline, arm);
        let boots_of =
            |arm: &ArmBoots<'_>| arm.boots.iter().map(|boot| boot.block).collect::<BTreeSet<u32>>();
        let of_baseline = baseline.map(boots_of).unwrap_or_default();
        let left_out = boots_of(arm).union(&of_baseline).count() - shared.len();
        let (old, new) = (baseline.map(|baseline| select(baseline, &shared)), select(arm, &shared));
        let kib = |boot: &&Boot| boot.kib.filter(|kib| *kib > 0.0);
        let all = || old.iter().flatten().chain(&new);
        let per = if all().all(|boot| kib(boot).is_some()) { Per::Kib } else { Per::Window };
        let divisor = |boot: &&Boot| if per == Per::Kib { kib(boot).unwrap_or(1.0) } else { 1.0 };
        let divisors = shared.iter().enumerate().map(|(index, block)| {
            let of_arm = divisor(&new[index]);
            (*block, old.as_ref().map_or(of_arm, |old| divisor(&old[index])), of_arm)
        });
        let frame = Blocks { all: divisors.collect(), is_paired: baseline.is_some() };
        // With files of one kernel alone, no function would be found in the other.
        let has_files = arm.files.is_some() && baseline.is_none_or(|baseline| baseline.files.is_some());
        let pairs = pairs(baseline, arm, old.as_deref(), &new, has_files);
        let instructions =
            rows(&pairs, old.as_deref(), &new, by, |cell| cell.instructions, |user| user.instructions);
        let strings =
            rows(&pairs, old.as_deref(), &new, by, |cell| cell.string_bytes, |user| user.string_bytes);
        let hints = if by == By::Function { hint::hints(&pairs, &frame) } else { BTreeMap::new() };
        let (lines, total) = table(&frame, instructions, &pairs, &hints);
        let (strings, strings_total) = table(&frame, strings, &pairs, &BTreeMap::new());
        let (confidence, smallest_p) = (frame.confidence(), frame.smallest_p());
        Self {
            baseline: baseline.map(|baseline| baseline.name.to_owned()),
            arm: arm.name.to_owned(),
            by,
            per,
            blocks: shared,
            divisor_by_block: frame.all,
            left_out,
            confidence,
            smallest_p,
            has_files,
            lines,
            total,
            strings,
            strings_total,
        }
    }

    /// The sum of the rows of a kind.
    #[must_use]
    pub fn sum(&self, kind: Kind) -> Line {
        let lines: Vec<&Line> = self.lines.iter().filter(|line| line.kind == kind).collect();
        self.fold(&lines, String::new(), kind)
    }
}

/// The blocks that both have a boot of.
fn blocks(baseline: Option<&ArmBoots<'_>>, arm: &ArmBoots<'_>) -> Vec<u32> {
    let has = |arm: &ArmBoots<'_>, block: u32| arm.boots.iter().any(|boot| boot.block == block);
    let mut blocks: Vec<u32> = arm.boots.iter().map(|boot| boot.block).collect();
    blocks.retain(|block| baseline.is_none_or(|baseline| has(baseline, *block)));
    blocks.sort_unstable();
    blocks.dedup();
    blocks
}

/// The boots of those blocks, in their order.
fn select<'a>(arm: &ArmBoots<'a>, blocks: &[u32]) -> Vec<&'a Boot> {
    blocks.iter().filter_map(|block| arm.boots.iter().find(|boot| boot.block == *block)).collect()
}

fn pairs(
    baseline: Option<&ArmBoots<'_>>,
    arm: &ArmBoots<'_>,
    old: Option<&[&Boot]>,
    new: &[&Boot],
    has_files: bool,
) -> Vec<Pair> {
    let functions = |arm: &ArmBoots<'_>, boots: &[&Boot]| {
        let profiles: Vec<&Profile> = boots.iter().map(|boot| &boot.profile).collect();
        logical(&profiles, arm.symbols, arm.files.filter(|_| has_files))
    };
    let after = functions(arm, new);
    match (baseline, old) {
        (Some(baseline), Some(old)) => {
            pair(functions(baseline, old), after, &names(baseline.symbols), &names(arm.symbols))
        }
        _ => after.into_iter().map(|now| Pair { before: None, after: Some(now), change: None }).collect(),
    }
}

/// All rows with their counts.
fn rows(
    pairs: &[Pair],
    old: Option<&[&Boot]>,
    new: &[&Boot],
    by: By,
    of: fn(&crate::Cell) -> u64,
    of_user: fn(&crate::UserSpace) -> u64,
) -> BTreeMap<Key, Counts> {
    let mut rows: BTreeMap<Key, Counts> = BTreeMap::new();
    let mut put = |key: Key, block: usize, is_new: bool, count: u64| {
        let counts = rows.entry(key).or_insert_with(|| vec![(0, 0); new.len()]);
        if let Some((before, after)) = counts.get_mut(block) {
            *(if is_new { after } else { before }) += count;
        }
    };
    for (index, pair) in pairs.iter().enumerate() {
        for (side, is_new) in [(&pair.before, false), (&pair.after, true)] {
            let Some((own, logical)) = side else { continue };
            for (block, contexts) in logical.boots.iter().enumerate() {
                for (context, cell) in contexts {
                    put(kernel_key(by, pair.identity(), own, index, *context), block, is_new, of(cell));
                }
            }
        }
    }
    for (boots, is_new) in [(old.unwrap_or_default(), false), (new, true)] {
        for (block, boot) in boots.iter().enumerate() {
            for program in &boot.profile.programs {
                let name = match by {
                    By::Function | By::Program => program.name.clone(),
                    By::Subsystem | By::Context => "user space".to_owned(),
                };
                put(Key { kind: Kind::User, name, pair: None }, block, is_new, of_user(program));
            }
        }
    }
    rows.retain(|_, counts| counts.iter().any(|counts| *counts != (0, 0)));
    rows
}

fn kernel_key(by: By, shown: &Identity, own: &Identity, index: usize, context: Context) -> Key {
    if context == Context::Idle {
        return Key { kind: Kind::Idle, name: "idle".to_owned(), pair: None };
    }
    let (name, pair) = match by {
        By::Function => {
            (shown.name.clone().unwrap_or_else(|| "code without a symbol".to_owned()), Some(index))
        }
        By::Subsystem => (subsystem_of(own).unwrap_or("unknown").to_owned(), None),
        By::Context => (context.name().to_owned(), None),
        By::Program => ("kernel".to_owned(), None),
    };
    Key { kind: Kind::Kernel, name, pair }
}

/// The rows by kind, the largest differences first, and the total.
fn table(
    frame: &Blocks,
    rows: BTreeMap<Key, Counts>,
    pairs: &[Pair],
    hints: &BTreeMap<usize, String>,
) -> (Vec<Line>, Line) {
    let mut sum = vec![(0, 0); frame.all.len()];
    for counts in rows.values() {
        for (sum, (before, after)) in sum.iter_mut().zip(counts) {
            *sum = (sum.0 + before, sum.1 + after);
        }
    }
    let line = |name: String, kind, counts: &Counts| Line {
        name,
        kind,
        module: None,
        file: None,
        change: None,
        hint: None,
        stands_for: None,
        numbers: frame.numbers(counts),
    };
    let mut total = line("total".to_owned(), Kind::Kernel, &sum);
    let mut lines: Vec<Line> = rows
        .iter()
        .map(|(key, counts)| {
            let mut line = line(key.name.clone(), key.kind, counts);
            if let Some(pair) = key.pair.and_then(|pair| pairs.get(pair)) {
                line.module = pair.identity().module.clone();
                line.file = pair.identity().file.clone();
                line.change = pair.change.clone();
            }
            line.hint = key.pair.and_then(|pair| hints.get(&pair)).cloned();
            line
        })
        .collect();
    adjust(&mut lines);
    let all = total.numbers.arm;
    lines.iter_mut().chain([&mut total]).for_each(|line| share(line, all));
    lines.sort_by(|a, b| {
        let larger = rank(b).partial_cmp(&rank(a)).unwrap_or(std::cmp::Ordering::Equal);
        a.kind.cmp(&b.kind).then(larger).then_with(|| a.name.cmp(&b.name))
    });
    (lines, total)
}

fn share(line: &mut Line, all: f64) {
    line.numbers.share = (all > 0.0).then(|| line.numbers.arm / all);
}

/// The larger the difference, and then the count, the earlier.
fn rank(line: &Line) -> (f64, f64) {
    (line.numbers.difference.unwrap_or_default().abs(), line.numbers.arm)
}

/// The false discovery rate over all rows of which any block differs. Which these are does not depend on the signs of the differences,
/// which is all that the test looks at, so that choosing them costs nothing. Idling is no work, and no hypothesis.
fn adjust(lines: &mut [Line]) {
    let mut tested: Vec<&mut Numbers> = lines
        .iter_mut()
        .filter(|line| line.kind != Kind::Idle && line.numbers.p.is_some())
        .map(|line| &mut line.numbers)
        .collect();
    let p: Vec<f64> = tested.iter().filter_map(|numbers| numbers.p).collect();
    for (numbers, q) in tested.iter_mut().zip(benjamini_hochberg(&p)) {
        numbers.q = Some(q);
    }
}

mod top;

#[cfg(test)]
mod tests;
