//! The searches for culprits, and their table.

use bisect::{Policy, Weigh};

use super::{
    Boots, COSTS, Fared, NOISE, SLOWER, Worlds, git_bisect, posterior_bisect,
    world::{COMMITS, UNBUILDABLE},
};
use crate::{Share, float, in_parallel};

/// Repeats that are tried for `git bisect`, until as many searches are right as Assay's.
const REPEATS: [usize; 6] = [10, 14, 18, 22, 26, 30];
/// Thresholds that are tried for syzkaller's rule.
const ABOVE: [f64; 3] = [1.2, 1.4, 1.6];
/// Boots of each test of a search that ignores costs.
const BATCHES: [u32; 3] = [1, 2, 4];
/// Of searches in which nothing changed, a part will do: they are long.
const UNCHANGED_PART: usize = 20;

/// One way to search.
#[derive(Clone, Copy, Debug)]
enum Way {
    Assay,
    Unchanged,
    IgnoresCosts(u32),
    Git(usize),
    Syzkaller(f64),
}

impl Way {
    fn all() -> Vec<Self> {
        let mut all = vec![Self::Assay, Self::Unchanged];
        all.extend(BATCHES.map(Self::IgnoresCosts));
        all.extend(REPEATS.map(Self::Git));
        all.extend(ABOVE.map(Self::Syzkaller));
        all
    }

    fn search(self, histories: usize, seed: u64) -> Fared {
        match self {
            Self::Assay => posterior_bisect(Worlds::Plain, &Policy::default(), histories, seed),
            Self::Unchanged => {
                posterior_bisect(Worlds::Unchanged, &Policy::default(), histories / UNCHANGED_PART, seed)
            }
            Self::IgnoresCosts(boots) => {
                let most = Policy::default();
                // The fewer boots a test has, the more of them may be worth it.
                let larger = most.batches.last().map_or(1.0, |last| f64::from(*last) / f64::from(boots));
                let most_visits = larger * most.most_visits;
                let policy = Policy { weigh: Weigh::Boots, batches: vec![boots], most_visits, ..most };
                posterior_bisect(Worlds::Plain, &policy, histories, seed)
            }
            Self::Git(each) => git_bisect(Worlds::Plain, Boots::Mean { each, ends: each }, histories, seed),
            Self::Syzkaller(above) => git_bisect(Worlds::Plain, Boots::Any { above }, histories, seed),
        }
    }

    fn name(self) -> String {
        match self {
            Self::Assay => "Assay".to_owned(),
            Self::Unchanged => "Assay, nothing changed".to_owned(),
            Self::IgnoresCosts(1) => "posterior that ignores costs, a boot at a time".to_owned(),
            Self::IgnoresCosts(boots) => format!("posterior that ignores costs, {boots} boots at a time"),
            Self::Git(each) => format!("`git bisect`, mean of {each} boots"),
            Self::Syzkaller(above) => {
                format!("syzkaller's rule, 10 boots, bad above {above} of the change")
            }
        }
    }
}

/// Searches `histories` histories in every way, and gives the section of the table.
#[must_use]
pub fn culprits(histories: usize, progress: impl Fn(usize, usize) + Sync) -> String {
    let ways = Way::all();
    let fared = in_parallel(&ways, |way| way.search(histories, 0xb15e), progress);
    let ours = fared[0].clone();
    let mut text = head(histories, &fared[1]);
    text += "| way | right, % | seconds | builds | boots | Assay's seconds over these |\n|---|--:|--:|--:|--:|--:|\n";
    for (way, fared) in ways.iter().zip(&fared).filter(|(way, _)| !matches!(way, Way::Unchanged)) {
        text += &format!(
            "| {} | {:.1} | {:.0} | {:.1} | {:.1} | {:.2} |\n",
            way.name(),
            100.0 * fared.right.value(),
            fared.seconds,
            fared.builds,
            fared.boots,
            ours.seconds / fared.seconds
        );
    }
    text
}

fn head(histories: usize, unchanged: &Fared) -> String {
    let Share { of, all } = unchanged.right;
    format!(
        "\n## Which commit did it\n\n\
         {histories} histories of {} to {} commits, one in eight of them a merge. One commit makes everything after it {} % worse, at {} % of noise between boots; {} % do not\n\
         build. Crate `bisect`, as `assay bisect` calls it, ends at 95 %; it knows the noise, and not the change. *Right* is the culprit, or just the set of commits that nobody can tell\n\
         from it since none between them builds; two standard errors of so many at 95 % are {:.1} points. In {all} further histories nothing changed; no commit was named in {of} of them.\n\n\
         Costs, the same for all: a full build {:.0} s, the first one; later ones {:.0} to {:.0} s from the objects that stand there, with the logarithm of how many commits lie between\n\
         (1 to {:.0}); one that fails takes as long; an image that was built is kept; boot and load {:.0} s. Both ends are built and booted first, and that counts.\n\n\
         `git bisect` calls a commit bad if the mean of its boots is nearer to the bad end's; the first row that is right as often as Assay has the repeats that it needs, and if none is, it needs more than the last. A\n\
         posterior that ignores costs takes the test that tells most for each boot. Boots, and the one full build, are needed by all: what minding costs can save is in the later builds. syzkaller's rule (`pkg/bisect`) is made for crashes: ten boots of a commit, twenty of the first,\n\
         bad if any is; what is bad is a value above a share of the change, whose size it is granted. Noise of two thirds of the change is beyond it, and that is no fault of a rule for crashes.\n\n",
        COMMITS.0,
        COMMITS.1,
        100.0 * SLOWER,
        100.0 * NOISE,
        100.0 * UNBUILDABLE,
        200.0 * (0.05 * 0.95 / float(histories)).sqrt(),
        COSTS.full_build,
        COSTS.least_build,
        COSTS.most_build,
        COSTS.far,
        COSTS.boot,
    )
}
