//! `--replicate`: one replicate of exact evidence, to repeat just that one.

use plan::{Evidence, Plan};

use crate::failure::Failure;

/// Most replicates that can be asked for by number.
const MOST: u32 = 1_000_000;

/// `3` or `p3`.
pub(crate) fn number(text: &str) -> Result<u32, String> {
    let digits = text.strip_prefix('p').unwrap_or(text);
    match digits.parse() {
        Ok(number) if number <= MOST && !digits.starts_with('+') => Ok(number),
        _ => Err(format!("expected a replicate's number, such as 3 or p3, up to {MOST}")),
    }
}

/// Makes the plan one of these replicates alone, if some are asked for.
pub(crate) fn choose(plan: &mut Plan, numbers: &[u32]) -> Result<(), Failure> {
    if numbers.is_empty() {
        return Ok(());
    }
    if plan.evidence() == Evidence::Timed {
        return Err(Failure::user(format!(
            "assay: --replicate: the evidence of {} is timed, and times do not repeat; only `evidence: exact` has replicates",
            plan.name
        )));
    }
    plan.design.boots = u32::try_from(numbers.len()).unwrap_or(u32::MAX);
    plan.design.replicates = numbers.to_vec();
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_replicate_is_asked_for_as_it_is_called() {
        assert_eq!((number("3"), number("p12")), (Ok(3), Ok(12)));
        for wrong in ["", "p", "-1", "+3", "q3", "1000001"] {
            assert!(number(wrong).unwrap_err().contains("p3"), "{wrong}");
        }
    }
}
