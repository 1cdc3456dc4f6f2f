//! Mailboxes that real tools wrote, whole and damaged.

mod damage;
mod mailboxes;
mod threads;

use std::path::PathBuf;

use crate::{Series, SeriesError, error::Problems, input::mails, thread::assemble};

fn fixture(name: &str) -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "../../tests/fixtures/series", name].iter().collect()
}

fn bytes(name: &str) -> Vec<u8> {
    crate::mbox::contents(&fixture(name), name).expect("the fixture can be read")
}

/// The series in a file with these contents, or the problems with it, one a line.
fn read(bytes: &[u8]) -> Result<Series, String> {
    let series = || {
        let (kind, mails) = mails(bytes, "input")?;
        let thread = assemble(mails)
            .map_err(|problems| SeriesError::Unusable(Problems { input: "input".into(), problems }))?;
        Ok(thread.into_series(kind, "stem"))
    };
    series().map_err(|error: SeriesError| error.to_string())
}

fn series(name: &str) -> Series {
    read(&bytes(name)).unwrap_or_else(|problems| panic!("{name}: {problems}"))
}

/// What `git am` sees of a patch's text: its message and its diff.
fn diff(text: &[u8]) -> String {
    let at = crate::diff::start(text).expect("a patch has a diff");
    let read = crate::diff::read(&text[at..]).expect("it is sound");
    String::from_utf8(text[at..at + read.end].to_vec()).expect("the fixtures are UTF-8")
}

fn trailers(series: &Series) -> Vec<Vec<String>> {
    series.patches.iter().map(|patch| patch.trailers.iter().map(ToString::to_string).collect()).collect()
}

/// Mails as an mbox.
fn mbox(mails: &[String]) -> Vec<u8> {
    mails
        .iter()
        .map(|mail| format!("From x Thu Jan  1 00:00:00 1970\n{mail}\n"))
        .collect::<String>()
        .into_bytes()
}

/// A mail of a thread: what it is called, what it replies to, its subject and text.
fn mail(id: &str, parent: &str, from: &str, subject: &str, body: &str) -> String {
    let reply = if parent.is_empty() { String::new() } else { format!("In-Reply-To: <{parent}>\n") };
    format!(
        "From: {from}\nDate: Fri, 20 Nov 2026 10:00:00 +0000\nSubject: {subject}\nMessage-ID: <{id}>\n{reply}\n{body}"
    )
}

/// The text of a patch that writes `word` to the file `x`.
fn patch(word: &str) -> String {
    format!(
        "Why.\n\nSigned-off-by: A <a@x>\n---\n x | 2 +-\n\ndiff --git a/x b/x\n--- a/x\n+++ b/x\n@@ -1 +1 @@\n-old\n+{word}\n-- \n2.47\n"
    )
}
