//! Whose commands this machine understands: how packages are installed and kernel parameters set.

use crate::{Package, Root};

/// Distributions that share package names and tools.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// Debian, Ubuntu and what derives from them.
    Debian,
    /// Fedora, RHEL and their relatives.
    Fedora,
    /// Arch Linux and its relatives.
    Arch,
    /// Anything else: packages are described, not named.
    Other,
}

/// How to change something here, as commands to type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Distribution {
    /// What it calls itself, such as `Debian GNU/Linux 12 (bookworm)`.
    pub name: String,
    /// Whose commands it understands.
    pub family: Family,
    /// Whether we are root already, so that `sudo` is not needed.
    root: bool,
}

impl Distribution {
    /// From `/etc/os-release`, or `/usr/lib/os-release` (os-release(5)).
    #[must_use]
    pub fn of(root: &Root, is_root: bool) -> Self {
        let text =
            root.read("/etc/os-release").or_else(|| root.read("/usr/lib/os-release")).unwrap_or_default();
        let field = |name: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
            line.map(|value| value.trim_matches(['"', '\'']).to_owned())
        };
        let ids = format!("{} {}", field("ID").unwrap_or_default(), field("ID_LIKE").unwrap_or_default());
        let family = ids.split_ascii_whitespace().find_map(|id| match id {
            "debian" | "ubuntu" => Some(Family::Debian),
            "fedora" | "rhel" | "centos" => Some(Family::Fedora),
            "arch" => Some(Family::Arch),
            _ => None,
        });
        Self {
            name: field("PRETTY_NAME")
                .or_else(|| field("ID"))
                .unwrap_or_else(|| "unknown distribution".into()),
            family: family.unwrap_or(Family::Other),
            root: is_root,
        }
    }

    /// A command that needs root.
    #[must_use]
    pub fn as_root(&self, command: &str) -> String {
        if self.root { command.to_owned() } else { format!("sudo {command}") }
    }

    /// What this distribution calls a package; none if it is not known.
    #[must_use]
    pub fn package(&self, package: &Package) -> Option<&'static str> {
        match self.family {
            Family::Debian => Some(package.debian),
            Family::Fedora => Some(package.fedora),
            Family::Arch => Some(package.arch),
            Family::Other => None,
        }
    }

    /// The command that installs packages, without their names; none if it is not known.
    #[must_use]
    pub fn installer(&self) -> Option<String> {
        match self.family {
            Family::Debian => Some(self.as_root("apt-get install")),
            Family::Fedora => Some(self.as_root("dnf install")),
            Family::Arch => Some(self.as_root("pacman -S")),
            Family::Other => None,
        }
    }

    /// How a package is installed.
    #[must_use]
    pub fn install(&self, package: &Package) -> String {
        match (self.installer(), self.package(package)) {
            (Some(installer), Some(name)) => format!("{installer} {name}"),
            _ => format!(
                "install {} (Debian: {}, Fedora: {}, Arch: {})",
                package.name, package.debian, package.fedora, package.arch
            ),
        }
    }

    /// The command that writes a value into a file of the kernel.
    #[must_use]
    pub fn write(&self, value: &str, path: &str) -> String {
        if self.root { format!("echo {value} > {path}") } else { format!("echo {value} | sudo tee {path}") }
    }

    /// The command that adds kernel parameters from the next boot on.
    #[must_use]
    pub fn kernel_parameter(&self, parameters: &str) -> String {
        let edit =
            self.as_root(&format!("sed -i 's/^GRUB_CMDLINE_LINUX=\"/&{parameters} /' /etc/default/grub"));
        let then = match self.family {
            Family::Debian => self.as_root("update-grub"),
            Family::Arch => self.as_root("grub-mkconfig -o /boot/grub/grub.cfg"),
            Family::Fedora => {
                return self
                    .as_root(&format!("grubby --update-kernel=ALL --args=\"{parameters}\" && reboot"));
            }
            Family::Other => return format!("boot with the kernel parameters {parameters}"),
        };
        format!("{edit} && {then} && {}", self.as_root("reboot"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Distribution {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("etc")).unwrap();
        std::fs::write(folder.path().join("etc/os-release"), text).unwrap();
        Distribution::of(&Root::at(folder.path()), false)
    }

    #[test]
    fn relatives_are_known_by_whom_they_are_like() {
        assert_eq!(of("ID=debian\n").family, Family::Debian);
        assert_eq!(of("NAME=x\nID=linuxmint\nID_LIKE=\"ubuntu debian\"\n").family, Family::Debian);
        assert_eq!(of("ID=\"rocky\"\nID_LIKE=\"rhel centos fedora\"\n").family, Family::Fedora);
        assert_eq!(of("ID=manjaro\nID_LIKE=arch\n").family, Family::Arch);
        assert_eq!(of("ID=nixos\nID_LIKE=\"\"\n").family, Family::Other);
        assert_eq!(of("PRETTY_NAME=\"Arch Linux\"\nID=arch\n").name, "Arch Linux");
    }

    #[test]
    fn each_has_commands_of_its_own() {
        let package = crate::packages::find("pahole");
        assert_eq!(of("ID=debian").install(package), "sudo apt-get install dwarves");
        assert_eq!(of("ID=fedora").install(package), "sudo dnf install dwarves");
        assert_eq!(of("ID=arch").install(package), "sudo pacman -S pahole");
        assert!(of("ID=nixos").install(package).contains("Debian: dwarves"));
        assert!(of("ID=fedora").kernel_parameter("iommu=pt").starts_with("sudo grubby"));
        assert!(of("ID=debian").kernel_parameter("iommu=pt").contains("update-grub"));
    }
}
