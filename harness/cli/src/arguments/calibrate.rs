//! Flags of `assay calibrate`.

use std::path::PathBuf;

use clap::Args;
use clap_complete::engine::ArgValueCandidates;

#[derive(Debug, Args)]
pub(crate) struct Calibrate {
    /// The scenario whose baseline, machine and workloads are calibrated: a file, or the name of one in the project's `scenarios/`.
    #[arg(required_unless_present = "from")]
    pub(crate) scenario: Option<PathBuf>,
    /// So many boots, half of them of each of two identical arms. With fewer than 60 little is known of false alarms.
    #[arg(long, value_name = "N", default_value_t = 60, value_parser = boots, conflicts_with_all = ["exact", "from"])]
    pub(crate) boots: u32,
    /// What is known already, without a boot.
    #[arg(long, conflicts_with_all = ["exact", "from", "boots"])]
    pub(crate) show: bool,
    /// Exact counts, which are calibrated by null patches.
    #[arg(long)]
    pub(crate) exact: bool,
    /// So many null patches. With fewer than 20 an unlucky patch exceeds all of them more often than once in 20 times.
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = patches, requires = "exact")]
    pub(crate) patches: usize,
    /// Take the numbers of this run of identical arms or of null patches, such as one that was interrupted and resumed.
    #[arg(long, value_name = "RUN", conflicts_with = "scenario", add = ArgValueCandidates::new(crate::complete::runs))]
    pub(crate) from: Option<PathBuf>,
    /// As JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

fn boots(text: &str) -> Result<u32, String> {
    match text.parse() {
        Ok(boots) if (12..=2_000).contains(&boots) && boots % 2 == 0 => Ok(boots),
        _ => Err("expected an even number from 12 to 2000".to_owned()),
    }
}

fn patches(text: &str) -> Result<usize, String> {
    let most = null_patches::most();
    match text.parse() {
        Ok(count) if (2..=most).contains(&count) => Ok(count),
        _ => Err(format!("expected a number from 2 to {most}")),
    }
}
