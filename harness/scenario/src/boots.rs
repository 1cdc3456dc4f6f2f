//! `boots`: a number, or as many as the data needs.

use plan::{Design, Evidence, Stop, TestGate};
use stats::Looks;

use crate::{
    fields::Fields,
    gate::PlacedGate,
    problem::Findings,
    schema::{BOOTS, Kind},
    tree::Value,
};

/// A plain number of boots.
const FIXED: Kind = Kind::Integer { min: 1, max: 1000 };

/// The most boots of each arm, and when no more are made.
pub(crate) fn boots(fields: &Fields<'_>, findings: &mut Findings) -> Option<(u32, Stop)> {
    let node = fields.value("boots", findings)?;
    if matches!(node.value, Value::Map(_)) {
        let boots = Fields::open(&node, &BOOTS, findings)?;
        let until = boots.word("until", findings);
        let most = boots.count("max", findings);
        return until.and(most).map(|most| (most, Stop::WhenDecided));
    }
    match FIXED.integer(&node) {
        Ok(boots) => u32::try_from(boots).ok().map(|boots| (boots, Stop::AtTheEnd)),
        Err(message) => {
            findings.add(
                &node.place,
                message,
                format!("{}, or {{ until: decided, max: N }}", FIXED.allowed()),
            );
            None
        }
    }
}

/// How many of the first and of the last boots do not count.
pub(crate) fn trim(
    fields: &Fields<'_>,
    boots: Option<(u32, Stop)>,
    evidence: Option<Evidence>,
    findings: &mut Findings,
) -> Option<u32> {
    let trim = fields.count("trim", findings)?;
    let (Some((boots, stop)), true) = (boots, trim > 0) else { return Some(trim) };
    let place = fields.place_of("trim");
    if evidence == Some(Evidence::Exact) {
        findings.add(
            &place,
            "`trim` with exact evidence, in which no boot is slower for being the first",
            "0",
        );
        return None;
    }
    if stop == Stop::WhenDecided {
        findings.add(
            &place,
            "`trim` with `until: decided`, which does not know its last boot before it is made",
            "0",
        );
        return None;
    }
    if trim.saturating_mul(2) >= boots {
        let message = format!("{trim} of the first and of the last of {boots} boots: none would count");
        findings.add(&place, message, format!("at most {}", boots.saturating_sub(1) / 2));
        return None;
    }
    Some(trim)
}

/// Refuses a run that stops when all is decided, but has nothing that looks after blocks can decide.
pub(crate) fn check_stop(
    fields: &Fields<'_>,
    design: &Design,
    evidence: Option<Evidence>,
    (gates, test_gates): (&[Option<PlacedGate>], &[Option<TestGate>]),
    comparisons: u32,
    findings: &mut Findings,
) {
    if design.stop.is_at_the_end() {
        return;
    }
    let place = fields.place_of("boots");
    let mut refuse = |message: &str, allowed: &str| findings.add(&place, message, allowed.to_owned());
    if gates.is_empty() {
        refuse(
            "`until: decided`, but no gate on a metric: there is nothing to decide",
            "a gate, or a number",
        );
        return;
    }
    if !test_gates.is_empty() {
        refuse("`until: decided` with a gate on tests, whose failures no level is held for", "a number");
    }
    if gates.iter().flatten().any(|gate| gate.traced) {
        refuse("`until: decided` with a gate on traced boots, which are made after all others", "a number");
    }
    if evidence == Some(Evidence::Exact) {
        refuse("`until: decided` with exact evidence, whose blocks are not drawn by chance", "a number");
    }
    let level = design.alpha / f64::from(comparisons.max(1));
    let first = |most: u32| Looks::new(usize::try_from(most).ok()?)?.first(level);
    if first(design.boots).is_none() {
        let enough = (design.boots..=64).find(|most| first(*most).is_some());
        let allowed = enough.map_or("fewer gates".to_owned(), |most| format!("max: at least {most}"));
        refuse(
            &format!(
                "{} boots cannot decide {comparisons} comparisons at level {} with a look after every block",
                design.boots, design.alpha
            ),
            &allowed,
        );
    }
}
