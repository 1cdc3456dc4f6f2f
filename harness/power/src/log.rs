//! The log of a meter at the plug: lines `TIME,WATTS`, which its own program appends.

use std::{
    fs, io,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use jiff::Timestamp;
use measure::{Metered, Provenance};

use crate::milliwatts;

/// Longer logs are read from their end: windows are not days ago.
const MOST: usize = 64 * 1024 * 1024;

/// Why a log is none.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// It cannot be read.
    #[error("reading the power log {}", path.display())]
    Read {
        /// Where.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A line is neither a reading nor a comment.
    #[error("{}:{line}: `{text}` is no reading (TIME,WATTS with seconds since 1970 or an RFC 3339 time, such as 2026-01-02T03:04:05Z,230.5)", path.display())]
    Line {
        /// Where.
        path: PathBuf,
        /// From 1.
        line: usize,
        /// What stands there, shortened.
        text: String,
    },
}

/// Whether all that stands in it is readings.
pub(crate) fn check(path: &Path) -> Result<(), LogError> {
    readings(path, &read(path)?).map(drop)
}

/// The mean of the readings within a window.
fn mean_of(path: &Path, since: SystemTime, elapsed: Duration) -> Result<f64, String> {
    let text = read(path).map_err(|error| chain(&error))?;
    let all = readings(path, &text).map_err(|error| chain(&error))?;
    let begin =
        since.duration_since(SystemTime::UNIX_EPOCH).map_err(|_| "the clock is before 1970")?.as_secs_f64();
    let window = begin..=begin + elapsed.as_secs_f64();
    let within: Vec<f64> =
        all.iter().filter(|(time, _)| window.contains(time)).map(|(_, watts)| *watts).collect();
    crate::mean(&within).ok_or_else(|| format!("{} has no reading within the window", path.display()))
}

pub(crate) fn mean(path: &Path, since: SystemTime, elapsed: Duration) -> Result<Metered, String> {
    let watts = mean_of(path, since, elapsed)?;
    let milliwatts = milliwatts(watts).ok_or_else(|| format!("{watts} W is no power of a host"))?;
    Ok(Metered { milliwatts, provenance: Provenance::Meter })
}

fn read(path: &Path) -> Result<String, LogError> {
    let told = |source| LogError::Read { path: path.to_owned(), source };
    let bytes = fs::read(path).map_err(told)?;
    let tail = bytes.len().saturating_sub(MOST);
    // A cut line is left out.
    let start = if tail == 0 {
        0
    } else {
        bytes[tail..].iter().position(|byte| *byte == b'\n').map_or(bytes.len(), |at| tail + at + 1)
    };
    Ok(String::from_utf8_lossy(&bytes[start..]).into_owned())
}

/// Seconds since 1970 and watts.
fn readings(path: &Path, text: &str) -> Result<Vec<(f64, f64)>, LogError> {
    let mut readings = Vec::new();
    for (index, line) in text.split_inclusive('\n').enumerate() {
        // Its writer may be in the middle of the last one.
        let Some(line) = line.strip_suffix('\n') else { continue };
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let reading = reading(line).ok_or_else(|| LogError::Line {
            path: path.to_owned(),
            line: index + 1,
            text: line.chars().take(60).collect(),
        })?;
        readings.push(reading);
    }
    Ok(readings)
}

fn reading(line: &str) -> Option<(f64, f64)> {
    let (time, watts) = line.split_once(',')?;
    let (time, watts) = (time.trim(), watts.trim().parse::<f64>().ok()?);
    let seconds = match time.parse::<f64>() {
        Ok(seconds) => seconds,
        Err(_) => time.parse::<Timestamp>().ok()?.as_duration().as_secs_f64(),
    };
    (seconds.is_finite() && watts.is_finite() && watts >= 0.0).then_some((seconds, watts))
}

fn chain(error: &dyn std::error::Error) -> String {
    match error.source() {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_readings_within_the_window_count() {
        let log = tempfile::NamedTempFile::new().unwrap();
        let text = "# watts at the plug\n1767323045,200\n1767323046.5, 210.5\n2026-01-02T03:04:08Z,220\n1767323090,900\n17673";
        fs::write(&log, text).unwrap();
        let since = SystemTime::UNIX_EPOCH + Duration::from_secs(1_767_323_046);

        let metered = mean(log.path(), since, Duration::from_secs(3)).unwrap();
        assert_eq!(metered, Metered { milliwatts: 215_250, provenance: Provenance::Meter });
        let long_before = SystemTime::UNIX_EPOCH + Duration::from_secs(10);
        let why = mean(log.path(), long_before, Duration::from_secs(3)).unwrap_err();
        assert!(why.ends_with("has no reading within the window"), "{why}");
    }

    #[test]
    fn a_line_that_is_no_reading_is_named() {
        let log = tempfile::NamedTempFile::new().unwrap();
        fs::write(&log, "1,2\nyesterday,3\n").unwrap();
        let why = check(log.path()).unwrap_err().to_string();
        assert!(why.contains(":2: `yesterday,3` is no reading"), "{why}");
        assert!(matches!(check(Path::new("/nowhere")), Err(LogError::Read { .. })));
    }

    proptest! {
        #[test]
        fn whatever_stands_there_is_a_reading_or_named(text in ".{0,80}") {
            if let Err(error) = readings(Path::new("log"), &text) {
                let is_line = matches!(error, LogError::Line { .. });
                prop_assert!(is_line);
            }
        }
    }
}
