//! Reading unified diffs as `git apply` does, so that a damaged one is told for what it is before anything is built.

use sha2::{Digest, Sha256};

use crate::value::{FileStat, plain};

/// A diff that can be read to its end.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Diff {
    pub(crate) files: Vec<FileStat>,
    /// Where the last hunk ends, in bytes: what follows is a signature or a list's footer.
    pub(crate) end: usize,
}

/// Why a diff cannot be applied as it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Damage {
    /// The line of the diff, from 1.
    pub(crate) line: usize,
    pub(crate) what: String,
}

/// Where the diff in `text` begins: at `diff --git`, `Index:`, or `--- ` with `+++ ` below it.
pub(crate) fn start(text: &[u8]) -> Option<usize> {
    let mut at = 0;
    let mut lines = text.split_inclusive(|byte| *byte == b'\n').peekable();
    while let Some(line) = lines.next() {
        let old = line.starts_with(b"--- ") && lines.peek().is_some_and(|next| next.starts_with(b"+++ "));
        // GNU diff says how it was called: `diff -urN a b`.
        if old
            || line.starts_with(b"diff --git ")
            || line.starts_with(b"diff -")
            || is_index(line, lines.peek())
        {
            return Some(at);
        }
        at += line.len();
    }
    None
}

/// Subversion's and quilt's `Index: path`, followed by a line of `=`.
fn is_index(line: &[u8], next: Option<&&[u8]>) -> bool {
    line.starts_with(b"Index: ") && next.is_some_and(|next| next.starts_with(b"===="))
}

/// Reads a diff that begins at the start of `text`.
pub(crate) fn read(text: &[u8]) -> Result<Diff, Damage> {
    let mut reader = Reader {
        lines: text.split_inclusive(|byte| *byte == b'\n').collect(),
        at: 0,
        diff: Diff::default(),
        indents: Indents::default(),
        section: None,
    };
    reader.run()?;
    reader.end_section()?;
    if reader.diff.files.is_empty() {
        return Err(reader.damage("the patch is cut off: it changes no file"));
    }
    reader.indents.judge()?;
    reader.diff.end = reader.lines[..reader.at].iter().map(|line| line.len()).sum();
    Ok(reader.diff)
}

/// The same for two diffs that make the same change at another place: of everything but line numbers and object names.
pub(crate) fn patch_id(text: &[u8]) -> [u8; 32] {
    let mut digest = Sha256::new();
    for line in text.split(|byte| *byte == b'\n') {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.starts_with(b"index ") || line.is_empty() {
            continue;
        }
        digest.update(if line.starts_with(b"@@ ") { b"@@" } else { line });
        digest.update(b"\n");
    }
    digest.finalize().into()
}

struct Reader<'t> {
    lines: Vec<&'t [u8]>,
    at: usize,
    diff: Diff,
    indents: Indents,
    section: Option<Section>,
}

/// What follows a `diff --git` line, up to the next one.
#[derive(Default)]
struct Section {
    /// Hunks, or a binary patch.
    contents: bool,
    /// `index`: the contents change, unless a file is made or removed that has none.
    index: bool,
    empty: bool,
    mode: bool,
    /// `rename to` or `copy to`.
    target: bool,
}

impl Section {
    fn see(&mut self, line: &[u8]) {
        // The name of a blob without contents.
        self.empty |= line.starts_with(b"index ") && line.windows(7).any(|name| name == b"e69de29");
        self.index |= line.starts_with(b"index ");
        self.mode |= line.starts_with(b"new mode ");
        self.target |= line.starts_with(b"rename to ") || line.starts_with(b"copy to ");
    }

    fn is_whole(&self) -> bool {
        self.contents || if self.index { self.empty } else { self.mode || self.target }
    }
}

impl<'t> Reader<'t> {
    fn line(&self) -> Option<&'t [u8]> {
        self.lines.get(self.at).copied()
    }

    fn damage(&self, what: impl Into<String>) -> Damage {
        Damage { line: self.at + 1, what: what.into() }
    }

    fn run(&mut self) -> Result<(), Damage> {
        // Whether a file's header, or its hunks, come directly before.
        let mut in_file = false;
        while let Some(line) = self.line() {
            if !line.ends_with(b"\n") && in_file {
                return Err(self.damage("the patch is cut off within a line"));
            }
            if line.starts_with(b"diff --git ") {
                self.end_section()?;
                self.section = Some(Section::default());
                self.begin_file(git_path(line));
                in_file = true;
                self.at += 1;
            } else if line.starts_with(b"--- ") {
                let Some(new) = self.lines.get(self.at + 1).filter(|next| next.starts_with(b"+++ ")) else {
                    return Err(self.damage("`--- ` without `+++ ` below it"));
                };
                let path = header_path(&new[4..]).or_else(|| header_path(&line[4..]));
                self.name_file(path, in_file);
                in_file = true;
                self.at += 2;
                if !self.line().is_some_and(|next| next.starts_with(b"@@ ")) {
                    return Err(self.cut_or("a file's header without a hunk below it"));
                }
            } else if line.starts_with(b"@@ ") {
                if !in_file || self.diff.files.is_empty() {
                    return Err(self.damage("a hunk without a file's header above it"));
                }
                self.hunk(line)?;
                self.section.iter_mut().for_each(|section| section.contents = true);
            } else if line.starts_with(b"GIT binary patch") {
                self.binary()?;
                self.section.iter_mut().for_each(|section| section.contents = true);
            } else if line.starts_with(b"Binary files ") {
                let what = "names a binary file without its contents (made without `--binary`): it cannot be applied";
                return Err(self.damage(what));
            } else if in_file && is_extended_header(line) || starts_file(line) {
                self.section.iter_mut().for_each(|section| section.see(line));
                self.at += 1;
            } else {
                return self.after_hunks(line, in_file);
            }
        }
        Ok(())
    }

    /// A `diff --git` that nothing follows came from a mail that was cut.
    fn end_section(&mut self) -> Result<(), Damage> {
        match self.section.take() {
            Some(section) if !section.is_whole() => {
                Err(self.damage("the patch is cut off: a file's header without the change below it"))
            }
            _ => Ok(()),
        }
    }

    /// What stands where a file's header or a hunk could: the end of the diff, or a hunk that is longer than it says.
    fn after_hunks(&self, line: &[u8], in_file: bool) -> Result<(), Damage> {
        let signature = line.starts_with(b"--") && line.trim_ascii().iter().all(|byte| *byte == b'-');
        let footer =
            line.trim_ascii().is_empty() || line.starts_with(b"___") || line.starts_with(b"Only in ");
        if in_file && !signature && !footer {
            return Err(match line.first() {
                Some(b'+' | b'-' | b' ') => self.damage("the hunk has more lines than its header says"),
                _ => self.damage(format!(
                    "`{}` follows a hunk: a mail client wrapped the line above",
                    shown(line)
                )),
            });
        }
        // Something that is a diff again further below would be left out without a word.
        let rest = &self.lines[self.at..];
        if let Some(more) =
            rest.iter().position(|line| line.starts_with(b"diff --git ") || line.starts_with(b"@@ -"))
        {
            let line = self.at + 1;
            let what = format!("text within the diff: `{}`", shown(rest[0]));
            return Err(Damage {
                line,
                what: if more == 0 { "a hunk out of place".to_owned() } else { what },
            });
        }
        Ok(())
    }

    fn begin_file(&mut self, path: String) {
        self.diff.files.push(FileStat { path, added: 0, removed: 0, binary: false });
    }

    /// The names in `---` and `+++`: of the file that `diff --git` began, or of a new one.
    fn name_file(&mut self, path: Option<String>, in_file: bool) {
        let began = in_file
            && self.lines[..self.at]
                .iter()
                .rev()
                .take_while(|line| !line.starts_with(b"@@ "))
                .any(|line| line.starts_with(b"diff --git "));
        if !began {
            self.begin_file(String::new());
        }
        if let (Some(path), Some(file)) = (path, self.diff.files.last_mut()) {
            file.path = path;
        }
    }

    fn hunk(&mut self, header: &[u8]) -> Result<(), Damage> {
        let Some((mut old, mut new)) = counts(header) else {
            return Err(self.damage(format!("a malformed hunk header `{}`", shown(header))));
        };
        let began = self.at;
        let file = self.diff.files.len() - 1;
        self.at += 1;
        while old > 0 || new > 0 {
            let Some(line) = self.line() else {
                return Err(self.cut_off(began, old, new));
            };
            if !line.ends_with(b"\n") {
                return Err(self.cut_off(began, old, new));
            }
            let stat = &mut self.diff.files[file];
            match line.first() {
                Some(b' ' | b'\n') if old > 0 && new > 0 => (old, new) = (old - 1, new - 1),
                Some(b'\r') if line == b"\r\n" && old > 0 && new > 0 => (old, new) = (old - 1, new - 1),
                Some(b'+') if new > 0 => (new, stat.added) = (new - 1, stat.added + 1),
                Some(b'-') if old > 0 => (old, stat.removed) = (old - 1, stat.removed + 1),
                Some(b'\\') => {}
                _ => return Err(self.wrong_line(line, began, old, new)),
            }
            self.indents.see(&self.diff.files[file].path, line, self.at);
            self.at += 1;
        }
        // `\ No newline at end of file`.
        if self.line().is_some_and(|line| line.starts_with(b"\\ ")) {
            self.at += 1;
        }
        Ok(())
    }

    /// A line that cannot stand in a hunk. What it looks like says what did it.
    fn wrong_line(&self, line: &[u8], began: usize, old: usize, new: usize) -> Damage {
        let text = shown(line);
        let signed = self.lines[..self.at].ends_with(&[b"-- \n"]);
        let next = signed
            || line.starts_with(b"diff --git ")
            || line.starts_with(b"@@ ")
            || line.starts_with(b"-- ");
        let what = match line.first() {
            _ if next || matches!(line.first(), Some(b' ' | b'+' | b'-' | b'\n' | b'\r')) => {
                let header = shown(self.lines[began]);
                format!(
                    "the hunk `{header}` does not have the lines that it says ({old} old and {new} new ones are left)"
                )
            }
            Some(b'\t') => {
                "the space before unchanged lines is gone: white space was stripped on the way".to_owned()
            }
            _ if line.starts_with("\u{a0}".as_bytes()) => {
                "no-break spaces in place of spaces: a mail client damaged the white space".to_owned()
            }
            _ if line.starts_with(b">") => "it is quoted".to_owned(),
            _ => format!("`{text}` is no line of a hunk: a mail client wrapped the line above"),
        };
        self.damage(what)
    }

    fn cut_off(&self, began: usize, old: usize, new: usize) -> Damage {
        let header = shown(self.lines[began]);
        self.damage(format!("the patch is cut off: the hunk `{header}` lacks {old} old and {new} new lines"))
    }

    fn cut_or(&self, otherwise: &str) -> Damage {
        if self.line().is_none() { self.damage("the patch is cut off") } else { self.damage(otherwise) }
    }

    /// `literal SIZE` or `delta SIZE`, lines of base85, an empty line; forwards, and usually backwards as well.
    fn binary(&mut self) -> Result<(), Damage> {
        if let Some(file) = self.diff.files.last_mut() {
            file.binary = true;
        }
        self.at += 1;
        let mut blocks = 0;
        while self.line().is_some_and(|line| line.starts_with(b"literal ") || line.starts_with(b"delta ")) {
            self.at += 1;
            while self.line().is_some_and(|line| !line.trim_ascii().is_empty()) {
                self.at += 1;
            }
            if self.line().is_none() {
                return Err(self.damage("the patch is cut off within a binary file"));
            }
            self.at += 1;
            blocks += 1;
        }
        if blocks == 0 { Err(self.cut_or("a malformed binary patch")) } else { Ok(()) }
    }
}

/// Tabs that became spaces leave every indented line of a C file with spaces only.
#[derive(Default)]
struct Indents {
    tabs: usize,
    spaces: usize,
    first: usize,
}

impl Indents {
    fn see(&mut self, path: &str, line: &[u8], at: usize) {
        let name = path.rsplit('/').next().unwrap_or(path);
        let tabbed = [".c", ".h", ".S"].iter().any(|ending| name.ends_with(ending))
            || name == "Makefile"
            || name.starts_with("Kconfig");
        if !tabbed {
            return;
        }
        let text = line.get(1..).unwrap_or_default();
        if text.contains(&b'\t') {
            self.tabs += 1;
        } else if text.starts_with(b"        ") {
            if self.spaces == 0 {
                self.first = at + 1;
            }
            self.spaces += 1;
        }
    }

    fn judge(&self) -> Result<(), Damage> {
        if self.tabs == 0 && self.spaces >= 3 {
            let what = format!(
                "{} lines are indented with spaces and none with a tab: a mail client turned tabs into spaces",
                self.spaces
            );
            return Err(Damage { line: self.first, what });
        }
        Ok(())
    }
}

/// The numbers of old and new lines, from `@@ -12,7 +12,9 @@`.
fn counts(header: &[u8]) -> Option<(usize, usize)> {
    let text = std::str::from_utf8(header.get(..header.len().min(80))?).unwrap_or_else(|error| {
        // What follows the second `@@` is a line of the file, in any encoding, and may be cut within a character.
        std::str::from_utf8(&header[..error.valid_up_to()]).unwrap_or_default()
    });
    let mut words = text.strip_prefix("@@ ")?.split(' ');
    let mut range = |sign: char| -> Option<usize> {
        let range = words.next()?.strip_prefix(sign)?;
        let (start, count) = range.split_once(',').unwrap_or((range, "1"));
        start.parse::<usize>().ok()?;
        count.parse().ok()
    };
    let counts = (range('-')?, range('+')?);
    words.next()?.starts_with("@@").then_some(counts)
}

/// The path in `diff --git a/path b/path`, where both are the same.
fn git_path(line: &[u8]) -> String {
    let text = String::from_utf8_lossy(line);
    let names = text.trim_end().trim_start_matches("diff --git ");
    let half = names.len() / 2;
    let same = names.get(half + 1..).zip(names.get(..half)).filter(|(new, old)| new.get(2..) == old.get(2..));
    let name = same.map_or_else(|| names.rsplit(' ').next().unwrap_or(names), |(new, _)| new);
    plain(name.split_once('/').map_or(name, |(_, path)| path))
}

/// The path in `--- a/path` or `+++ b/path`, without what is after a tab; nothing for `/dev/null`.
fn header_path(name: &[u8]) -> Option<String> {
    let name = String::from_utf8_lossy(name);
    let name = name.split('\t').next()?.trim_end();
    let path = name.strip_prefix('"').and_then(|name| name.strip_suffix('"')).unwrap_or(name);
    (path != "/dev/null").then(|| plain(path.split_once('/').map_or(path, |(_, path)| path)))
}

fn is_extended_header(line: &[u8]) -> bool {
    const WORDS: &[&[u8]] = &[
        b"index ",
        b"old mode ",
        b"new mode ",
        b"deleted file mode ",
        b"new file mode ",
        b"copy from ",
        b"copy to ",
        b"rename from ",
        b"rename to ",
        b"similarity index ",
        b"dissimilarity index ",
    ];
    WORDS.iter().any(|word| line.starts_with(word))
}

/// What other tools than git write above `---`.
fn starts_file(line: &[u8]) -> bool {
    line.starts_with(b"diff -") || line.starts_with(b"Index: ") || line.starts_with(b"=====")
}

fn shown(line: &[u8]) -> String {
    plain(&String::from_utf8_lossy(line)).chars().take(60).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIFF: &str = "diff --git a/net/a.c b/net/a.c\nindex 1..2 100644\n--- a/net/a.c\n+++ b/net/a.c\n\
        @@ -3,3 +3,4 @@ f\n \tone\n-\ttwo\n+\tTWO\n+\tmore\n \tthree\n@@ -40 +41 @@ g\n-\tx\n+\ty\n\\ No newline at end of file\n\
        diff --git a/old b/new\nsimilarity index 100%\nrename from old\nrename to new\n\
        diff --git a/x.bin b/x.bin\nnew file mode 100644\nindex 0..1\nGIT binary patch\nliteral 3\nKcmZ\n\nliteral 0\nHc\n\n";

    fn stats(diff: &Diff) -> Vec<(&str, usize, usize, bool)> {
        diff.files.iter().map(|file| (file.path.as_str(), file.added, file.removed, file.binary)).collect()
    }

    fn damage(text: &str) -> String {
        let damage = read(text.as_bytes()).unwrap_err();
        format!("{}: {}", damage.line, damage.what)
    }

    #[test]
    fn files_hunks_renames_and_binaries() {
        let footer = format!("{DIFF}-- \n2.47.3\n_____\nlist footer\n");
        let diff = read(footer.as_bytes()).unwrap();
        assert_eq!(stats(&diff), [("net/a.c", 3, 2, false), ("new", 0, 0, false), ("x.bin", 0, 0, true)]);
        assert_eq!(&footer[diff.end..], "-- \n2.47.3\n_____\nlist footer\n");
    }

    #[test]
    fn diffs_of_other_tools() {
        let diff = read(b"diff -urN a/x.c b/x.c\n--- a/x.c\t2026-01-01\n+++ b/x.c\t2026-01-02\n@@ -1 +1 @@\n-a\n+b\n--- a/y\n+++ /dev/null\n@@ -1 +0,0 @@\n-a\n").unwrap();
        assert_eq!(stats(&diff), [("x.c", 1, 1, false), ("y", 0, 1, false)]);
        assert_eq!(start(b"words\n---\n x | 1\n\nIndex: x\n====\n"), Some("words\n---\n x | 1\n\n".len()));
        assert_eq!(start(b"--- not a diff\n\ndiff of things\n"), None);
    }

    #[test]
    fn damage_is_named_for_what_it_is() {
        let wrapped = DIFF.replace("+\tmore\n", "+\tmore and\nmore\n");
        assert!(
            damage(&wrapped).starts_with("10: `more` is no line of a hunk: a mail client wrapped"),
            "{}",
            damage(&wrapped)
        );
        assert!(damage(&DIFF.replace(" \tone", "\tone")).contains("white space was stripped"));
        assert!(damage(&DIFF.replace(" \tone", "\u{a0}\tone")).contains("no-break spaces"));
        assert!(damage(&DIFF[..DIFF.find("+\tmore").unwrap()]).contains("cut off"));
        assert!(damage("diff --git a/x b/x\n--- a/x\n+++ b/x\n").contains("cut off"));
        assert!(
            damage(&DIFF.replace(" \tthree\n", " \tthree\n+\tfour\n")).contains("more lines than its header")
        );
        assert!(
            damage(&DIFF.replace(" \tthree\n", " \tthree and\nfour\n")).contains("wrapped the line above")
        );
        assert!(damage(&DIFF.replace("-3,3 +3,4", "-3,9 +3,4")).contains("does not have the lines"));
        assert!(damage("Index: x\n--- a/x\n+++ b/x\n@@ nonsense\n").contains("malformed hunk header"));
        assert!(damage("diff --git a/x b/x\nBinary files a/x and b/x differ\n").contains("--binary"));
        let spaces =
            "--- a/x.c\n+++ b/x.c\n@@ -1,3 +1,3 @@\n         a\n-        b\n+        c\n         d\n";
        assert!(damage(spaces).contains("turned tabs into spaces"));
        read(spaces.replace("x.c", "x.py").as_bytes()).unwrap();
    }

    #[test]
    fn the_same_change_elsewhere_has_the_same_id() {
        let moved = DIFF.replace("-3,3 +3,4", "-9,3 +9,4").replace("1..2", "3..4");
        assert_eq!(patch_id(DIFF.as_bytes()), patch_id(moved.as_bytes()));
        assert_ne!(patch_id(DIFF.as_bytes()), patch_id(DIFF.replace("more", "less").as_bytes()));
    }
}
