//! The reference of all keys, in markdown, from the tables of the schema.

use std::fmt::Write as _;

use measure::{Around, Better, Collector, YieldedBy, metric};

use crate::schema::{
    ARM, Absent, BOOTS, COMMAND, CONFIG, DEBIAN_IMAGE, DEBIAN_SOURCE, FAKE, GATE, GIT, GUEST_LEVEL,
    HOST_LEVEL, IOMMU, IPERF3, KERNEL, KTAP, Key, MACHINE, METRIC, NESTED, NIC, PEER_LEVEL, PREBUILT_IMAGE,
    SCENARIO, SERIES, SOCKPERF, SOURCE, STREAM, Section, TARBALL, TEST_GATE, WIRE, WORKLOAD,
};

const INTRODUCTION: &str = "\
# Scenarios

A scenario is a file that asks one question about a kernel: which arms are compared, what runs on them, and what must
hold. `assay plan FILE` checks it and prints what will be done; `assay run FILE` does it.

```yaml
# Is the receive path faster with the series?
schema: 1
base: debian-6.12
arms:
  baseline: {}
  candidate: { series: my-series }
workloads:
  tcp: { tool: iperf3, duration: 4s }
gates:
  - { workload: tcp, metric: throughput, margin: 2%, expect: better }
```

Files are YAML without anchors, aliases and tags, in UTF-8, at most 1 MiB. Every file begins with `schema: 1`. Unknown
keys are refused. Sizes (`512M`), durations (`90s`) and percentages (`5%`) carry their units. Relative paths start at
the folder of the file that names them, and series named without a `/` are folders in `patches/`.

This page and `scenario.schema.json`, for editors, are generated from the tables in `harness/scenario/src/schema/`; a test
keeps them current.
";

const LISTS: &str = "
## Lists

Where a single value stands, a list of values may stand: it is a *dimension*, and the plan is the product of all of them.
The values of an arm's `base`, of each option in `config` and each name in `sysctls`, and every value of *Machine*, *NIC*,
*IOMMU*, *Wire*, of nested machines and of *Fake machine* multiply boots. Every value of a workload but its `tool`, and each variable in the `env` of a command,
multiply what runs within each boot.

```yaml
machine: { vcpus: [1, 2] }                                      # twice the boots
workloads:
  tcp: { tool: iperf3, flows: [1, 4], duration: 4s }            # twice the runs in each
gates:
  - { workload: tcp, metric: throughput, margin: 2% }           # four comparisons for each candidate arm
  - { workload: tcp, metric: retransmit-rate, margin: 5%, at: { flows: 4, vcpus: 2 } }      # one
```

Candidates are compared with the baseline at equal values, so an arm that lists a knob itself lists what every other arm
does; a single value in an arm is its own, and no dimension. `series` is what is applied, one after the other, and never a
dimension: write another arm. `cmdline` and what a command `run`s are lists already, so several of them are
`cmdline: { any: [[], [nosmt]] }`.
`collect` and `gates` are lists as well.

A dimension is called by its key: `vcpus`, `flows`, `net.ipv4.tcp_rmem`. Where two would have one name, or a sample has
such a dimension already, as much of the path goes before it as tells them apart: `server.iommu`, `tcp.message`,
`iommu.mode`. Arms and workloads are called `NAME@vcpus=2,flows=4`. A list of one value is that value. At most 256 arms and 256 workloads come of it.
";

/// The reference of all keys: what `scenarios/README.md` holds.
#[must_use]
pub fn reference() -> String {
    let mut page = INTRODUCTION.to_owned();
    for section in [
        &SCENARIO,
        &BOOTS,
        &ARM,
        &MACHINE,
        &NIC,
        &IOMMU,
        &WIRE,
        &NESTED,
        &HOST_LEVEL,
        &GUEST_LEVEL,
        &PEER_LEVEL,
        &FAKE,
        &WORKLOAD,
        &IPERF3,
        &SOCKPERF,
        &COMMAND,
        &METRIC,
        &KTAP,
        &STREAM,
        &GATE,
        &TEST_GATE,
    ] {
        append(&mut page, section);
    }
    page.push_str(LISTS);
    append_collectors(&mut page);
    append_metrics(&mut page);
    page.push_str("\n# Bases: `kernels/NAME.yaml`\n");
    for section in [&KERNEL, &CONFIG, &SOURCE, &DEBIAN_SOURCE, &GIT, &TARBALL, &DEBIAN_IMAGE, &PREBUILT_IMAGE]
    {
        append(&mut page, section);
    }
    page.push_str("\n# Series: `patches/NAME/series.yaml`\n");
    append(&mut page, &SERIES);
    page
}

fn append(page: &mut String, section: &Section) {
    let Section { title, intro, keys } = section;
    let _ =
        write!(page, "\n## {title}\n\n{intro}\n\n| Key | Value | If absent | Meaning |\n|---|---|---|---|\n");
    for Key { name, kind, absent, help } in *keys {
        let absent = match absent {
            Absent::Required => "**required**".to_owned(),
            Absent::Default(value) => format!("`{value}`"),
            Absent::Otherwise(words) => (*words).to_owned(),
        };
        let _ =
            writeln!(page, "| `{name}` | {} | {} | {} |", cell(&kind.allowed()), cell(&absent), cell(help));
    }
}

fn append_collectors(page: &mut String) {
    page.push_str(
        "\n## Collectors\n\n`collect` names what is read immediately before and after every workload, on each side. \
         `iotlb`, `syscalls`, `tracepoints`, `probes` and `timeline` do something while one runs: they trace, in boots of their own, in which those that tell \
         of times have the workloads for themselves. What a guest does not have is reported as unavailable, with the reason.\n\n\
         | Collector | What it reads |\n|---|---|\n",
    );
    for collector in Collector::ALL {
        let _ = writeln!(page, "| `{collector}` | {} |", cell(collector.help()));
    }
}

fn append_metrics(page: &mut String) {
    page.push_str(
        "\n## Metrics\n\nA gate can name those that are better when higher or lower.\n\n\
         | Metric | Unit | Better | From | Chosen by | Meaning |\n|---|---|---|---|---|---|\n",
    );
    for metric in metric::ALL {
        let better = match metric.better {
            Better::Higher => "higher",
            Better::Lower => "lower",
            Better::Neither => "-",
        };
        let from = match metric.yielded_by {
            YieldedBy::Bulk => "iperf3, stream",
            YieldedBy::Iperf3 => "iperf3",
            YieldedBy::Stream => "stream",
            YieldedBy::Sockperf => "sockperf",
            YieldedBy::Command => "command",
            YieldedBy::Collector(collector, around) => match around {
                Around::Anything => &format!("`{collector}`"),
                Around::Tcp => &format!("`{collector}`, TCP"),
                Around::Bulk => &format!("`{collector}`, iperf3, stream"),
            },
            YieldedBy::Boot => "every boot",
            YieldedBy::Import => "`assay import`",
        };
        let dims = metric.dims.join(", ");
        let _ = writeln!(
            page,
            "| `{}` | {} | {better} | {from} | {dims} | {} |",
            metric.name,
            metric.unit.symbol(),
            cell(metric.help.trim()),
        );
    }
}

/// A text in a cell of a table.
fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::{
        fields::Fields,
        problem::{Findings, Place},
        schema::Kind,
        tree::Node,
    };

    const SECTIONS: &[&Section] = &[
        &SCENARIO,
        &BOOTS,
        &ARM,
        &MACHINE,
        &NIC,
        &IOMMU,
        &WIRE,
        &NESTED,
        &HOST_LEVEL,
        &GUEST_LEVEL,
        &PEER_LEVEL,
        &FAKE,
        &WORKLOAD,
        &IPERF3,
        &SOCKPERF,
        &COMMAND,
        &METRIC,
        &KTAP,
        &STREAM,
        &GATE,
        &TEST_GATE,
        &KERNEL,
        &CONFIG,
        &SOURCE,
        &DEBIAN_SOURCE,
        &GIT,
        &TARBALL,
        &DEBIAN_IMAGE,
        &PREBUILT_IMAGE,
        &SERIES,
    ];

    #[test]
    fn the_page_in_scenarios_is_this_reference() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../scenarios/README.md");
        if std::env::var_os("ASSAY_UPDATE_REFERENCE").is_some() {
            std::fs::write(path, reference()).unwrap();
        }
        let page = std::fs::read_to_string(path).unwrap();
        assert!(page == reference(), "{path} is out of date: run this test with ASSAY_UPDATE_REFERENCE=1");
    }

    #[test]
    fn every_default_is_within_its_own_kind() {
        for section in SECTIONS {
            let node = Node::empty_map(Place::file("x".as_ref(), Some(1)));
            for key in section.keys.iter().filter(|key| matches!(key.absent, Absent::Default(_))) {
                // Missing keys are no concern here.
                let fields = Fields::open(&node, section, &mut Findings::default()).unwrap();
                let mut findings = Findings::default();
                let good = match key.kind {
                    Kind::Integer { .. } => fields.integer(key.name, &mut findings).is_some(),
                    Kind::Size { .. } => fields.bytes(key.name, &mut findings).is_some(),
                    Kind::Duration { .. } => fields.seconds(key.name, &mut findings).is_some(),
                    Kind::Delay { .. } => fields.nanoseconds(key.name, &mut findings).is_some(),
                    Kind::Rate { .. } => fields.rate(key.name, &mut findings).is_some(),
                    Kind::Percent { .. } => fields.percent(key.name, &mut findings).is_some(),
                    Kind::Fraction { .. } => fields.fraction(key.name, &mut findings).is_some(),
                    Kind::Flag => fields.flag(key.name, &mut findings).is_some(),
                    Kind::Choice(_) => fields.word(key.name, &mut findings).is_some(),
                    Kind::Text(_) => fields.text(key.name, &mut findings).is_some(),
                    Kind::Shape(_) => fields.value(key.name, &mut findings).is_some(),
                };
                assert!(good, "{}.{}: {findings:?}", section.title, key.name);
            }
        }
    }

    #[test]
    fn keys_are_unique_and_documented() {
        for section in SECTIONS {
            let names: BTreeSet<_> = section.keys.iter().map(|key| key.name).collect();
            assert_eq!(names.len(), section.keys.len(), "{}", section.title);
            assert!(section.keys.iter().all(|key| key.help.ends_with('.')), "{}", section.title);
        }
        let titles: BTreeSet<_> = SECTIONS.iter().map(|section| section.title).collect();
        let page = reference();
        assert!(page.contains("\n## Lists\n"), "messages refer to it");
        assert!(titles.iter().all(|title| page.contains(&format!("\n## {title}\n"))));
    }

    /// The variants of an enum, from what serde says when it is given another word.
    fn variants<T: for<'de> serde::Deserialize<'de> + std::fmt::Debug>() -> BTreeSet<String> {
        let message = crate::fields::from_word::<T>("no such word").unwrap_err();
        message.split('`').skip(3).step_by(2).map(str::to_owned).collect()
    }

    #[test]
    fn choices_are_exactly_the_plans_variants() {
        fn words(section: &Section, key: &str) -> BTreeSet<String> {
            let Kind::Choice(words) = section.key(key).kind else { panic!("{key} is no choice") };
            words.iter().map(|word| (*word).to_owned()).collect()
        }
        assert_eq!(words(&MACHINE, "accel"), variants::<plan::Accel>());
        assert_eq!(words(&MACHINE, "cpu"), variants::<plan::CpuModel>());
        assert_eq!(words(&NIC, "nic"), variants::<plan::NicModel>());
        assert_eq!(words(&STREAM, "cores"), variants::<plan::Cores>());
        assert_eq!(words(&IOMMU, "mode"), variants::<plan::IommuMode>());
        assert_eq!(words(&GUEST_LEVEL, "via"), variants::<plan::Vfio>());
        assert_eq!(words(&NESTED, "accel"), variants::<plan::Accel>());
        assert_eq!(words(&IPERF3, "direction"), variants::<plan::Iperf3Direction>());
        assert_eq!(words(&SOCKPERF, "transport"), variants::<plan::Transport>());
        assert_eq!(words(&COMMAND, "side"), variants::<plan::Side>());
        assert_eq!(words(&METRIC, "which"), variants::<plan::Which>());
        assert_eq!(words(&METRIC, "unit"), variants::<measure::Unit>());
        assert_eq!(words(&METRIC, "better"), variants::<measure::Better>());
        assert_eq!(words(&KTAP, "from"), variants::<plan::TestsFrom>());
        assert_eq!(words(&KTAP, "nic"), variants::<plan::TestNic>());
        let collectors = Collector::ALL.map(|collector| collector.word().to_owned());
        assert_eq!(BTreeSet::from(collectors), variants::<Collector>());
        assert_eq!(words(&TEST_GATE, "expect"), variants::<plan::TestExpectation>());
        assert_eq!(words(&GATE, "expect"), variants::<plan::Expectation>());
        assert_eq!(crate::schema::VERSION, 1, "a new schema needs a reader of the old one");
    }
}
