//! Every program and library that Assay uses on the host, and what each distribution calls its package.

/// Something to have on the host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Package {
    /// The program, or the library's headers.
    pub name: &'static str,
    /// How its presence is seen.
    pub sign: Sign,
    /// What for.
    pub purpose: &'static str,
    /// What it means to be without it.
    pub without: Without,
    /// Its package in Debian and Ubuntu.
    pub debian: &'static str,
    /// Its package in Fedora and RHEL.
    pub fedora: &'static str,
    /// Its package in Arch Linux.
    pub arch: &'static str,
}

/// How one sees that a package is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sign {
    /// The program is on the search path; these arguments make it print its version.
    Program(&'static [&'static str]),
    /// The program is on the search path and too slow or too chatty to be asked for its version.
    Present,
    /// One of these files is there.
    File(&'static [&'static str]),
}

/// What it means to be without a package.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Without {
    /// Assay's main job cannot be done.
    Needed,
    /// This cannot be done, and everything else can.
    Lost(&'static str),
}

const VERSION: Sign = Sign::Program(&["--version"]);

const fn program(name: &'static str, purpose: &'static str, without: Without) -> Package {
    Package { name, sign: VERSION, purpose, without, debian: name, fedora: name, arch: name }
}

impl Package {
    const fn in_debian(self, debian: &'static str) -> Self {
        Self { debian, ..self }
    }

    const fn in_fedora(self, fedora: &'static str) -> Self {
        Self { fedora, ..self }
    }

    const fn in_arch(self, arch: &'static str) -> Self {
        Self { arch, ..self }
    }

    const fn seen_by(self, sign: Sign) -> Self {
        Self { sign, ..self }
    }
}

use Without::{Lost, Needed};

/// All of them, in the order in which they are shown.
pub const PACKAGES: &[Package] = &[
    program("gcc", "kernel builds", Needed),
    program("ld", "kernel builds", Needed).in_debian("binutils").in_fedora("binutils").in_arch("binutils"),
    program("make", "kernel builds", Needed),
    program("flex", "kernel builds", Needed),
    program("bison", "kernel builds", Needed),
    program("bc", "kernel builds", Needed),
    program("perl", "kernel builds", Needed)
        .seen_by(Sign::Program(&["-e", "print $^V"]))
        .in_fedora("perl-interpreter"),
    program("python3", "kernel builds", Lost("kernels whose build scripts are written in Python"))
        .in_arch("python"),
    program("lz4", "kernel images", Needed),
    program("xz", "Debian's kernel source", Needed).in_debian("xz-utils"),
    program("libelf headers", "kernel builds (objtool)", Needed)
        .seen_by(Sign::File(&["/usr/include/gelf.h", "/usr/local/include/gelf.h"]))
        .in_debian("libelf-dev")
        .in_fedora("elfutils-libelf-devel")
        .in_arch("libelf"),
    program("git", "applying series", Needed),
    program("bwrap", "the sandbox of kernel builds", Needed)
        .in_debian("bubblewrap")
        .in_fedora("bubblewrap")
        .in_arch("bubblewrap"),
    program("apt-get", "kernel sources, QEMU and the guests' root from Debian's packages", Needed)
        .in_debian("apt")
        .in_fedora("apt")
        .in_arch("apt"),
    program("dpkg-deb", "unpacking Debian's packages", Needed)
        .in_debian("dpkg")
        .in_fedora("dpkg")
        .in_arch("dpkg"),
    program("Debian's archive keys", "checking what comes from Debian's archive", Needed)
        .seen_by(Sign::File(&[
            "/usr/share/keyrings/debian-archive-keyring.gpg",
            "/usr/share/keyrings/debian-archive-keyring.pgp",
        ]))
        .in_debian("debian-archive-keyring")
        .in_fedora("debian-keyring")
        .in_arch("debian-archive-keyring"),
    program("depmod", "modules of prebuilt kernels", Lost("prebuilt kernels with modules"))
        .in_debian("kmod")
        .in_fedora("kmod")
        .in_arch("kmod"),
    program("zstd", "modules of prebuilt kernels", Lost("prebuilt kernels with compressed modules")),
    program("clang", "kernel builds with LLVM", Lost("bases and series that need clang")),
    program("ld.lld", "kernel builds with LLVM", Lost("bases and series that need LLVM's linker"))
        .in_debian("lld")
        .in_fedora("lld")
        .in_arch("lld"),
    program("pahole", "BTF in kernels", Lost("kernels with CONFIG_DEBUG_INFO_BTF"))
        .in_debian("dwarves")
        .in_fedora("dwarves"),
    program("openssl headers", "kernels with signed modules", Lost("kernels with CONFIG_MODULE_SIG"))
        .seen_by(Sign::File(&["/usr/include/openssl/opensslv.h", "/usr/local/include/openssl/opensslv.h"]))
        .in_debian("libssl-dev")
        .in_fedora("openssl-devel")
        .in_arch("openssl"),
    program("static libc", "building the guest agent", Lost("building Assay's guest agent from source"))
        .seen_by(Sign::File(&["/usr/lib/x86_64-linux-gnu/libc.a", "/usr/lib64/libc.a", "/usr/lib/libc.a"]))
        .in_debian("libc6-dev")
        .in_fedora("glibc-static")
        .in_arch("glibc"),
    program("rsync", "installing kernel headers", Lost("building kernel selftests")),
    program("gdb", "debugging guests", Lost("a debugger attached to a guest")),
    program("perf", "profiles of the host", Lost("profiles of the host")).in_debian("linux-perf"),
    program("ethtool", "tuning and reading NICs", Lost("reading the host's NICs")),
    program("chromium", "looking at HTML reports", Lost("screenshots of HTML reports"))
        .seen_by(Sign::Present),
];

/// The QEMU that distributions package: not in [`PACKAGES`], because several may be there.
pub const QEMU: Package = Package {
    name: "qemu-system-x86_64",
    sign: VERSION,
    purpose: "guests",
    without: Needed,
    debian: "qemu-system-x86",
    fedora: "qemu-system-x86-core",
    arch: "qemu-system-x86",
};

/// The package of this name.
#[cfg(test)]
pub(crate) fn find(name: &str) -> &'static Package {
    PACKAGES.iter().find(|package| package.name == name).expect("the table has it")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_package_has_a_name_in_every_distribution() {
        let valid = |name: &str| {
            name.len() >= 2
                && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || "+-._".contains(c))
        };
        for package in PACKAGES.iter().chain([&QEMU]) {
            for name in [package.debian, package.fedora, package.arch] {
                assert!(valid(name), "{}: {name:?}", package.name);
            }
            assert!(!package.purpose.is_empty() && !package.purpose.ends_with('.'));
        }
    }

    #[test]
    fn nothing_stands_in_the_table_twice() {
        for (index, package) in PACKAGES.iter().enumerate() {
            assert!(PACKAGES[..index].iter().all(|before| before.name != package.name), "{}", package.name);
        }
    }
}
