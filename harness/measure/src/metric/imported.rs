//! Metrics that only others measured: hardware counters that no guest has, and what tools print that are not run here. What is
//! measured here as well, such as throughput, keeps its one name in [`super`].

use super::{Better, MetricDef, Unit, YieldedBy};

metrics! {
    /// Mean over the cores that were looked at of 100 - %idle (sar, mpstat). Unlike in `cpu-busy`, iowait and steal count.
    CPU_NOT_IDLE = "cpu-not-idle", Percent, Lower, Import, "side";
    /// Payload that was moved, as iperf3's text rounds it.
    TRANSFERRED = "transferred", Bytes, Neither, Import, "direction", "flow", "end";
    /// Throughput as one end of a flow tells it; flow `all` is the sum.
    END_THROUGHPUT = "end-throughput", BitsPerSecond, Higher, Import, "direction", "flow", "end";
    /// Segments that one flow's sender sent again.
    FLOW_RETRANSMITS = "flow-retransmits", Count, Lower, Import, "direction", "flow";
    /// Time of processors in iperf3 itself, by `of` (`host_total`, `remote_system`); 100 % is one processor.
    IPERF_CPU = "iperf-cpu", Percent, Lower, Import, "of";
    /// Round-trip time that a sender's TCP saw, by `of` (`min`, `mean`, `max`).
    TCP_ROUND_TRIP = "tcp-round-trip", Microseconds, Lower, Import, "direction", "flow", "of";
    /// How long a tool measured.
    MEASURED_TIME = "measured-time", Seconds, Neither, Import, "of";
    /// What sockperf tells beside latencies: messages, observations, dispersion.
    SOCKPERF_FIGURE = "sockperf-figure", Count, Neither, Import, "of";
    /// System calls of a process or thread (bpftrace `@total[...]`, `perf trace -s`).
    SYSCALLS = "process-syscalls", Count, Neither, Import, "side", "process", "syscall";
    /// Of these, those that failed (`perf trace -s`).
    SYSCALL_ERRORS = "process-syscall-errors", Count, Neither, Import, "side", "process", "syscall";
    /// Time in system calls (`perf trace -s`), by `of`: `total`, and `min`, `avg` and `max` of one call.
    SYSCALL_TIME = "process-syscall-time", Milliseconds, Lower, Import, "side", "process", "syscall", "of";
    /// Standard deviation of the time of a system call over its mean (`perf trace -s`).
    SYSCALL_DEVIATION = "process-syscall-deviation", Percent, Neither, Import, "side", "process", "syscall";
    /// Part of the samples of a profile that is a function's own (`perf report --stdio`, column `Overhead` or `Self`).
    PROFILE_SHARE = "profile-share", Percent, Neither, Import, "profile", "command", "object", "symbol";
    /// The same with the functions that it calls (`perf report --stdio --children`).
    PROFILE_SHARE_WITH_CALLEES = "profile-share-with-callees", Percent, Neither, Import, "profile", "command", "object", "symbol";
    /// Samples and events of a profile, by `of` (`perf report --stdio`).
    PROFILE_SIZE = "profile-size", Count, Neither, Import, "profile", "of";
    /// What `perf stat` counted of an event, in the unit that it gives with it.
    PERF_EVENT = "perf-event", Count, Neither, Import, "on", "event", "of";
    /// What a column of pcm-iio's CSV says of a part of an I/O stack in a second; the mean over the rows.
    PCM_IIO = "pcm-iio", PerSecond, Neither, Import, "stack", "part", "column";
    /// A column of a table of mpstat's or sar's, under its own name; the tool's own average, or the mean over the rows.
    SYSSTAT = "sysstat", Count, Neither, Import, "of", "column";
    /// A number in a table that somebody wrote, under the table's own words.
    TABLE_CELL = "table-cell", Count, Neither, Import, "table", "row", "column";
}
