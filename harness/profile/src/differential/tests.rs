use proptest::prelude::*;

use super::*;
use crate::{Function, Row, Strings, Symbol, UserSpace};

/// Calls, instructions, bytes of strings.
type Executed = (u64, u64, u64);

/// A kernel whose functions are 64 bytes long, from their names.
fn symbols(names: &[&str]) -> Symbols {
    let mut symbols = Symbols::default();
    let lines = names.iter().enumerate().map(|(index, name)| format!("{:x} t {name}\n", 64 * (index + 1)));
    let mut list: String = lines.collect();
    list.push_str(&format!("{:x} T _etext\n", 64 * (names.len() + 1)));
    symbols.add(&list);
    symbols
}

/// A boot that executed these functions of the kernel, and a program.
fn boot(block: u32, names: &[&str], executed: &[(&str, Context, Executed)], user: u64) -> Boot {
    let mut functions: Vec<Function> = Vec::new();
    for (name, context, (entries, instructions, bytes)) in executed {
        let index = names.iter().position(|known| known == name).unwrap();
        let start = 64 * (u64::try_from(index).unwrap() + 1);
        let row = Row {
            instructions: *instructions,
            entries: *entries,
            loads: *entries,
            strings: Strings { passes: bytes + 1, iterations: *bytes, bytes: *bytes },
            ..Row::default()
        };
        let symbol = Some(Symbol { name: (*name).to_owned(), module: None });
        match functions.iter_mut().find(|function| function.start == start) {
            Some(function) => drop(function.parts.insert((0, *context), row)),
            None => {
                functions.push(Function { symbol, start, total: row, parts: [((0, *context), row)].into() });
            }
        }
    }
    let user = UserSpace { name: "iperf3".to_owned(), instructions: user, string_passes: 0, string_bytes: 0 };
    let profile = Profile { functions, programs: vec![user], ..Profile::default() };
    Boot { block, kib: Some(4.0), profile, stacks: Stacks::default() }
}

fn arm<'a>(
    name: &'a str,
    symbols: &'a Symbols,
    files: Option<&'a SourceFiles>,
    boots: &'a [Boot],
) -> ArmBoots<'a> {
    ArmBoots { name, symbols, files, boots }
}

fn files(all: &[&str]) -> SourceFiles {
    all.iter().enumerate().map(|(index, file)| (64 * (index as u64 + 1), (*file).to_owned())).collect()
}

fn line<'a>(table: &'a Differential, name: &str) -> &'a Line {
    table.lines.iter().find(|line| line.name == name).unwrap_or_else(|| panic!("{name}: {:?}", table.lines))
}

const TASK: Context = Context::Task;

#[test]
fn a_planted_function_is_new_and_first_and_exact() {
    let (before, after) = (["ack", "recv"], ["ack", "planted", "recv"]);
    let old: Vec<Boot> = (0..4)
        .map(|b| {
            boot(b, &before, &[("ack", TASK, (1, 100 + u64::from(b), 0)), ("recv", TASK, (1, 50, 9))], 7)
        })
        .collect();
    let new: Vec<Boot> = (0..4)
        .map(|b| {
            let ack = 100 + 2 * u64::from(b);
            boot(
                b,
                &after,
                &[("ack", TASK, (1, ack, 0)), ("recv", TASK, (1, 50, 9)), ("planted", TASK, (1, 400, 0))],
                7,
            )
        })
        .collect();
    let (first, second) = (symbols(&before), symbols(&after));
    let table = Differential::new(
        Some(&arm("baseline", &first, None, &old)),
        &arm("slower", &second, None, &new),
        By::Function,
    );
    let [planted, ack, ..] = &table.lines[..] else { panic!("{table:?}") };
    assert_eq!((planted.name.as_str(), &planted.change), ("planted", &Some(Change::New)));
    assert_eq!((planted.numbers.difference, planted.numbers.exact), (Some(100.0), true));
    assert_eq!((ack.name.as_str(), ack.numbers.exact, ack.numbers.difference), ("ack", false, Some(0.375)));
    // Two rows differ: recv and iperf3 are no hypotheses.
    assert_eq!((planted.numbers.p, planted.numbers.q), (Some(0.125), Some(0.25)));
    assert_eq!(ack.numbers.q, Some(0.25));
    assert_eq!(line(&table, "recv").numbers.q, None);
    assert_eq!(table.strings.len(), 1, "strings stay apart");
    assert_eq!(table.strings_total.numbers.arm, 2.25);
    assert_eq!((table.per, table.confidence, table.smallest_p), (Per::Kib, Some(0.875), Some(0.125)));
}

#[test]
fn copies_parts_and_statics_of_one_name_are_told_apart() {
    let before = ["ack", "ack.cold", "init", "init"];
    let after = ["ack.isra.0", "ack.cold", "init", "init"];
    let all = |names: &[&str; 4], n| {
        let first = boot(
            0,
            names,
            &[(names[0], TASK, (1, n, 0)), (names[1], TASK, (1, 5, 0)), ("init", TASK, (1, 3, 0))],
            1,
        );
        let mut other = first.clone();
        // The second `init`, of the other file.
        let symbol = Some(Symbol { name: "init".to_owned(), module: None });
        let row = Row { instructions: 8, entries: 1, ..Row::default() };
        other.profile.functions.push(Function {
            symbol,
            start: 256,
            total: row,
            parts: [((0, TASK), row)].into(),
        });
        [other]
    };
    let (old, new) = (all(&before, 10), all(&after, 12));
    let (first, second) = (symbols(&before), symbols(&after));
    let known = files(&["net/ipv4/tcp.c", "include/linux/skbuff.h", "mm/a.c", "mm/b.c"]);
    let table = Differential::new(
        Some(&arm("a", &first, Some(&known), &old)),
        &arm("b", &second, Some(&known), &new),
        By::Function,
    );
    let ack = line(&table, "ack");
    assert_eq!(
        ack.file.as_deref(),
        Some("net/ipv4/tcp.c"),
        "not the header that its unlikely part begins with"
    );
    assert_eq!(ack.numbers.by_block, [(0, 15, 17).into()]);
    let symbols = |names: [&str; 2]| names.map(str::to_owned).to_vec();
    let change =
        Change::Split { before: symbols(["ack", "ack.cold"]), after: symbols(["ack.cold", "ack.isra.0"]) };
    assert_eq!(ack.change, Some(change));
    assert_eq!(table.lines.iter().filter(|line| line.name == "init").count(), 2);

    let by_subsystem = Differential::new(
        Some(&arm("a", &first, Some(&known), &old)),
        &arm("b", &second, Some(&known), &new),
        By::Subsystem,
    );
    let names: Vec<&str> = by_subsystem.lines.iter().map(|line| line.name.as_str()).collect();
    assert_eq!(names, ["net/ipv4", "mm", "user space"]);
}

#[test]
fn what_was_renamed_is_one_row_and_what_only_looks_a_little_like_it_is_two() {
    let (before, after) = (["old_name", "x"], ["new_name", "x"]);
    let known = files(&["net/core/dev.c", "mm/x.c"]);
    let table = |instructions| {
        let old = [boot(0, &before, &[("old_name", TASK, (10, 1000, 0))], 1)];
        let new = [boot(0, &after, &[("new_name", TASK, (10, instructions, 0))], 1)];
        Differential::new(
            Some(&arm("a", &symbols(&before), Some(&known), &old)),
            &arm("b", &symbols(&after), Some(&known), &new),
            By::Function,
        )
    };
    let renamed = table(1050);
    assert_eq!(line(&renamed, "new_name").change, Some(Change::Renamed { from: "old_name".to_owned() }));
    assert_eq!(line(&renamed, "new_name").numbers.by_block, [(0, 1000, 1050).into()]);
    let other = table(1500);
    assert_eq!(line(&other, "new_name").change, Some(Change::New));
    assert_eq!(line(&other, "old_name").change, Some(Change::Gone));
}

#[test]
fn what_a_kernel_has_and_does_not_execute_is_not_gone() {
    let names = ["ack", "slow_path"];
    let old = [boot(0, &names, &[("ack", TASK, (1, 10, 0)), ("slow_path", TASK, (1, 90, 0))], 1)];
    let new = [boot(0, &names, &[("ack", TASK, (1, 10, 0))], 1)];
    let symbols = symbols(&names);
    let compare = |old, new| {
        Differential::new(Some(&arm("a", &symbols, None, old)), &arm("b", &symbols, None, new), By::Function)
    };
    assert_eq!(line(&compare(&old, &new), "slow_path").change, Some(Change::NotExecutedAnyMore));
    assert_eq!(line(&compare(&new, &old), "slow_path").change, Some(Change::NotExecutedBefore));
}

#[test]
fn code_that_may_have_been_inlined_is_hinted_at() {
    let (before, after) = (["caller", "callee", "other"], ["caller", "other"]);
    let old = [boot(
        0,
        &before,
        &[("caller", TASK, (1, 100, 0)), ("callee", TASK, (1, 40, 0)), ("other", TASK, (1, 9, 0))],
        1,
    )];
    let new = [boot(0, &after, &[("caller", TASK, (1, 136, 0)), ("other", TASK, (1, 9, 0))], 1)];
    let table = Differential::new(
        Some(&arm("a", &symbols(&before), Some(&files(&["mm/a.c"; 3])), &old)),
        &arm("b", &symbols(&after), Some(&files(&["mm/a.c"; 2])), &new),
        By::Function,
    );
    assert_eq!(line(&table, "callee").hint.as_deref(), Some("perhaps inlined into caller"));
    assert_eq!(line(&table, "caller").hint.as_deref(), Some("perhaps callee was inlined into it"));
}

#[test]
fn blocks_without_both_boots_are_left_out_and_an_arm_may_stand_alone() {
    let names = ["ack"];
    let boots: Vec<Boot> = (0..3).map(|b| boot(b, &names, &[("ack", TASK, (1, 10, 0))], 1)).collect();
    let symbols = symbols(&names);
    let (whole, part) = (arm("a", &symbols, None, &boots), arm("b", &symbols, None, &boots[1..]));
    let table = Differential::new(Some(&whole), &part, By::Program);
    assert_eq!((table.blocks.as_slice(), table.left_out), (&[1, 2][..], 1));
    assert_eq!(line(&table, "kernel").numbers.arm, 2.5);
    let alone = Differential::new(None, &whole, By::Context);
    let task = &line(&alone, "task").numbers;
    assert_eq!((task.arm, task.baseline, task.difference, task.p), (2.5, None, None, None));
    assert_eq!((alone.blocks.len(), alone.smallest_p), (3, None));
}

const NAMES: [&str; 6] = ["a", "a.cold", "b", "b.isra.0", "c", "d"];

fn any_boots() -> impl Strategy<Value = Vec<Vec<(usize, usize, Executed)>>> {
    let executed = (0..NAMES.len(), 0..Context::ALL.len(), (0..50_u64, 0..100_000_u64, 0..1000_u64));
    prop::collection::vec(prop::collection::vec(executed, 0..12), 3)
}

proptest! {
    /// However rows are made and however many are shown, their counts are those of the total, in every block.
    #[test]
    fn rows_add_up_to_the_total(old in any_boots(), new in any_boots(), user in 0..1000_u64, most in 0..5_usize) {
        let boots = |all: &[Vec<(usize, usize, Executed)>]| -> Vec<Boot> {
            all.iter().zip(0..).map(|(executed, block)| {
                let mut seen = BTreeSet::new();
                let executed: Vec<_> = executed.iter()
                    .filter(|(name, context, _)| seen.insert((*name, *context)))
                    .map(|(name, context, executed)| (NAMES[*name], Context::ALL[*context], *executed))
                    .collect();
                boot(block, &NAMES, &executed, user)
            }).collect()
        };
        let (old, new, symbols) = (boots(&old), boots(&new), symbols(&NAMES));
        let executed = |boots: &[Boot], block: usize| -> u64 {
            boots[block].profile.functions.iter().flat_map(|f| f.parts.values()).map(|row| row.instructions).sum::<u64>() + user
        };
        for by in [By::Function, By::Subsystem, By::Context, By::Program] {
            let table = Differential::new(Some(&arm("a", &symbols, None, &old)), &arm("b", &symbols, None, &new), by);
            for shown in [&table, &table.top(most, most / 2)] {
                for (lines, total) in [(&shown.lines, &shown.total), (&shown.strings, &shown.strings_total)] {
                    for (block, counts) in total.numbers.by_block.iter().enumerate() {
                        let sum = |of: fn(&crate::BlockCounts) -> u64| -> u64 {
                            lines.iter().map(|line| of(&line.numbers.by_block[block])).sum()
                        };
                        prop_assert_eq!(sum(|counts| counts.baseline), counts.baseline);
                        prop_assert_eq!(sum(|counts| counts.arm), counts.arm);
                    }
                    let differences: f64 = lines.iter().filter_map(|line| line.numbers.difference).sum();
                    prop_assert!((differences - total.numbers.difference.unwrap()).abs() < 1e-6);
                }
            }
            for block in 0..3 {
                prop_assert_eq!(table.total.numbers.by_block[block].baseline, executed(&old, block));
                prop_assert_eq!(table.total.numbers.by_block[block].arm, executed(&new, block));
            }
        }
    }
}
