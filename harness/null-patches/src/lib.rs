//! Patches of a kernel's tree that change no work: structs with room at their end, functions and files that are called or linked
//! otherwise, a function that nobody calls.
//!
//! What they do to a count of executed instructions is what any patch does beside its work: code and data move, and with them
//! the moments at which timers and interrupts come. They are made from the very tree, so that they apply to it.
//!
//! Invariant: pure. The tree is read through a function, and nothing but text comes out.

#![deny(missing_docs)]

mod change;

use std::collections::BTreeSet;

use change::{add_unused_function, pad_struct, rename_functions, reverse_objects};

/// What kind of change that is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Two longs at the end of a struct that no header declares.
    PaddedStruct,
    /// Static functions with other names.
    RenamedFunctions,
    /// Object files linked in another order.
    ReorderedFiles,
    /// A function more, which is kept and never called.
    UnusedFunction,
}

impl Kind {
    /// As a part of a name.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::PaddedStruct => "padded-struct",
            Self::RenamedFunctions => "renamed-functions",
            Self::ReorderedFiles => "reordered-files",
            Self::UnusedFunction => "unused-function",
        }
    }
}

/// One patch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NullPatch {
    /// What kind.
    pub kind: Kind,
    /// Unique, and fit for a file's name: `padded-struct-tcp_input-tcp_sacktag_state`.
    pub name: String,
    /// The file that it changes.
    pub path: String,
    /// In the form of `git format-patch`.
    pub text: String,
}

/// What is tried, in this order, so that the first few are of every kind.
struct Idea {
    kind: Kind,
    path: &'static str,
    /// The struct, or an object on the line of the Makefile.
    what: &'static str,
}

const fn idea(kind: Kind, path: &'static str, what: &'static str) -> Idea {
    Idea { kind, path, what }
}

/// Code that runs whenever something is sent or received, woken up or allocated. Files that take the compiler long are left out.
const IDEAS: &[Idea] = &[
    idea(Kind::UnusedFunction, "net/ipv4/tcp_input.c", ""),
    idea(Kind::PaddedStruct, "net/ipv4/tcp_input.c", "tcp_sacktag_state"),
    idea(Kind::RenamedFunctions, "net/ipv4/tcp_output.c", ""),
    idea(Kind::ReorderedFiles, "net/ipv4/Makefile", "tcp_input.o"),
    idea(Kind::UnusedFunction, "net/core/skbuff.c", ""),
    idea(Kind::PaddedStruct, "net/ipv4/tcp_output.c", "tcp_out_options"),
    idea(Kind::RenamedFunctions, "net/ipv4/tcp_input.c", ""),
    idea(Kind::ReorderedFiles, "net/core/Makefile", "skbuff.o"),
    idea(Kind::UnusedFunction, "net/core/dev.c", ""),
    idea(Kind::PaddedStruct, "net/core/skbuff.c", "napi_alloc_cache"),
    idea(Kind::RenamedFunctions, "net/core/skbuff.c", ""),
    idea(Kind::ReorderedFiles, "fs/Makefile", "read_write.o"),
    idea(Kind::UnusedFunction, "mm/page_alloc.c", ""),
    idea(Kind::PaddedStruct, "mm/slub.c", "kmem_cache_node"),
    idea(Kind::RenamedFunctions, "net/core/dev.c", ""),
    idea(Kind::ReorderedFiles, "kernel/time/Makefile", "hrtimer.o"),
    idea(Kind::UnusedFunction, "net/socket.c", ""),
    idea(Kind::PaddedStruct, "fs/eventpoll.c", "eventpoll"),
    idea(Kind::RenamedFunctions, "mm/page_alloc.c", ""),
    idea(Kind::ReorderedFiles, "net/core/Makefile", "dev.o"),
    idea(Kind::UnusedFunction, "net/ipv4/ip_output.c", ""),
    idea(Kind::PaddedStruct, "kernel/softirq.c", "tasklet_head"),
    idea(Kind::RenamedFunctions, "net/ipv4/tcp_ipv4.c", ""),
    idea(Kind::ReorderedFiles, "net/ipv4/Makefile", "ip_output.o"),
    idea(Kind::UnusedFunction, "kernel/time/hrtimer.c", ""),
    idea(Kind::PaddedStruct, "net/ipv4/tcp_output.c", "tsq_tasklet"),
    idea(Kind::RenamedFunctions, "fs/eventpoll.c", ""),
    idea(Kind::ReorderedFiles, "net/ipv4/Makefile", "inet_hashtables.o"),
    idea(Kind::UnusedFunction, "net/ipv4/tcp.c", ""),
    idea(Kind::PaddedStruct, "mm/vmscan.c", "scan_control"),
    idea(Kind::RenamedFunctions, "net/core/sock.c", ""),
    idea(Kind::UnusedFunction, "lib/iov_iter.c", ""),
    idea(Kind::PaddedStruct, "drivers/iommu/dma-iommu.c", "iommu_dma_cookie"),
    idea(Kind::RenamedFunctions, "kernel/time/timer.c", ""),
    idea(Kind::UnusedFunction, "mm/slub.c", ""),
    idea(Kind::PaddedStruct, "kernel/workqueue.c", "worker_pool"),
];

/// The most that there can be.
#[must_use]
pub fn most() -> usize {
    IDEAS.len()
}

/// Up to `count` patches of a tree whose files `read` gives; nothing for a file that it does not have. Kernels of some versions
/// lack some of the files and structs, so that fewer may come.
pub fn null_patches(count: usize, mut read: impl FnMut(&str) -> Option<String>) -> Vec<NullPatch> {
    let mut names = BTreeSet::new();
    let patches = IDEAS.iter().filter_map(|idea| patch(idea, &read(idea.path)?));
    patches.filter(|patch| names.insert(patch.name.clone())).take(count).collect()
}

fn patch(idea: &Idea, before: &str) -> Option<NullPatch> {
    let Idea { kind, path, what } = *idea;
    let after = match kind {
        Kind::PaddedStruct => pad_struct(before, what),
        Kind::RenamedFunctions => rename_functions(before),
        Kind::ReorderedFiles => reverse_objects(before, what),
        Kind::UnusedFunction => Some(add_unused_function(before)),
    }?;
    let diff = similar::TextDiff::from_lines(before, &after);
    let diff = diff.unified_diff().header(&format!("a/{path}"), &format!("b/{path}")).to_string();
    let stem = path.rsplit('/').next().unwrap_or(path);
    let stem = stem.strip_suffix(".c").unwrap_or(stem);
    let of = path.trim_end_matches("/Makefile").replace('/', "-");
    let name = match kind {
        Kind::ReorderedFiles => format!("{}-{of}-{}", kind.word(), what.trim_end_matches(".o")),
        Kind::PaddedStruct => format!("{}-{stem}-{what}", kind.word()),
        Kind::RenamedFunctions | Kind::UnusedFunction => format!("{}-{stem}", kind.word()),
    };
    let text = format!(
        "From 0000000000000000000000000000000000000000 Mon Sep 17 00:00:00 2001\n\
         From: Assay <assay@localhost>\n\
         Date: Thu, 1 Jan 2026 00:00:00 +0000\n\
         Subject: [PATCH] null: {name}\n\n\
         It changes no work: what it seems to cost is noise.\n\
         ---\n\
         diff --git a/{path} b/{path}\n{diff}-- \n2.0\n\n"
    );
    Some(NullPatch { kind, name, path: path.to_owned(), text })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOURCE: &str = "#include <linux/tcp.h>\n\nstruct tcp_sacktag_state {\n\tint rate;\n};\n\n\
        static int tcp_does(int x)\n{\n\treturn x;\n}\n\nint tcp_do(int x)\n{\n\treturn tcp_does(x);\n}\n";

    #[test]
    fn what_a_tree_lacks_is_left_out_and_nothing_comes_twice() {
        let read = |path: &str| (path == "net/ipv4/tcp_input.c").then(|| SOURCE.to_owned());
        let patches = null_patches(most(), read);
        let names: Vec<&str> = patches.iter().map(|patch| patch.name.as_str()).collect();
        assert_eq!(
            names,
            [
                "unused-function-tcp_input",
                "padded-struct-tcp_input-tcp_sacktag_state",
                "renamed-functions-tcp_input"
            ]
        );
        assert_eq!(null_patches(1, read).len(), 1);
    }

    #[test]
    fn a_patch_is_a_mail_with_a_diff() {
        let read = |path: &str| path.ends_with("tcp_input.c").then(|| SOURCE.to_owned());
        let patch = &null_patches(2, read)[1];
        let expected = "diff --git a/net/ipv4/tcp_input.c b/net/ipv4/tcp_input.c\n\
            --- a/net/ipv4/tcp_input.c\n+++ b/net/ipv4/tcp_input.c\n@@ -2,6 +2,7 @@\n \n \
            struct tcp_sacktag_state {\n \tint rate;\n+\tunsigned long assay_padding[2];\n };\n \n \
            static int tcp_does(int x)\n-- \n";
        assert!(patch.text.contains(expected), "{}", patch.text);
        assert!(patch.text.starts_with("From 0") && patch.text.contains("\nSubject: [PATCH] null: padded"));
    }

    #[test]
    fn there_are_more_ideas_than_a_calibration_needs_and_each_is_its_own() {
        let all: BTreeSet<(Kind, &str, &str)> =
            IDEAS.iter().map(|idea| (idea.kind, idea.path, idea.what)).collect();
        assert_eq!(all.len(), most());
        assert!(most() >= 30);
        let first: BTreeSet<Kind> = IDEAS[..4].iter().map(|idea| idea.kind).collect();
        assert_eq!(first.len(), 4);
    }
}
