//! The normalised text of patches and cover letters: what `git am` takes.

use crate::{
    diff,
    letter::Letter,
    thread::Thread,
    trailer,
    value::{Cover, Patch, Person, Series, Trailer, slug},
};

/// Where `git format-patch` puts a commit's name; a patch from a mail has none. The date is what tells `file` and git that
/// the file is not an ordinary mailbox.
const FROM: &str = "From 0000000000000000000000000000000000000000 Mon Sep 17 00:00:00 2001\n";
/// Longest name of a series, in bytes.
const NAME: usize = 40;
/// Longest part of a patch's file name, as in git.
const FILE: usize = 52;

impl Thread {
    /// The series that these mails are; `stem` names it if its mails do not.
    pub(crate) fn into_series(self, kind: &'static str, stem: &str) -> Series {
        let cover = self.cover.as_ref().map(cover);
        let total = self.patches.len();
        let patches: Vec<Patch> = self
            .patches
            .into_iter()
            .enumerate()
            .map(|(index, (letter, added))| patch(&letter, added, index + 1, total, self.version, stem))
            .collect();
        let single = match patches.as_slice() {
            [only] => Some(only.subject.as_str()),
            _ => None,
        };
        let first = patches.first().map(|patch| patch.subject.as_str());
        let titles = [cover.as_ref().map(|cover| cover.subject.as_str()), single, Some(stem), first];
        let name = titles
            .into_iter()
            .flatten()
            .map(|title| slug(title, NAME).to_lowercase())
            .find(|name| !name.is_empty());
        Series {
            name: name.unwrap_or_else(|| "series".to_owned()),
            kind,
            version: self.version,
            cover,
            patches,
            notes: self.notes,
        }
    }
}

fn cover(letter: &Letter) -> Cover {
    let text = letter.text();
    let body = text.split("\n-- \n").next().unwrap_or_default();
    Cover {
        author: letter.mail.from.clone(),
        date: letter.mail.date.as_ref().map(|date| date.text.clone()),
        subject: letter.subject.title.clone(),
        body: body
            .trim_matches('\n')
            .chars()
            .filter(|c| !c.is_control() || matches!(c, '\n' | '\t'))
            .collect(),
    }
}

fn patch(
    letter: &Letter,
    added: Vec<Trailer>,
    number: usize,
    total: usize,
    version: u32,
    stem: &str,
) -> Patch {
    let text = letter.patch().expect("damaged patches were refused").clone();
    let bare = text.title.is_empty() && text.message.is_empty() && text.author.is_none();
    let subject = match (bare, letter.mail.file_number) {
        (false, _) => text.title.clone(),
        (true, Some(_)) => letter.mail.label.trim_end_matches(".patch").trim_end_matches(".diff").to_owned(),
        (true, None) => stem.to_owned(),
    };
    let (body, own) = trailer::split(&text.message);
    let body = body.to_owned();
    let trailers: Vec<Trailer> = own.iter().cloned().chain(added.iter().cloned()).collect();
    let mut patch = Patch {
        number,
        file: format!("{number:04}-{}.patch", named(&subject)),
        author: text.author.clone(),
        date: text.date.clone(),
        subject,
        body,
        trailers,
        diffstat: text.read.files.clone(),
        text: text.diff.clone(),
    };
    if bare && added.is_empty() {
        return patch;
    }
    let mut message = text.message.clone();
    for (index, trailer) in added.iter().enumerate() {
        if !message.is_empty() {
            message.push_str(if index == 0 && own.is_empty() { "\n\n" } else { "\n" });
        }
        message.push_str(&trailer.to_string());
    }
    let mut out = header(
        patch.author.as_ref(),
        patch.date.as_deref(),
        &prefix(version, number, total),
        &patch.subject,
        &without_diffs(message),
    )
    .into_bytes();
    out.extend_from_slice(b"---\n");
    out.extend_from_slice(&text.below);
    if !out.ends_with(b"\n\n") {
        out.push(b'\n');
    }
    out.extend_from_slice(&text.diff);
    patch.text = out;
    patch
}

/// A message of which no line begins a diff, as one does that was indented above all others.
fn without_diffs(mut message: String) -> String {
    while let Some(at) = diff::start(message.as_bytes()) {
        message.insert(at, ' ');
    }
    message
}

fn named(subject: &str) -> String {
    let name = slug(subject, FILE);
    if name.is_empty() { "patch".to_owned() } else { name }
}

/// `[PATCH v2 1/3] `.
fn prefix(version: u32, number: usize, total: usize) -> String {
    let version = if version == 1 { String::new() } else { format!(" v{version}") };
    let position = if total == 1 && number == 1 { String::new() } else { format!(" {number}/{total}") };
    format!("[PATCH{version}{position}] ")
}

fn header(author: Option<&Person>, date: Option<&str>, prefix: &str, subject: &str, message: &str) -> String {
    let mut text = FROM.to_owned();
    let mut field = |name: &str, value: &str| text.push_str(&format!("{name}: {value}\n"));
    if let Some(author) = author {
        field("From", &quoted(author));
    }
    if let Some(date) = date {
        field("Date", date);
    }
    field("Subject", &format!("{prefix}{subject}"));
    if !text.is_ascii() || !message.is_ascii() {
        text.push_str(
            "MIME-Version: 1.0\nContent-Type: text/plain; charset=UTF-8\nContent-Transfer-Encoding: 8bit\n",
        );
    }
    text.push('\n');
    if !message.is_empty() {
        text.push_str(message);
        text.push('\n');
    }
    text
}

/// A person as header fields have it: names with other characters than words' are quoted.
fn quoted(person: &Person) -> String {
    let needs = |c: char| "()<>[]:;@\\,.\"".contains(c);
    if person.name.contains(needs) {
        let name = person.name.replace(['"', '\\'], "");
        return format!("\"{name}\" <{}>", person.email);
    }
    person.to_string()
}

impl Series {
    /// The text of the cover letter as a mail, if there is one.
    #[must_use]
    pub fn cover_text(&self) -> Option<Vec<u8>> {
        let cover = self.cover.as_ref()?;
        let prefix = prefix(self.version, 0, self.patches.len().max(1));
        Some(
            header(cover.author.as_ref(), cover.date.as_deref(), &prefix, &cover.subject, &cover.body)
                .into_bytes(),
        )
    }
}
