//! What reviewers answered: `Reviewed-by:` and its like, folded into the patches that they were given to.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    diff::patch_id,
    letter::Letter,
    thread::describe,
    trailer::{self, equal},
    value::Trailer,
};

/// What a trailer in a reply is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Target {
    /// One patch, by its place in the series.
    Patch(usize),
    /// All patches.
    Cover,
    /// A patch of an older version, which has changed since.
    Outdated,
}

/// For each of `patches`, the trailers that replies to it, or to the cover letter, add.
pub(crate) fn fold(
    patches: &[Letter],
    cover: Option<&Letter>,
    old: &[Letter],
    replies: &[Letter],
    notes: &mut Vec<String>,
) -> Vec<Vec<Trailer>> {
    let targets = targets(patches, cover, old);
    let parents: BTreeMap<&str, &[String]> = replies
        .iter()
        .filter_map(|letter| Some((letter.mail.id.as_deref()?, letter.mail.parents.as_slice())))
        .collect();
    let mut added: Vec<Vec<Trailer>> = vec![Vec::new(); patches.len()];
    let own: Vec<Vec<Trailer>> = patches
        .iter()
        .map(|letter| letter.patch().map_or_else(Vec::new, |patch| trailer::split(&patch.message).1))
        .collect();
    let mut aimed: Vec<(Target, &Letter)> = replies
        .iter()
        .filter_map(|reply| Some((nearest(&reply.mail.parents, &targets, &parents)?, reply)))
        .collect();
    // What was said of all patches comes after what was said of one, as in b4.
    aimed.sort_by_key(|(target, _)| *target == Target::Cover);
    for (target, reply) in aimed {
        let given = trailer::given(&reply.text(), reply.mail.from.as_ref());
        for stranger in &given.strangers {
            let from = reply.mail.from.as_ref().map_or_else(|| "somebody".to_owned(), ToString::to_string);
            notes.push(format!("left out `{stranger}`, which {from} sent"));
        }
        for trailer in given.trailers {
            // A patch that is sent in reply is signed off for itself.
            if reply.has_patch() && trailer.name.eq_ignore_ascii_case("signed-off-by") {
                continue;
            }
            let trailer = Trailer { added_from: Some(reply.mail.label.clone()), ..trailer };
            let to: Vec<usize> = match target {
                Target::Patch(index) => vec![index],
                Target::Cover => (0..patches.len()).collect(),
                Target::Outdated => {
                    notes.push(format!(
                        "left out `{trailer}`, given to an older version of a patch that has changed since"
                    ));
                    continue;
                }
            };
            let new =
                |index: &usize| !own[*index].iter().chain(&added[*index]).any(|known| equal(known, &trailer));
            let to: Vec<usize> = to.into_iter().filter(new).collect();
            match to.as_slice() {
                [] => {}
                [index] => notes.push(format!("{}: added `{trailer}`", describe(&patches[*index]))),
                several => notes.push(format!("added `{trailer}` to {} patches", several.len())),
            }
            for index in to {
                added[index].push(trailer.clone());
            }
        }
    }
    added
}

/// The mails that a trailer can be given to, by their Message-ID.
fn targets<'l>(
    patches: &'l [Letter],
    cover: Option<&'l Letter>,
    old: &'l [Letter],
) -> BTreeMap<&'l str, Target> {
    let mut targets = BTreeMap::new();
    for letter in old {
        // What did not change keeps its reviews.
        let id = |letter: &Letter| letter.patch().map(|patch| patch_id(&patch.diff));
        let same = patches.iter().position(|patch| id(patch).is_some() && id(patch) == id(letter));
        if let Some(message) = letter.mail.id.as_deref() {
            targets.insert(message, same.map_or(Target::Outdated, Target::Patch));
        }
    }
    for (index, letter) in patches.iter().enumerate() {
        if let Some(message) = letter.mail.id.as_deref() {
            targets.insert(message, Target::Patch(index));
        }
    }
    if let Some(message) = cover.and_then(|cover| cover.mail.id.as_deref()) {
        targets.insert(message, Target::Cover);
    }
    targets
}

/// What a reply is about: up the thread, the first mail that trailers can be given to.
fn nearest(
    parents: &[String],
    targets: &BTreeMap<&str, Target>,
    replies: &BTreeMap<&str, &[String]>,
) -> Option<Target> {
    let mut seen = BTreeSet::new();
    let mut ahead: Vec<&String> = parents.iter().rev().collect();
    while let Some(id) = ahead.pop() {
        if !seen.insert(id) {
            continue;
        }
        if let Some(target) = targets.get(id.as_str()) {
            return Some(*target);
        }
        if let Some(parents) = replies.get(id.as_str()) {
            ahead.extend(parents.iter().rev());
        }
    }
    None
}
