//! The guest that `exec` and `shell` boot.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use clap_complete::engine::ArgValueCandidates;

use super::SeriesFlags;

/// What one guest boots, and its shape.
#[derive(Debug, Args)]
pub(crate) struct GuestFlags {
    /// A base: the name of a file in `kernels/` [default: in a kernel tree, the kernel that is built there, else debian-6.12].
    #[arg(long, add = ArgValueCandidates::new(crate::complete::bases))]
    pub(crate) base: Option<String>,
    /// What the base's kernel is built for: `debug` has KASAN, lockdep and more, takes 1 GiB at least and boots slower.
    #[arg(long, value_enum, conflicts_with_all = ["build", "make"])]
    pub(crate) flavour: Option<Flavour>,
    /// An option of the base's kernel beyond its own configuration, as in a scenario's `config`: `LKDTM=y`, `NR_CPUS=8`. May be
    /// given several times.
    #[arg(long, value_name = "NAME=VALUE", value_parser = config_option, conflicts_with_all = ["build", "make"])]
    pub(crate) option: Vec<plan::ConfigOption>,
    #[command(flatten)]
    pub(crate) series: SeriesFlags,
    /// Boot the kernel that is built in this folder: a kernel tree, or the output folder of `make O=` [default: the one that
    /// the current folder is in, or KBUILD_OUTPUT of the tree that it is in].
    #[arg(long, value_name = "DIR", conflicts_with_all = ["base", "series"])]
    pub(crate) build: Option<PathBuf>,
    /// Build the tree's kernel first: `make olddefconfig` and `make` in its own build folder.
    #[arg(long, conflicts_with_all = ["base", "series"])]
    pub(crate) make: bool,
    /// Extra kernel parameters.
    #[arg(long, value_name = "PARAMETER")]
    pub(crate) cmdline: Vec<String>,
    /// How instructions are executed.
    #[arg(long, value_enum, default_value_t = Accel::Auto)]
    pub(crate) accel: Accel,
    /// Virtual CPUs.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=64))]
    pub(crate) vcpus: u32,
    /// Memory in MiB.
    #[arg(long, default_value_t = 512, value_parser = clap::value_parser!(u32).range(128..=262_144))]
    pub(crate) memory: u32,
    /// Keep the guest's console in this file [default: only a crash's, in `crashes/` of the results folder].
    #[arg(long, value_name = "FILE")]
    pub(crate) console: Option<PathBuf>,
    /// An image that the guest gets as a read-only disk: `/dev/vdb`, the next one `/dev/vdc`. May be given up to eight times.
    #[arg(long, value_name = "FILE")]
    pub(crate) disk: Vec<PathBuf>,
    /// A folder that the guest sees as it changes, read-only without `:rw`; at GUEST, or at `/mnt/NAME` (with `--root
    /// host`: where it is on the host). May be given up to eight times.
    #[arg(long, value_name = "HOST[:GUEST][:rw]", value_parser = ShareFlag::parse)]
    pub(crate) share: Vec<ShareFlag>,
    /// What the guest's root is. Of the host's, it sees what the user that QEMU runs as may read.
    #[arg(long, value_enum, default_value_t = Root::Image)]
    pub(crate) root: Root,
    /// Boot a host that runs the guest with its own KVM, and a peer on the host's wire: NIC is how the guest reaches that wire. All
    /// boot the same kernel; `--vcpus` and `--memory` are the guest's.
    #[arg(long, value_enum, value_name = "NIC", num_args = 0..=1, require_equals = true, default_missing_value = "passthrough",
          conflicts_with_all = ["disk", "share", "root", "gdb"])]
    pub(crate) nested: Option<InnerNic>,
    /// Where the command runs.
    #[arg(long, value_enum, requires = "nested", default_value_t = Level::Guest)]
    pub(crate) level: Level,
    /// Lets `assay gdb` attach a debugger. With `=wait` the guest waits for it at power-on. No deadline then ends a boot,
    /// and no crash ends the guest.
    #[arg(long, value_enum, value_name = "WHEN", num_args = 0..=1, require_equals = true, default_missing_value = "attach")]
    pub(crate) gdb: Option<Gdb>,
}

/// `NAME=VALUE`, as in a `.config` without its prefix.
pub(crate) fn config_option(text: &str) -> Result<plan::ConfigOption, String> {
    use plan::ConfigValue::{Hex, Module, No, Number, Text, Yes};
    let (name, value) = text.split_once('=').ok_or("NAME=y, m, n, a number or a text")?;
    let name = name.strip_prefix("CONFIG_").unwrap_or(name);
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    if name.is_empty() || !name.chars().all(is_name) {
        return Err(format!("`{name}` is no name of an option"));
    }
    let number = || match value.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16).ok().map(Hex),
        None => value.parse().ok().map(Number),
    };
    let value = match value {
        "y" => Yes,
        "m" => Module,
        "n" => No,
        text if text.chars().any(char::is_control) => return Err("a control character in its value".into()),
        text => number().unwrap_or_else(|| Text(text.trim_matches('"').to_owned())),
    };
    Ok(plan::ConfigOption { name: name.to_owned(), value })
}

/// `HOST[:GUEST][:rw]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ShareFlag {
    pub(crate) host: PathBuf,
    pub(crate) guest: Option<String>,
    pub(crate) access: machine::Access,
}

impl ShareFlag {
    fn parse(text: &str) -> Result<Self, String> {
        let mut words: Vec<&str> = text.split(':').collect();
        let mut access = machine::Access::ReadOnly;
        if words.len() > 1
            && let Some(word) = words.pop_if(|word| matches!(*word, "rw" | "ro"))
            && word == "rw"
        {
            access = machine::Access::ReadWrite;
        }
        let (host, guest) = match words.as_slice() {
            [host] => (*host, None),
            [host, guest] => (*host, Some((*guest).to_owned())),
            _ => return Err("more colons than HOST:GUEST:rw has".into()),
        };
        if host.is_empty() {
            return Err("no folder of the host is named".into());
        }
        if let Some(guest) = guest.as_deref().filter(|guest| !is_plain(guest)) {
            return Err(format!("`{guest}` is not an absolute path without `..`, nor `rw`"));
        }
        Ok(Self { host: host.into(), guest, access })
    }
}

/// Whether a path in the guest says by itself where it is.
fn is_plain(path: &str) -> bool {
    path.len() > 1 && path.starts_with('/') && path.split('/').all(|part| part != "..")
}

/// What the guest's root is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Root {
    /// Assay's own image: the network tools and busybox, writable in memory.
    Image,
    /// The host's, read-only; /dev, /proc, /sys, /run and /tmp are the guest's own.
    Host,
    /// The same, writable in memory: the host never sees what is written.
    #[value(name = "host:overlay")]
    HostOverlay,
}

impl From<Root> for machine::Root {
    fn from(root: Root) -> Self {
        match root {
            Root::Image => Self::Image,
            Root::Host => Self::Host,
            Root::HostOverlay => Self::HostOverlay,
        }
    }
}

/// How a guest within a guest reaches its host's wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum InnerNic {
    /// The host's NIC itself, by VFIO.
    Passthrough,
    /// A virtual function of the host's NIC, by VFIO.
    VirtualFunction,
    /// virtio-net on a bridge with the host's NIC.
    VirtioNet,
}

/// One of the guests of `--nested`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Level {
    /// The host's guest.
    Guest,
    /// The host.
    Host,
    /// The guest on the other end of the wire.
    Peer,
}

/// When a debugger comes.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Gdb {
    /// At any time.
    Attach,
    /// Before the first instruction.
    Wait,
}

impl From<Gdb> for machine::Debugger {
    fn from(gdb: Gdb) -> Self {
        match gdb {
            Gdb::Attach => Self::Attach,
            Gdb::Wait => Self::Wait,
        }
    }
}

/// What a kernel is built for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Flavour {
    /// As its base is configured.
    Plain,
    /// To say what it does wrong: kernels/fragments/debug.config on top.
    Debug,
}

impl From<Flavour> for plan::Flavour {
    fn from(flavour: Flavour) -> Self {
        match flavour {
            Flavour::Plain => Self::Plain,
            Flavour::Debug => Self::Debug,
        }
    }
}

impl Flavour {
    /// As the command line has it.
    pub(crate) fn word(self) -> &'static str {
        plan::Flavour::from(self).word()
    }
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Accel {
    /// KVM where it really runs a guest, otherwise TCG.
    Auto,
    /// KVM or nothing.
    Kvm,
    /// QEMU's software emulation.
    Tcg,
}

impl From<Accel> for plan::Accel {
    fn from(accel: Accel) -> Self {
        match accel {
            Accel::Auto => Self::Auto,
            Accel::Kvm => Self::Kvm,
            Accel::Tcg => Self::Tcg,
        }
    }
}

#[cfg(test)]
mod tests {
    use machine::Access::{ReadOnly, ReadWrite};

    use super::*;

    #[test]
    fn an_option_is_as_in_a_configuration() {
        let line = |text: &str| config_option(text).map(|option| option.to_string());
        for (text, expected) in [
            ("LKDTM=y", "CONFIG_LKDTM=y"),
            ("CONFIG_TEST_LOCKUP=m", "CONFIG_TEST_LOCKUP=m"),
            ("SMP=n", "# CONFIG_SMP is not set"),
            ("NR_CPUS=8", "CONFIG_NR_CPUS=8"),
            ("START=0x1f", "CONFIG_START=0x1f"),
            ("CMDLINE=a b", "CONFIG_CMDLINE=\"a b\""),
        ] {
            assert_eq!(line(text).as_deref(), Ok(expected), "{text}");
        }
        for text in ["LKDTM", "=y", "A-B=y", "A=b\nCONFIG_C=y"] {
            assert!(line(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_share_names_a_folder_a_place_and_what_may_be_done() {
        let share = |host: &str, guest: Option<&str>, access| ShareFlag {
            host: host.into(),
            guest: guest.map(str::to_owned),
            access,
        };
        for (text, expected) in [
            ("data", share("data", None, ReadOnly)),
            ("data:rw", share("data", None, ReadWrite)),
            ("data:/d", share("data", Some("/d"), ReadOnly)),
            ("data:/d:ro", share("data", Some("/d"), ReadOnly)),
            ("data:/d:rw", share("data", Some("/d"), ReadWrite)),
            // A folder of that name.
            ("rw", share("rw", None, ReadOnly)),
        ] {
            assert_eq!(ShareFlag::parse(text).unwrap(), expected, "{text}");
        }
        for text in ["", ":/d", "data:d", "data:/a/../b", "data:/", "a:/b:/c:rw", "data:rx"] {
            assert!(ShareFlag::parse(text).is_err(), "{text}");
        }
    }
}
