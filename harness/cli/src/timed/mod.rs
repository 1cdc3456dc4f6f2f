//! What identical arms do on this machine: measured by `assay calibrate`, and what runs are planned, read and compared by.

mod calibrate;
mod sessions;

pub(crate) use calibrate::calibrate;
pub(crate) use sessions::{FILE as NOISE, Sessions, keep, of_run};
