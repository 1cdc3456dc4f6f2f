//! One change to the machine, as it is written down before it is made.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::CpuSet;

/// One change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "change", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Change {
    /// An attribute gets another value.
    Value {
        /// The attribute's file.
        path: String,
        /// How its text is read and compared.
        shape: Shape,
        /// What was there, in the form in which it is written.
        before: String,
        /// What is written.
        wanted: String,
    },
    /// A cgroup is made that keeps CPUs for itself.
    Cpuset {
        /// The group's folder.
        path: String,
        /// Its CPUs.
        cpus: CpuSet,
        /// What kind of partition it is.
        partition: Partition,
    },
}

/// How an attribute's text is read: the kernel rarely gives back what was written, letter for letter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Shape {
    /// A word or a number.
    Text,
    /// All words that are allowed, the chosen one in square brackets.
    Choice,
    /// CPUs as hexadecimal words.
    Mask,
    /// CPUs as a list.
    Cpus,
    /// Names, of which `cpuset` is one or is not: `+cpuset`, `-cpuset`.
    CpusetController,
}

/// Kinds of cgroup partition (`Documentation/admin-guide/cgroup-v2.rst`, `cpuset.cpus.partition`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Partition {
    /// The scheduler does not balance load in it: every thread has to be bound to a CPU.
    Isolated,
    /// A scheduling domain of its own, balanced within.
    Root,
}

impl Shape {
    /// The one form of a text that is compared and written.
    pub(super) fn canonical(self, text: &str) -> String {
        let text = text.trim();
        match self {
            Self::Text => text.to_owned(),
            Self::Choice => {
                let chosen = text.split_once('[').and_then(|(_, rest)| rest.split_once(']'));
                chosen.map_or(text, |(chosen, _)| chosen).to_owned()
            }
            Self::Mask => CpuSet::from_mask(text).map_or_else(|| text.to_owned(), |cpus| cpus.to_mask()),
            Self::Cpus => text.parse().map_or_else(|_| text.to_owned(), |cpus: CpuSet| cpus.to_string()),
            Self::CpusetController => match text {
                "+cpuset" | "-cpuset" => text.to_owned(),
                _ if text.split_ascii_whitespace().any(|name| name == "cpuset") => "+cpuset".to_owned(),
                _ => "-cpuset".to_owned(),
            },
        }
    }
}

impl Change {
    /// From what an attribute says now to what it is to say.
    pub(super) fn value(path: impl Into<String>, shape: Shape, now: &str, wanted: &str) -> Self {
        Self::Value {
            path: path.into(),
            shape,
            before: shape.canonical(now),
            wanted: shape.canonical(wanted),
        }
    }

    /// Whether there is nothing to do.
    #[must_use]
    pub fn is_done(&self) -> bool {
        matches!(self, Self::Value { before, wanted, .. } if before == wanted)
    }

    /// The file or folder that it is about.
    #[must_use]
    pub fn path(&self) -> &str {
        match self {
            Self::Value { path, .. } | Self::Cpuset { path, .. } => path,
        }
    }
}

impl Partition {
    /// What is written to `cpuset.cpus.partition`, and read from it if it took.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Isolated => "isolated",
            Self::Root => "root",
        }
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Value { path, before, wanted, .. } => write!(f, "{path}: {before} -> {wanted}"),
            Self::Cpuset { path, cpus, partition } => {
                write!(f, "{path}: a {} partition of CPUs {cpus}", partition.name())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_kernel_gives_back_is_what_was_written() {
        for (shape, written, read) in [
            (Shape::Text, "performance", "performance\n"),
            (Shape::Choice, "never", "always madvise [never]\n"),
            (Shape::Mask, "3", "00000000,00000003\n"),
            (Shape::Mask, "ffffffff,00000000", "ffffffff,00000000\n"),
            (Shape::Cpus, "0,1,2,5", "0-2,5\n"),
            (Shape::CpusetController, "+cpuset", "cpuset cpu io memory\n"),
            (Shape::CpusetController, "-cpuset", "cpu memory\n"),
            (Shape::CpusetController, "-cpuset", "\n"),
        ] {
            assert_eq!(shape.canonical(written), shape.canonical(read), "{written}");
        }
        assert_ne!(Shape::Choice.canonical("always [madvise] never"), "never");
    }
}
