//! What nodes consist of where it can be put in place one by one: patches, options, words. A node is a set of them, whichever search asks for it, and they are always put in place in
//! the order in which they were given: so a set is the same kernel in every stage, and patches apply wherever they can.

use std::collections::BTreeSet;

use ::bisect::Stage;
use plan::{ConfigOption, Series};

use super::state::{Node, Unit};

/// The nodes of a stage; `row` has the good end, and each unit by its number.
pub(super) fn nodes(row: &[Node], units: &[Unit], stage: &Stage) -> Vec<Node> {
    let held = stage.held.iter().flatten().map(|unit| row[*unit].name.as_str());
    let held = held.collect::<Vec<_>>().join(" + ");
    (0..stage.nodes())
        .map(|node| {
            let good = &row[0];
            let last = stage.added(node).last().map_or(good, |unit| &row[*unit]);
            let (name, title) = match (stage.held.is_empty() || node == 0, node) {
                (true, _) => (last.name.clone(), last.title.clone()),
                (false, 1) => (held.clone(), held.clone()),
                (false, _) => {
                    let name = format!("{held} + others up to {}", last.name);
                    (name.clone(), name)
                }
            };
            let set = stage.set(node);
            Node {
                name,
                title,
                parents: node.checked_sub(1).into_iter().collect(),
                series: row[0].series.iter().cloned().chain(together(units, &set)).collect(),
                weight: if node == 0 { good.weight } else { last.weight },
                options: of_set(units, &set, |unit| match unit {
                    Unit::Option { option } => Some(option.clone()),
                    Unit::Patch { .. } | Unit::Word { .. } => None,
                }),
                words: of_set(units, &set, |unit| match unit {
                    Unit::Word { word } => Some(word.clone()),
                    Unit::Patch { .. } | Unit::Option { .. } => None,
                }),
            }
        })
        .collect()
}

fn of_set<T>(units: &[Unit], set: &BTreeSet<usize>, pick: impl Fn(&Unit) -> Option<T>) -> Vec<T> {
    set.iter().filter_map(|unit| pick(&units[unit - 1])).collect()
}

/// The patches of a set, those of a series together where they follow each other.
fn together(units: &[Unit], set: &BTreeSet<usize>) -> Vec<Series> {
    let patches = of_set(units, set, |unit| match unit {
        Unit::Patch { series } => Some(series.clone()),
        Unit::Option { .. } | Unit::Word { .. } => None,
    });
    let mut together: Vec<Series> = vec![];
    for one in patches {
        match together.last_mut().filter(|last| last.folder == one.folder) {
            Some(last) => last.patches.extend(one.patches),
            None => together.push(one),
        }
    }
    together
}

/// Each patch by itself.
pub(super) fn of_series(series: &[Series]) -> Vec<Unit> {
    let patches = series.iter().flat_map(|one| {
        one.patches.iter().map(|patch| Series { patches: vec![patch.clone()], ..one.clone() })
    });
    patches.map(|series| Unit::Patch { series }).collect()
}

/// The good end and a node for each unit, all but what they consist of.
pub(super) fn in_a_row(
    units: &[Unit],
    good: &str,
    title_of: impl Fn(&Unit) -> (String, String),
) -> Vec<Node> {
    let bare = |name: String, title: String, parents: Vec<usize>| Node {
        name,
        title,
        parents,
        series: vec![],
        weight: 1.0,
        options: vec![],
        words: vec![],
    };
    let mut nodes = vec![bare("base".to_owned(), good.to_owned(), vec![])];
    for unit in units {
        let (name, title) = title_of(unit);
        nodes.push(bare(name, title, vec![nodes.len() - 1]));
    }
    nodes
}

/// Options and words in a row.
pub(super) fn plain(unit: &Unit) -> (String, String) {
    let name = match unit {
        Unit::Option { option } => option_name(option),
        Unit::Word { word } => word.clone(),
        Unit::Patch { series } => series.name.clone(),
    };
    (name.clone(), name)
}

fn option_name(option: &ConfigOption) -> String {
    match option.value {
        plan::ConfigValue::No => format!("CONFIG_{}=n", option.name),
        _ => option.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use plan::{ConfigValue, PatchFile};

    use super::*;

    fn patch(series: &str, name: &str) -> Unit {
        let patches = vec![PatchFile { path: name.into(), sha256: name.to_owned() }];
        Unit::Patch { series: Series { name: series.to_owned(), folder: series.into(), patches } }
    }

    /// What a node applies: `series: patch patch`.
    fn applied(node: &Node) -> Vec<String> {
        let names = |one: &Series| {
            one.patches.iter().map(|patch| patch.sha256.as_str()).collect::<Vec<_>>().join(" ")
        };
        node.series.iter().map(|one| format!("{}: {}", one.name, names(one))).collect()
    }

    #[test]
    fn patches_keep_their_order_whichever_is_held() {
        let units = [patch("a", "1"), patch("a", "2"), patch("b", "3"), patch("a", "4")];
        let row = in_a_row(&units, "without", |unit| match unit {
            Unit::Patch { series } => (series.patches[0].sha256.clone(), "title".to_owned()),
            Unit::Option { .. } | Unit::Word { .. } => plain(unit),
        });
        let first = nodes(&row, &units, &Stage::first(4));
        assert_eq!(applied(&first[2]), ["a: 1 2"]);
        assert_eq!(applied(&first[4]), ["a: 1 2", "b: 3", "a: 4"]);
        assert_eq!((first[3].name.as_str(), first[3].parents.as_slice()), ("3", [2].as_slice()));

        let second = nodes(&row, &units, &Stage { held: vec![vec![3]], rest: vec![1, 2] });
        assert_eq!(
            second.iter().map(applied).collect::<Vec<_>>(),
            [
                vec![],
                vec!["b: 3".to_owned()],
                vec!["a: 1".to_owned(), "b: 3".to_owned()],
                vec!["a: 1 2".to_owned(), "b: 3".to_owned()],
            ]
        );
        assert_eq!((second[1].name.as_str(), second[2].name.as_str()), ("3", "3 + others up to 1"));
    }

    #[test]
    fn options_and_words_are_added_one_by_one() {
        let units = [
            Unit::Option { option: ConfigOption { name: "A".to_owned(), value: ConfigValue::No } },
            Unit::Word { word: "quiet".to_owned() },
        ];
        let nodes = nodes(&in_a_row(&units, "without", plain), &units, &Stage::first(2));
        assert_eq!(
            (nodes[1].name.as_str(), nodes[1].options.len(), nodes[1].words.len()),
            ("CONFIG_A=n", 1, 0)
        );
        assert_eq!((nodes[2].options.len(), nodes[2].words.as_slice()), (1, ["quiet".to_owned()].as_slice()));
    }
}
