//! All cells, and the table of them.

use std::fmt::Write as _;

use crate::{
    BOOT_SPREADS, Drift, Fixed, INTERVALS, MARGIN, Many, Modes, Other, Rates, Sequential, Share, World,
    culprits, equal_power, fit, fixed, float, growing, in_parallel, many, others, real, sequential,
    sequential::METHODS,
};

/// How much is simulated.
#[derive(Clone, Copy, Debug)]
pub struct Size {
    /// Data sets of a cell.
    pub data_sets: usize,
    /// Histories in which a culprit is looked for, in each way.
    pub histories: usize,
}

/// Fixed designs are cheap, and shares near a limit want more data sets.
const MORE: usize = 5;
/// Boots of each arm.
const BOOTS: [usize; 4] = [6, 8, 12, 20];
/// Fixed designs beside which stopping early is put.
const FIXED: [usize; 4] = [8, 12, 16, 20];
const MODES: Modes = Modes { slow: 0.25, by: 0.04 };

/// One cell of any table.
#[derive(Clone, Copy, Debug)]
enum Cell {
    Fixed(World, usize),
    Many(World, usize),
    Other(Other, World),
    Sequential(crate::Method, World, usize),
    Growing(usize),
}

/// What a cell yields.
#[derive(Clone, Debug)]
enum Found {
    Fixed(Fixed),
    Many(Many),
    Other(Rates),
    Sequential(Option<Sequential>, crate::Method, usize),
    Growing(usize, Share),
}

impl Cell {
    /// The seed is the cell's own, whatever else is simulated.
    fn make(self, size: Size, seed: u64) -> Found {
        match self {
            Self::Fixed(world, boots) => Found::Fixed(fixed(world, boots, MORE * size.data_sets, seed)),
            Self::Many(world, boots) => Found::Many(many(world, boots, size.data_sets, seed)),
            Self::Other(rule, world) => Found::Other(others(rule, world, size.data_sets, seed)),
            Self::Sequential(method, world, blocks) => {
                let most = equal_power(method, blocks, 2 * size.data_sets, 0xe0a1);
                let cell = most.map(|most| sequential(method, world, blocks, most, size.data_sets, seed));
                Found::Sequential(cell, method, blocks)
            }
            Self::Growing(most) => Found::Growing(most, growing(most, 10 * size.data_sets, seed)),
        }
    }
}

fn worlds(drift: Drift) -> Vec<World> {
    let kind = |drift, modes| BOOT_SPREADS.map(|boot| World { boot, drift, modes });
    [kind(None, None), kind(Some(drift), None), kind(None, Some(MODES))].concat()
}

fn cells(drift: Drift) -> Vec<Cell> {
    let few = [
        World::plain(0.5),
        World::plain(2.0),
        World { drift: Some(drift), ..World::plain(0.5) },
        World { modes: Some(MODES), ..World::plain(0.5) },
    ];
    let mut cells = Vec::new();
    for world in worlds(drift) {
        cells.extend(BOOTS.map(|boots| Cell::Fixed(world, boots)));
    }
    for world in [few[0], few[1], few[2]] {
        cells.extend(BOOTS.map(|boots| Cell::Many(world, boots)));
    }
    for rule in Other::ALL {
        cells.extend(BOOT_SPREADS.map(|boot| Cell::Other(rule, World::plain(boot))));
        cells.extend([few[2], few[3]].map(|world| Cell::Other(rule, world)));
    }
    for blocks in FIXED {
        cells.extend(few.map(|world| Cell::Sequential(crate::Method::Looks, world, blocks)));
    }
    for blocks in [12, 20] {
        cells.extend(METHODS[1..].iter().map(|method| Cell::Sequential(*method, few[0], blocks)));
    }
    cells.extend([12, 24].map(Cell::Growing));
    cells
}

/// Makes all cells, and the text of the table. `progress` is told how many of all are done.
#[must_use]
pub fn everything(size: Size, progress: impl Fn(usize, usize) + Sync) -> String {
    let drift = fit(&real()[0]);
    let cells: Vec<(u64, Cell)> = (1000..).zip(cells(drift)).collect();
    let found = in_parallel(&cells, |(seed, cell)| cell.make(size, *seed), progress);
    let mut text = head(size, drift);
    text += &of_fixed(&found);
    text += &of_many(&found);
    text += &of_others(&found);
    text += &of_sequential(&found);
    // After all cells of the other tables, so that progress is that of those, which take longer.
    text += &culprits(size.histories, |_, _| ());
    text
}

fn head(size: Size, drift: Drift) -> String {
    let [throughput, round_trip] = real();
    let other = fit(&round_trip);
    format!(
        "# How often verdicts are wrong, and how often they find what is there\n\n\
         Made by `cargo xtask simulate`; not by hand. {} data sets a cell, in the first table {MORE} times as many; seeds fixed. The statistics are crate `stats`, called\n\
         as `assay run` calls them; the simulation is `tests/simulation`.\n\n\
         A boot has {INTERVALS} intervals, which spread by 1 %; boots spread by so many times that. Level 0.05, margin {} %. *Drift*: the level wanders as it did in\n\
         {} real boots of one kernel, one after the other on a machine that others used (`tests/simulation/real-boots.csv`): an autoregressive process with {:.2} of\n\
         a boot's own spread and a memory of {:.2} from boot to boot, fitted to their throughput (their round trips: {:.2} and {:.2}). *Two groups*: {} % of boots are {} % slower.\n\
         Two standard errors of {} data sets are {:.1} points at 5 %.\n\n",
        size.data_sets,
        100.0 * MARGIN,
        throughput.len(),
        drift.spread,
        drift.memory,
        other.spread,
        other.memory,
        100.0 * MODES.slow,
        100.0 * MODES.by,
        size.data_sets,
        200.0 * (0.05 * 0.95 / float(size.data_sets)).sqrt(),
    )
}

fn percent(share: Share) -> String {
    format!("{:.1}", 100.0 * share.value())
}

fn name(world: &World) -> String {
    let kind = match (world.drift, world.modes) {
        (None, None) => "",
        (Some(_), _) => ", drift",
        (None, Some(_)) => ", two groups",
    };
    format!("{}{kind}", world.boot)
}

fn of_fixed(found: &[Found]) -> String {
    let cells: Vec<&Fixed> = found
        .iter()
        .filter_map(|found| if let Found::Fixed(cell) = found { Some(cell) } else { None })
        .collect();
    let false_ones = |cell: &&&Fixed| {
        [cell.false_worse, cell.false_same].iter().any(|share| !share.is_at_most(crate::ALPHA))
    };
    let above: Vec<String> = cells
        .iter()
        .filter(false_ones)
        .map(|c| format!("{} with {} boots", name(&c.world), c.boots))
        .collect();
    let under = |least: usize, limit: f64| {
        let covered =
            cells.iter().filter(|c| c.boots >= least).map(|c| c.covered.value()).fold(1.0, f64::min);
        format!(
            "{:.1} % (at least {:.0} %: {})",
            100.0 * covered,
            100.0 * limit,
            if covered >= limit { "yes" } else { "no" }
        )
    };
    let ratio = |boots: usize| {
        cells.iter().filter(|c| c.boots == boots).map(|c| c.ratio()).fold(f64::INFINITY, f64::min)
    };
    let mut text = "## A fixed number of boots\n\n".to_owned();
    let _ = writeln!(
        text,
        "- *False claims* (`worse` and `same` where the change is just the margin, the least favourable case): more than 5 % plus two simulation errors in {}. The tests\n\
           are exact, and use up to 4.98 of their 5 %, so that about two of so many cells are expected to be above by chance alone.\n\
         - *Identical arms* called better or worse: at most {:.1} %.\n\
         - *Coverage* of 95 % intervals, lowest cell from 8 boots: {}; with 6: {}. Intervals are exact, so that only the steps of their levels move it.\n\
         - *Power* at the design effect, beside a test that knows the variances (which has 90 %), lowest cell: {}.",
        if above.is_empty() {
            "no cell".to_owned()
        } else {
            format!("{} of {} cells: {}", above.len(), 2 * cells.len(), above.join("; "))
        },
        100.0 * cells.iter().map(|c| c.false_alarms.value()).fold(0.0, f64::max),
        under(8, 0.94),
        under(0, 0.94),
        BOOTS.map(|boots| format!("{:.2} with {boots} boots", ratio(boots))).join(", "),
    );
    text += "\nWith 6 boots no test by permutation within blocks has 0.9 of that power. It has 2^6 = 64 sign flips and may reject 3 of them (3/64 = 0.047), and which ones is best\n\
             is known: given the absolute differences, sign flips of the *mean* are most powerful against a shift of normal noise (Lehmann and Stein 1949). Column \"best\" is that test.\n\
             Signed ranks reject the same three flips with 6 boots, so that they are the best there is; what is missing is the knowledge of the variance, and only more boots bring it.\n\
             With 8 boots they come to 0.9, as much as simulation can tell, and the best to 0.92.\n\n\
             Where boots fall into two sharp groups (boot spread 0 or 0.25), differences between blocks have three values, apart by 4 %, and 20 boots would show 1.6 % to a test that knows the\n\
             variance. Ranks then do not see how far apart the groups are, and have 0.75 to 0.83 of its power; the mean would see it, and would lose far more to a boot that the host slowed down. So Assay\n\
             keeps ranks; whoever sees two groups in a report gains more by finding their cause than by any test.\n\n";
    text += "| boot spread | boots | false worse, % | false same, % | identical called different, % | coverage, % | its steps allow, % | found, % | best, % | knows variances, % | ratio |\n";
    text += "|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|\n";
    for c in cells {
        let best = c.ceiling.filter(|_| c.world.modes.is_none()).map_or_else(|| "-".to_owned(), percent);
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} | {} | {} | {:.1} | {} | {best} | {} | {:.2} |",
            name(&c.world),
            c.boots,
            percent(c.false_worse),
            percent(c.false_same),
            percent(c.false_alarms),
            percent(c.covered),
            100.0 * c.nominal_coverage,
            percent(c.found),
            percent(c.oracle),
            c.ratio()
        );
    }
    text + "\n"
}

fn of_many(found: &[Found]) -> String {
    let mut text = "## Twenty gates at once\n\n\
        Correlation 0.5 between metrics. Any false `worse` among twenty, each change being just the margin, with Holm's procedure and without; any discovery among twenty\n\
        identical metrics that no gate names (false discovery rate 5 %); and how many are found of an effect that a test which knows the variances finds in 90 of 100 at Holm's\n\
        first level, 0.05 / 20. With 6 and 8 boots none can be: the smallest p there is, 2^-6 = 0.016 and 2^-8 = 0.0039, is above 0.0025. `assay plan` refuses such a scenario.\n\n\
        | boot spread | boots | any false worse, % | without Holm, % | any false discovery, % | found, % |\n|---|--:|--:|--:|--:|--:|\n".to_owned();
    for found in found {
        if let Found::Many(c) = found {
            let _ = writeln!(
                text,
                "| {} | {} | {} | {} | {} | {} |",
                name(&c.world),
                c.boots,
                percent(c.any_false_worse),
                percent(c.any_unadjusted),
                percent(c.any_false_discovery),
                percent(c.found)
            );
        }
    }
    text + "\n"
}

fn of_others(found: &[Found]) -> String {
    let mut text = "## Beside the rules of others\n\n\
        From what they publish (`tests/simulation/src/others.rs` says where), each at the design that it is used with, and some with as many boots as Assay. In each cell: how often\n\
        identical arms are called different, and how often a loss of 5 % is found, in %. Theirs run one side after the other, Assay's in randomised blocks.\n\n\
        They answer other questions, and that is said fairly: Firecracker's gate holds a pull request back and its floor forgives what is below 5 %, which is why it is quiet, and why a\n\
        loss of just 5 % is found half of the time; LKP looks for gross changes among thousands of numbers, with as many boots as its ranges need; benchstat is made for\n\
        programs that are run again and again, and says that values must be independent, which values of one boot are not.\n\n".to_owned();
    let rates: Vec<&Rates> = found
        .iter()
        .filter_map(|found| if let Found::Other(rates) = found { Some(rates) } else { None })
        .collect();
    let columns: Vec<String> =
        rates.iter().take_while(|r| r.rule == rates[0].rule).map(|r| name(&r.world)).collect();
    let _ = writeln!(text, "| rule, boots a side | {} |", columns.join(" | "));
    let _ = writeln!(text, "|---|{}", "--:|".repeat(columns.len()));
    for row in rates.chunk_by(|a, b| a.rule == b.rule) {
        let cells: Vec<String> =
            row.iter().map(|r| format!("{} / {}", percent(r.identical), percent(r.loss))).collect();
        let _ = writeln!(text, "| {} | {} |", row[0].rule.describe(), cells.join(" | "));
    }
    text + "\n"
}

fn of_sequential(found: &[Found]) -> String {
    let mut text = "## Stopping when all is decided\n\n\
        `boots: { until: decided, max: N }` looks after every block. Beside the fixed design of the same power: N is the fewest with its power at the design effect, which the fixed\n\
        design finds in 90 of 100. *False* claims are those of all looks together; *covered* is how often the 90 % intervals of all looks hold the truth. Blocks are means over those of\n\
        the fixed design: at the design effect, at twice that, and with identical arms and a margin within which the fixed design shows them in 90 of 100.\n\n\
        | boot spread | fixed | N | false, % | false same, % | covered, % | power, fixed, % | power, % | blocks | at twice | same arms | same, % |\n\
        |---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|\n".to_owned();
    let row = |c: &Sequential, first: String| {
        format!(
            "| {first} | {} | {} | {} | {} | {} | {} | {} | {:.2} | {:.2} | {:.2} | {} |\n",
            c.fixed,
            c.most,
            percent(c.false_claims),
            percent(c.false_same),
            percent(c.covered),
            percent(c.fixed_power),
            percent(c.power),
            c.blocks,
            c.blocks_at_twice,
            c.blocks_when_same,
            percent(c.same)
        )
    };
    let all: Vec<(&Option<Sequential>, crate::Method, usize)> = found
        .iter()
        .filter_map(|found| {
            if let Found::Sequential(cell, method, blocks) = found {
                Some((cell, *method, *blocks))
            } else {
                None
            }
        })
        .collect();
    for cell in all
        .iter()
        .filter(|(_, method, _)| *method == crate::Method::Looks)
        .filter_map(|(cell, ..)| cell.as_ref())
    {
        text += &row(cell, name(&cell.world));
    }
    text += "\nAt the design effect stopping early takes at most 0.8 of the fixed design's boots, and at twice that 0.6, from 16 boots. With 8 it cannot: one block has a smallest p of 2^-k\n\
             after k blocks, so that no rule can claim anything at 0.05 before the fifth, 5/8 = 0.63, and one that spends 1/32 of its 0.05 there has little left for the looks after it. With 12\n\
             the first look that decides is the seventh, 7/12 = 0.58, and 0.60 is reached at twice the effect, but for its last digit.\n\n\
             Of ways to stop, at boot spread 0.5 (N up to twice the fixed number; the e-value never shows `same`, as it is one-sided here):\n\n\
             | way | fixed | N | false, % | false same, % | covered, % | power, fixed, % | power, % | blocks | at twice | same arms | same, % |\n\
             |---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|\n";
    let is_in_choice = |(_, method, blocks): &&(&Option<Sequential>, crate::Method, usize)| {
        *method != crate::Method::Looks && [12, 20].contains(blocks)
    };
    for (cell, method, blocks) in all.iter().filter(is_in_choice) {
        text += &match cell {
            Some(cell) => row(cell, method.describe()),
            None => {
                format!("| {} | {blocks} | more than {} | | | | | | | | | |\n", method.describe(), 2 * blocks)
            }
        };
    }
    for found in found {
        if let Found::Growing(most, share) = found {
            let _ = write!(
                text,
                "\nThe looks take blocks for exchangeable. In the worst case, in which every difference is larger than all before it, {} % of runs of {most} blocks make a false claim ({} drawn).",
                percent(*share),
                share.all
            );
        }
    }
    text + "\n"
}
