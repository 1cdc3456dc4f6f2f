//! `replay.json`: that a run repeats one of a bundle, and how.

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::{StoreError, durable};

/// The file beside `run.json`.
const FILE: &str = "replay.json";

/// Version of this file's form.
const FORMAT: u32 = 1;

/// What a run repeats.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Replay {
    format: u32,
    /// The bundle, as it was named.
    pub bundle: String,
    /// sha256 of the bundle's manifest.
    pub digest: String,
    /// The run in it.
    pub run: String,
    /// What was booted.
    pub images: ReplayImages,
}

/// What a replay boots.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ReplayImages {
    /// The bundle's own, by checksum.
    Same,
    /// Built again from the sources that the bundle names.
    Rebuilt,
}

impl ReplayImages {
    /// In words.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::Same => "same images",
            Self::Rebuilt => "rebuilt",
        }
    }
}

impl Replay {
    /// Of these parts.
    #[must_use]
    pub fn new(bundle: String, digest: String, run: String, images: ReplayImages) -> Self {
        Self { format: FORMAT, bundle, digest, run, images }
    }

    /// Keeps it with the run in `folder`.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn keep(&self, folder: &Path) -> Result<(), StoreError> {
        let text = serde_json::to_vec_pretty(self).expect("a replay has string keys only");
        durable::publish(&folder.join(FILE), &text)
    }

    /// What the run in `folder` repeats; none if it is no replay.
    ///
    /// # Errors
    /// If it is damaged or of a newer form.
    pub fn of_run(folder: &Path) -> Result<Option<Self>, StoreError> {
        crate::read::versioned(&folder.join(FILE), FORMAT)
    }
}
