//! From a console to complaints.

use measure::{Complaint, ComplaintKind};

use crate::{
    frame::{self, first_stack},
    mark::{self, Extent},
    text::{plain, without_stamp},
    title,
};

/// Most characters of a line.
const LINE: usize = 1024;
/// Most lines of one complaint: lockdep's are the longest.
const LINES: usize = 400;
/// Lines kept from before and after it.
const BEFORE: usize = 10;
const AFTER: usize = 3;
/// After its first word, a complaint without an end mark of its own ends with its first stack, which begins within this.
const TO_STACK: usize = 120;
/// A panic that follows within this many lines belongs to the complaint.
const TO_PANIC: usize = 60;
/// Most different complaints of one boot.
const MOST: usize = 100;
/// Most complaints that are looked at, equal ones included: a guest may print nothing else.
const LOOKED_AT: usize = 10_000;

/// Most bytes of a console that are read: half of them from its beginning, half from its end. A guest may fill the disk
/// with line ends, each of which costs more here than the byte that it is.
pub const MOST_READ: usize = 4 * 1024 * 1024;

/// Reads what the kernel of `guest` complained about on its `console`, in that order; equal ones are one, with a count.
/// Of a console of more than [`MOST_READ`] bytes the middle is left out.
#[must_use]
pub fn read(guest: &str, console: &[u8]) -> Vec<Complaint> {
    let (beginning, ending) = halves(console);
    let lines =
        |part: &'_ [u8]| part.split(|&byte| byte == b'\n').map(|line| plain(line, LINE)).collect::<Vec<_>>();
    let mut text: Vec<String> = lines(beginning);
    text.extend(ending.map(lines).unwrap_or_default());
    let console = Console::new(&text);
    let Console { words, begins, .. } = &console;
    let mut found: Vec<Complaint> = Vec::new();
    let mut at = 0;
    // The end of the complaint before, and where it is in `found`.
    let mut last: Option<(usize, usize)> = None;
    let mut looked_at = 0;
    while at < words.len() && looked_at < LOOKED_AT {
        let Some((kind, extent)) = begins[at] else {
            at += 1;
            continue;
        };
        if kind == ComplaintKind::Panic
            && mark::is_consequence(words[at])
            && let Some((_, index)) = last.filter(|(end, _)| at - end <= TO_PANIC)
        {
            found[index].fatal = true;
            last = None;
            at = console.end(at, extent).max(at + 1);
            continue;
        }
        // A kernel that could not print what it found, since nothing ran that prints, does so on its last breath.
        let is_stall = |complaint: &Complaint| complaint.kind.is_stall();
        if kind == ComplaintKind::Hang
            && let Some(index) = found.iter().rposition(is_stall)
        {
            found[index].fatal = true;
            at = console.end(at, extent).max(at + 1);
            continue;
        }
        looked_at += 1;
        let end = console.end(at, extent);
        let index = add(&mut found, console.complaint(guest, (kind, extent), at, end));
        last = index.map(|index| (end, index));
        at = end.max(at + 1);
    }
    found
}

/// The part that is read, and its other part if it is too long for one.
fn halves(console: &[u8]) -> (&[u8], Option<&[u8]>) {
    if console.len() <= MOST_READ {
        return (console, None);
    }
    (&console[..MOST_READ / 2], Some(&console[console.len() - MOST_READ / 2..]))
}

/// Lines of a console.
struct Console<'a> {
    text: &'a [String],
    /// The same without stamps.
    words: Vec<&'a str>,
    /// What each begins. Every complaint looks at lines ahead, which a console of nothing but beginnings makes many.
    begins: Vec<Option<(ComplaintKind, Extent)>>,
}

impl<'a> Console<'a> {
    fn new(text: &'a [String]) -> Self {
        let words: Vec<&str> = text.iter().map(|line| without_stamp(line)).collect();
        let begins = words.iter().map(|words| mark::begins(words)).collect();
        Self { text, words, begins }
    }

    /// The line after the last one of the complaint that begins at `at`.
    fn end(&self, at: usize, extent: Extent) -> usize {
        let most = self.words.len().min(at + LINES);
        let to = |is_last: fn(&str) -> bool| {
            (at + 1..most).find(|&line| is_last(self.words[line])).map(|line| line + 1)
        };
        match extent {
            Extent::Line => at + 1,
            Extent::Trace => {
                to(|words| words.starts_with("---[ end ")).unwrap_or_else(|| self.other(at, most))
            }
            Extent::Rule => to(is_rule).unwrap_or(most),
            Extent::Stack => self.stack_end(at, most),
        }
    }

    /// The next line that begins another complaint than the fault at `at`, which is told in several of them; `most` if there
    /// is none.
    fn other(&self, at: usize, most: usize) -> usize {
        (at + 1..most)
            .find(|&line| self.begins[line].is_some_and(|(kind, _)| kind != ComplaintKind::Oops))
            .unwrap_or(most)
    }

    /// Where the first stack after `at` ends; the line after `at` if there is none.
    fn stack_end(&self, at: usize, most: usize) -> usize {
        let Self { words, begins, .. } = self;
        let near = most.min(at + TO_STACK);
        // A stack behind another complaint is that one's.
        let next = (at + 1..near).find(|&line| begins[line].is_some()).unwrap_or(near);
        let Some(head) = (at + 1..next).find(|&line| frame::is_head(words[line])) else { return at + 1 };
        let is_over = |words: &str| words == "</TASK>" || words.starts_with("---[ end ") || words.is_empty();
        (head + 1..most)
            .find(|&line| is_over(words[line]) || begins[line].is_some())
            .map_or(most, |line| if is_over(words[line]) { line + 1 } else { line })
    }

    /// Lines before the first that are the complaint's as well.
    fn begin(&self, at: usize) -> usize {
        let near = at.saturating_sub(8);
        let is_edge = |words: &str| words.starts_with("------------[ cut here ]") || is_rule(words);
        (near..at).rev().find(|&line| is_edge(self.words[line])).unwrap_or(at)
    }

    fn complaint(
        &self,
        guest: &str,
        (kind, extent): (ComplaintKind, Extent),
        at: usize,
        end: usize,
    ) -> Complaint {
        let from = self.begin(at);
        let own = &self.words[at..end];
        let frames = if extent == Extent::Line { vec![] } else { first_stack(own) };
        let title = title::of(kind, &self.words[from..at], own, &frames);
        let first = from.saturating_sub(BEFORE);
        let last = self.text.len().min(end + AFTER);
        Complaint {
            kind,
            guest: guest.to_owned(),
            fingerprint: title::fingerprint(kind, &title, &frames),
            title,
            words: self.words[at].to_owned(),
            frames,
            undecoded: None,
            excerpt: self.text[first..last].join("\n"),
            fatal: matches!(kind, ComplaintKind::Panic | ComplaintKind::Hang),
            times: 1,
        }
    }
}

fn is_rule(words: &str) -> bool {
    words.len() >= 10 && words.bytes().all(|byte| byte == b'=')
}

/// Counts it if it is there already. Where it is, if it was kept.
fn add(found: &mut Vec<Complaint>, new: Complaint) -> Option<usize> {
    // In the same words and without a stack: a lockup that is told once more, by a console that ends there.
    let is_again =
        |known: &Complaint| known.kind == new.kind && known.words == new.words && new.frames.is_empty();
    if let Some(index) =
        found.iter().position(|known| known.fingerprint == new.fingerprint || is_again(known))
    {
        found[index].times += 1;
        found[index].fatal |= new.fatal;
        return Some(index);
    }
    if found.len() == MOST {
        return None;
    }
    found.push(new);
    Some(found.len() - 1)
}

#[cfg(test)]
mod tests;
