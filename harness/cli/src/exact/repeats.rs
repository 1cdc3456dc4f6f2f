//! Whether a replay of exact evidence counts what the run in the bundle counted.

use measure::BuildEnd;
use plan::Evidence;
use report::{AgreementClaim, Agrees};
use store::Stored;

use super::counted::{Alike, Counted};
use crate::failure::Failure;

/// One claim for each boot of the replay of which the bundle has the same replicate, and whose kernel is the same to the byte.
pub(crate) fn repeats(then: &Stored, now: &Stored) -> Result<Vec<AgreementClaim>, Failure> {
    let plan = &now.file.plan;
    let mut claims = Vec::new();
    if plan.evidence() == Evidence::Timed || then.file.plan.evidence() == Evidence::Timed {
        return Ok(claims);
    }
    let image = |stored: &Stored, arm: &str| match stored.file.kernels.get(arm).map(|kernel| &kernel.build) {
        Some(BuildEnd::Built(image)) => Some(image.image_sha256.clone()),
        _ => None,
    };
    for record in &now.trials {
        let Some(perturbation) = runner::perturbation(plan, record.block) else { continue };
        let before = then.trials.iter().find(|before| {
            before.arm == record.arm
                && runner::perturbation(&then.file.plan, before.block) == Some(perturbation)
        });
        let Some(before) = before else { continue };
        let what = format!("arm {}, {}", record.arm, perturbation.name());
        let (Some(old), Some(new)) = (
            Counted::read(&then.folder, &then.file, before.index, &before.arm)?,
            Counted::read(&now.folder, &now.file, record.index, &record.arm)?,
        ) else {
            // A boot that was not measured is the arms' part.
            continue;
        };
        if image(then, &record.arm) != image(now, &record.arm) {
            claims.push(AgreementClaim {
                what,
                then: "counts of another image".to_owned(),
                now: "not compared digit by digit".to_owned(),
                agrees: Agrees::Unclear,
                reason: Some("the kernel came out differently".to_owned()),
            });
            continue;
        }
        let old = old.with_map_of(&new);
        claims.push(match old.compare(&new)? {
            Alike::Same(amount) => AgreementClaim {
                what,
                then: amount.to_string(),
                now: "the same in every count".to_owned(),
                agrees: Agrees::Yes,
                reason: None,
            },
            differs => AgreementClaim {
                what,
                then: "counts of this very image".to_owned(),
                now: "other counts".to_owned(),
                agrees: Agrees::No,
                reason: Some(differs.to_string()),
            },
        });
    }
    Ok(claims)
}
