//! Runs a plan's trials in seeded randomised blocks, with a deadline on everything, and tells what happens as events.
//!
//! Invariant: knows neither how results are stored nor how progress is shown; the [`Keeper`] does.

mod again;
mod axis;
mod budget;
mod complaints;
mod event;
mod exact;
mod execute;
mod passes;
mod replicate;
mod roi;
mod round;
mod schedule;
mod trial;

pub use budget::{Budget, Fit, Pace, fit};
pub use complaints::complaints;
pub use event::Event;
pub use exact::{COUNTS_FILE, MODULES_FILE, module_symbols};
pub use execute::{Finish, KeepError, Keeper, Power, RunError, Setup, execute, given_up};
pub use replicate::perturbation;
pub use schedule::{Trial, schedule};
