//! The schema: every key with its type, range, default and meaning, in one table.
//!
//! Reading, the messages about what is allowed, and the reference in `scenarios/README.md` all come from it.

mod command;
mod files;
mod nested;
mod scenario;
mod stream;
mod syntax;

pub(crate) use command::{COMMAND, KTAP, METRIC, TEST_GATE};
pub(crate) use files::{
    CONFIG, DEBIAN_IMAGE, DEBIAN_SOURCE, GIT, KERNEL, PREBUILT_IMAGE, SERIES, SOURCE, TARBALL,
};
pub(crate) use nested::{GUEST_LEVEL, HOST_LEVEL, NESTED, PEER_LEVEL};
pub(crate) use scenario::{
    ARM, BOOTS, FAKE, GATE, IOMMU, IPERF3, MACHINE, NIC, SCENARIO, SOCKPERF, WIRE, WORKLOAD,
};
pub(crate) use stream::STREAM;
pub(crate) use syntax::{
    ARGUMENT, BASE_NAME, COLLECTION, COMPLAINT, CONFIG_OPTION, CONGESTION, ENV_NAME, FRAGMENT_NAME,
    GIT_REFERENCE, JSON_POINTER, KERNEL_PARAMETER, KNOWN_COMPLAINTS, LOCATION, METRIC_NAME, NAME, OUTPUT,
    PACKAGE, PACKAGE_VERSION, PATH, REGEX, SERIES_REFERENCE, SHA256, STDIN, SUBFOLDER, SUITE, SYSCTL_NAME,
    SYSCTL_VALUE, Syntax, TEST, TEST_PATTERN, TREE_PATH, VERSION_PREFIX,
};

/// The version of every file's schema. A newer one is refused.
pub(crate) const VERSION: u64 = 1;

/// The keys of one map.
#[derive(Debug)]
pub(crate) struct Section {
    /// Heading in the reference.
    pub(crate) title: &'static str,
    /// What it is for, for the reference.
    pub(crate) intro: &'static str,
    /// In the order of the reference.
    pub(crate) keys: &'static [Key],
}

/// One key of a map.
#[derive(Debug)]
pub(crate) struct Key {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    pub(crate) absent: Absent,
    /// What it means, for the reference.
    pub(crate) help: &'static str,
}

/// What holds when a key is left out.
#[derive(Debug)]
pub(crate) enum Absent {
    /// It must be there.
    Required,
    /// This value, as one would write it.
    Default(&'static str),
    /// What the code decides, in words.
    Otherwise(&'static str),
}

/// The type and range of a value.
#[derive(Debug)]
pub(crate) enum Kind {
    /// A whole number within these bounds.
    Integer { min: u64, max: u64 },
    /// A size in bytes within these bounds.
    Size { min: u64, max: u64 },
    /// Whole seconds within these bounds.
    Duration { min: u64, max: u64 },
    /// Nanoseconds within these bounds.
    Delay { min: u64, max: u64 },
    /// Bits in a second within these bounds.
    Rate { min: u64, max: u64 },
    /// More than 0 % and at most so many.
    Percent { max: f64 },
    /// A number above 0 and at most this.
    Fraction { max: f64 },
    /// `true` or `false`.
    Flag,
    /// One of these words.
    Choice(&'static [&'static str]),
    /// A text of a certain form.
    Text(Syntax),
    /// A map or list whose shape is told in words, and read by code of its own.
    Shape(&'static str),
}

impl Section {
    /// The key called `name`.
    ///
    /// # Panics
    /// If there is none: the code asks only for keys of the table.
    pub(crate) fn key(&self, name: &str) -> &'static Key {
        self.keys
            .iter()
            .find(|key| key.name == name)
            .unwrap_or_else(|| panic!("{} has a key {name}", self.title))
    }

    /// The names of all keys, for messages.
    pub(crate) fn names(&self) -> String {
        one_of(&self.keys.iter().map(|key| key.name).collect::<Vec<_>>())
    }
}

/// A key that must be there.
const fn required(name: &'static str, kind: Kind, help: &'static str) -> Key {
    Key { name, kind, absent: Absent::Required, help }
}

/// A key with a default, as one would write it.
const fn default(name: &'static str, kind: Kind, value: &'static str, help: &'static str) -> Key {
    Key { name, kind, absent: Absent::Default(value), help }
}

/// A key without which something else holds.
const fn optional(name: &'static str, kind: Kind, otherwise: &'static str, help: &'static str) -> Key {
    Key { name, kind, absent: Absent::Otherwise(otherwise), help }
}

/// `a, b or c`.
pub(crate) fn one_of(words: &[&str]) -> String {
    match words {
        [] => "nothing".to_owned(),
        [one] => (*one).to_owned(),
        [first @ .., last] => format!("{} or {last}", first.join(", ")),
    }
}
