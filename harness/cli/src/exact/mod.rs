//! What is done with exact counts beside judging them: comparing them digit by digit, and measuring what no change does to them.

mod calibrate;
mod calibrated;
mod compare;
mod counted;
mod repeats;

pub(crate) use calibrate::calibrate;
pub(crate) use calibrated::{Calibrations, FILE as CALIBRATION, keep, of_run};
pub(crate) use compare::compare;
pub(crate) use repeats::repeats;
