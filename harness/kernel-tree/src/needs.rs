//! What a kernel must be configured with so that it boots as a guest of Assay and can be talked to, whoever built it.
//!
//! The counterpart of `kernels/fragments`, which says how the lab builds its own kernels: this is the least that will do.

use std::{collections::BTreeMap, fmt, path::PathBuf};

/// How an option must be set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum How {
    /// `=y`: it is needed before any module can be loaded.
    BuiltIn,
    /// `=y`, or `=m` as the module of this name, which then goes into the initramfs.
    Loadable(&'static str),
    /// Not set.
    Off,
}

/// One option that a guest needs.
#[derive(Debug)]
struct Need {
    option: &'static str,
    how: How,
    why: &'static str,
    /// What must be set before kconfig shows it.
    under: &'static [&'static str],
}

const fn need(option: &'static str, how: How, why: &'static str, under: &'static [&'static str]) -> Need {
    Need { option, how, why, under }
}

use How::{BuiltIn, Loadable, Off};

/// In the order in which a boot needs them.
const NEEDS: &[Need] = &[
    need("PRINTK", BuiltIn, "the kernel's messages, in which crashes are seen", &[]),
    need("TTY", BuiltIn, "the console", &[]),
    need("SERIAL_8250", BuiltIn, "the console's port", &["TTY"]),
    need("SERIAL_8250_CONSOLE", BuiltIn, "the console, on which crashes are seen", &["TTY", "SERIAL_8250"]),
    need("CMDLINE_OVERRIDE", Off, "the command line is Assay's: console, root, panic", &[]),
    need("ACPI", BuiltIn, "finding devices, and powering off", &[]),
    need("PCI", BuiltIn, "the bus that all devices are on", &[]),
    need("BLK_DEV_INITRD", BuiltIn, "the initramfs with Assay's agent", &[]),
    need("BINFMT_ELF", BuiltIn, "running the agent", &[]),
    need("FUTEX", BuiltIn, "the agent's threads", &[]),
    need("NET", BuiltIn, "the kernel's device events, and the loopback device", &[]),
    need("PROC_FS", BuiltIn, "/proc", &[]),
    need("SYSFS", BuiltIn, "/sys, in which the agent finds its port", &[]),
    need("DEVTMPFS", BuiltIn, "/dev", &[]),
    need("TMPFS", BuiltIn, "/tmp, /run and the writable layer of the root", &["SHMEM"]),
    need("VIRTIO_PCI", Loadable("virtio_pci"), "the guest's devices", &["PCI", "VIRTIO_MENU"]),
    need(
        "VIRTIO_BLK",
        Loadable("virtio_blk"),
        "the disk with the guest's programs",
        &["BLOCK", "BLK_DEV", "VIRTIO_MENU"],
    ),
    need("VIRTIO_CONSOLE", Loadable("virtio_console"), "the port to the agent", &["TTY", "VIRTIO_MENU"]),
    need(
        "EROFS_FS",
        Loadable("erofs"),
        "the file system of the guest's root",
        &["BLOCK", "MISC_FILESYSTEMS"],
    ),
    need("OVERLAY_FS", Loadable("overlay"), "the writable layer of the guest's root", &[]),
];

/// Not needed to boot, and worth having: in the fragment, never complained about.
const WORTHWHILE: &[&str] = &[
    // Boots vmlinux itself, without a decompressor.
    "HYPERVISOR_GUEST",
    "PARAVIRT",
    "PVH",
    "KVM_GUEST",
    // Entropy at once.
    "HW_RANDOM",
    "HW_RANDOM_VIRTIO",
    "UNIX98_PTYS",
    "TMPFS_XATTR",
    "UNIX",
    "INET",
    "BINFMT_SCRIPT",
    // A root without a disk, for exact evidence.
    "EROFS_FS_BACKED_BY_FILE",
    "EROFS_FS_ZIP",
    // `--share` and `--root host`.
    "NETWORK_FILESYSTEMS",
    "NET_9P",
    "NET_9P_VIRTIO",
    "9P_FS",
];

/// For scenarios: what their machines have, and what their measurements read.
const MACHINES: &[&str] = &[
    "NETDEVICES",
    "NET_CORE",
    "VIRTIO_NET",
    "PCI_MSI",
    "PCIEPORTBUS",
    "ETHERNET",
    "NET_VENDOR_INTEL",
    "IGB",
    "E1000E",
    "NAMESPACES",
    "NET_NS",
    "IOMMU_SUPPORT",
    "INTEL_IOMMU",
    "IRQ_REMAP",
];

/// A `.config`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Config(BTreeMap<String, String>);

impl Config {
    pub(crate) fn parse(text: &str) -> Self {
        let assignments = text.lines().filter_map(|line| {
            let (name, value) = line.strip_prefix("CONFIG_")?.split_once('=')?;
            Some((name.to_owned(), value.trim().to_owned()))
        });
        Self(assignments.collect())
    }

    /// The value as it stands in the file; `n` for what is not set.
    pub(crate) fn get(&self, option: &str) -> &str {
        self.0.get(option).map_or("n", String::as_str)
    }
}

/// One thing that is wrong with a configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lacking {
    /// Without `CONFIG_`.
    pub option: &'static str,
    /// As it is: `n` if it is not set.
    pub found: String,
    /// As it must be.
    pub wanted: &'static str,
    /// What for.
    pub why: &'static str,
    under: &'static [&'static str],
}

/// Everything in `config` that keeps it from being a guest's. Empty if it will do.
pub(crate) fn lacking(config: &Config) -> Vec<Lacking> {
    // Every other line would only repeat it.
    if config.get("X86_64") != "y" {
        return vec![Lacking {
            option: "X86_64",
            found: config.get("X86_64").to_owned(),
            wanted: "y",
            why: "guests are x86-64 machines",
            under: &["64BIT"],
        }];
    }
    let modular = NEEDS.iter().any(|need| matches!(need.how, Loadable(_)) && config.get(need.option) == "m");
    // Installing signs modules, and a build folder's are not installed.
    const SIGNED: Need = need("MODULE_SIG_FORCE", Off, "the build folder's modules are not signed yet", &[]);
    let signatures = modular.then_some(&SIGNED);
    let fails = |need: &&Need| match (need.how, config.get(need.option)) {
        (BuiltIn | Loadable(_), "y") | (Loadable(_), "m") | (Off, "n") => false,
        (BuiltIn | Loadable(_) | Off, _) => true,
    };
    NEEDS
        .iter()
        .chain(signatures)
        .filter(fails)
        .map(|need| Lacking {
            option: need.option,
            found: config.get(need.option).to_owned(),
            wanted: match need.how {
                BuiltIn => "y",
                Loadable(_) => "y or m",
                Off => "n",
            },
            why: need.why,
            under: need.under,
        })
        .collect()
}

/// The modules that the guest cannot do without, of those that `config` makes modules.
pub(crate) fn early_modules(config: &Config) -> impl Iterator<Item = (&'static str, &'static str)> + '_ {
    NEEDS.iter().filter_map(|need| match need.how {
        Loadable(module) if config.get(need.option) == "m" => Some((need.option, module)),
        _ => None,
    })
}

/// Arguments for the kernel's `scripts/config` that set what is lacking, and what that depends on.
fn settings(lacking: &[Lacking], config: &Config) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let mut set = |flag: &str, option: &str| {
        let pair = [flag.to_owned(), option.to_owned()];
        if !words.chunks(2).any(|known| known == pair) {
            words.extend(pair);
        }
    };
    for Lacking { option, wanted, under, .. } in lacking {
        for option in under.iter().filter(|option| config.get(option) != "y") {
            set("-e", option);
        }
        set(if *wanted == "n" { "-d" } else { "-e" }, option);
    }
    words
}

/// A configuration fragment with all that guests need and what is worth having, for `merge_config.sh`.
#[must_use]
pub fn fragment() -> String {
    let mut text = String::from("# What Assay's guests need.\n");
    let mut seen = std::collections::BTreeSet::new();
    let mut line = |text: &mut String, option: &'static str| {
        if seen.insert(option) {
            text.push_str(&format!("CONFIG_{option}=y\n"));
        }
    };
    for need in NEEDS {
        match need.how {
            Off => text.push_str(&format!("# CONFIG_{} is not set\n", need.option)),
            BuiltIn | Loadable(_) => {
                need.under.iter().for_each(|option| line(&mut text, option));
                line(&mut text, need.option);
            }
        }
    }
    text.push_str("# Worth having: a quick boot, entropy, terminals, shared folders.\n");
    WORTHWHILE.iter().for_each(|option| line(&mut text, option));
    text.push_str("# What scenarios put into machines: NICs, IOMMUs, network namespaces.\n");
    MACHINES.iter().for_each(|option| line(&mut text, option));
    text
}

/// What has to be laid over the configuration `text` so that scenarios can run on it: the fragment, less what is there
/// already, built in or as a module.
#[must_use]
pub fn missing_fragment(text: &str) -> String {
    let config = Config::parse(text);
    let builtin: Vec<&str> =
        NEEDS.iter().filter(|need| need.how == BuiltIn).map(|need| need.option).collect();
    let is_missing = |line: &&str| match line.strip_prefix("CONFIG_").and_then(|line| line.split_once('=')) {
        Some((option, _)) => match config.get(option) {
            "y" => false,
            "m" => builtin.contains(&option),
            _ => true,
        },
        None => line
            .strip_prefix("# CONFIG_")
            .and_then(|line| line.split_once(' '))
            .is_some_and(|(option, _)| config.get(option) != "n"),
    };
    fragment().lines().filter(is_missing).flat_map(|line| [line, "\n"]).collect()
}

/// A configuration that a guest cannot boot with, and the command that mends it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unsuitable {
    /// The `.config`.
    pub config: PathBuf,
    /// All that is wrong with it.
    pub lacking: Vec<Lacking>,
    /// What sets it.
    command: String,
}

impl Unsuitable {
    /// `source` is the tree that has `scripts/config`, `make` the command that builds.
    pub(crate) fn new(
        path: PathBuf,
        config: &Config,
        lacking: Vec<Lacking>,
        source: &std::path::Path,
        make: &str,
    ) -> Self {
        let script = crate::shell::quoted(&source.join("scripts/config"));
        let file = crate::shell::quoted(&path);
        let command = format!(
            "{script} --file {file} {} &&\n    {make} olddefconfig && {make}",
            settings(&lacking, config).join(" ")
        );
        Self { config: path, lacking, command }
    }
}

impl fmt::Display for Unsuitable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} lacks what a guest needs:", self.config.display())?;
        for Lacking { option, found, wanted, why, .. } in &self.lacking {
            let found = if found == "n" { "not set" } else { found };
            writeln!(f, "  CONFIG_{option} is {found}, not {wanted}: {why}")?;
        }
        write!(
            f,
            "This sets them, and builds:\n  {}\n`assay kernel fragment` prints all that is worth having.",
            self.command
        )
    }
}

impl std::error::Error for Unsuitable {}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(lines: &[&str]) -> Config {
        Config::parse(&lines.join("\n"))
    }

    /// A configuration with all of it.
    fn whole() -> Config {
        let mut config = Config::parse(&fragment());
        config.0.insert("X86_64".into(), "y".into());
        config
    }

    #[test]
    fn the_fragment_will_do() {
        assert_eq!(lacking(&whole()), []);
    }

    #[test]
    fn everything_that_is_missing_is_told_at_once() {
        let found = lacking(&config(&["CONFIG_X86_64=y"]));
        let expected = NEEDS.iter().filter(|need| need.how != Off).count();
        assert_eq!(found.len(), expected);
    }

    #[test]
    fn another_architecture_is_one_line() {
        let found = lacking(&config(&["CONFIG_ARM64=y", "CONFIG_64BIT=y"]));
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].option, "X86_64");
    }

    #[test]
    fn modules_will_do_where_they_can_be_loaded_in_time_and_nowhere_else() {
        let mut config = whole();
        config.0.insert("EROFS_FS".into(), "m".into());
        config.0.insert("SERIAL_8250".into(), "m".into());
        let found = lacking(&config);
        assert_eq!(found.iter().map(|lacking| lacking.option).collect::<Vec<_>>(), ["SERIAL_8250"]);
        assert_eq!(early_modules(&config).collect::<Vec<_>>(), [("EROFS_FS", "erofs")]);
    }

    #[test]
    fn signatures_may_be_forced_where_no_module_is_needed() {
        let mut config = whole();
        config.0.insert("MODULE_SIG_FORCE".into(), "y".into());
        assert_eq!(lacking(&config), []);
        config.0.insert("EROFS_FS".into(), "m".into());
        assert_eq!(lacking(&config)[0].option, "MODULE_SIG_FORCE");
    }

    #[test]
    fn the_command_sets_what_is_lacking_with_what_hides_it() {
        let mut config = whole();
        config.0.remove("VIRTIO_BLK");
        config.0.remove("VIRTIO_PCI");
        config.0.remove("VIRTIO_MENU");
        config.0.insert("CMDLINE_OVERRIDE".into(), "y".into());
        let words = settings(&lacking(&config), &config).join(" ");
        assert_eq!(words, "-d CMDLINE_OVERRIDE -e VIRTIO_MENU -e VIRTIO_PCI -e VIRTIO_BLK");
    }

    #[test]
    fn what_is_there_as_a_module_is_not_asked_for_again() {
        let text = fragment()
            .replace("CONFIG_IGB=y", "CONFIG_IGB=m")
            .replace("CONFIG_VIRTIO_NET=y\n", "")
            .replace("CONFIG_PCI=y", "CONFIG_PCI=m");
        assert_eq!(missing_fragment(&text), "CONFIG_PCI=y\nCONFIG_VIRTIO_NET=y\n");
        assert_eq!(
            missing_fragment("CONFIG_CMDLINE_OVERRIDE=y\n").lines().next().unwrap(),
            "CONFIG_PRINTK=y"
        );
        assert!(
            missing_fragment("CONFIG_CMDLINE_OVERRIDE=y\n")
                .contains("# CONFIG_CMDLINE_OVERRIDE is not set\n")
        );
    }
}
