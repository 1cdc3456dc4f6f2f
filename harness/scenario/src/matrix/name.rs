//! What dimensions and cells are called.

use std::collections::BTreeSet;

use measure::metric;

/// Longest part of a cell's name that stands for one name or value.
const MAX_SLUG: usize = 32;
/// Longest name of a cell. With endings of its own it is a file's name, which may have 255 bytes.
const MAX_NAME: usize = 160;

/// Names for the dimensions at these paths: each the shortest end of its path that no other has, and that neither samples have
/// as a dimension of their own nor says too little.
pub(super) fn dimensions(paths: &[&[String]]) -> Vec<String> {
    let end = |path: &[String], parts: usize| path[path.len().saturating_sub(parts)..].join(".");
    let short = paths.iter().enumerate().map(|(index, path)| {
        let own = (1..=path.len()).map(|parts| (parts, end(path, parts))).find(|(parts, name)| {
            let others = paths.iter().enumerate().filter(|(other, _)| *other != index);
            !is_taken(name) && others.into_iter().all(|(_, other)| end(other, *parts) != *name)
        });
        own.map_or_else(|| path.join("."), |(_, name)| name)
    });
    let short: Vec<String> = short.collect();
    // Keys may have dots in them, so ends of different lengths can be alike; whole paths cannot.
    let is_alone = |name: &String| short.iter().filter(|other| *other == name).count() == 1;
    let name = |(name, path): (&String, &&[String])| {
        if is_alone(name) { name.clone() } else { path.join(".") }
    };
    short.iter().zip(paths).map(name).collect()
}

/// Whether samples have a dimension of this name already, or the word alone does not say of what it is.
fn is_taken(name: &str) -> bool {
    matches!(name, "arm" | "block" | "mode" | "test" | "trial" | "workload")
        || name == plan::OCCURRENCE
        || metric::ALL.iter().any(|metric| metric.dims.contains(&name))
}

/// The text with nothing in it that a file's name should not have, and not long.
pub(super) fn slug(text: &str) -> String {
    let harmless = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.') { c } else { '_' };
    let slug: String = text.chars().map(harmless).take(MAX_SLUG).collect();
    if slug.is_empty() { "_".to_owned() } else { slug }
}

/// A slug for each of the values, all different.
pub(super) fn slugs(values: &[String]) -> Vec<String> {
    let mut taken = BTreeSet::new();
    let mut slugs = Vec::with_capacity(values.len());
    for value in values {
        let slug = slug(value);
        let numbered = (2..).map(|number| format!("{slug}-{number}"));
        let mut candidates = std::iter::once(slug.clone()).chain(numbered);
        let free = candidates.find(|candidate| taken.insert(candidate.clone()));
        slugs.push(free.expect("there are more numbers than values"));
    }
    slugs
}

/// `candidate@vcpus=2,iommu=lazy`; where that is too long, the positions of the values stand for them.
pub(super) fn cell(of: &str, parts: &[String], at: &[usize]) -> String {
    let name = format!("{of}@{}", parts.join(","));
    if name.len() <= MAX_NAME {
        return name;
    }
    let positions: Vec<String> = at.iter().map(ToString::to_string).collect();
    format!("{of}@{}", positions.join("."))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(paths: &[&[&str]]) -> Vec<String> {
        let paths: Vec<Vec<String>> =
            paths.iter().map(|path| path.iter().map(|part| (*part).to_owned()).collect()).collect();
        dimensions(&paths.iter().map(Vec::as_slice).collect::<Vec<_>>())
    }

    #[test]
    fn a_name_is_as_short_as_it_can_be() {
        assert_eq!(names(&[&["machine", "vcpus"], &["workloads", "tcp", "flows"]]), ["vcpus", "flows"]);
        assert_eq!(
            names(&[&["machine", "server", "iommu"], &["machine", "client", "iommu"], &["base"]]),
            ["server.iommu", "client.iommu", "base"]
        );
        assert_eq!(
            names(&[&["workloads", "tcp", "message"], &["workloads", "rtt", "message"]]),
            ["tcp.message", "rtt.message"]
        );
    }

    #[test]
    fn a_name_is_neither_that_of_a_samples_dimension_nor_an_empty_word() {
        assert_eq!(names(&[&["workloads", "tcp", "direction"]]), ["tcp.direction"]);
        assert_eq!(names(&[&["machine", "server", "iommu", "mode"]]), ["iommu.mode"]);
    }

    #[test]
    fn keys_with_dots_do_not_pass_for_paths() {
        let names =
            names(&[&["sysctls", "tcp.flows"], &["workloads", "tcp", "flows"], &["x", "udp", "flows"]]);
        assert_eq!(names, ["sysctls.tcp.flows", "workloads.tcp.flows", "udp.flows"]);
    }

    #[test]
    fn slugs_are_harmless_short_and_different() {
        let values = ["4096 131072 6291456", "4096/131072/6291456", "../../etc", "", "1"];
        let slugs = slugs(&values.map(str::to_owned));
        assert_eq!(slugs, ["4096_131072_6291456", "4096_131072_6291456-2", ".._.._etc", "_", "1"]);
        assert_eq!(slug(&"x".repeat(300)).len(), MAX_SLUG);
    }

    #[test]
    fn a_cells_name_fits_a_files_name() {
        assert_eq!(cell("new", &["vcpus=2".into(), "iommu=lazy".into()], &[1, 0]), "new@vcpus=2,iommu=lazy");
        let parts: Vec<String> = (0..8).map(|_| format!("{0}={0}", "x".repeat(MAX_SLUG))).collect();
        assert_eq!(cell("new", &parts, &[0, 1, 0]), "new@0.1.0");
    }
}
