//! Who called: a tree of functions by sampled stacks, of two arms or of one.

use std::collections::BTreeMap;

use crate::{ArmBoots, Boot, Context, Differential, Stack, Symbols, logical_name};

/// Of what could not be followed to where the kernel was entered: the first frame that is known hangs below it.
pub const BROKEN: &str = "[not followed]";
/// User space of a program.
pub const USER: &str = "[user space]";
/// Code that no symbol is before.
const UNNAMED: &str = "[code without a symbol]";

/// A function, called by the one above it, and all that it called. Values are means over the blocks, in instructions per the unit
/// of the table that the tree belongs to, and include those of the children.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Frame {
    /// The function's, the program's, or one in brackets.
    pub name: String,
    /// The baseline's; 0 if there is none.
    pub baseline: f64,
    /// The arm's.
    pub arm: f64,
    /// In the order of their names.
    pub children: Vec<Frame>,
}

/// The stacks of an arm, or of two.
#[derive(Clone, Debug, PartialEq)]
pub struct Flame {
    /// Instructions that are no string instructions from one sample to the next.
    pub every: u32,
    /// How many samples were taken, in the baseline and in the arm.
    pub samples: (u64, u64),
    /// All programs: it has no name.
    pub root: Frame,
}

/// Instructions of each stack, outermost first.
type Folded = BTreeMap<Vec<String>, u64>;

/// A tree in the making.
#[derive(Default)]
struct Node {
    own: (f64, f64),
    children: BTreeMap<String, Node>,
}

impl Flame {
    /// The stacks of the boots that a table is of; or why there are none.
    ///
    /// # Errors
    /// In words: none was sampled, or not with the same distance everywhere.
    pub fn new(
        table: &Differential,
        baseline: Option<&ArmBoots<'_>>,
        arm: &ArmBoots<'_>,
    ) -> Result<Self, String> {
        let sides = [baseline.map(|baseline| (baseline, false)), Some((arm, true))];
        let (mut root, mut samples, mut every) = (Node::default(), (0, 0), None);
        let blocks = table.divisor_by_block.len().max(1) as f64;
        for (side, is_arm) in sides.into_iter().flatten() {
            for &(block, of_baseline, of_arm) in &table.divisor_by_block {
                let Some(boot) = side.boots.iter().find(|boot| boot.block == block) else { continue };
                let distance = boot.stacks.every.clone()?;
                if *every.get_or_insert(distance) != distance {
                    return Err("stacks were not sampled at the same distance in all boots".to_owned());
                }
                let divisor = blocks * if is_arm { of_arm } else { of_baseline };
                for (stack, count) in folded(boot, side.symbols) {
                    *(if is_arm { &mut samples.1 } else { &mut samples.0 }) += count;
                    root.add(stack, is_arm, count as f64 * f64::from(distance) / divisor);
                }
            }
        }
        let every = every.ok_or("there is no boot to have stacks of")?;
        Ok(Self { every, samples, root: root.finish(String::new()) })
    }

    /// Lines of `outermost;...;innermost BASELINE ARM`, or with one number where there is no baseline: whole instructions. It is
    /// what Brendan Gregg's `difffolded.pl` writes and `flamegraph.pl` reads.
    #[must_use]
    pub fn folded(&self, is_paired: bool) -> String {
        let mut lines = String::new();
        fold(&self.root, &mut Vec::new(), is_paired, &mut lines);
        lines
    }
}

fn fold<'a>(frame: &'a Frame, above: &mut Vec<&'a str>, is_paired: bool, lines: &mut String) {
    let of = |value: fn(&Frame) -> f64| {
        let children: f64 = frame.children.iter().map(value).sum();
        (value(frame) - children).round().max(0.0) + 0.0
    };
    let (baseline, arm) = (of(|frame| frame.baseline), of(|frame| frame.arm));
    if !frame.name.is_empty() {
        above.push(&frame.name);
    }
    if !above.is_empty() && (baseline, arm) != (0.0, 0.0) {
        let stack = above.join(";");
        lines.push_str(&if is_paired {
            format!("{stack} {baseline} {arm}\n")
        } else {
            format!("{stack} {arm}\n")
        });
    }
    for child in &frame.children {
        fold(child, above, is_paired, lines);
    }
    if !frame.name.is_empty() {
        above.pop();
    }
}

/// Samples of each stack of a boot. The idle task's are left out: how long a machine idles is its clock's business.
fn folded(boot: &Boot, symbols: &Symbols) -> Folded {
    let mut folded = Folded::new();
    for stack in boot.stacks.taken.iter().filter(|stack| stack.context != Some(Context::Idle)) {
        let broken = (!stack.complete).then(|| BROKEN.to_owned());
        let user = stack.context.is_none().then(|| USER.to_owned());
        let functions = stack.functions.iter().rev().map(|function| match symbols.find(*function) {
            Some((_, symbol)) => plain(logical_name(&symbol.name)),
            None => UNNAMED.to_owned(),
        });
        let frames = [plain(&stack.program)].into_iter().chain(broken).chain(user).chain(functions);
        *folded.entry(frames.collect()).or_default() += stack.samples;
    }
    folded
}

/// A name without what divides frames.
fn plain(name: &str) -> String {
    name.replace(|letter: char| letter == ';' || letter.is_whitespace() || letter.is_control(), "_")
}

impl Node {
    fn add(&mut self, stack: Vec<String>, is_arm: bool, value: f64) {
        let mut node = self;
        for frame in stack {
            node = node.children.entry(frame).or_default();
        }
        *(if is_arm { &mut node.own.1 } else { &mut node.own.0 }) += value;
    }

    fn finish(self, name: String) -> Frame {
        let children: Vec<Frame> = self.children.into_iter().map(|(name, node)| node.finish(name)).collect();
        let sum = |own: f64, of: fn(&Frame) -> f64| own + children.iter().map(of).sum::<f64>();
        let (baseline, arm) = (sum(self.own.0, |frame| frame.baseline), sum(self.own.1, |frame| frame.arm));
        Frame { name, baseline, arm, children }
    }
}

/// The stacks of one boot, as the plugin took them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stacks {
    /// Instructions from one sample to the next; or why none was taken.
    pub every: Result<u32, String>,
    /// Each stack that was seen.
    pub taken: Vec<Stack>,
}

impl Default for Stacks {
    fn default() -> Self {
        Self { every: Err("no stack was sampled: an earlier Assay's run".to_owned()), taken: vec![] }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{By, Profile};

    const MAP: &str =
        "ffffffff81000100 T entry\nffffffff81000200 T tcp_send\nffffffff81000300 t copy.isra.0\n";
    const ENTRY: u64 = 0xffff_ffff_8100_0100;
    const SEND: u64 = 0xffff_ffff_8100_0200;
    const COPY: u64 = 0xffff_ffff_8100_0300;

    fn stack(context: Option<Context>, complete: bool, functions: &[u64], samples: u64) -> Stack {
        Stack {
            vcpu: 0,
            context,
            program: "iperf3 x".to_owned(),
            complete,
            samples,
            functions: functions.to_vec(),
        }
    }

    fn boot(block: u32, taken: Vec<Stack>) -> Boot {
        let profile = Profile::default();
        Boot { block, kib: Some(2.0), profile, stacks: Stacks { every: Ok(100), taken } }
    }

    fn symbols() -> Symbols {
        let mut symbols = Symbols::default();
        symbols.add(MAP);
        symbols
    }

    fn flame(before: Option<&[Boot]>, after: &[Boot]) -> Result<Flame, String> {
        let symbols = symbols();
        let side = |name, boots| ArmBoots { name, symbols: &symbols, files: None, boots };
        let (before, after) = (before.map(|boots| side("before", boots)), side("after", after));
        Flame::new(&Differential::new(before.as_ref(), &after, By::Function), before.as_ref(), &after)
    }

    #[test]
    fn two_arms_are_one_tree_whose_values_add_up() {
        let task = Some(Context::Task);
        let before = [boot(0, vec![stack(task, true, &[COPY, SEND, ENTRY], 3), stack(None, true, &[], 2)])];
        let after = [boot(
            0,
            vec![
                stack(task, true, &[COPY, SEND, ENTRY], 1),
                stack(task, true, &[SEND, ENTRY], 4),
                stack(Some(Context::Softirq), false, &[COPY], 1),
                stack(Some(Context::Idle), true, &[COPY], 9),
            ],
        )];
        let flame = flame(Some(&before), &after).unwrap();
        assert_eq!((flame.every, flame.samples), (100, (5, 6)));
        assert_eq!((flame.root.baseline, flame.root.arm), (250.0, 300.0), "two KiB");
        assert_eq!(
            flame.folded(true),
            "iperf3_x;[not followed];copy 0 50\n\
             iperf3_x;[user space] 100 0\n\
             iperf3_x;entry;tcp_send 0 200\n\
             iperf3_x;entry;tcp_send;copy 150 50\n"
        );
    }

    #[test]
    fn an_arm_alone_has_one_number_and_blocks_are_averaged() {
        let after = [
            boot(0, vec![stack(Some(Context::Task), true, &[SEND], 2)]),
            boot(1, vec![stack(Some(Context::Task), true, &[SEND], 4)]),
        ];
        assert_eq!(flame(None, &after).unwrap().folded(false), "iperf3_x;tcp_send 150\n");
    }

    #[test]
    fn where_nothing_was_sampled_the_reason_is_told() {
        let mut without = boot(0, vec![]);
        without.stacks.every = Err("its kernel has no tables".to_owned());
        assert_eq!(flame(None, &[without]).unwrap_err(), "its kernel has no tables");
        let mut other = boot(0, vec![]);
        other.stacks.every = Ok(7);
        assert!(flame(Some(&[other]), &[boot(0, vec![])]).unwrap_err().contains("same distance"));
    }
}
