//! The keys of commands and of the kernel's own tests.

use super::{
    Kind, Section, default, optional, required,
    scenario::TOOL,
    syntax::{JSON_POINTER, METRIC_NAME, OUTPUT, REGEX, SHELL, STDIN, WORKLOAD_NAME},
};

const ARGV: Kind = Kind::Shape("a list: a program and its arguments");

/// Any program.
pub(crate) static COMMAND: Section = Section {
    title: "command",
    intro: "`tool: command`: any program in the guest. In `run` and `server`, `{server}`, `{port}` and `{files}` stand \
            for the address of the server's side, `port`, and the folder of `files` (/opt/assay/NAME). A program is \
            looked for among `files` first, then in the guest's path. `command-time` is measured without being asked for.",
    keys: &[
        required("tool", TOOL, "`command`."),
        optional(
            "run",
            Kind::Shape(
                "a list: a program and its arguments; `{ any: [LIST, LIST] }` for several, see *Lists*",
            ),
            "`shell`",
            "What runs; no shell is involved.",
        ),
        optional(
            "shell",
            Kind::Text(SHELL),
            "`run`",
            "A script for `sh -c` in the guest, in place of `run`.",
        ),
        default("side", Kind::Choice(&["client", "server"]), "client", "Where it runs."),
        optional(
            "server",
            ARGV,
            "nothing is started",
            "Started first, on the server's side; ended (SIGTERM) last.",
        ),
        optional(
            "port",
            Kind::Integer { min: 1, max: 65535 },
            "required by, and only with, `server`",
            "The command starts once something listens there.",
        ),
        default("transport", Kind::Choice(&["tcp", "udp"]), "tcp", "What `server` listens on `port` with."),
        default(
            "files",
            Kind::Shape("a list of at most 64 paths of files, all of different names"),
            "[]",
            "Put into the guest before anything starts; those that are executable stay so.",
        ),
        default("env", Kind::Shape("a map from names to values"), "{}", "Added to the environment."),
        optional("stdin", Kind::Text(STDIN), "empty", "Standard input."),
        default(
            "deadline",
            Kind::Duration { min: 1, max: 86400 },
            "60s",
            "Longest time that one run may take.",
        ),
        default(
            "exit",
            Kind::Shape("a status from 0 to 255, a list of these, or any"),
            "0",
            "Which exit statuses are a success. Any other end is a failure of the workload.",
        ),
        default(
            "repeat",
            Kind::Integer { min: 1, max: 1000 },
            "1",
            "Runs within one boot. A metric's median over them is the boot's value: the boot is the unit.",
        ),
        default(
            "metrics",
            Kind::Shape("a list of at most 32 maps, see *Command metric*"),
            "[]",
            "What to read from the output.",
        ),
    ],
};

/// What to read from a command's output.
pub(crate) static METRIC: Section = Section {
    title: "Command metric",
    intro: "An item of `metrics`. Gates name it like any other metric. What a run does not yield is reported as \
            unavailable, with the reason.",
    keys: &[
        required("name", Kind::Text(METRIC_NAME), "No name from *Metrics*."),
        required(
            "unit",
            Kind::Choice(&[
                "bits-per-second",
                "bytes-per-second",
                "operations-per-second",
                "messages-per-second",
                "seconds",
                "milliseconds",
                "microseconds",
                "nanoseconds",
                "watts",
                "bytes",
                "percent",
                "count",
                "per-page",
                "per-kib",
                "per-mib",
                "per-second",
                "ratio",
                "iio-clocks",
            ]),
            "Unit of the values, after `scale`.",
        ),
        required("better", Kind::Choice(&["higher", "lower", "neither"]), "Which way is better."),
        optional(
            "regex",
            Kind::Text(REGEX),
            "`json`",
            "Where the value stands: the group `(?<value>...)`, or the only group. `^` and `$` are a line's.",
        ),
        optional(
            "json",
            Kind::Text(JSON_POINTER),
            "`regex`",
            "Where the value stands in JSON: a number, a text that is one, or an array of these.",
        ),
        default("from", Kind::Text(OUTPUT), "stdout", "What is searched."),
        default("scale", Kind::Fraction { max: 1e15 }, "1", "What each value is multiplied by."),
        default(
            "which",
            Kind::Choice(&["first", "last", "min", "max", "mean", "sum", "each"]),
            "last",
            "Which value counts where there are several; `each` keeps all, told apart by `occurrence`.",
        ),
    ],
};

const TESTS: Kind = Kind::Shape("a list of programs such as net:tls, or patterns such as net:udpgro*");
const PATTERNS: Kind =
    Kind::Shape("a list of shell patterns over names such as net:fcnal-test.sh or `net:tls / *bidir*`");

/// The kernel's own tests.
pub(crate) static KTAP: Section = Section {
    title: "ktap",
    intro: "`tool: ktap`: kernel selftests, built from the kernel's own tree with the collections' own Makefiles, and run \
            by its own runner in the client's guest, one program at a time. Each subtest is compared between arms.",
    keys: &[
        required("tool", TOOL, "`ktap`."),
        default(
            "collections",
            Kind::Shape("a list of folders of tools/testing/selftests, such as [net, iommu]"),
            "[]",
            "All of whose programs run.",
        ),
        default("tests", TESTS, "[]", "Single programs that run as well."),
        default(
            "build",
            Kind::Shape("a list of folders of tools/testing/selftests, such as [drivers/net/hw]"),
            "[]",
            "Built, and not run: for tests that call programs of another collection.",
        ),
        default("skip", PATTERNS, "[]", "Programs that do not run."),
        default(
            "flakes",
            PATTERNS,
            "[]",
            "Known flakes, programs or subtests: they run and are shown, and decide nothing.",
        ),
        default(
            "timeout",
            Kind::Duration { min: 1, max: 86400 },
            "60s",
            "Longest time that one program may take, whatever its `settings` file says.",
        ),
        default(
            "deadline",
            Kind::Duration { min: 1, max: 86400 },
            "30m",
            "Longest time that all of them may take in one boot; what is left then is reported as missing.",
        ),
        default(
            "from",
            Kind::Choice(&["arm", "base"]),
            "arm",
            "Whose tests: those of each arm's patched tree, or those of its unpatched base.",
        ),
        default(
            "nic",
            Kind::Choice(&["none", "zcsim", "veth"]),
            "none",
            "The NIC that tests of drivers get (`NETIF` and its fellows): one of a pair of linked devices of this kind, whose \
             peer is in a namespace of its own, made anew for each program. `zcsim` is the series of that name.",
        ),
    ],
};

/// What must hold of tests.
pub(crate) static TEST_GATE: Section = Section {
    title: "Gate on tests",
    intro: "An item of `gates` that names a workload of the tool `ktap`. It fails if a test that passes in every boot of \
            the baseline fails in every boot of a candidate, in three at least; or if its failures differ at `alpha` (Fisher's \
            exact test, adjusted by Benjamini-Hochberg over all tests). It is unclear if a test fails in some boots only, \
            or if arms differ and have one boot each.",
    keys: &[
        required("workload", Kind::Text(WORKLOAD_NAME), "Which workload."),
        required(
            "expect",
            Kind::Choice(&["no-new-failures", "fixed"]),
            "What must hold. `fixed`: none fails newly, and at least one that fails in every boot of the baseline, or crashes it, \
             passes in every boot of the candidate; a crash of the baseline by itself then fails nothing.",
        ),
    ],
};
