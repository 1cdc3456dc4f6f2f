//! The promises of the statistics, checked by seeded simulation: how often they are wrong, and how often they find what is
//! there.

mod between_runs;
mod errors;
mod invariance;
mod noise;
mod power;

/// The most often that something of probability `p` may be seen in `draws` draws: four standard errors of the binomial,
/// so that each check has less than one chance in ten thousand to fail for a correct program (and the seeds are fixed).
fn at_most(p: f64, draws: u32) -> f64 {
    p + 4.0 * (p * (1.0 - p) / f64::from(draws)).sqrt()
}

fn share(counted: u32, draws: u32) -> f64 {
    f64::from(counted) / f64::from(draws)
}
