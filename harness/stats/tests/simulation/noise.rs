//! What boots look like: values around a level, with the noises that real hosts have.

use rand::RngExt as _;
use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng as _};
use stats::Block;

/// Where noise comes from.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Noise {
    /// Normal on the log scale.
    Normal,
    /// Student's t with two degrees of freedom on the log scale: no variance, and now and then a boot far out.
    HeavyTailed,
    /// Normal, and some boots lose an exponentially distributed part of their throughput: not symmetric.
    Lossy,
    /// Normal, on a level that wanders by a tenth of itself from block to block.
    Drifting,
}

pub(crate) const ALL: [Noise; 4] = [Noise::Normal, Noise::HeavyTailed, Noise::Lossy, Noise::Drifting];

pub(crate) struct Lab {
    random: ChaCha8Rng,
}

impl Lab {
    pub(crate) fn new(seed: u64) -> Self {
        Self { random: ChaCha8Rng::seed_from_u64(seed) }
    }

    /// Standard normal, by Box and Muller.
    pub(crate) fn normal(&mut self) -> f64 {
        (-2.0 * self.uniform().ln()).sqrt() * (std::f64::consts::TAU * self.uniform()).cos()
    }

    /// Uniform in (0, 1].
    fn uniform(&mut self) -> f64 {
        1.0 - self.random.random::<f64>()
    }

    fn noise(&mut self, noise: Noise) -> f64 {
        let normal = self.normal();
        match noise {
            Noise::Normal | Noise::Drifting => normal,
            // Chi squared with two degrees of freedom, over two, is a standard exponential.
            Noise::HeavyTailed => normal / (-self.uniform().ln()).sqrt(),
            Noise::Lossy if self.uniform() < 0.2 => normal + 5.0 * self.uniform().ln(),
            Noise::Lossy => normal,
        }
    }

    /// `boots` blocks of two arms whose boots spread by `spread` (a fraction), with the candidate changed by `change`.
    pub(crate) fn blocks(&mut self, boots: u32, noise: Noise, spread: f64, change: f64) -> Vec<Block> {
        let mut level = 9.4e9_f64.ln();
        let blocks = (0..boots).map(|_| {
            if matches!(noise, Noise::Drifting) {
                level += 0.1 * self.normal();
            }
            let baseline = level + spread * self.noise(noise);
            let candidate = level + spread * self.noise(noise) + change.ln_1p();
            Block::both(baseline.exp(), candidate.exp())
        });
        blocks.collect()
    }
}
