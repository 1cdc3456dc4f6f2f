//! `imported.json`: that a run was imported, from which files, and what of them could not be read.

use std::{collections::BTreeMap, path::Path};

use serde::{Deserialize, Serialize};

use crate::{StoreError, durable, list};

/// The file beside `run.json`.
const FILE: &str = "imported.json";

/// Version of this file's form.
const FORMAT: u32 = 1;

/// What a run was imported from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Imported {
    format: u32,
    /// As it was named: a file or a folder.
    pub from: String,
    /// In the order in which they were read. Each is kept in `inputs/`, by its checksum.
    pub files: Vec<ImportedFile>,
}

/// A file that was imported.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ImportedFile {
    /// Its path below what was named.
    pub name: String,
    /// Of its bytes, in hexadecimal.
    pub sha256: String,
    /// How many they are.
    pub bytes: u64,
    /// What it was recognised as.
    pub formats: Vec<String>,
    /// How many numbers were read of it.
    pub numbers: usize,
    /// What could not be read.
    pub complaints: Vec<LineComplaint>,
    /// Complaints beyond those.
    pub more_complaints: usize,
}

/// Something that could not be read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LineComplaint {
    /// From 1.
    pub line: usize,
    /// Why not.
    pub message: String,
}

impl Imported {
    /// Of these files.
    #[must_use]
    pub fn new(from: String, files: Vec<ImportedFile>) -> Self {
        Self { format: FORMAT, from, files }
    }

    /// Keeps it with the run in `folder`.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn keep(&self, folder: &Path) -> Result<(), StoreError> {
        let text = serde_json::to_vec_pretty(self).expect("an import has string keys only");
        durable::publish(&folder.join(FILE), &text)
    }

    /// What the run in `folder` was imported from; none if it was not.
    ///
    /// # Errors
    /// If it is damaged or of a newer form.
    pub fn of_run(folder: &Path) -> Result<Option<Self>, StoreError> {
        crate::read::versioned(&folder.join(FILE), FORMAT)
    }

    /// Every file that a run in `results` was imported from, by checksum, with the run's name. Runs that cannot be read are passed
    /// over: they say what is wrong with them elsewhere.
    ///
    /// # Errors
    /// If the folder itself cannot be read.
    pub fn known(results: &Path) -> Result<BTreeMap<String, String>, StoreError> {
        let mut known = BTreeMap::new();
        for folder in list(results)? {
            let Ok(Some(imported)) = Self::of_run(&folder) else { continue };
            let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
            for file in imported.files {
                known.entry(file.sha256).or_insert_with(|| name.clone());
            }
        }
        Ok(known)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_imported_is_found_again_by_its_checksum() {
        let results = tempfile::tempdir().unwrap();
        let run = results.path().join("20260101-000000-x");
        std::fs::create_dir(&run).unwrap();
        std::fs::write(run.join("run.json"), "{}").unwrap();
        assert_eq!(Imported::of_run(&run).unwrap(), None);
        let file = ImportedFile {
            name: "a.txt".into(),
            sha256: "00ff".into(),
            bytes: 3,
            formats: vec!["iperf3".into()],
            numbers: 1,
            complaints: vec![LineComplaint { line: 2, message: "cut off".into() }],
            more_complaints: 0,
        };
        let imported = Imported::new("a.txt".into(), vec![file]);
        imported.keep(&run).unwrap();
        assert_eq!(Imported::of_run(&run).unwrap(), Some(imported));
        let known = Imported::known(results.path()).unwrap();
        assert_eq!(known, [("00ff".to_owned(), "20260101-000000-x".to_owned())].into());
        std::fs::write(run.join(FILE), r#"{"format": 2}"#).unwrap();
        assert!(matches!(Imported::of_run(&run), Err(StoreError::Newer { .. })));
        assert_eq!(Imported::known(results.path()).unwrap(), BTreeMap::new());
    }
}
