//! What builds and boots take.

/// Expected times in seconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Costs {
    /// A build where no tree stands yet.
    pub full_build: f64,
    /// A build of a tree from its neighbour's objects.
    pub least_build: f64,
    /// A build from objects that are [`Costs::far`] commits away or more.
    pub most_build: f64,
    /// From how many commits on a build takes the most.
    pub far: f64,
    /// A boot with its load, until its result is there.
    pub boot: f64,
}

impl Costs {
    /// What a build is expected to take from a tree so many commits away; none if no tree stands yet.
    ///
    /// It grows with the logarithm of the distance: a commit that touches a header compiles much by itself, and further commits compile much of the same again.
    #[must_use]
    pub fn build(&self, distance: Option<usize>) -> f64 {
        let Some(distance) = distance else { return self.full_build };
        let distance = distance.max(1);
        #[expect(clippy::cast_precision_loss, reason = "a number of commits")]
        let share = (distance as f64).ln() / self.far.max(2.0).ln();
        self.least_build + (self.most_build - self.least_build) * share.min(1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn builds_cost_more_from_afar_and_most_from_nothing() {
        let costs =
            Costs { full_build: 600.0, least_build: 30.0, most_build: 120.0, far: 1000.0, boot: 25.0 };
        assert_eq!(costs.build(None), 600.0);
        assert_eq!((costs.build(Some(1)), costs.build(Some(5000))), (30.0, 120.0));
        assert!(costs.build(Some(10)) < costs.build(Some(100)));
    }
}
