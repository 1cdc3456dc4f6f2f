//! What a boot of exact evidence is begun with, so that a verdict does not hang on one chance.

use serde::{Deserialize, Serialize};

/// What shifts times, random numbers and memory of one replicate. Two boots of one kernel with the same perturbation execute the
/// same instructions.
///
/// Code stays where it is: an instruction is one instruction at any address.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Perturbation {
    /// The replicate's number; 0 is not perturbed.
    pub number: u32,
    /// QEMU's `-seed`: all random numbers of the guest come from it, and with them TCP's initial sequence numbers, hash seeds
    /// and the layout of processes.
    pub seed: u32,
    /// How long the agent waits before the workloads, in microseconds of the guest's clock: where in a timer tick they begin.
    pub start_us: u32,
    /// Pipes and pairs of sockets, with data in them, that the agent makes before the workloads; every third stays, so
    /// that free pages and objects of slabs have gaps between them.
    pub held: u32,
    /// A file of so many KiB in the initramfs: what is allocated after it has other addresses.
    pub layout_kib: u32,
    /// How long the wire between two NICs holds what is sent at most, in microseconds of the guest's clock: it delivers whenever so
    /// much time has passed. 0 is at once; where there is no wire, it means nothing.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub link_us: u32,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
fn is_zero(count: &u32) -> bool {
    *count == 0
}

impl Perturbation {
    /// `p3`.
    #[must_use]
    pub fn name(&self) -> String {
        format!("p{}", self.number)
    }
}

impl std::fmt::Display for Perturbation {
    /// `p3: seed 17, start +412 us, 57 pipes and sockets, layout +96 KiB, link +213 us`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { number, seed, start_us, held, layout_kib, link_us } = self;
        write!(f, "p{number}: seed {seed}")?;
        if (*start_us, *held, *layout_kib, *link_us) == (0, 0, 0, 0) {
            return f.write_str(", not perturbed");
        }
        write!(f, ", start +{start_us} us, {held} pipes and sockets, layout +{layout_kib} KiB")?;
        if *link_us > 0 { write!(f, ", link +{link_us} us") } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_replicate_says_all_that_it_is() {
        let plain = Perturbation { seed: 1, ..Perturbation::default() };
        assert_eq!(plain.to_string(), "p0: seed 1, not perturbed");
        let third = Perturbation { number: 3, seed: 17, start_us: 412, held: 57, layout_kib: 96, link_us: 0 };
        let text = "p3: seed 17, start +412 us, 57 pipes and sockets, layout +96 KiB";
        assert_eq!(third.to_string(), text);
        assert_eq!(Perturbation { link_us: 213, ..third }.to_string(), format!("{text}, link +213 us"));
        assert_eq!(third.name(), "p3");
    }
}
