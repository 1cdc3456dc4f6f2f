//! The git tree that the histories are made in.

use std::{
    ffi::OsStr,
    fs,
    io::Write as _,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};

use crate::run::{self, Run};

/// Files that every kernel of the lab has built in; each commit changes another one.
const FILES: &[&str] = &[
    "lib/argv_split.c",
    "lib/bcd.c",
    "lib/bsearch.c",
    "lib/cpu_rmap.c",
    "lib/ctype.c",
    "lib/dump_stack.c",
    "lib/errseq.c",
    "lib/glob.c",
    "lib/hexdump.c",
    "lib/klist.c",
    "lib/llist.c",
    "lib/net_utils.c",
    "lib/once.c",
    "lib/parser.c",
    "lib/plist.c",
    "lib/seq_buf.c",
    "lib/string_helpers.c",
    "lib/timerqueue.c",
    "lib/uuid.c",
    "lib/win_minmax.c",
    "mm/dmapool.c",
    "mm/fadvise.c",
    "mm/list_lru.c",
    "mm/madvise.c",
    "mm/memfd.c",
    "mm/mempool.c",
    "mm/mincore.c",
    "mm/mlock.c",
    "mm/mprotect.c",
    "mm/msync.c",
    "kernel/async.c",
    "kernel/delayacct.c",
    "kernel/groups.c",
    "kernel/notifier.c",
    "kernel/panic.c",
    "kernel/ptrace.c",
    "kernel/range.c",
    "kernel/resource.c",
    "kernel/task_work.c",
    "kernel/ucount.c",
    "fs/attr.c",
    "fs/char_dev.c",
    "fs/eventfd.c",
    "fs/fcntl.c",
    "fs/filesystems.c",
    "fs/ioctl.c",
    "fs/libfs.c",
    "fs/locks.c",
    "fs/pipe.c",
    "fs/readdir.c",
    "fs/select.c",
    "fs/statfs.c",
    "fs/xattr.c",
    "block/badblocks.c",
    "block/bio.c",
    "block/elevator.c",
    "block/ioprio.c",
    "net/core/dst.c",
    "net/core/fib_rules.c",
    "net/core/link_watch.c",
    "net/core/scm.c",
    "net/core/stream.c",
    "net/ipv4/arp.c",
    "net/ipv4/igmp.c",
    "net/ipv4/ping.c",
    "net/ipv4/raw.c",
    "net/ipv4/udplite.c",
];

/// What is wrong in C.
pub(super) const BROKEN: &str = "
static int __used tcp_sum_of_nothing(void)
{
\treturn tcp_sum_that_nobody_declared;
}
";

/// What stops a machine before its first program runs.
pub(super) const PANICS: &str = "
static int __init refuse_to_boot(void)
{
\tpanic(\"planted: this commit does not boot\");
\treturn 0;
}
late_initcall(refuse_to_boot);
";

/// The slowdown, and how its constant stands there.
const SLOWDOWN: &str =
    "patches/planted-slowdown/6.12/0001-tcp-Burn-CPU-in-proportion-to-the-payload-received.patch";
const LOOPS: &str = "#define PLANTED_SLOWDOWN_LOOPS\t200";

/// A kernel tree whose first commit is tagged `good`.
#[derive(Debug)]
pub(super) struct Tree(PathBuf);

impl Tree {
    /// The one at `path`; made from a copy of `source` if it is not there. A copy that was interrupted is begun again.
    pub(super) fn of(source: &Path, path: PathBuf) -> Result<Self> {
        let tree = Self(path);
        if tree.0.join(".git").is_dir() && tree.has("good")? {
            return Ok(tree);
        }
        if !source.join("MAINTAINERS").is_file() {
            bail!("{} is no kernel tree", source.display());
        }
        println!("{}: made from {}", tree.0.display(), source.display());
        Run::new("rm").args(["-rf", "--"]).args([&tree.0]).ok()?;
        Run::new("cp").args(["-a", "--reflink=auto", "--"]).args([source, &tree.0]).ok()?;
        tree.git(&["init", "--quiet", "--initial-branch=main"])?;
        // What the tree itself ignores may be part of it.
        tree.git(&["add", "--all", "--force"])?;
        tree.commit("The kernel as it is released")?;
        tree.git(&["tag", "good"])?;
        Ok(tree)
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }

    pub(super) fn git<S: AsRef<OsStr>>(&self, arguments: &[S]) -> Result<()> {
        self.command(arguments).ok()?;
        Ok(())
    }

    fn command<S: AsRef<OsStr>>(&self, arguments: &[S]) -> Run {
        // The same commits whenever they are made, so that what was built of them is found again.
        Run::new("git")
            .env("GIT_AUTHOR_DATE", "2026-11-30T12:00:00Z")
            .env("GIT_COMMITTER_DATE", "2026-11-30T12:00:00Z")
            .args(["-C"])
            .args([&self.0])
            .args([
                "-c",
                "user.name=Assay developers",
                "-c",
                "user.email=assay@localhost.invalid",
                "-c",
                "gc.auto=0",
                "-c",
                "advice.detachedHead=false",
            ])
            .args(arguments)
    }

    /// Whether there is such a branch or tag.
    pub(super) fn has(&self, name: &str) -> Result<bool> {
        let pattern = format!("refs/*/{name}");
        Ok(!self.command(&["for-each-ref", &pattern]).output()?.trim().is_empty())
    }

    fn commit(&self, subject: &str) -> Result<()> {
        self.git(&["commit", "--quiet", "--all", "-m", subject])
    }

    /// A commit with some text more at the end of a file.
    pub(super) fn append(&self, file: &str, text: &str, subject: &str) -> Result<()> {
        let path = self.0.join(file);
        let append = || -> std::io::Result<()> {
            fs::OpenOptions::new().append(true).open(&path)?.write_all(text.as_bytes())
        };
        append().with_context(|| format!("writing {}", path.display()))?;
        self.commit(subject)
    }

    /// A commit with a function that is kept and never called.
    pub(super) fn add_function(&self, number: usize) -> Result<()> {
        let file = FILES.get(number - 1).with_context(|| format!("no file is left for commit {number}"))?;
        let factor = 2 * number + 1;
        let text = format!(
            "\nstatic unsigned long __used history_{number}(unsigned long x)\n{{\n\treturn (x ^ (x >> {})) * {factor}UL;\n}}\n",
            1 + number % 31
        );
        let (folder, name) = file.rsplit_once('/').unwrap_or(("", file));
        self.append(file, &text, &format!("{folder}: Mix the bits of a number in {name}"))
    }

    /// The commit that is looked for.
    pub(super) fn slow_down(&self, loops: u32, subject: &str) -> Result<()> {
        self.git(&[OsStr::new("apply"), OsStr::new("--"), run::top().join(SLOWDOWN).as_os_str()])?;
        let path = self.0.join("net/ipv4/tcp_input.c");
        let text = fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
        if !text.contains(LOOPS) {
            bail!("{SLOWDOWN} does not say `{LOOPS}`");
        }
        let text = text.replace(LOOPS, &format!("#define PLANTED_SLOWDOWN_LOOPS\t{loops}"));
        fs::write(&path, text).with_context(|| format!("writing {}", path.display()))?;
        self.commit(subject)
    }
}
