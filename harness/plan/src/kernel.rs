//! What a kernel is made from: a base, a series, a configuration.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::Flavour;

/// The name of a file in `kernels/`, such as `debian-6.12`.
pub type BaseName = String;

/// A kernel to be had: built, or taken from the cache if it was built before.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KernelSpec {
    /// The source tree, or the prebuilt image.
    pub base: Base,
    /// Applied in this order; empty for an unpatched kernel.
    pub series: Vec<Series>,
    /// Options beyond the base's own configuration, from the arm.
    pub options: Vec<ConfigOption>,
}

/// A source tree at a version, and the configuration that the lab builds it with.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Base {
    /// The name of its file in `kernels/`.
    pub name: BaseName,
    /// The kernel version that the tree must call itself, as a prefix: `6.12`.
    pub version: String,
    /// Where it comes from.
    pub source: Source,
    /// How it is configured; ignored by prebuilt sources.
    pub config: KernelConfig,
    /// What it is built for; the fragment that makes it so is in `config`.
    #[serde(default, skip_serializing_if = "Flavour::is_plain")]
    pub flavour: Flavour,
}

/// Where a base comes from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Source {
    /// A Debian source package such as `linux-source-6.12`, through the machine's own mirror and a private apt state.
    DebianSource {
        /// The binary package that carries the tarball.
        package: String,
        /// Suites to look in, in this order, such as `bookworm-security`, `bookworm`.
        suites: Vec<String>,
        /// Exact versions that will do, best first; empty takes the newest that the suites serve.
        versions: Vec<String>,
    },
    /// A git tree at a ref; the commit that it resolves to is recorded.
    Git {
        /// A local repository or a URL.
        repository: String,
        /// A branch, tag or commit.
        reference: String,
    },
    /// A tarball with one top-level folder.
    Tarball {
        /// A local path or a URL.
        location: String,
        /// Of the compressed file, in hexadecimal.
        sha256: String,
    },
    /// An image that exists already.
    PrebuiltImage {
        /// A bzImage or an ELF vmlinux with a PVH note.
        image: PathBuf,
        /// The folder that holds `lib/modules/<release>`, if the kernel needs modules.
        modules: Option<PathBuf>,
        /// Its configuration, if known.
        config: Option<PathBuf>,
    },
    /// A Debian kernel package such as `linux-image-cloud-amd64`, with its modules.
    DebianImage {
        /// The package; a meta-package is followed to the kernel that it depends on.
        package: String,
        /// Suites to look in, in this order.
        suites: Vec<String>,
        /// Exact versions that will do, best first; empty takes the newest.
        versions: Vec<String>,
    },
    /// Unknown: somebody measured it elsewhere, and the base's name is all that is known of it.
    Imported,
}

/// How a tree is configured: a starting point, fragments, and an optional list of single options.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KernelConfig {
    /// The make target or file to start from.
    pub start: ConfigStart,
    /// Merged in this order; a later one wins.
    pub fragments: Vec<ConfigFragment>,
    /// Fragments of the tree itself, by their paths in it, such as `tools/testing/selftests/net/config`. They are wishes:
    /// `fragments` win over them, and what does not survive is told and is no error.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tree_fragments: Vec<String>,
}

/// Where a configuration starts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum ConfigStart {
    /// `make tinyconfig`.
    Tinyconfig,
    /// `make defconfig`.
    Defconfig,
    /// A whole configuration.
    File(ConfigFragment),
}

/// A configuration fragment with its text, so that a plan stands alone.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConfigFragment {
    /// Its name for messages: the file's stem.
    pub name: String,
    /// `CONFIG_X=y` and `# CONFIG_X is not set` lines.
    pub text: String,
}

/// One option that an arm asks for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConfigOption {
    /// Without the `CONFIG_` prefix.
    pub name: String,
    /// What it must end up as.
    pub value: ConfigValue,
}

/// The value of a configuration option.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ConfigValue {
    /// `=y`.
    Yes,
    /// `=m`.
    Module,
    /// Not set.
    No,
    /// A decimal number.
    Number(i64),
    /// A hexadecimal number. kconfig would read a decimal one as hexadecimal where an option is of type `hex`.
    Hex(u64),
    /// A string, quoted in the file.
    Text(String),
}

impl std::fmt::Display for ConfigOption {
    /// The line as it stands in a `.config`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let name = &self.name;
        match &self.value {
            ConfigValue::Yes => write!(f, "CONFIG_{name}=y"),
            ConfigValue::Module => write!(f, "CONFIG_{name}=m"),
            ConfigValue::No => write!(f, "# CONFIG_{name} is not set"),
            ConfigValue::Number(value) => write!(f, "CONFIG_{name}={value}"),
            ConfigValue::Hex(value) => write!(f, "CONFIG_{name}={value:#x}"),
            ConfigValue::Text(value) => {
                write!(f, "CONFIG_{name}=\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\""))
            }
        }
    }
}

/// A patch series: numbered patches in a folder of `patches/` or of the user's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Series {
    /// The folder's name.
    pub name: String,
    /// Absolute path of the folder.
    pub folder: PathBuf,
    /// In the order in which they apply.
    pub patches: Vec<PatchFile>,
}

/// One patch of a series.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PatchFile {
    /// Absolute path.
    pub path: PathBuf,
    /// Of the file's bytes, in hexadecimal: what was planned is what is applied.
    pub sha256: String,
}
