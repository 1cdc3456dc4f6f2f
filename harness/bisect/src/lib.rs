//! Which commit did it: a posterior over culprits, and the test that tells most for its time.
//!
//! *Data in.* A [`History`] with all its merges, a [`Question`] (values with a level, or boots that fail), what builds and boots cost ([`Costs`]), and what
//! tests found, node by node. *Data out.* The next [`Step`]: boot a node so many times, or an end with its [`Conclusion`].
//!
//! *Posterior.* Each commit is a hypothesis: it and all its descendants are bad. So is "nothing in the range did anything". Bayes' rule over all boots, with the unknown levels or rates
//! integrated out, says how probable each is. `git bisect` has to be right at each step, and repeats boots until it nearly is; a posterior remembers how sure it was.
//! That noisy answers cost no more than their information is due to Horstein (1963, IEEE Trans. Inf. Theory 9:136) and Burnashev and Zigangirov (1974, Probl.
//! Inf. Transm. 10:223); that it also holds on graphs to Emamjomeh-Zadeh, Kempe and Singhal (2016, STOC 48:519).
//!
//! *Next test.* The one whose expected information (Lindley 1956, Ann. Math. Statist. 27:986) is highest for each second that it takes: building a commit that lies near to the
//! tree that stands there is cheap, booting again what is built is cheaper.
//!
//! *Sets.* Where it takes several units together, [`Stage`] finds them one after the other, each by a search along a line in which what was found before is held in place: the
//! minimising of Zeller and Hildebrandt (2002, IEEE Trans. Softw. Eng. 28:183), with halving in the place of its partitions.
//!
//! *What cannot be tested* says nothing about the culprit: it is left out of the likelihood. Commits between which nothing can be tested are told as one set.
//!
//! Invariant: pure and without chance; no I/O, no clock, no knowledge of git, kernels or metrics.

#![deny(missing_docs)]

mod bits;
mod channel;
mod choice;
mod costs;
mod history;
mod levels;
mod posterior;
mod rates;
mod search;
mod stage;

pub use choice::{Policy, Weigh};
pub use costs::Costs;
pub use history::{GOOD, History, HistoryError, Node};
pub use levels::{Level, Noise};
pub use posterior::{Posterior, Seen};
pub use rates::{Boots, Failing};
pub use search::{Conclusion, Culprits, Question, Search, Step};
pub use stage::{After, Stage, Unit};
