//! Mails in any order to the patches of one series: the newest version, complete, in order.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    diff::patch_id,
    letter::{Content, Letter},
    limits,
    mail::Mail,
    replies::fold,
    value::Trailer,
};

/// The mails of one series.
#[derive(Debug)]
pub(crate) struct Thread {
    pub(crate) version: u32,
    pub(crate) cover: Option<Letter>,
    /// In the order in which they apply, with what replies give them.
    pub(crate) patches: Vec<(Letter, Vec<Trailer>)>,
    pub(crate) notes: Vec<String>,
}

/// Every mail of an input, by what it is.
#[derive(Debug, Default)]
pub(crate) struct Sorted {
    pub(crate) patches: Vec<Letter>,
    pub(crate) covers: Vec<Letter>,
    pub(crate) replies: Vec<Letter>,
    /// Mails that are neither, and begin a thread.
    pub(crate) others: Vec<Letter>,
}

/// The newest series among `mails`, or everything that is wrong with it.
pub(crate) fn assemble(mails: Vec<Mail>) -> Result<Thread, Vec<String>> {
    let mut notes = Vec::new();
    let mut sorted = sort(mails, &mut notes);
    let versions: BTreeSet<u32> =
        sorted.patches.iter().chain(&sorted.covers).map(|letter| letter.subject.version).collect();
    let Some(&version) = versions.last() else {
        return Err(vec![nothing(&sorted)]);
    };
    let is_new = |letter: &Letter| letter.subject.version == version;
    let (patches, old): (Vec<Letter>, Vec<Letter>) =
        std::mem::take(&mut sorted.patches).into_iter().partition(is_new);
    let covers: Vec<Letter> = std::mem::take(&mut sorted.covers).into_iter().filter(is_new).collect();
    for older in versions.iter().rev().skip(1) {
        notes.push(format!("took version {version} and left out version {older}"));
    }
    let mut problems = Vec::new();
    let cover = one_cover(covers, &mut problems, &mut notes);
    let chosen = order(patches, cover.as_ref(), &old, &mut problems, &mut notes);
    for letter in &chosen {
        if let Content::Damaged(why) = &letter.content {
            problems.push(format!("{} arrived damaged: {why}", describe(letter)));
        }
    }
    if chosen.len() > limits::PATCHES {
        problems.push(format!("has {} patches, more than {}", chosen.len(), limits::PATCHES));
    }
    if !problems.is_empty() {
        return Err(problems);
    }
    let cover = cover.or_else(|| unnumbered_cover(&chosen, &sorted));
    for letter in chosen.iter().chain(&cover) {
        let more = letter.patch().map_or(letter.mail.notes.as_slice(), |patch| patch.notes.as_slice());
        notes.extend(more.iter().map(|note| format!("{}: {note}", describe(letter))));
    }
    let given = fold(&chosen, cover.as_ref(), &old, &sorted.replies, &mut notes);
    Ok(Thread { version, cover, patches: chosen.into_iter().zip(given).collect(), notes })
}

fn nothing(sorted: &Sorted) -> String {
    let mails = sorted.replies.len() + sorted.others.len();
    match mails {
        0 => "holds no mail".to_owned(),
        1 => "holds a mail, but no patch".to_owned(),
        _ => format!("holds {mails} mails, but no patch"),
    }
}

/// For messages: `patch 2/3 (net: frob)`.
pub(crate) fn describe(letter: &Letter) -> String {
    let title = match letter.patch() {
        Some(patch) if !patch.title.is_empty() => &patch.title,
        _ if letter.subject.title.is_empty() => &letter.mail.label,
        _ => &letter.subject.title,
    };
    match (letter.subject.position, letter.mail.file_number) {
        (Some(position), _) if position.number == 0 => format!("the cover letter ({title})"),
        (Some(position), _) => format!("patch {}/{} ({title})", position.number, position.of),
        (None, Some(0)) => format!("the cover letter ({title})"),
        (None, Some(number)) => format!("patch {number} ({title})"),
        (None, None) => format!("the patch ({title})"),
    }
}

fn sort(mails: Vec<Mail>, notes: &mut Vec<String>) -> Sorted {
    let mut sorted = Sorted::default();
    let mut ids = BTreeSet::new();
    let mut copies = 0;
    for mail in mails {
        // Whoever is on several lists gets a mail several times.
        if mail.id.as_ref().is_some_and(|id| !ids.insert(id.clone())) {
            copies += 1;
            continue;
        }
        let letter = Letter::read(mail);
        let number = letter.subject.position.map(|position| position.number).or(letter.mail.file_number);
        let is_reply = letter.subject.reply
            || (!letter.has_patch() && number.is_none() && !letter.mail.parents.is_empty());
        let place = if is_reply {
            &mut sorted.replies
        } else if number == Some(0) {
            &mut sorted.covers
        } else if letter.has_patch() {
            &mut sorted.patches
        } else {
            &mut sorted.others
        };
        place.push(letter);
    }
    if copies > 0 {
        notes.push(format!(
            "left out {copies} further {} of mails",
            if copies == 1 { "copy" } else { "copies" }
        ));
    }
    if sorted.patches.is_empty() && sorted.covers.is_empty() {
        let (patches, replies) = std::mem::take(&mut sorted.replies).into_iter().partition(Letter::has_patch);
        (sorted.patches, sorted.replies) = (patches, replies);
        if !sorted.patches.is_empty() {
            notes.push("took the patch from a reply, as there is no other".to_owned());
        }
    }
    let lost: Vec<&Letter> = sorted.others.iter().filter(|letter| letter.subject.patch).collect();
    for letter in lost {
        notes.push(format!("left out `{}`, which has no diff in it", letter.mail.subject));
    }
    let proposals = sorted.replies.iter().filter(|letter| letter.has_patch()).count();
    if proposals > 0 {
        let what = if proposals == 1 { "a patch that was" } else { "patches that were" };
        notes.push(format!("left out {what} sent in reply ({proposals})"));
    }
    sorted
}

fn one_cover(mut covers: Vec<Letter>, problems: &mut Vec<String>, notes: &mut Vec<String>) -> Option<Letter> {
    if covers.is_empty() {
        return None;
    }
    let first = covers.remove(0);
    for other in covers {
        if other.subject.title == first.subject.title && other.subject.position == first.subject.position {
            notes.push(format!("left out {}, which came twice", describe(&other)));
        } else {
            problems.push(format!(
                "holds several series of version {}: `{}` and `{}`",
                first.subject.version, first.subject.title, other.subject.title
            ));
        }
    }
    Some(first)
}

/// The patches in order, one for each number; what is missing or there twice is a problem.
fn order(
    patches: Vec<Letter>,
    cover: Option<&Letter>,
    old: &[Letter],
    problems: &mut Vec<String>,
    notes: &mut Vec<String>,
) -> Vec<Letter> {
    let by_file = !patches.is_empty() && patches.iter().all(|letter| letter.mail.file_number.is_some());
    let number = |letter: &Letter| match (by_file, letter.subject.position) {
        (true, _) => letter.mail.file_number,
        (false, position) => position.map(|position| position.number),
    };
    let totals: BTreeSet<usize> = patches
        .iter()
        .chain(cover)
        .filter_map(|letter| letter.subject.position)
        .map(|position| position.of)
        .collect();
    if totals.len() > 1 {
        let totals: Vec<String> = totals.iter().map(|of| format!("n/{of}")).collect();
        problems.push(format!("holds mails of several series: they are numbered {}", totals.join(" and ")));
        return Vec::new();
    }
    let total = totals.first().copied();
    let (numbered, unnumbered): (Vec<Letter>, Vec<Letter>) =
        patches.into_iter().partition(|letter| number(letter).is_some());
    if numbered.is_empty() && !unnumbered.is_empty() {
        let chosen = without_numbers(unnumbered, notes);
        if let Some(total) = total.filter(|total| *total != chosen.len()) {
            problems.push(format!(
                "has {} of the {total} patches that its cover letter announces, none of them numbered",
                chosen.len()
            ));
        }
        return chosen;
    }
    for letter in &unnumbered {
        notes.push(format!("left out `{}`, which has no number", letter.mail.subject));
    }
    let in_order = numbered.is_sorted_by_key(number);
    let mut places: BTreeMap<usize, Letter> = BTreeMap::new();
    for letter in numbered {
        let at = number(&letter).unwrap_or_default();
        match places.get(&at) {
            None => {
                places.insert(at, letter);
            }
            Some(first) if is_same(first, &letter) => {
                notes.push(format!("left out {}, which came twice", describe(&letter)));
            }
            Some(first) => problems.push(format!(
                "two different patches are number {at}: `{}` ({}) and `{}` ({})",
                first.subject.title, first.mail.label, letter.subject.title, letter.mail.label
            )),
        }
    }
    if !in_order {
        notes.push("put the patches in order".to_owned());
    }
    let last = total.or_else(|| places.keys().last().copied()).unwrap_or_default();
    reroll(&mut places, old, last, notes);
    problems.extend(missing(places.keys().copied(), last));
    for (at, letter) in places.iter().filter(|(at, _)| **at > last || **at == 0) {
        problems.push(format!("`{}` is number {at} of {last}", letter.subject.title));
    }
    places.into_values().collect()
}

/// What lacks between 1 and `last`, a sentence for each gap between these ascending numbers.
fn missing(numbers: impl Iterator<Item = usize>, last: usize) -> Vec<String> {
    let mut next = 1;
    let mut gaps = Vec::new();
    for at in numbers.filter(|at| (1..=last).contains(at)).chain([last.saturating_add(1)]) {
        match at - next {
            0 => {}
            1 => gaps.push(format!("patch {next} of {last} is missing")),
            _ => gaps.push(format!("patches {next} to {} of {last} are missing", at - 1)),
        }
        next = at.saturating_add(1);
    }
    gaps
}

fn is_same(a: &Letter, b: &Letter) -> bool {
    match (a.patch(), b.patch()) {
        (Some(x), Some(y)) => x.title == y.title && patch_id(&x.diff) == patch_id(&y.diff),
        _ => false,
    }
}

/// Patches without numbers: as they stand, the newest of each title.
fn without_numbers(patches: Vec<Letter>, notes: &mut Vec<String>) -> Vec<Letter> {
    let mut chosen: Vec<Letter> = Vec::new();
    for letter in patches {
        match chosen
            .iter_mut()
            .find(|other| !letter.subject.title.is_empty() && other.subject.title == letter.subject.title)
        {
            None => chosen.push(letter),
            Some(other) => {
                let seconds = |letter: &Letter| letter.mail.date.as_ref().map(|date| date.seconds);
                notes.push(format!("took the newest of several mails `{}`", letter.mail.subject));
                if seconds(&letter) > seconds(other) {
                    *other = letter;
                }
            }
        }
    }
    if chosen.len() > 1 {
        notes.push("the patches have no numbers: took them in the order in which they stand".to_owned());
    }
    chosen
}

/// `[PATCH v2 2/3]` in reply to `[PATCH 2/3]`, the others unchanged: a new version of single patches. What is missing comes from the
/// version before.
fn reroll(places: &mut BTreeMap<usize, Letter>, old: &[Letter], last: usize, notes: &mut Vec<String>) {
    let replaced = |letter: &Letter| {
        let position = letter.subject.position?;
        let before = old.iter().find(|old| {
            old.subject.position == Some(position)
                && old.mail.id.as_ref().is_some_and(|id| letter.mail.parents.first() == Some(id))
        })?;
        Some(before.subject.version)
    };
    let versions: BTreeSet<Option<u32>> = places.values().map(replaced).collect();
    let Some(Some(version)) = versions.first().copied().filter(|_| versions.len() == 1) else { return };
    for at in (1..=last).filter(|at| !places.contains_key(at)).collect::<Vec<_>>() {
        let mut candidates = old.iter().filter(|old| {
            old.subject.version == version
                && old.subject.position.is_some_and(|position| position.number == at && position.of == last)
        });
        if let (Some(letter), None) = (candidates.next(), candidates.next()) {
            notes.push(format!("took patch {at}/{last} from version {version}, as the newer version replaces single patches only"));
            places.insert(at, letter.clone());
        }
    }
}

/// The mail without a number that the first patch replies to, if its author began the thread with it.
fn unnumbered_cover(patches: &[Letter], sorted: &Sorted) -> Option<Letter> {
    let first = patches.first()?;
    let parent = first.mail.parents.first()?;
    sorted
        .others
        .iter()
        .find(|letter| {
            letter.mail.id.as_ref() == Some(parent)
                && letter.mail.from == first.mail.from
                && letter.mail.parents.is_empty()
        })
        .cloned()
}
