//! Runs on disk: what was planned, every raw sample, every tool's output, written as trials end.
//!
//! ```text
//! RESULTS/RUN/run.json             plan, kernels, host; format version
//!             samples.jsonl        one sample a line, synced before its trial counts as finished
//!             trials/N/trial.json  how the trial went; its presence means that the trial is finished
//!             trials/N/*.log       consoles
//!             trials/N/raw/        the tools' own output
//!             environment.json     QEMU and the files that guests booted, by checksum
//!             replay.json          that it repeats the run of a bundle, if it does
//!             imported.json        the files that it was imported from, if it was, and what could not be read of them
//!             noise.json           what was known of identical arms on the machine, if it was calibrated
//!             inputs/              the scenario as written, and what the plan names by checksum, by that checksum
//!             lock                 held by the process that writes
//!             builds/              logs of kernel builds; alone in its folder, the leftover of an interrupted build
//!         index.sqlite             what is known of all runs: a cache
//! ```
//!
//! A trial is published by the atomic rename of its `trial.json`, after its samples were synced. Whatever is there
//! without one is from an interrupted trial: readers pass over it and [`Run::resume`] removes it.
//!
//! Invariant: keeps and gives back; judges nothing.

mod claim;
mod durable;
mod environment;
mod error;
mod finished;
mod imported;
mod index;
mod lock;
mod read;
mod record;
mod replay;
mod run;
mod samples;

pub use claim::{Claim, building, is_busy, leftovers, remove_leftover};
pub use environment::{BootRecord, Environment, FileRecord, QemuBuild};
pub use error::StoreError;
pub use imported::{Imported, ImportedFile, LineComplaint};
pub use index::{
    ArmEntry, Ask, Contents, GateEntry, Index, RunEntry, SeriesEntry, SeriesQuery, State, StoredSeries,
    consult,
};
pub use read::{Stored, list, newest, read};
pub use record::{ArmKernel, Bench, GuestRoot, Host, RunFile};
pub use replay::{Replay, ReplayImages};
pub use run::Run;
pub use rusqlite::Error as SqliteError;

/// Version of the layout and of `run.json`. A newer one is refused, an older one is read. 2 added matrices to the plan;
/// 3 says in each trial's record how many samples it has.
pub const FORMAT: u32 = 3;
