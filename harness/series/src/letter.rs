//! The text of a mail as `git am` reads it: commit message, what stands below `---`, diff.

use crate::{
    diff::{self, Diff},
    mail::{Date, Mail},
    subject::Subject,
    value::{Person, plain},
};

/// A mail read for what it could be in a series.
#[derive(Clone, Debug)]
pub(crate) struct Letter {
    pub(crate) mail: Mail,
    pub(crate) subject: Subject,
    pub(crate) content: Content,
}

/// What a mail holds.
#[derive(Clone, Debug)]
pub(crate) enum Content {
    /// A patch that can be read to its end.
    Patch(Box<PatchText>),
    /// A patch that arrived damaged, and how.
    Damaged(String),
    /// Words only.
    Text,
}

/// The parts of a patch.
#[derive(Clone, Debug, Default)]
pub(crate) struct PatchText {
    /// From the mail's header, or from the `From:` that its text begins with.
    pub(crate) author: Option<Person>,
    pub(crate) date: Option<String>,
    /// Without `[...]`.
    pub(crate) title: String,
    /// The commit message without its subject.
    pub(crate) message: String,
    /// What stands between `---` and the diff: remarks and a diffstat.
    pub(crate) below: Vec<u8>,
    /// To the end of its last hunk.
    pub(crate) diff: Vec<u8>,
    pub(crate) read: Diff,
    pub(crate) notes: Vec<String>,
}

impl Letter {
    pub(crate) fn read(mail: Mail) -> Self {
        let subject = Subject::parse(&mail.subject);
        let content = content(&mail, &subject);
        Self { mail, subject, content }
    }

    pub(crate) fn patch(&self) -> Option<&PatchText> {
        match &self.content {
            Content::Patch(patch) => Some(patch),
            Content::Damaged(_) | Content::Text => None,
        }
    }

    /// Whether it is, or was meant to be, a patch.
    pub(crate) fn has_patch(&self) -> bool {
        !matches!(self.content, Content::Text)
    }

    /// The text as far as it is one.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.mail.body).into_owned()
    }
}

fn content(mail: &Mail, subject: &Subject) -> Content {
    let (body, mut notes) = whole_body(mail);
    if is_dash_escaped(&body) {
        return Content::Damaged(
            "it is signed inline with OpenPGP, which escapes the lines of a diff".to_owned(),
        );
    }
    let Some(at) = diff::start(&body) else {
        if mail.html_only
            && subject.patch
            && !subject.reply
            && subject.position.is_none_or(|position| position.number > 0)
        {
            return Content::Damaged("it is HTML only: the patch in it is lost".to_owned());
        }
        return Content::Text;
    };
    // RFC 3676 first; some clients only say that it flows, and then the text is right as it is.
    let undone = mail.flowed.and_then(|flowed| {
        let text = flowed.undo(&body);
        let at = diff::start(&text)?;
        let read = diff::read(&text[at..]).ok()?;
        Some((read, at, text))
    });
    let (read, at, body) = match undone {
        Some((read, at, text)) => {
            if text != body {
                notes.push("undid format=flowed, to which the sender's mail client had turned it".to_owned());
            }
            (read, at, text)
        }
        None => match diff::read(&body[at..]) {
            Ok(read) => (read, at, body),
            Err(damage) if mail.flowed.is_some() => {
                let why = damaged(&damage);
                return Content::Damaged(format!(
                    "the sender's mail client turned it to format=flowed, which damages patches: {why}"
                ));
            }
            Err(damage) => return Content::Damaged(damaged(&damage)),
        },
    };
    let (above, diff) = body.split_at(at);
    let mut patch = PatchText {
        author: mail.from.clone(),
        date: mail.date.as_ref().map(|date| date.text.clone()),
        title: subject.title.clone(),
        diff: diff[..read.end].to_vec(),
        read,
        ..PatchText::default()
    };
    patch.read_above(above, &mut notes);
    let (announced, found) = (announced(&patch.below), totals(&patch.read));
    if let Some(announced) = announced.filter(|announced| *announced != found) {
        let differ = format!("its diffstat announces {announced}, and the diff has {found}");
        // Whoever edits a patch by hand keeps its signature. A mail that was cut between two hunks has none.
        let (Totals(files, added, removed), Totals(most, more, further)) = (found, announced);
        if patch.read.end == diff.len() && (files < most || added < more || removed < further) {
            return Content::Damaged(format!("the patch is cut off: {differ}"));
        }
        notes.push(differ);
    }
    patch.notes = notes;
    Content::Patch(Box::new(patch))
}

/// The text, and the diffs that are attached to it: `git format-patch --attach` puts only the message into the text.
fn whole_body(mail: &Mail) -> (Vec<u8>, Vec<String>) {
    let mut notes = mail.notes.clone();
    if diff::start(&mail.body).is_some() || mail.attached.is_empty() {
        return (mail.body.clone(), notes);
    }
    let text = String::from_utf8_lossy(&mail.body);
    let mut body = text.split("\n-- \n").next().unwrap_or_default().as_bytes().to_vec();
    for attached in &mail.attached {
        let name = attached.name.as_deref().unwrap_or("without a name");
        notes.push(format!("taken from the attachment {name}"));
        if !body.is_empty() && !body.ends_with(b"\n") {
            body.push(b'\n');
        }
        body.extend_from_slice(&attached.bytes);
    }
    (body, notes)
}

/// Files, added and removed lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Totals(usize, usize, usize);

impl std::fmt::Display for Totals {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} files, {} insertions and {} deletions", self.0, self.1, self.2)
    }
}

fn totals(diff: &Diff) -> Totals {
    let sum = |lines: fn(&crate::FileStat) -> usize| diff.files.iter().map(lines).sum();
    Totals(diff.files.len(), sum(|file| file.added), sum(|file| file.removed))
}

/// What the last line of a diffstat says: ` 2 files changed, 3 insertions(+), 1 deletion(-)`.
fn announced(below: &[u8]) -> Option<Totals> {
    let text = String::from_utf8_lossy(below);
    let line = text.lines().rev().find(|line| line.contains(" changed") && line.contains(" file"))?;
    let mut totals = Totals(0, 0, 0);
    for part in line.split(',') {
        let (count, what) = part.trim().split_once(' ')?;
        let count = count.parse().ok()?;
        match what.split(['(', ' ']).next()? {
            "file" | "files" => totals.0 = count,
            "insertion" | "insertions" => totals.1 = count,
            "deletion" | "deletions" => totals.2 = count,
            _ => return None,
        }
    }
    Some(totals)
}

fn damaged(damage: &diff::Damage) -> String {
    format!("line {} of its diff: {}", damage.line, damage.what)
}

/// RFC 9580, 7.2: every line that begins with `-` gets a `- ` before it.
fn is_dash_escaped(body: &[u8]) -> bool {
    let has = |text: &[u8]| body.windows(text.len()).any(|window| window == text);
    has(b"-----BEGIN PGP SIGNED MESSAGE-----") && has(b"\n- --- ")
}

impl PatchText {
    /// Reads what stands above the diff: in-body headers, message, `---`, remarks.
    fn read_above(&mut self, above: &[u8], notes: &mut Vec<String>) {
        let mut lines: Vec<&[u8]> = above.split_inclusive(|byte| *byte == b'\n').collect();
        if let Some(cut) = lines.iter().rposition(|line| is_scissors(line)) {
            notes.push("left out what stands above the scissors line".to_owned());
            lines.drain(..=cut);
        }
        let separator = lines.iter().position(|line| line.trim_ascii_end() == b"---");
        let (message, below) = match separator {
            Some(at) => (&lines[..at], lines[at + 1..].concat()),
            None => (&lines[..], Vec::new()),
        };
        self.below = below;
        let message = String::from_utf8_lossy(&message.concat()).into_owned();
        let rest = self.in_body_headers(&message);
        // Replaced, not left out: what stands on both sides of one could become the beginning of a diff.
        let clean = |c: char| {
            if c.is_control() && !matches!(c, '\n' | '\t') { char::REPLACEMENT_CHARACTER } else { c }
        };
        self.message = rest.replace("\r\n", "\n").trim_matches('\n').trim_end().chars().map(clean).collect();
    }

    /// `From:`, `Date:` and `Subject:` at the very beginning say more than the mail's own: the sender may be a list or a
    /// colleague. What follows them is returned.
    fn in_body_headers<'m>(&mut self, message: &'m str) -> &'m str {
        let mut rest = message.trim_start_matches(['\n', ' ']);
        let begin = rest;
        let mut found = false;
        while let Some((line, after)) = rest.split_once('\n') {
            let Some((name, value)) = line.split_once(": ") else { break };
            match name.to_ascii_lowercase().as_str() {
                "from" => match crate::trailer::person(value) {
                    Some(author) => self.author = Some(author),
                    None => break,
                },
                "date" => self.date = Date::parse(value).map(|date| date.text).or(self.date.take()),
                "subject" => self.title = Subject::parse(&plain(value)).title,
                _ => break,
            }
            found = true;
            rest = after;
        }
        if found { rest } else { begin }
    }
}

/// `-- >8 --`, in any of its forms: mostly dashes around scissors (git's mailinfo.c, `is_scissors_line`).
fn is_scissors(line: &[u8]) -> bool {
    let text = String::from_utf8_lossy(line);
    let text = text.trim();
    let scissors = [">8", "8<", ">%", "%<"].iter().map(|mark| text.matches(mark).count()).sum::<usize>();
    let dashes = text.matches('-').count();
    scissors > 0
        && dashes >= 2
        && text.starts_with(['-', '8', '>', '%'])
        && dashes + 2 * scissors >= text.replace(' ', "").len() / 2
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIFF: &str = "diff --git a/x b/x\n--- a/x\n+++ b/x\n@@ -1 +1 @@\n-a\n+b\n";

    fn letter(body: &str) -> Letter {
        let from = Some(Person { name: "Sender".into(), email: "s@x".into() });
        Letter::read(Mail { subject: "[PATCH] net: x".into(), from, body: body.into(), ..Mail::default() })
    }

    #[test]
    fn a_patch_comes_apart_and_its_signature_is_left() {
        let letter = letter(&format!(
            "\nWhy.\n\nSigned-off-by: A <a@b>\n---\nv2: better\n\n x | 2 +-\n\n{DIFF}-- \n2.47\n"
        ));
        let patch = letter.patch().unwrap();
        assert_eq!(patch.title, "net: x");
        assert_eq!(patch.message, "Why.\n\nSigned-off-by: A <a@b>");
        assert_eq!(patch.below, b"v2: better\n\n x | 2 +-\n\n");
        assert_eq!(patch.diff, DIFF.as_bytes());
    }

    #[test]
    fn headers_in_the_text_say_who_wrote_it() {
        let patch = letter(&format!(
            "From: Real Author <r@x>\nSubject: [PATCH] net: y\n\nFrom: nothing\n---\n{DIFF}"
        ))
        .patch()
        .unwrap()
        .clone();
        assert_eq!(patch.author.unwrap().to_string(), "Real Author <r@x>");
        assert_eq!((patch.title.as_str(), patch.message.as_str()), ("net: y", "From: nothing"));
        let plain = letter(&format!("Note: this.\n\n{DIFF}"));
        assert_eq!(plain.patch().unwrap().message, "Note: this.");
    }

    #[test]
    fn scissors_cut_off_the_talk() {
        let patch = letter(&format!("How about this?\n\n-- >8 --\nSubject: net: z\n\nWhy.\n---\n{DIFF}"))
            .patch()
            .unwrap()
            .clone();
        assert_eq!((patch.title.as_str(), patch.message.as_str()), ("net: z", "Why."));
        assert_eq!(patch.notes.len(), 1);
        assert!(!is_scissors(b"--- a/x"));
        assert!(!is_scissors(b"a range of 8<n<9 - or so - is enough for the moment"));
    }

    #[test]
    fn flowed_text_is_undone_or_named() {
        let mail = |body: &str| Mail {
            subject: "[PATCH] x".into(),
            body: body.into(),
            flowed: Some(crate::mail::Flowed { delsp: false }),
            ..Mail::default()
        };
        let labelled =
            Letter::read(mail(&format!("Why.\n---\n{}", DIFF.replace("-1 +1", "-1,2 +1,2") + " c\n")));
        assert!(labelled.patch().unwrap().notes.is_empty(), "it only says that it flows");
        let stuffed = DIFF.replace("-1 +1", "-1,2 +1,2").replace("+b\n", "+b and \nc\n  d\n");
        let mended = Letter::read(mail(&format!("Why.\n---\n{stuffed}")));
        assert!(mended.patch().unwrap().diff.ends_with(b"+b and c\n d\n"));
        assert_eq!(mended.patch().unwrap().notes.len(), 1);
        let broken = DIFF.replace("+b\n", "+b and\nc\n+d\n");
        let Content::Damaged(why) = Letter::read(mail(&format!("---\n{broken}"))).content else {
            panic!("it is damaged")
        };
        assert!(why.contains("format=flowed"), "{why}");
    }

    #[test]
    fn inline_signatures_and_html_are_named() {
        let signed = letter("-----BEGIN PGP SIGNED MESSAGE-----\n\n- ---\n x | 2 +-\n\n- --- a/x\n+++ b/x\n");
        assert!(matches!(signed.content, Content::Damaged(why) if why.contains("OpenPGP")));
        let html = Letter::read(Mail { subject: "[PATCH 1/2] x".into(), html_only: true, ..Mail::default() });
        assert!(matches!(html.content, Content::Damaged(why) if why.contains("HTML")));
    }
}
