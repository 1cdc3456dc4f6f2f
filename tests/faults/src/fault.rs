//! What a fault is: data about it, and the one function that injects it.

use anyhow::Result;
use rand::RngExt as _;
use rand_chacha::ChaCha12Rng;

use crate::{child::Said, scene::Scene, world::World};

/// A fault of the matrix, defined once.
#[derive(Clone, Copy)]
pub(crate) struct Fault {
    /// Names it on the command line.
    pub(crate) name: &'static str,
    /// What is done, and when, in words for the table.
    pub(crate) injected: &'static str,
    /// What is broken.
    pub(crate) scene: Scene,
    /// How often in the short form; 0 leaves it to the whole matrix.
    pub(crate) short: u32,
    /// How often in the whole matrix.
    pub(crate) whole: u32,
    /// How the command that met the fault must end.
    pub(crate) ends: &'static [Ending],
    /// What it must say, on either stream: the line that holds this is shown in the table; what stands between `|` are
    /// several things, of which one will do. Empty if nobody is left to say anything.
    pub(crate) says: &'static str,
    /// What the user does then.
    pub(crate) then: Then,
    /// Does it, to the end of the command that meets it.
    pub(crate) inject: Inject,
}

/// Breaks something, and gives what the command that met it said.
pub(crate) type Inject = fn(&mut World, &mut Chance) -> Result<Said>;

/// Where in a run a fault hits: a random number generator with the seed that is printed, and how far the matrix is.
pub(crate) struct Chance {
    pub(crate) random: ChaCha12Rng,
    /// Of the fault's rounds, from 0.
    pub(crate) round: u32,
    /// Rounds in all.
    pub(crate) of: u32,
    /// What the generator began with.
    pub(crate) seed: u64,
    /// Whether the short form was asked for: sweeps then take larger steps.
    pub(crate) short: bool,
    /// What a sweep injected in this round, where that is more than one fault.
    pub(crate) injections: u32,
}

impl Chance {
    /// The index of a trial in the first two thirds of a run: one after which there is something left to break.
    pub(crate) fn trial(&mut self, world: &World) -> u32 {
        let trials = u32::try_from(world.scene.trials()).unwrap_or(u32::MAX);
        self.random.random_range(0..trials * 2 / 3)
    }
}

/// How a command ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// With this exit status.
    Exit(i32),
    /// By SIGKILL.
    Killed,
}

/// What the user does after a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Then {
    /// `assay run --resume`, or the same command again if no run had begun. Everything that was finished must be there, byte for
    /// byte, and the verdict must be that of a run that nobody disturbed.
    Resume,
    /// The same command again, which must end as if nothing had happened.
    Again,
    /// Nothing: the command went on to its end.
    Nothing,
}

impl std::fmt::Display for Ending {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Exit(code) => write!(f, "exit {code}"),
            Self::Killed => f.write_str("killed"),
        }
    }
}
