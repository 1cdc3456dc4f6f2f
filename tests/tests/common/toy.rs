//! A toy kernel tree that is really built, on the fake machine.

use std::{fs, path::PathBuf, process::Command};

use tests::{Room, said, top};

/// kbuild's interface as far as it is used. The boot image is the text by which the fake machine knows a kernel. Two objects tell what was compiled anew.
///
/// What makes it `slower`: speed.c that says so; one.c and two.c that both say `slow`; the option SLOW. The option CHILD stands only with PARENT, as for kconfig; EXTRA
/// makes another image that behaves the same.
const MAKEFILE: &str = "VERSION = 6
PATCHLEVEL = 12
SUBLEVEL = 7
EXTRAVERSION =

KCONFIG_CONFIG ?= $(O)/.config

tinyconfig:
\t@echo 'CONFIG_64BIT=y' > $(KCONFIG_CONFIG)
olddefconfig:
\t@grep -q '^CONFIG_PARENT=y' $(KCONFIG_CONFIG) || sed -i '/^CONFIG_CHILD=y/d' $(KCONFIG_CONFIG)
vmlinux: $(O)/speed.o $(O)/other.o $(O)/one.o $(O)/two.o
\t@echo '  LD      vmlinux'
\t@cp $(O)/speed.o $(O)/vmlinux
\t@if grep -q slow $(O)/one.o && grep -q slow $(O)/two.o || grep -q '^CONFIG_SLOW=y' $(O)/.config; then \\
\t  echo slower > $(O)/vmlinux; fi
\t@if grep -q '^CONFIG_EXTRA=y' $(O)/.config; then echo >> $(O)/vmlinux; fi
\t@touch $(O)/System.map
\t@mkdir -p $(O)/include/config && echo 6.12.7-toy > $(O)/include/config/kernel.release
bzImage: vmlinux
\t@mkdir -p $(O)/arch/x86/boot
\t@printf '\\177ELF Linux version 6.12.0-fake ' | cat - $(O)/vmlinux > $(O)/arch/x86/boot/bzImage
$(O)/%.o: %.c
\t@echo '  CC      $*.o'
\t@grep -q error $< && { echo \"$<:1:1: error: it says so\" >&2; exit 1; } || cp $< $@
.PHONY: tinyconfig olddefconfig vmlinux bzImage
";

const SCENARIO: &str = "# Does the candidate move less?
schema: 1
base: toy
machine: { fake: SCRIPT }
arms:
  baseline: {}
  candidate: {}
workloads:
  tcp: { tool: iperf3, duration: 2s, warmup: 0s }
collect: []
boots: 6
gates:
  - { workload: tcp, metric: throughput, margin: MARGIN }
";

/// A toy tree in a repository, whose first commit is tagged, and a project whose base that is.
pub(crate) struct Toy {
    pub(crate) room: Room,
    pub(crate) folder: tempfile::TempDir,
}

impl Toy {
    /// With a scenario whose gate has this margin.
    pub(crate) fn new(margin: &str) -> Self {
        let toy = Self { room: Room::new(), folder: tempfile::tempdir().unwrap() };
        for name in ["MAINTAINERS", "Kbuild", "Kconfig", "scripts/config"] {
            toy.write(name, "");
        }
        toy.write("Makefile", MAKEFILE);
        toy.write("speed.c", "steady\n");
        for name in ["other.c", "one.c", "two.c"] {
            toy.write(name, "one\n");
        }
        toy.git(&["init", "--quiet"]);
        toy.commit("first");
        toy.git(&["tag", "v6.12.7"]);
        let base = format!(
            "schema: 1\nversion: \"6.12\"\nsource: {{ kind: git, repository: {}, ref: v6.12.7 }}\nconfig: {{ fragments: [] }}\n",
            toy.tree().display()
        );
        let script = top().join("tests/fixtures/fake/script.json");
        let scenario = SCENARIO.replace("SCRIPT", script.to_str().unwrap()).replace("MARGIN", margin);
        for (name, text) in [("kernels/toy.yaml", base.as_str()), ("scenarios/question.yaml", &scenario)] {
            let path = toy.folder.path().join("project").join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        toy
    }

    pub(crate) fn scenario(&self) -> PathBuf {
        self.folder.path().join("project/scenarios/question.yaml")
    }

    pub(crate) fn tree(&self) -> PathBuf {
        self.folder.path().join("linux")
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        let path = self.tree().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    pub(crate) fn git(&self, arguments: &[&str]) -> String {
        let output = Command::new("git")
            .arg("-C")
            .arg(self.tree())
            .args(["-c", "user.name=A", "-c", "user.email=a@example.org", "-c", "init.defaultBranch=main"])
            .args(arguments)
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", said(&output));
        String::from_utf8(output.stdout).unwrap()
    }

    pub(crate) fn commit(&self, subject: &str) {
        self.git(&["add", "--all"]);
        self.git(&["commit", "--quiet", "-m", subject]);
    }
}
