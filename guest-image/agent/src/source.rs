//! What a snapshot can read that is no file: `KIND:NAME`.

mod ethtool;
mod netlink;

use std::time::Duration;

use nix::time::ClockId;

use crate::read::Reading;

pub(crate) use ethtool::set_receive_ring;

/// Most bytes of one source.
const MOST: usize = 4 * 1024 * 1024;

/// What a source says now, or why it says nothing; one that is several, several times. `None` for what is no source, and so
/// a path.
pub(crate) fn read(asked: &str) -> Option<Vec<Reading>> {
    if asked.starts_with('/') {
        return None;
    }
    let (kind, name) = asked.split_once(':')?;
    let one = |content| vec![Reading { path: asked.to_owned(), content }];
    Some(match kind {
        "clock" => one(clock(name)),
        "netlink" => one(netlink::dump(name)),
        "ethtool-stats" if name == "*" => match ethtool::interfaces() {
            Ok(names) if names.is_empty() => one(Err("there is no interface".into())),
            Ok(names) => {
                let of = |name: String| Reading {
                    path: format!("ethtool-stats:{name}"),
                    content: ethtool::statistics(&name),
                };
                names.into_iter().map(of).collect()
            }
            Err(error) => one(Err(format!("listing interfaces: {error}"))),
        },
        "ethtool-stats" => one(ethtool::statistics(name)),
        "trace" => one(Err(format!("`{asked}` is of a command, and this is none"))),
        _ => one(Err(format!("there is no source `{kind}`"))),
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

    fn content(asked: &str) -> Result<Vec<u8>, String> {
        let [one] = read(asked).unwrap().try_into().unwrap();
        assert_eq!(one.path, asked);
        one.content
    }

    #[test]
    fn paths_are_no_sources_and_unknown_sources_are_told() {
        for path in ["/proc/stat", "/a:b", "stat"] {
            assert_eq!(read(path), None);
        }
        assert_eq!(content("weather:here"), Err("there is no source `weather`".into()));
        assert_eq!(content("clock:wall"), Err("there is no clock `wall`".into()));
    }

    #[test]
    fn the_clock_goes_on() {
        let now = || String::from_utf8(content("clock:monotonic").unwrap()).unwrap();
        let number = |text: String| text.strip_suffix('\n').unwrap().parse::<u64>().unwrap();
        let first = number(now());
        assert!(first > 0 && number(now()) >= first);
    }
}
