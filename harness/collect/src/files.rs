//! Texts of `/proc` out of a window.

use measure::{SideFiles, Sides, Window};

/// A file as it was before and after the window, or why it is not there.
pub(crate) fn both<'a>(files: &'a SideFiles, path: &str) -> Result<(&'a str, &'a str), String> {
    let text = |moment: &str, bytes: &'a [u8]| {
        let text =
            std::str::from_utf8(bytes).map_err(|_| format!("{path} is no text {moment} the workload"))?;
        match text.ends_with('\n') {
            true => Ok(text),
            false => Err(format!("{path} is cut off {moment} the workload")),
        }
    };
    let (before, after) = both_bytes(files, path)?;
    Ok((text("before", before)?, text("after", after)?))
}

/// The same of what is no text.
pub(crate) fn both_bytes<'a>(files: &'a SideFiles, path: &str) -> Result<(&'a [u8], &'a [u8]), String> {
    let read = |moment: &str, files: &'a measure::Files| match files.get(path) {
        None => Err(format!("{path} was not read {moment} the workload")),
        Some(Err(why)) => Err(format!("{path} could not be read {moment} the workload: {why}")),
        Some(Ok(bytes)) => Ok(bytes.as_slice()),
    };
    Ok((read("before", &files.before)?, read("after", &files.after)?))
}

/// The sides whose counters of one kernel can be told apart, with their names.
pub(crate) fn by_kernel(window: &Window) -> Vec<(&str, &SideFiles)> {
    let mut sides: Vec<(&str, &SideFiles)> = match window.sides {
        Sides::TwoGuests => vec![("server", &window.server), ("client", &window.client)],
        Sides::TwoNamespaces | Sides::OneNamespace => vec![("guest", &window.client)],
    };
    sides.extend(window.carriers.iter().map(|(name, files)| (name.as_str(), files)));
    sides
}

/// The sides whose counters of one network namespace can be told apart, with their names.
pub(crate) fn by_namespace(window: &Window) -> Vec<(&'static str, &SideFiles)> {
    match window.sides {
        Sides::TwoGuests | Sides::TwoNamespaces => {
            vec![("server", &window.server), ("client", &window.client)]
        }
        Sides::OneNamespace => vec![("guest", &window.client)],
    }
}

/// A number of `/proc`: decimal, and nothing else.
pub(crate) fn number(word: &str) -> Result<u64, String> {
    word.parse().map_err(|_| format!("`{word}` is no number"))
}

/// By how much a counter that only grows has grown.
pub(crate) fn grown(name: &str, before: u64, after: u64) -> Result<u64, String> {
    after.checked_sub(before).ok_or_else(|| format!("{name} went back from {before} to {after}"))
}

/// By how much a counter of 32 bits that only grows has grown: it starts again at 0 after 2^32 - 1. In a window it gets
/// nowhere near half of that, so that a larger step means that it went back.
pub(crate) fn grown_32(name: &str, before: u64, after: u64) -> Result<u64, String> {
    const WRAP: u64 = 1 << 32;
    if before >= WRAP || after >= WRAP {
        return Err(format!("{name} has more than 32 bits"));
    }
    let growth = (after + WRAP - before) % WRAP;
    if growth < WRAP / 2 { Ok(growth) } else { grown(name, before, after) }
}

/// A count for arithmetic.
#[expect(clippy::cast_precision_loss, reason = "counts within one window are far below 2^53")]
pub(crate) fn float(count: u64) -> f64 {
    count as f64
}
