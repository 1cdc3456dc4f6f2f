//! What a search found, for people, for programs, and for git.

use std::{fmt::Write as _, time::Duration};

use ::bisect::{Conclusion, GOOD, Posterior, Search};
use plan::Evidence;
use serde_json::json;

use super::{
    evidence::gate,
    state::{Asked, By, Found, Unit, Visit},
};
use crate::progress::rough;

/// A node that is bad or good with this probability is called so in the log for git.
const CALLED: f64 = 0.95;

/// How a search came to its end.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Ended {
    Concluded(Conclusion),
    /// The next visit is expected to take longer than is left.
    OutOfBudget {
        next_seconds: f64,
    },
}

/// Everything that is told.
#[derive(Debug)]
pub(super) struct Told<'a> {
    pub(super) asked: &'a Asked,
    pub(super) visits: &'a [Visit],
    pub(super) search: &'a Search,
    pub(super) ended: Ended,
    /// Whether it is known what null patches do to these counts.
    pub(super) is_calibrated: bool,
}

impl Told<'_> {
    /// For people.
    pub(super) fn text(&self) -> String {
        let posterior = self.search.posterior();
        let mut text = self.verdict(&posterior);
        text += "\n\n";
        text += "What was tested\n";
        text += &self.table(&posterior, self.visits);
        text += "\n";
        text += &spent(self.asked, self.visits);
        text += "\n\nWhat this cannot see\n";
        for blind in self.blind() {
            // Writing to a string cannot fail.
            let _ = writeln!(text, "  - {blind}");
        }
        if self.asked.is_git {
            text += "\nFor git (git bisect replay FILE)\n";
            text += &self.git_log(&posterior);
        }
        text
    }

    pub(super) fn name(&self, node: usize) -> String {
        let node = &self.asked.nodes[node];
        let short: String =
            if self.asked.is_git { node.name.chars().take(12).collect() } else { node.name.clone() };
        if short == node.title { short } else { format!("{short} {}", node.title) }
    }

    pub(super) fn verdict(&self, posterior: &Posterior) -> String {
        let culprits = self.search.culprits(posterior);
        let named: Vec<String> =
            culprits.commits.iter().map(|node| format!("\n  {}", self.name(*node))).collect();
        let it = match named.len() {
            1 => "the culprit",
            _ => "one of these, between which nothing that can be tested tells",
        };
        let percent = percent(culprits.probability);
        match &self.ended {
            Ended::Concluded(Conclusion::Found(_)) => format!("With {percent} it is {it}:{}", named.concat()),
            Ended::Concluded(Conclusion::NothingInRange { probability }) => format!(
                "With {} nothing in the range did it: both ends are alike",
                self::percent(*probability)
            ),
            Ended::Concluded(Conclusion::EndUntestable(node)) => {
                let why =
                    self.visits.iter().find(|visit| visit.node == *node).map(|visit| describe(&visit.found));
                let end = if *node == GOOD { "good" } else { "bad" };
                format!("The {end} end cannot be tested: {}", why.unwrap_or_default())
            }
            Ended::Concluded(Conclusion::Exhausted(_)) => {
                let why = if self.search.is_believed() {
                    "no test would tell enough to be worth it"
                } else {
                    "tests tell far less than they should: kernels are of more than two kinds, or noisier than they seem"
                };
                format!("Not decided, and {why}. With {percent} it is {it}:{}", named.concat())
            }
            Ended::OutOfBudget { next_seconds } => format!(
                "Not decided yet: the next visit is expected to take {}, which is more than is left.\nSo far, with {percent} it is {it}:{}",
                rough(Duration::from_secs_f64(*next_seconds)),
                named.concat()
            ),
        }
    }

    /// A line or two for each of some visits.
    pub(super) fn table(&self, posterior: &Posterior, visits: &[Visit]) -> String {
        let mut text = String::new();
        for visit in visits {
            let bad = self.is_bad(posterior, visit.node);
            text += &row(&self.name(visit.node), visit, Some(bad));
        }
        text
    }

    fn is_bad(&self, posterior: &Posterior, node: usize) -> f64 {
        let history = self.search.history();
        (1..history.nodes())
            .filter(|commit| history.carries(node, *commit))
            .map(|commit| posterior.of[commit])
            .sum()
    }

    pub(super) fn blind(&self) -> Vec<String> {
        let mut blind = Vec::from(if self.asked.subset {
            ["a second set that does it as well, and a unit that undoes it: whatever has all of the set is taken to be bad"]
        } else {
            ["what needs two of them together is found at the later one; of several culprits one is named"]
        }.map(str::to_owned));
        if self.asked.units.iter().any(|unit| matches!(unit, Unit::Option { .. })) {
            blind.push(
                "options that do not stand without later ones: nodes before these are passed over".to_owned(),
            );
            blind.push(
                "what kconfig sets by itself in consequence of an option: it counts as that option's work"
                    .to_owned(),
            );
        }
        if let Some(gate) = gate(self.asked) {
            blind.push(format!("changes of less than {:.2} % (the gate's margin)", 100.0 * gate.margin));
        }
        match (&self.asked.by, self.asked.plan.evidence()) {
            (By::Metric { .. }, Evidence::Timed) => blind.push(
                "visits are of different times: a host that became slower meanwhile looks like a commit that did; `assay run` of the culprit against its parent compares them in the same blocks".to_owned(),
            ),
            (By::Metric { .. }, Evidence::Exact) => {
                blind.push("caches, contention between processors, interrupts between them, the time of devices".to_owned());
                if !self.is_calibrated {
                    blind.push("how far patches that change no work move these counts is not known, and taken for 0.1 % (remedy: assay calibrate --exact)".to_owned());
                }
            }
            (By::Tests { .. }, _) => {
                blind.push("tests that also failed at the good end, and tests that are skipped".to_owned());
            }
            (By::Crash, _) => blind.push("which crash it is: any one is bad".to_owned()),
        }
        blind
    }

    /// As `git bisect log` prints it. Noisy answers stand there as what they came to.
    fn git_log(&self, posterior: &Posterior) -> String {
        let nodes = &self.asked.nodes;
        let last = nodes.len() - 1;
        let mut log = format!("git bisect start '{}' '{}'\n", nodes[last].name, nodes[GOOD].name);
        let mut told = vec![GOOD, last];
        for visit in self.visits {
            let node = visit.node;
            if told.contains(&node) {
                continue;
            }
            told.push(node);
            let bad = self.is_bad(posterior, node);
            let word = match &visit.found {
                Found::Untestable { .. } => "skip",
                _ if bad >= CALLED => "bad",
                _ if bad <= 1.0 - CALLED => "good",
                _ => {
                    let _ = writeln!(log, "# not decided: [{}] {}", nodes[node].name, nodes[node].title);
                    continue;
                }
            };
            let _ = writeln!(
                log,
                "# {word}: [{0}] {1}\ngit bisect {word} {0}",
                nodes[node].name, nodes[node].title
            );
        }
        if let Ended::Concluded(Conclusion::Found(culprits)) = &self.ended {
            let word =
                if culprits.commits.len() == 1 { "first bad commit" } else { "possible first bad commit" };
            for commit in &culprits.commits {
                let _ = writeln!(log, "# {word}: [{}] {}", nodes[*commit].name, nodes[*commit].title);
            }
        }
        log
    }

    /// For programs.
    pub(super) fn json(&self) -> serde_json::Value {
        let posterior = self.search.posterior();
        let culprits = self.search.culprits(&posterior);
        let ended = match &self.ended {
            Ended::Concluded(Conclusion::Found(_)) => "found",
            Ended::Concluded(Conclusion::NothingInRange { .. }) => "nothing-in-range",
            Ended::Concluded(Conclusion::EndUntestable(_)) => "end-untestable",
            Ended::Concluded(Conclusion::Exhausted(_)) => "exhausted",
            Ended::OutOfBudget { .. } => "out-of-budget",
        };
        let named = |node: &usize| {
            let node_of = &self.asked.nodes[*node];
            json!({ "name": node_of.name, "title": node_of.title, "probability": posterior.of[*node] })
        };
        json!({
            "format": 1,
            "ended": ended,
            "culprits": culprits.commits.iter().map(named).collect::<Vec<_>>(),
            "probability": culprits.probability,
            "nothing_in_range": posterior.nothing(),
            "visits": self.visits,
            "cannot_see": self.blind(),
            "git_bisect_log": self.asked.is_git.then(|| self.git_log(&posterior)),
        })
    }
}

/// What a visit found and took, with how probably its node is bad if that is said.
pub(super) fn row(name: &str, visit: &Visit, bad: Option<f64>) -> String {
    format!(
        "  {name}\n      {};{} build {:.0} s, boots {:.0} s ({})\n",
        describe(&visit.found),
        bad.map(|bad| format!(" bad with {};", percent(bad))).unwrap_or_default(),
        visit.build_seconds,
        visit.boot_seconds,
        visit.run
    )
}

/// What was run, and what it took.
pub(super) fn spent<'a>(asked: &Asked, visits: impl IntoIterator<Item = &'a Visit>) -> String {
    let visits: Vec<&Visit> = visits.into_iter().collect();
    // The sum of no numbers is -0, which is shown as 0.
    let build = visits.iter().map(|visit| visit.build_seconds).sum::<f64>() + 0.0;
    let boots: u32 = visits.iter().map(|visit| visit.boots).sum();
    let boot = visits.iter().map(|visit| visit.boot_seconds).sum::<f64>() + 0.0;
    let built = visits.iter().filter(|visit| visit.build_seconds >= 1.0).count();
    format!(
        "{}; {} visits, {built} builds in {build:.0} s, {boots} boots in {boot:.0} s",
        count(asked),
        visits.len()
    )
}

/// How much is searched.
pub(super) fn count(asked: &Asked) -> String {
    let what = match asked.units.first() {
        Some(Unit::Option { .. }) => "options",
        Some(Unit::Word { .. }) => "words",
        Some(Unit::Patch { .. }) | None => "commits or patches",
    };
    let all = if asked.units.is_empty() { asked.nodes.len() - 1 } else { asked.units.len() };
    format!("{all} {what}")
}

fn describe(found: &Found) -> String {
    match found {
        Found::Values { values } if values.is_empty() => "no value".to_owned(),
        Found::Values { values } => {
            let mut sorted: Vec<f64> = values.iter().map(|(_, value)| *value).collect();
            sorted.sort_unstable_by(f64::total_cmp);
            format!("{} boots, median {:.4e}", sorted.len(), sorted[sorted.len() / 2])
        }
        Found::Crashes { failed, passed } => format!("{failed} of {} boots crashed", failed + passed),
        Found::Tests { failing } => {
            let failed = failing.iter().filter(|tests| !tests.is_empty()).count();
            format!("tests failed in {failed} of {} boots", failing.len())
        }
        Found::Untestable { reason } => {
            format!("cannot be tested: {}", in_a_line(reason))
        }
    }
}

/// The first line of a reason, and the next one if that is only its heading.
pub(super) fn in_a_line(reason: &str) -> String {
    let mut lines = reason.lines().map(str::trim);
    match (lines.next().unwrap_or_default(), lines.next()) {
        (first, Some(next)) if first.ends_with(':') => format!("{first} {next}"),
        (first, _) => first.to_owned(),
    }
}

pub(super) fn percent(probability: f64) -> String {
    // What rounds to certainty is not certain. The sum of no shares is -0, which is shown as 0.
    let percent = (100.0 * probability).clamp(0.0, 99.9) + 0.0;
    format!("{percent:.1} %")
}
