//! Names of run directories, as scripts of IOMMU studies make them:
//!
//! ```text
//! 2025-10-03-16-32-21-6.12.9-iommufd-extra-hooks-flow01-host-strict-guest-on-nested-ringbuf-512_sokcetbuf1_1cores-RUN-2
//! <time>-<uname -r>-flow<NN>-<IOMMUs>-ringbuf-<N>_sokcetbuf<MB>_<N>cores[-RUN-<N>]
//! <time>-<uname -r>-flow<NN>-<IOMMUs>-<N>cores, -ringbuf<N>-sockbuf<N>            later spellings
//! ```
//!
//! Source: `vm_flows_exp.sh` and `flows_exp.sh` of xlab-uiuc/Fast-and-Safe-IO-Memory-Protection. A kernel's release has dashes of its
//! own, so that the last `-flowNN-` is what ends it. `sokcetbuf` is how the script spells it.

use std::{collections::BTreeMap, sync::LazyLock};

use regex::Regex;

/// What a run directory's name says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunName {
    /// As it stands.
    pub name: String,
    /// When it was made: `2025-10-03-16-32-21`.
    pub time: String,
    /// `uname -r`.
    pub release: String,
    /// Parallel flows.
    pub flows: u32,
    /// How the host uses its IOMMU: `strict`, or `on` and `off` of a bare-metal run.
    pub host: String,
    /// How the guest uses its own: `off`, `on-shadow`, `on-nested`; none without a guest.
    pub guest: Option<String>,
    /// Descriptors of the NIC's receive ring.
    pub ring: Option<u32>,
    /// Which socket buffers, as the script numbers them: 1 is tcp_rmem of 2,000,000 and tcp_wmem of 1,000,000 bytes.
    pub socket_buffer: Option<u32>,
    /// Cores that took part.
    pub cores: Option<u32>,
    /// Which repetition, from 0 or 1 as the script counts.
    pub repeat: Option<u32>,
}

static NAME: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"^(?<time>\d{4}(?:-\d{2}){5})-(?<release>[0-9A-Za-z][0-9A-Za-z.+~_-]*)-flow(?<flows>\d{1,4})-(?<rest>[0-9A-Za-z._-]+)$")
        .expect("a constant pattern")
});
/// What ends the IOMMUs' part: the first of these.
static KNOBS: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"[-_](?:(?<ring>ringbuf)-?(?<n1>\d{1,6})|(?<buffer>sokcetbuf|socketbuf|sockbuf)-?(?<n2>\d{1,6})|(?<n3>\d{1,4})(?<cores>cores)|(?<run>RUN)-(?<n4>\d{1,4}))(?:$|[-_])")
        .expect("a constant pattern")
});

/// What a name says, or nothing if it is no such name.
#[must_use]
pub fn run_name(name: &str) -> Option<RunName> {
    if name.len() > 300 {
        return None;
    }
    // The greedy release takes all but the last `-flowNN-`.
    let found = NAME.captures(name)?;
    let mut rest = &found["rest"];
    let (mut iommu, mut knobs) = (None, BTreeMap::new());
    let mut spaced = format!("-{rest}");
    while let Some(knob) = KNOBS.captures(&spaced) {
        let (whole, number) = (knob.get(0)?, (1..=4).find_map(|n| knob.name(&format!("n{n}")))?);
        if iommu.is_none() {
            iommu = Some(spaced[..whole.start()].trim_start_matches('-').to_owned());
        } else if whole.start() > 0 {
            // Something between two knobs is none that is known.
            return None;
        }
        let key = ["ring", "buffer", "cores", "run"].into_iter().find(|key| knob.name(key).is_some())?;
        if knobs.insert(key, number.as_str().parse().ok()?).is_some() {
            return None;
        }
        // The separator belongs to the next one.
        let end = knob.name("cores").map_or(number.end(), |cores| cores.end());
        spaced = spaced[end..].to_owned();
        rest = "";
    }
    if !spaced.is_empty() && iommu.is_some() {
        return None;
    }
    let iommu = iommu.unwrap_or_else(|| rest.to_owned());
    let (host, guest) = modes(&iommu)?;
    Some(RunName {
        name: name.to_owned(),
        time: found["time"].to_owned(),
        release: found["release"].to_owned(),
        flows: found["flows"].parse().ok()?,
        host,
        guest,
        ring: knobs.get("ring").copied(),
        socket_buffer: knobs.get("buffer").copied(),
        cores: knobs.get("cores").copied(),
        repeat: knobs.get("run").copied(),
    })
}

/// `host-strict-guest-on-nested` or `iommu-on`.
fn modes(text: &str) -> Option<(String, Option<String>)> {
    if let Some(rest) = text.strip_prefix("host-") {
        let (host, guest) = rest.split_once("-guest-")?;
        return (!host.is_empty() && !guest.is_empty()).then(|| (host.to_owned(), Some(guest.to_owned())));
    }
    let host = text.strip_prefix("iommu-").filter(|mode| matches!(*mode, "on" | "off"))?;
    Some((host.to_owned(), None))
}

impl RunName {
    /// What is known of the machine, by what it is.
    pub(crate) fn facts(&self) -> BTreeMap<String, String> {
        let mut facts = BTreeMap::from([
            ("measured".to_owned(), self.time.clone()),
            ("flows".to_owned(), self.flows.to_string()),
            ("host IOMMU".to_owned(), self.host.clone()),
        ]);
        let optional = [
            ("guest IOMMU", self.guest.clone()),
            ("ring", self.ring.map(|n| n.to_string())),
            ("socket buffer", self.socket_buffer.map(|n| n.to_string())),
            ("cores", self.cores.map(|n| n.to_string())),
        ];
        facts.extend(optional.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))));
        facts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_read_from_its_right() {
        let name = "2025-10-03-16-32-21-6.12.9-iommufd-extra-hooks-flow01-host-strict-guest-on-nested-ringbuf-512_sokcetbuf1_1cores";
        let run = run_name(name).unwrap();
        assert_eq!(
            (run.time.as_str(), run.release.as_str()),
            ("2025-10-03-16-32-21", "6.12.9-iommufd-extra-hooks")
        );
        assert_eq!((run.flows, run.host.as_str(), run.guest.as_deref()), (1, "strict", Some("on-nested")));
        assert_eq!((run.ring, run.socket_buffer, run.cores, run.repeat), (Some(512), Some(1), Some(1), None));
    }

    #[test]
    fn every_spelling_is_read() {
        let start = "2025-10-03-16-32-21-6.12.9-flow04-flow16";
        let of = |rest: &str| run_name(&format!("{start}-{rest}")).unwrap();
        let bare = of("iommu-off-ringbuf-256_sokcetbuf8_5cores-RUN-3");
        assert_eq!((bare.release.as_str(), bare.flows), ("6.12.9-flow04", 16));
        assert_eq!((bare.host.as_str(), bare.guest.clone(), bare.repeat), ("off", None, Some(3)));
        let later = of("host-strict-guest-strict-off-20cores");
        assert_eq!((later.guest.as_deref(), later.cores, later.ring), (Some("strict-off"), Some(20), None));
        let last = of("host-strict-guest-strict-nested-ringbuf512-sockbuf1");
        assert_eq!(
            (last.ring, last.socket_buffer, last.guest.as_deref()),
            (Some(512), Some(1), Some("strict-nested"))
        );
        assert_eq!(of("host-strict-guest-off").guest.as_deref(), Some("off"));
    }

    #[test]
    fn other_names_are_none() {
        for name in [
            "",
            "results",
            "2025-10-03-6.12-flow01-iommu-on",
            "2025-10-03-16-32-21-6.12.9-flow01-something-else",
            "2025-10-03-16-32-21-6.12.9-flow99999-iommu-on",
            "2025-10-03-16-32-21-6.12.9-flow01-iommu-on-ringbuf-512_and_1cores",
            "2025-10-03-16-32-21-../../x-flow01-iommu-on",
            "2025-10-03-16-32-21-6.12.9-flow01-iommu-on-1cores-2cores",
        ] {
            assert_eq!(run_name(name), None, "{name}");
        }
    }
}
