//! The parsers of what others wrote.

/// One file's.
pub(super) struct Parser {
    /// Path in the project.
    pub(super) file: &'static str,
    /// Those functions of it that read; all of it if none is named.
    pub(super) functions: &'static [&'static str],
}

impl Parser {
    /// For the table.
    pub(super) fn shown(&self) -> String {
        if self.functions.is_empty() {
            return format!("`{}`", self.file);
        }
        format!("`{}`: {}", self.file, self.functions.join(", "))
    }
}

const fn whole(file: &'static str) -> Parser {
    Parser { file, functions: &[] }
}

const fn part(file: &'static str, functions: &'static [&'static str]) -> Parser {
    Parser { file, functions }
}

/// In the order in which data flows.
pub(super) const PARSERS: &[Parser] = &[
    whole("guest-image/protocol/src/frame.rs"),
    part("harness/machine/src/session/connection.rs", &["read_message", "dispatch", "judge", "close"]),
    whole("harness/machine/src/session/answer.rs"),
    part("harness/machine/src/qemu/monitor.rs", &["exchange", "try_execute"]),
    part("harness/machine/src/qemu/trace.rs", &["known_events"]),
    part("harness/machine/src/errors.rs", &["read", "read_line"]),
    part("harness/machine/src/console/detect.rs", &["feed", "finish", "line", "found", "tail", "judge"]),
    whole("harness/crash/src/read.rs"),
    whole("harness/crash/src/frame.rs"),
    whole("harness/crash/src/mark.rs"),
    whole("harness/crash/src/text.rs"),
    whole("harness/crash/src/title.rs"),
    part("harness/crash/src/symbols.rs", &["open", "decode", "lines", "from_top", "functions"]),
    part("harness/series/src/input.rs", &["mails", "check_count", "check_size"]),
    part("harness/series/src/mbox.rs", &["look", "begins_with_headers", "decompressed", "split", "unquoted"]),
    whole("harness/series/src/mail.rs"),
    whole("harness/series/src/letter.rs"),
    whole("harness/series/src/subject.rs"),
    whole("harness/series/src/trailer.rs"),
    whole("harness/series/src/thread.rs"),
    whole("harness/series/src/replies.rs"),
    whole("harness/series/src/compose.rs"),
    whole("harness/series/src/diff.rs"),
    whole("harness/workload/src/iperf3/parse.rs"),
    whole("harness/workload/src/iperf3/report.rs"),
    whole("harness/workload/src/sockperf/parse.rs"),
    whole("harness/workload/src/command/extract.rs"),
    part("harness/workload/src/command/mod.rs", &["read", "over_runs", "median"]),
    whole("harness/workload/src/ktap/parse.rs"),
    part("harness/workload/src/ktap/mod.rs", &["select", "outcomes"]),
    whole("harness/collect/src/cpu.rs"),
    whole("harness/collect/src/cpuidle.rs"),
    whole("harness/collect/src/context.rs"),
    whole("harness/collect/src/ethtool.rs"),
    whole("harness/collect/src/files.rs"),
    whole("harness/collect/src/interrupts.rs"),
    whole("harness/collect/src/iotlb.rs"),
    part("harness/collect/src/kvm.rs", &["reduce"]),
    whole("harness/collect/src/memory.rs"),
    whole("harness/collect/src/net/mod.rs"),
    whole("harness/collect/src/net/tables.rs"),
    whole("harness/collect/src/netlink.rs"),
    whole("harness/collect/src/page_pool.rs"),
    whole("harness/collect/src/per.rs"),
    whole("harness/collect/src/softirqs.rs"),
    whole("harness/collect/src/softnet.rs"),
    whole("harness/collect/src/table.rs"),
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
    part("harness/store/src/read.rs", &["read", "trial_folders", "refuse_newer", "parse"]),
    part("harness/store/src/samples/mod.rs", &["read"]),
    whole("harness/store/src/samples/line.rs"),
    whole("harness/store/src/samples/pieces.rs"),
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
    whole("harness/host/src/cpus.rs"),
    part("harness/host/src/probe/load.rs", &["take", "process"]),
    part("harness/host/src/probe/qemu.rs", &["understand"]),
    part("harness/host/src/probe/versions.rs", &["number"]),
];
