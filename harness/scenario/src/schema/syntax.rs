//! The forms that texts can have.

/// The form of a text.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Syntax {
    /// For messages and the reference.
    pub(crate) what: &'static str,
    /// Whether a text has the form.
    pub(crate) holds: fn(&str) -> bool,
}

/// Names of arms and workloads, which become names of folders and dimensions.
pub(crate) const NAME: Syntax = Syntax {
    what: "1 to 40 letters, digits, `-`, `_` and `.`, not beginning with `-` or `.`",
    holds: |text| is_name(text, 40, |c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.')),
};

/// A workload of the same scenario.
pub(super) const WORKLOAD_NAME: Syntax = Syntax { what: "a name from `workloads`", holds: NAME.holds };

/// The name of a file in `kernels/`, without `.yaml`.
pub(crate) const BASE_NAME: Syntax =
    Syntax { what: "the name of a file in `kernels/`, without `.yaml`", holds: NAME.holds };

/// The name of a file in `kernels/fragments/`, without `.config`.
pub(crate) const FRAGMENT_NAME: Syntax =
    Syntax { what: "the name of a file in `kernels/fragments/`, without `.config`", holds: NAME.holds };

/// A series by its name in `patches/`, or by a path.
pub(crate) const SERIES_REFERENCE: Syntax = Syntax {
    what: "the name of a folder in `patches/`, or a path with a `/`",
    holds: |text| if text.contains('/') { (PATH.holds)(text) } else { (NAME.holds)(text) },
};

/// The folder of a series that holds the patches for one base.
pub(crate) const SUBFOLDER: Syntax = Syntax {
    what: "the name of a folder beside `series.yaml`, or `.` for that folder itself",
    holds: |text| text == "." || (NAME.holds)(text),
};

/// A path; a relative one starts at the folder of the file that names it.
pub(crate) const PATH: Syntax = Syntax {
    what: "a path; a relative one starts at the folder of this file",
    holds: |text| !text.is_empty() && text.len() <= 4096 && !text.chars().any(char::is_control),
};

/// Where a kernel's configuration starts, if not at a make target.
pub(crate) const CONFIG_FILE: Syntax = Syntax {
    what: "tinyconfig, defconfig, or the path of a whole configuration with a `/`",
    holds: |text| matches!(text, "tinyconfig" | "defconfig") || text.contains('/') && (PATH.holds)(text),
};

/// A configuration option without its prefix.
pub(crate) const CONFIG_OPTION: Syntax = Syntax {
    what: "the option's name without `CONFIG_`, such as `PREEMPT_LAZY`",
    holds: |text| {
        is_name(text, 100, |c| c.is_ascii_alphanumeric() || c == '_') && !text.starts_with("CONFIG_")
    },
};

/// One kernel parameter.
pub(crate) const KERNEL_PARAMETER: Syntax = Syntax {
    what: "one kernel parameter of printable ASCII, such as `mitigations=off`; spaces only within double quotes",
    holds: |text| {
        let mut within_quotes = false;
        let clean = text.chars().all(|c| {
            within_quotes ^= c == '"';
            c.is_ascii_graphic() || c == ' ' && within_quotes
        });
        clean && !within_quotes && !text.is_empty() && text.len() <= 512 && !text.starts_with(['-', '='])
    },
};

/// A sysctl by its dotted name.
pub(crate) const SYSCTL_NAME: Syntax = Syntax {
    what: "a dotted name such as `net.ipv4.tcp_rmem`",
    holds: |text| {
        let part = |part: &str| {
            !part.is_empty()
                && part.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '/'))
        };
        text.len() <= 128 && text.contains('.') && text.split('.').all(part)
    },
};

/// What is written to a sysctl.
pub(crate) const SYSCTL_VALUE: Syntax = Syntax {
    what: "1 to 256 printable ASCII characters on one line",
    holds: |text| {
        !text.trim().is_empty() && text.len() <= 256 && text.chars().all(|c| c.is_ascii_graphic() || c == ' ')
    },
};

/// A TCP congestion control; the kernel's TCP_CA_NAME_MAX is 16 with its final NUL.
pub(crate) const CONGESTION: Syntax = Syntax {
    what: "a congestion control that the kernel has, such as cubic, reno, dctcp or bbr",
    holds: |text| {
        is_name(text, 15, |c| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '_' | '-'))
    },
};

/// A core, or all of them.
pub(super) const CORE: Syntax =
    Syntax { what: "the number of a core, or all", holds: |text| text == "all" || is_number(text) };

/// The number of a flow.
pub(super) const FLOW: Syntax = Syntax { what: "the number of a flow, from 0", holds: is_number };

/// One of the values that a command's metric has in a boot.
pub(super) const OCCURRENCE: Syntax = Syntax { what: "the number of a value, from 0", holds: is_number };

/// A network interface; the kernel's IFNAMSIZ is 16 with its final NUL.
pub(super) const INTERFACE: Syntax = Syntax {
    what: "the name of a network interface in the guest",
    holds: |text| is_name(text, 15, |c| c.is_ascii_graphic() && c != '/'),
};

/// The start of a kernel's version.
pub(crate) const VERSION_PREFIX: Syntax = Syntax {
    what: "the start of what the tree calls itself, such as 6.12 or 7.3-rc2",
    holds: |text| {
        text.starts_with(|c: char| c.is_ascii_digit())
            && is_name(text, 40, |c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '+'))
    },
};

/// A Debian package's name, Debian Policy 5.6.7.
pub(crate) const PACKAGE: Syntax = Syntax {
    what: "a Debian package, such as linux-source-6.12",
    holds: |text| {
        text.len() >= 2
            && is_name(text, 100, |c| {
                c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '+' | '-' | '.')
            })
    },
};

/// A Debian suite.
pub(crate) const SUITE: Syntax = Syntax {
    what: "a suite, such as bookworm-security",
    holds: |text| is_name(text, 60, |c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-'),
};

/// A Debian package's version, Debian Policy 5.6.12.
pub(crate) const PACKAGE_VERSION: Syntax = Syntax {
    what: "a package version, such as 6.12.57-1",
    holds: |text| {
        text.starts_with(|c: char| c.is_ascii_digit())
            && is_name(text, 100, |c| c.is_ascii_alphanumeric() || matches!(c, '.' | '+' | '-' | '~' | ':'))
    },
};

/// A git branch, tag or commit.
pub(crate) const GIT_REFERENCE: Syntax = Syntax {
    what: "a branch, tag or commit",
    holds: |text| {
        is_name(text, 256, |c| c.is_ascii_graphic() && !matches!(c, '~' | '^' | ':' | '?' | '*' | '[' | '\\'))
            && !text.contains("..")
    },
};

/// A local path or a URL, never something that a tool could take for an option.
pub(crate) const LOCATION: Syntax = Syntax {
    what: "a path or a URL (https://, http://, git:// or ssh://)",
    holds: |text| {
        let schemes = ["https", "http", "git", "ssh"];
        let known =
            text.split_once("://").is_none_or(|(scheme, rest)| schemes.contains(&scheme) && !rest.is_empty());
        known && (PATH.holds)(text) && !text.starts_with('-')
    },
};

/// A SHA-256 digest.
pub(crate) const SHA256: Syntax = Syntax {
    what: "64 hexadecimal digits, as sha256sum prints them",
    holds: |text| text.len() == 64 && text.chars().all(|c| c.is_ascii_digit() || ('a'..='f').contains(&c)),
};

/// One line for people.
pub(super) const TITLE: Syntax = Syntax {
    what: "one line of at most 120 characters",
    holds: |text| {
        !text.trim().is_empty() && text.chars().count() <= 120 && !text.chars().any(char::is_control)
    },
};

/// One argument of a program.
pub(crate) const ARGUMENT: Syntax = Syntax {
    what: "a text of at most 64 KiB without NUL characters",
    holds: |text| text.len() <= 64 * 1024 && !text.contains('\0'),
};

/// A shell script.
pub(super) const SHELL: Syntax = Syntax {
    what: "a script of at most 64 KiB",
    holds: |text| !text.trim().is_empty() && (ARGUMENT.holds)(text),
};

/// What a program reads; the agent takes so much at once.
pub(crate) const STDIN: Syntax =
    Syntax { what: "a text of at most 64 KiB", holds: |text| text.len() <= 64 * 1024 };

/// A variable of the environment.
pub(crate) const ENV_NAME: Syntax = Syntax {
    what: "a name of letters, digits and `_`, not beginning with a digit",
    holds: |text| {
        is_name(text, 128, |c| c.is_ascii_alphanumeric() || c == '_')
            && !text.starts_with(|c: char| c.is_ascii_digit())
    },
};

/// A metric that a scenario defines.
pub(crate) const METRIC_NAME: Syntax = Syntax {
    what: "1 to 40 lower-case letters, digits and `-`, beginning with a letter",
    holds: |text| {
        is_name(text, 40, |c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
            && text.starts_with(|c: char| c.is_ascii_lowercase())
    },
};

/// A regular expression that finds a value.
pub(crate) const REGEX: Syntax = Syntax {
    what: "a regular expression with a group (?<value>...), or with one group",
    holds: |text| text.len() <= 1000 && plan::value_regex(text).is_ok(),
};

/// Where a value stands in a JSON document.
pub(crate) const JSON_POINTER: Syntax = Syntax {
    what: "a JSON pointer (RFC 6901) such as /jobs/0/read/iops",
    holds: |text| {
        let escapes = text.split('~').skip(1).all(|rest| rest.starts_with(['0', '1']));
        text.len() <= 1000 && (text.is_empty() || text.starts_with('/')) && escapes
    },
};

/// Where a command's values stand.
pub(crate) const OUTPUT: Syntax = Syntax {
    what: "stdout, stderr, or the absolute path of a file in the guest",
    holds: |text| {
        matches!(text, "stdout" | "stderr")
            || text.starts_with('/') && (PATH.holds)(text) && !text.contains('*')
    },
};

/// A folder of kernel selftests.
pub(crate) const COLLECTION: Syntax = Syntax {
    what: "a folder of tools/testing/selftests, such as net or net/mptcp",
    holds: |text| {
        let part =
            |part: &str| is_name(part, 64, |c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'));
        text.len() <= 200 && text.split('/').all(part)
    },
};

/// A file of a kernel tree.
pub(crate) const TREE_PATH: Syntax = Syntax {
    what: "a path within the tree, such as tools/testing/selftests/net/config",
    holds: COLLECTION.holds,
};

/// A program of the kernel selftests, or a pattern over the programs of one collection.
pub(crate) const TEST: Syntax = Syntax {
    what: "a collection, a colon and a program, such as net:tls or net:udpgro*",
    holds: |text| {
        text.split_once(':').is_some_and(|(collection, program)| {
            (COLLECTION.holds)(collection) && (TEST_PATTERN.holds)(program)
        })
    },
};

/// Patterns over titles of complaints.
pub(crate) const KNOWN_COMPLAINTS: Syntax = Syntax {
    what: "a list of shell patterns over titles, such as `WARNING in igb_*`",
    holds: COMPLAINT.holds,
};

/// One of them.
pub(crate) const COMPLAINT: Syntax = Syntax {
    what: "a shell pattern over titles, such as `WARNING in igb_*`",
    holds: |text| {
        !text.is_empty()
            && text.len() <= 300
            && !text.chars().any(char::is_control)
            && plan::Patterns::new(&[text.to_owned()]).is_ok()
    },
};

/// A pattern over names of tests.
pub(crate) const TEST_PATTERN: Syntax = Syntax {
    what: "a shell pattern over names of tests, such as net:udpgro* or `net:tls / *bidir*`",
    holds: |text| {
        !text.is_empty()
            && text.len() <= 300
            && !text.chars().any(char::is_control)
            && plan::Patterns::new(&[text.to_owned()]).is_ok()
    },
};

fn is_name(text: &str, max: usize, allowed: impl Fn(char) -> bool) -> bool {
    !text.is_empty() && text.len() <= max && !text.starts_with(['-', '.']) && text.chars().all(allowed)
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.len() <= 4 && text.chars().all(|c| c.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_cannot_leave_their_folder() {
        for bad in ["", ".", "..", "../x", "a/b", ".hidden", "-rf", "a b", "ä", &"x".repeat(41)] {
            assert!(!(NAME.holds)(bad), "{bad:?}");
        }
        for good in ["debian-6.12", "a", "A_b.c", "6.12"] {
            assert!((NAME.holds)(good), "{good:?}");
        }
    }

    #[test]
    fn a_kernel_parameter_is_one_word() {
        for bad in ["", "a b", "a\nb", "--", "-s", "=x", "dyndbg=\"file x", "ä=1"] {
            assert!(!(KERNEL_PARAMETER.holds)(bad), "{bad:?}");
        }
        for good in ["mitigations=off", "nokaslr", "dyndbg=\"file x.c +p\"", "a.b=1,2"] {
            assert!((KERNEL_PARAMETER.holds)(good), "{good:?}");
        }
    }

    #[test]
    fn locations_are_no_options_and_no_unknown_schemes() {
        for bad in ["--upload-pack=x", "ext::sh -c x://y", "file://x", "https://", ""] {
            assert!(!(LOCATION.holds)(bad), "{bad:?}");
        }
        for good in ["../linux", "/src/linux", "https://example.org/linux.git", "ssh://git@example.org/x"] {
            assert!((LOCATION.holds)(good), "{good:?}");
        }
    }

    #[test]
    fn a_sysctl_is_dotted() {
        for bad in ["tcp_rmem", "net..x", ".net.x", "net.x y", "../../etc", "net.ipv4.", ""] {
            assert!(!(SYSCTL_NAME.holds)(bad), "{bad:?}");
        }
        assert!((SYSCTL_NAME.holds)("net.ipv4.tcp_rmem"));
    }
}
