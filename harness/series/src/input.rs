//! What a user calls a series, told apart by looking.

use std::path::{Path, PathBuf};

use subprocess::Supervisor;

use crate::{
    error::{Problems, SeriesError, read},
    limits,
    mail::{Mail, parse},
    mbox::{self, Looks},
    range,
    thread::assemble,
    value::Series,
};

/// Something that a series can be had from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// A folder of `git format-patch` files, or of mails.
    Folder(PathBuf),
    /// A folder with `cur` and `new` in it.
    Maildir(PathBuf),
    /// A file, plain or gzip: an mbox, a mail or a diff.
    File(PathBuf),
    /// Standard input, with what a file could hold.
    StandardInput,
    /// Commits of a repository.
    Range {
        /// A folder in its work tree, or the repository itself.
        repository: PathBuf,
        /// `A..B`, or `C^!` for one commit.
        range: String,
    },
}

impl Input {
    /// What `text` is. A path that exists is taken before a range; ranges are of the repository `git`, or the current folder's.
    ///
    /// # Errors
    /// If it is nothing that a series can be had from.
    pub fn look(text: &str, git: Option<&Path>) -> Result<Self, SeriesError> {
        if text == "-" {
            return Ok(Self::StandardInput);
        }
        let path = Path::new(text);
        if path.is_dir() {
            let is_maildir = path.join("cur").is_dir() && path.join("new").is_dir();
            return Ok(if is_maildir { Self::Maildir(path.into()) } else { Self::Folder(path.into()) });
        }
        if path.exists() {
            return Ok(Self::File(path.into()));
        }
        if text.contains("..") || text.ends_with("^!") {
            let repository = git.unwrap_or(Path::new(".")).to_owned();
            return Ok(Self::Range { repository, range: text.to_owned() });
        }
        let known = "a folder of patches, an mbox, a maildir, a mail, a diff, `-` for standard input, or a range of commits `A..B`";
        Err(SeriesError::unusable(text, format!("there is no such file or folder (expected {known})")))
    }

    /// The series in it.
    ///
    /// # Errors
    /// Everything that is wrong with it; what cannot be read; git that cannot be run.
    pub fn read(&self, supervisor: &Supervisor) -> Result<Series, SeriesError> {
        let shown = self.shown();
        let (kind, stem, mails) = match self {
            Self::Folder(folder) => ("folder", stem(folder), folder_mails(folder, &shown)?),
            Self::Maildir(folder) => {
                let mut mails = Vec::new();
                for path in mbox::maildir(folder)? {
                    mails.extend(parse(&mbox::contents(&path, &shown)?, &file_name(&path)));
                    check_count(mails.len(), &shown)?;
                }
                ("maildir", stem(folder), mails)
            }
            Self::File(path) => {
                let (kind, mails) = mails(&mbox::contents(path, &shown)?, &shown)?;
                (kind, stem(path), mails)
            }
            Self::StandardInput => {
                let (kind, mails) = mails(&mbox::standard_input()?, &shown)?;
                (kind, "series".to_owned(), mails)
            }
            Self::Range { repository, range } => {
                let text = range::patches(repository, range, supervisor)?;
                let stem = range::branch(repository, range, supervisor).unwrap_or_default();
                ("range", stem, mails(&text, &shown)?.1)
            }
        };
        let thread =
            assemble(mails).map_err(|problems| SeriesError::Unusable(Problems { input: shown, problems }))?;
        Ok(thread.into_series(kind, &stem))
    }

    /// As it is named in messages.
    fn shown(&self) -> String {
        match self {
            Self::Folder(path) | Self::Maildir(path) | Self::File(path) => path.display().to_string(),
            Self::StandardInput => "standard input".to_owned(),
            Self::Range { range, .. } => range.clone(),
        }
    }
}

/// The mails in `bytes`, and what they came in.
pub(crate) fn mails(bytes: &[u8], shown: &str) -> Result<(&'static str, Vec<Mail>), SeriesError> {
    let Some(looks) = mbox::look(bytes) else {
        return Err(SeriesError::unusable(shown, "is neither an mbox nor a mail nor a diff"));
    };
    match looks {
        Looks::Mbox => {
            let raw = mbox::split(bytes);
            check_count(raw.len(), shown)?;
            let mut mails = Vec::new();
            for (index, raw) in raw.iter().enumerate() {
                check_size(raw.len(), &format!("mail {}", index + 1), shown)?;
                mails.extend(parse(raw, &format!("mail {}", index + 1)));
            }
            Ok(("mailbox", mails))
        }
        Looks::Mail => {
            check_size(bytes.len(), "the mail", shown)?;
            Ok(("mail", parse(bytes, "the mail")))
        }
        Looks::Diff => {
            check_size(bytes.len(), "the diff", shown)?;
            // Taken as one diff, the mails below would lose their authors and their messages.
            if let Some(line) = mbox::first_mail(bytes) {
                let problem = format!(
                    "line {line} begins a mail, and what stands above it is in none (remedy: take either out)"
                );
                return Err(SeriesError::unusable(shown, problem));
            }
            let body = crate::mail::unix_lines(bytes).into_owned();
            Ok(("diff", vec![Mail { label: "the diff".to_owned(), body, ..Mail::default() }]))
        }
    }
}

fn check_count(count: usize, shown: &str) -> Result<(), SeriesError> {
    if count > limits::MAILS {
        return Err(SeriesError::unusable(shown, format!("holds more than {} mails", limits::MAILS)));
    }
    Ok(())
}

fn check_size(bytes: usize, what: &str, shown: &str) -> Result<(), SeriesError> {
    if bytes > limits::MAIL {
        return Err(SeriesError::unusable(
            shown,
            format!("{what} is longer than {} MiB", limits::MAIL >> 20),
        ));
    }
    Ok(())
}

/// The mails of a folder: `NNNN-subject.patch` in the order of their numbers, or files of mails and mboxes.
fn folder_mails(folder: &Path, shown: &str) -> Result<Vec<Mail>, SeriesError> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(read(folder))? {
        let path = entry.map_err(read(folder))?.path();
        let name = file_name(&path);
        let known = [".patch", ".diff", ".eml", ".mbox", ".mbx"].iter().any(|ending| name.ends_with(ending));
        if known && path.is_file() && !name.starts_with('.') {
            names.push(name);
        }
    }
    names.sort();
    check_count(names.len(), shown)?;
    if names.is_empty() {
        return Err(SeriesError::unusable(
            shown,
            "holds no patch (expected NNNN-subject.patch as `git format-patch` writes them, or *.eml, *.mbox)",
        ));
    }
    let mut all = Vec::new();
    for name in &names {
        let (_, mut found) = mails(&mbox::contents(&folder.join(name), shown)?, &format!("{shown}/{name}"))?;
        if let [mail] = found.as_mut_slice() {
            mail.file_number = file_number(name);
            if mail.id.is_none() {
                mail.label.clone_from(name);
            }
        }
        all.extend(found);
        check_count(all.len(), shown)?;
    }
    Ok(all)
}

/// 7 for `0007-subject.patch`, and for `v2-0007-subject.patch`.
fn file_number(name: &str) -> Option<usize> {
    let versioned = name
        .strip_prefix('v')
        .and_then(|rest| rest.split_once('-'))
        .filter(|(version, _)| version.bytes().all(|byte| byte.is_ascii_digit()));
    let (digits, _) = versioned.map_or(name, |(_, rest)| rest).split_once('-')?;
    (digits.len() == 4).then(|| digits.parse().ok()).flatten()
}

fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// A file's name without its endings.
fn stem(path: &Path) -> String {
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let name = file_name(&absolute);
    let endings = [".gz", ".mbox", ".mbx", ".eml", ".patch", ".diff"];
    let mut stem = name.as_str();
    while let Some(shorter) =
        endings.iter().find_map(|ending| stem.strip_suffix(ending)).filter(|stem| !stem.is_empty())
    {
        stem = shorter;
    }
    stem.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_files() {
        assert_eq!(stem(Path::new("/x/v2_series.t.mbox.gz")), "v2_series.t");
        assert_eq!(stem(Path::new("fix.patch")), "fix");
        assert_eq!(file_number("0012-net-x.patch"), Some(12));
        assert_eq!(file_number("v3-0001-net-x.patch"), Some(1));
        assert_eq!(file_number("vhost-0001-x.patch"), None);
        assert_eq!(file_number("12-x.patch"), None);
    }

    #[test]
    fn what_is_nothing_is_told() {
        let error = Input::look("gone.mbox", None).unwrap_err().to_string();
        assert!(error.starts_with("gone.mbox: there is no such file or folder"), "{error}");
        assert!(matches!(Input::look("v6.12..HEAD", None), Ok(Input::Range { .. })));
        assert!(matches!(Input::look("../series", None), Ok(Input::Range { .. }) | Ok(Input::Folder(_))));
        assert_eq!(Input::look("-", None).unwrap(), Input::StandardInput);
    }
}
