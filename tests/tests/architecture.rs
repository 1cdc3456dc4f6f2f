//! The dependency graph is the one that ARCHITECTURE.md draws.

use std::collections::{BTreeMap, BTreeSet};

use cargo_metadata::{DependencyKind, MetadataCommand};

type Edges = BTreeMap<String, BTreeSet<String>>;

fn architecture() -> String {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../ARCHITECTURE.md");
    std::fs::read_to_string(path).expect("ARCHITECTURE.md stands at the top of the project")
}

/// The fenced block after the heading `heading`: lines of `name -> a, b`.
fn block(text: &str, heading: &str) -> Edges {
    let section = text.split_once(heading).unwrap_or_else(|| panic!("no heading {heading:?}")).1;
    let fenced = section.split("```").nth(1).unwrap_or_else(|| panic!("no fenced block after {heading:?}"));
    fenced
        .lines()
        .filter_map(|line| line.split_once("->"))
        .map(|(from, to)| {
            let to =
                to.split(',').map(|name| name.trim().to_owned()).filter(|name| !name.is_empty()).collect();
            (from.trim().to_owned(), to)
        })
        .collect()
}

/// Normal and build dependencies of every member: among the members, and on everybody else's crates.
fn edges() -> (Edges, Edges) {
    let metadata = MetadataCommand::new().no_deps().exec().expect("cargo metadata runs");
    let members: BTreeSet<String> =
        metadata.packages.iter().map(|package| package.name.to_string()).collect();
    let (mut ours, mut theirs) = (Edges::new(), Edges::new());
    for package in &metadata.packages {
        let name = package.name.to_string();
        ours.entry(name.clone()).or_default();
        for dependency in package.dependencies.iter().filter(|dep| dep.kind != DependencyKind::Development) {
            if members.contains(&dependency.name) {
                ours.entry(name.clone()).or_default().insert(dependency.name.clone());
            } else {
                theirs.entry(dependency.name.clone()).or_default().insert(name.clone());
            }
        }
    }
    (ours, theirs)
}

#[test]
fn every_edge_is_one_that_the_architecture_allows() {
    let allowed = block(&architecture(), "## Which crate may use which");
    let (edges, _) = edges();
    let mut wrong = Vec::new();
    for (from, to) in &edges {
        match allowed.get(from) {
            None => wrong.push(format!("{from} is not in the block")),
            Some(allowed) => wrong.extend(to.difference(allowed).map(|to| format!("{from} -> {to}"))),
        }
    }
    assert!(wrong.is_empty(), "not allowed by ARCHITECTURE.md:\n{}", wrong.join("\n"));
}

#[test]
fn the_architecture_names_no_crate_and_no_edge_that_is_not_there() {
    let (edges, _) = edges();
    let mut stale = Vec::new();
    for (from, to) in block(&architecture(), "## Which crate may use which") {
        let Some(real) = edges.get(&from) else {
            stale.push(from);
            continue;
        };
        stale.extend(to.difference(real).map(|to| format!("{from} -> {to}")));
    }
    assert!(stale.is_empty(), "in ARCHITECTURE.md only:\n{}", stale.join("\n"));
}

#[test]
fn crates_that_belong_to_one_room_stay_in_it() {
    let (_, theirs) = edges();
    let rooms = block(&architecture(), "## Crates that belong to one room");
    assert!(!rooms.is_empty());
    for (name, allowed) in rooms {
        let users = theirs.get(&name).unwrap_or_else(|| panic!("{name} is used nowhere"));
        let strangers: Vec<_> = users.difference(&allowed).collect();
        assert!(strangers.is_empty(), "{name} is used by {strangers:?}");
    }
}

#[test]
fn every_dependency_is_pinned_by_the_workspace() {
    let metadata = MetadataCommand::new().no_deps().exec().expect("cargo metadata runs");
    for package in &metadata.packages {
        let manifest = std::fs::read_to_string(&package.manifest_path).expect("a member has a manifest");
        let mut in_dependencies = false;
        for line in manifest.lines() {
            if line.starts_with('[') {
                in_dependencies = line.contains("dependencies");
            } else if in_dependencies && line.contains('=') {
                assert!(line.contains("workspace = true"), "{}: {line}", package.manifest_path);
            }
        }
    }
}
