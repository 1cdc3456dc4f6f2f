//! What a snapshot can read that is no file: `KIND:NAME`.

use std::time::Duration;

use nix::time::ClockId;

/// What a source says now, or why it says nothing; `None` for what is no source, and so a path.
pub(crate) fn read(name: &str) -> Option<Result<Vec<u8>, String>> {
    if name.starts_with('/') {
        return None;
    }
    let (kind, name) = name.split_once(':')?;
    Some(match kind {
        "clock" => clock(name),
        _ => Err(format!("there is no source `{kind}`")),
    })
}

/// A clock in nanoseconds: a decimal number and a line end.
fn clock(name: &str) -> Result<Vec<u8>, String> {
    if name != "monotonic" {
        return Err(format!("there is no clock `{name}`"));
    }
    let now = ClockId::CLOCK_MONOTONIC.now().map_err(|errno| errno.desc().to_owned())?;
    Ok(format!("{}\n", Duration::from(now).as_nanos()).into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_no_sources_and_unknown_sources_are_told() {
        assert_eq!(read("/proc/stat"), None);
        assert_eq!(read("/a:b"), None);
        assert_eq!(read("stat"), None);
        assert_eq!(read("weather:here"), Some(Err("there is no source `weather`".into())));
        assert_eq!(read("clock:wall"), Some(Err("there is no clock `wall`".into())));
    }

    #[test]
    fn the_clock_goes_on() {
        let now = || String::from_utf8(read("clock:monotonic").unwrap().unwrap()).unwrap();
        let number = |text: String| text.strip_suffix('\n').unwrap().parse::<u64>().unwrap();
        let first = number(now());
        assert!(first > 0 && number(now()) >= first);
    }
}
