//! The parsers of what others wrote.

use std::{fs, ops::RangeInclusive};

use anyhow::{Context, Result, bail};

use crate::run;

/// One file's.
pub(super) struct Parser {
    /// Path in the project.
    pub(super) file: &'static str,
    /// Those functions of it that read; all of it if none is named.
    pub(super) functions: &'static [&'static str],
    /// Why inputs of a target cannot reach enough of it; empty if they can.
    pub(super) short: &'static str,
}

impl Parser {
    const fn short(self, short: &'static str) -> Self {
        Self { short, ..self }
    }

    /// For the table.
    pub(super) fn shown(&self) -> String {
        if self.functions.is_empty() {
            return format!("`{}`", self.file);
        }
        format!("`{}`: {}", self.file, self.functions.join(", "))
    }

    /// Its source as it is now.
    pub(super) fn source(&self) -> Result<String> {
        let path = run::top().join(self.file);
        fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))
    }

    /// The lines of that which are its own, from 1: of a whole file those before its tests.
    pub(super) fn lines(&self, source: &str) -> Result<Vec<RangeInclusive<usize>>> {
        if self.functions.is_empty() {
            let code = source.lines().position(|line| line == "#[cfg(test)]");
            return Ok(vec![1..=code.unwrap_or(source.lines().count())]);
        }
        let mut ranges = Vec::new();
        for name in self.functions {
            let found = functions(source, name);
            if found.is_empty() {
                bail!("{} has no function {name}", self.file);
            }
            ranges.extend(found);
        }
        Ok(ranges)
    }
}

/// The lines of every function of a name, from that to the bracket that closes it: rustfmt puts that below the word it begins
/// with. Those of tests have other names.
fn functions(source: &str, name: &str) -> Vec<RangeInclusive<usize>> {
    let heads = [format!("fn {name}("), format!("fn {name}<")];
    let lines: Vec<&str> = source.lines().collect();
    let is_head = |line: &&str| heads.iter().any(|head| line.contains(head.as_str()));
    let starts = (0..lines.len()).filter(|line| is_head(&lines[*line]));
    let range = |first: usize| {
        let indent = lines[first].len() - lines[first].trim_start().len();
        let end = format!("{}}}", " ".repeat(indent));
        let last = first + lines[first..].iter().position(|line| *line == end)?;
        Some(first + 1..=last + 1)
    };
    starts.filter_map(range).collect()
}

const fn whole(file: &'static str) -> Parser {
    Parser { file, functions: &[], short: "" }
}

const fn part(file: &'static str, functions: &'static [&'static str]) -> Parser {
    Parser { file, functions, short: "" }
}

/// What each target reads: the names of `tests/fuzz/libfuzzer/targets`.
pub(super) const TARGETS: &[(&str, &[Parser])] = &[
    (
        "wire",
        &[
            whole("guest-image/protocol/src/frame.rs"),
            part(
                "harness/machine/src/session/connection.rs",
                &["read_message", "dispatch", "judge", "close"],
            ),
            whole("harness/machine/src/session/answer.rs"),
            part("harness/machine/src/qemu/monitor.rs", &["exchange", "try_execute"]),
            part("harness/machine/src/qemu/trace.rs", &["known_events"]),
            part("harness/machine/src/errors.rs", &["read", "read_line"]),
            whole("harness/machine/src/session/script.rs"),
        ],
    ),
    (
        "mail",
        &[
            part("harness/series/src/input.rs", &["mails", "check_count", "check_size"]),
            part(
                "harness/series/src/mbox.rs",
                &["look", "begins_with_headers", "decompressed", "split", "unquoted"],
            ),
            whole("harness/series/src/mail.rs"),
            whole("harness/series/src/letter.rs"),
            whole("harness/series/src/subject.rs"),
            whole("harness/series/src/trailer.rs"),
            whole("harness/series/src/thread.rs"),
            whole("harness/series/src/replies.rs"),
            whole("harness/series/src/compose.rs"),
            whole("harness/series/src/diff.rs"),
        ],
    ),
    (
        "tools",
        &[
            whole("harness/workload/src/iperf3/parse.rs"),
            whole("harness/workload/src/iperf3/report.rs"),
            whole("harness/workload/src/sockperf/parse.rs"),
            whole("harness/workload/src/command/extract.rs"),
            part("harness/workload/src/command/mod.rs", &["read", "over_runs", "median"]),
            whole("harness/workload/src/ktap/parse.rs"),
            whole("harness/workload/src/stream/parse.rs"),
            whole("harness/workload/src/stream/path.rs"),
            part("harness/workload/src/ktap/mod.rs", &["select", "outcomes"]),
        ],
    ),
    (
        "counters",
        &[
            whole("harness/collect/src/cpu.rs"),
            whole("harness/collect/src/cpuidle.rs"),
            whole("harness/collect/src/context.rs"),
            whole("harness/collect/src/ethtool.rs"),
            whole("harness/collect/src/files.rs"),
            whole("harness/collect/src/hist.rs"),
            whole("harness/collect/src/interrupts.rs"),
            whole("harness/collect/src/iotlb.rs"),
            part("harness/collect/src/kvm.rs", &["reduce"]),
            whole("harness/collect/src/latency.rs"),
            whole("harness/collect/src/memory.rs"),
            whole("harness/collect/src/net/mod.rs"),
            whole("harness/collect/src/net/tables.rs"),
            whole("harness/collect/src/netlink.rs"),
            whole("harness/collect/src/page_pool.rs"),
            whole("harness/collect/src/per.rs"),
            whole("harness/collect/src/softirqs.rs"),
            whole("harness/collect/src/softnet.rs"),
            whole("harness/collect/src/table.rs"),
            whole("harness/collect/src/timeline.rs"),
            whole("harness/collect/src/tracepoints.rs"),
        ],
    ),
    (
        "console",
        &[
            part(
                "harness/machine/src/console/detect.rs",
                &["feed", "finish", "line", "found", "tail", "judge"],
            ),
            whole("harness/crash/src/read.rs"),
            whole("harness/crash/src/frame.rs"),
            whole("harness/crash/src/mark.rs"),
            whole("harness/crash/src/text.rs"),
            whole("harness/crash/src/title.rs"),
            whole("harness/crash/src/artefact.rs"),
            part("harness/crash/src/symbols.rs", &["open", "decode", "lines", "from_top", "functions"]),
        ],
    ),
    (
        "documents",
        &[
            whole("harness/scenario/src/tree.rs"),
            whole("harness/scenario/src/value.rs"),
            whole("harness/scenario/src/fields.rs"),
            part("harness/scenario/src/load.rs", &["load", "read"]),
            whole("harness/scenario/src/arm.rs"),
            whole("harness/scenario/src/base.rs"),
            whole("harness/scenario/src/command.rs"),
            whole("harness/scenario/src/gate.rs"),
            whole("harness/scenario/src/machine.rs"),
            whole("harness/scenario/src/workload.rs"),
            whole("harness/scenario/src/matrix/axis.rs"),
            part("harness/scenario/src/series.rs", &["series", "read_series_file"]),
            part("harness/machine/src/fake/script.rs", &["load", "contents", "resolve", "text"]),
            part("harness/machine/src/fake/numbers.rs", &["scale", "scale_json", "scale_text"]),
        ],
    ),
    (
        "host",
        &[
            part("harness/debian/src/list.rs", &["packages", "package", "served", "unmet"]),
            part("harness/debian/src/sources.rs", &["parse_list", "parse_line", "parse_deb822", "field"]),
            part("harness/kernel/src/config.rs", &["fragment_lines", "assignment", "merge"]),
            whole("harness/kernel/src/kconfig/parse.rs"),
            whole("harness/kernel/src/kconfig/expression.rs"),
            whole("harness/kernel/src/kconfig/explain.rs"),
            whole("harness/kernel/src/kconfig/read.rs"),
            part(
                "harness/kernel/src/patch.rs",
                &["refused_path", "failure", "place", "hunk", "stripped", "old_start", "touched"],
            ),
            part("harness/kernel/src/warnings.rs", &["in_output", "without_place"]),
            part("harness/kernel/src/inspect.rs", &["findings"]),
            part("harness/kernel/src/build.rs", &["first_errors"]),
            whole("harness/kernel/src/selftests/log.rs"),
            whole("harness/kernel-tree/src/elf.rs"),
            part("harness/kernel-tree/src/needs.rs", &["parse", "get", "lacking"]),
            part("harness/kernel-tree/src/find.rs", &["of_makefile"]),
            part("harness/kernel-tree/src/build.rs", &["module_place", "is_top_folder"]),
            part("harness/host/src/cpus.rs", &["from_mask", "to_mask", "from_str"]),
            part("harness/host/src/probe/load.rs", &["take", "process"]),
            part("harness/host/src/probe/qemu.rs", &["understand"]),
            part("harness/host/src/probe/versions.rs", &["number"]),
            part("harness/machine/src/exits.rs", &["read", "counter"]),
        ],
    ),
    (
        "bundle",
        &[
            part(
                "harness/bundle/src/read.rs",
                &["open", "unpack", "end", "broken", "next_size", "copy", "create"],
            ),
            part("harness/bundle/src/manifest.rs", &["parse", "check", "member", "bytes"]),
            part(
                "harness/bundle/src/member.rs",
                &["is_member_path", "is_plain", "is_plain_byte", "shown", "check_names"],
            ),
            part(
                "harness/bundle/src/open.rs",
                &["take", "unpack_unless_there", "require_room", "is_whole", "discard"],
            ),
            whole("harness/bundle/src/adopt.rs"),
            part(
                "harness/bundle/src/portable.rs",
                &[
                    "plan",
                    "source",
                    "build",
                    "image",
                    "environment",
                    "boot_file",
                    "planned",
                    "add",
                    "inlined",
                    "inline",
                    "named_file",
                ],
            ),
            whole("harness/scenario/src/vet.rs"),
        ],
    ),
    (
        "runs",
        &[
            part(
                "harness/store/src/read.rs",
                &["read", "trial_folders", "versioned", "refuse_newer", "parse"],
            ),
            part("harness/store/src/samples/mod.rs", &["read"])
                .short("files of many megabytes are read in pieces, by threads; the crate's own tests do so"),
            whole("harness/store/src/samples/line.rs"),
            part(
                "harness/store/src/samples/pieces.rs",
                &["error", "newlines", "cut", "cut_into", "each_line"],
            ),
            whole("harness/store/src/finished.rs"),
            part("harness/store/src/environment.rs", &["of_run"]),
            part("harness/store/src/replay.rs", &["of_run"]),
            part("harness/store/src/index/mod.rs", &["consult", "on_disk", "replaced", "prepare", "refresh"]),
            part("harness/store/src/index/query.rs", &["stamps", "run", "stored_series", "dims"]),
            part("harness/store/src/index/stamp.rs", &["stamp", "of"]),
        ],
    ),
    (
        "instructions",
        &[
            whole("harness/profile/src/counts.rs"),
            whole("harness/profile/src/class.rs"),
            whole("harness/profile/src/symbols.rs"),
            whole("harness/profile/src/table.rs"),
            whole("harness/collect/src/instructions.rs"),
        ],
    ),
    (
        "imports",
        &[
            whole("harness/import/src/arrange.rs"),
            whole("harness/import/src/bpftrace.rs"),
            whole("harness/import/src/derive.rs"),
            whole("harness/import/src/document.rs"),
            whole("harness/import/src/format.rs"),
            whole("harness/import/src/iperf3_json.rs"),
            whole("harness/import/src/iperf3_text.rs"),
            whole("harness/import/src/pcm_iio.rs"),
            whole("harness/import/src/perf_report.rs"),
            whole("harness/import/src/perf_stat.rs"),
            whole("harness/import/src/perf_trace.rs"),
            whole("harness/import/src/reading.rs"),
            whole("harness/import/src/run_metrics.rs"),
            whole("harness/import/src/run_name.rs"),
            whole("harness/import/src/sockperf.rs"),
            whole("harness/import/src/sysstat.rs"),
            whole("harness/import/src/table.rs"),
            whole("harness/import/src/text.rs"),
        ],
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_function_ends_below_its_beginning() {
        let source = "fn a() {\n    if x {\n    }\n}\n\nimpl B {\n    pub(crate) fn b<T>(\n        x: T,\n    ) -> T {\n        x\n    }\n    fn a() {\n    }\n}\n";
        assert_eq!(functions(source, "a"), [1..=4, 12..=13]);
        assert_eq!(functions(source, "b"), [7..=11]);
        assert!(functions(source, "c").is_empty());
    }

    #[test]
    fn every_parser_is_where_the_list_says_and_every_target_has_some() {
        for (target, parsers) in TARGETS {
            assert!(!parsers.is_empty(), "{target}");
            let program = format!("tests/fuzz/libfuzzer/targets/{target}.rs");
            assert!(run::top().join(&program).is_file(), "{program}");
            for parser in *parsers {
                parser.lines(&parser.source().expect(parser.file)).expect(parser.file);
            }
        }
        let programs = fs::read_dir(run::top().join("tests/fuzz/libfuzzer/targets")).expect("it is there");
        assert_eq!(programs.count(), TARGETS.len());
    }
}
