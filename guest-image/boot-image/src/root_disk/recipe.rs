//! What the guest's root is made of.
//!
//! Everything here is part of the recipe's digest: changing it makes another image.

/// Changes when the code that makes the image changes what comes out.
pub(super) const VERSION: u32 = 1;

/// The Debian suite that the packages come from. Not that of the host: a guest is the same everywhere.
pub(super) const SUITE: &str = "trixie";

/// What one kind of root is made of.
#[derive(Debug)]
pub(crate) struct Recipe {
    /// What it is for; their dependencies come with them. The names are Debian packages', with a suite behind a slash where
    /// it is not this one's.
    pub(super) packages: &'static [&'static str],
    /// Dependencies that are left out.
    pub(super) omitted: &'static [&'static str],
    /// Removed after unpacking.
    pub(super) pruned: &'static [&'static str],
    /// Links that Debian makes when it installs a package: name in `usr/bin`, and target from there.
    pub(super) alternatives: &'static [(&'static str, &'static str)],
    /// Whether what is in files is compressed.
    pub(super) compressed: bool,
}

/// The root of guests that measure.
pub(crate) const LAB: Recipe =
    Recipe { packages: PACKAGES, omitted: OMITTED, pruned: PRUNED, alternatives: &[], compressed: false };

/// The same for guests that boot it from their initramfs, where each of its bytes is copied before the first program runs:
/// compressing takes away more than decompressing what is read adds.
pub(crate) const CLOSED: Recipe = Recipe { compressed: true, ..LAB };

/// The root of guests that run the kernel's own tests: what their scripts call, and what their programs link against.
pub(crate) const SELFTESTS: Recipe = Recipe {
    packages: &[
        // The shell and the small tools that scripts are written for; busybox has only what is left.
        "bash",
        "coreutils",
        "dash",
        "diffutils",
        "findutils",
        "gawk",
        "grep",
        "hostname",
        "ncurses-bin",
        "perl-base",
        "procps",
        "psmisc",
        "python3-minimal",
        "libpython3-stdlib",
        "python3-yaml",
        "python3-jsonschema",
        "sed",
        "tar",
        "bc",
        "bsdextrautils",
        "jq",
        "keyutils",
        "lsof",
        "xxd",
        "busybox-static",
        "kmod",
        "util-linux",
        "libc-bin",
        // Networking.
        "conntrack",
        // Current trees' tests set what it only learnt since (hds-thresh).
        "ethtool/forky",
        "iperf3",
        "ipset",
        "iproute2",
        "iptables",
        "iputils-ping",
        "iputils-arping",
        "iputils-tracepath",
        "ncat",
        "ndisc6",
        "net-tools",
        "netcat-openbsd",
        "netbase",
        "netsniff-ng",
        "nftables",
        "openssl",
        "socat",
        "sockperf",
        "tcpdump",
        "traceroute",
        // Libraries of the programs.
        "libcap2",
        "libcap2-bin",
        "libelf1t64",
        "libmnl0",
        "libnuma1",
        "libssl3t64",
        "liburing2/forky",
        "numactl",
        "zlib1g",
    ],
    omitted: &[
        "adduser",
        "base-passwd",
        "debconf",
        "debconf-2.0",
        "init-system-helpers",
        "libpam-modules",
        "libpam-modules-bin",
        "libpam-runtime",
        "libsemanage-common",
        "libsemanage2",
        "login.defs",
        "media-types",
        "openssl-provider-legacy",
        "passwd",
        "tzdata",
    ],
    pruned: PRUNED_SELFTESTS,
    alternatives: &[
        // Not busybox's: its shell calls its own ip, which knows no namespaces.
        ("sh", "dash"),
        ("awk", "gawk"),
        ("ip6tables", "../sbin/ip6tables-nft"),
        ("ip6tables-restore", "../sbin/ip6tables-nft-restore"),
        ("ip6tables-save", "../sbin/ip6tables-nft-save"),
        ("iptables", "../sbin/iptables-nft"),
        ("iptables-restore", "../sbin/iptables-nft-restore"),
        ("iptables-save", "../sbin/iptables-nft-save"),
        ("nc", "nc.openbsd"),
        ("netcat", "nc.openbsd"),
        ("traceroute", "traceroute.db"),
        ("traceroute6", "traceroute6.db"),
    ],
    compressed: false,
};

/// As for the lab, but for /etc, which has the tables of protocols and services that programs look names up in.
const PRUNED_SELFTESTS: &[&str] = &[
    "etc/pam.d",
    "etc/systemd",
    "usr/include",
    "usr/lib/locale",
    "usr/lib/systemd",
    "usr/lib/udev",
    "usr/lib/x86_64-linux-gnu/gconv",
    "usr/share/bash-completion",
    "usr/share/doc",
    "usr/share/doc-base",
    "usr/share/info",
    "usr/share/initramfs-tools",
    "usr/share/lintian",
    "usr/share/locale",
    "usr/share/man",
    "usr/share/zsh",
    "var",
];

/// What a networking lab runs, and what collectors and people need to look around. The names are packages'.
const PACKAGES: &[&str] = &[
    "iperf3",
    "sockperf",
    "iproute2",
    "ethtool",
    // The shell and the small tools. Static, so that a command starts without loading libraries.
    "busybox-static",
    "procps",
    "kmod",
    "util-linux",
    "numactl",
    "iputils-ping",
    // For ldconfig, which is run over the finished root.
    "libc-bin",
];

/// Dependencies of maintainer scripts and of logins, of which there are none here, and of arpd and lastlog2, which nobody
/// runs here.
const OMITTED: &[&str] = &[
    "adduser",
    "base-passwd",
    "debconf",
    "debconf-2.0",
    "init-system-helpers",
    "libdb5.3t64",
    "libpam-modules",
    "libpam-modules-bin",
    "libpam-runtime",
    "libsemanage-common",
    "libsemanage2",
    "libsqlite3-0",
    "login.defs",
    "openssl-provider-legacy",
    "passwd",
];

/// Removed after unpacking: documentation, translations, and set-up for systems that install packages.
const PRUNED: &[&str] = &[
    "etc",
    "usr/include",
    "usr/lib/locale",
    "usr/lib/systemd",
    "usr/lib/udev",
    "usr/lib/x86_64-linux-gnu/gconv",
    "usr/share/bash-completion",
    "usr/share/doc",
    "usr/share/doc-base",
    "usr/share/fish",
    "usr/share/gdb",
    "usr/share/info",
    "usr/share/initramfs-tools",
    "usr/share/lintian",
    "usr/share/locale",
    "usr/share/man",
    "usr/share/metainfo",
    "usr/share/perl5",
    "usr/share/zsh",
    "var",
];

/// Folders that the agent mounts on, or that programs expect.
pub(super) const FOLDERS: &[&str] =
    &["dev", "proc", "sys", "run", "tmp", "root", "var/lib", "var/log", "etc"];

/// All that is in /etc before ldconfig adds its cache. There is no resolv.conf: a guest asks nobody for names.
pub(super) const FILES: &[(&str, &str)] = &[
    (
        "etc/passwd",
        "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n",
    ),
    ("etc/group", "root:x:0:\nnogroup:x:65534:\n"),
    ("etc/nsswitch.conf", "passwd: files\ngroup: files\nhosts: files\nprotocols: files\nservices: files\n"),
    ("etc/hosts", "127.0.0.1 localhost\n::1 localhost\n"),
    ("etc/hostname", "guest\n"),
    ("etc/ld.so.conf", "/usr/lib/x86_64-linux-gnu\n"),
];

/// Older paths into /usr, which some programs have compiled in.
pub(super) const LINKS: &[(&str, &str)] =
    &[("bin", "usr/bin"), ("sbin", "usr/sbin"), ("lib", "usr/lib"), ("lib64", "usr/lib64")];
