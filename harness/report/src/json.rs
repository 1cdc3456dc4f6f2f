//! The report as JSON. `FORMAT.md` beside this crate describes every key.

use serde::{Deserialize, Serialize};

use crate::{Conclusion, Model, conclude, remarks};

/// The version of the document. It grows when a key changes its meaning or goes away, not when one is added.
pub const FORMAT: u32 = 1;

/// The whole document.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Document {
    /// [`FORMAT`] of the writer.
    pub format: u32,
    /// The result and its reasons.
    pub conclusion: Conclusion,
    /// What must be known to read the numbers rightly.
    pub remarks: Vec<String>,
    /// Everything else.
    pub model: Model,
}

/// The report as indented JSON, with a newline at its end.
///
/// # Errors
/// If a path in the model is not Unicode: JSON cannot hold it.
pub fn json(model: &Model) -> Result<String, serde_json::Error> {
    let document = Document {
        format: FORMAT,
        conclusion: conclude(model),
        remarks: remarks(model),
        model: model.clone(),
    };
    Ok(serde_json::to_string_pretty(&document)? + "\n")
}
