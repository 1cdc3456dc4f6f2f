//! What a user calls a series: mailboxes, mails, diffs.

use series::{Patch, Series};

/// One input: a file as it is.
pub fn run(input: &[u8]) {
    match series::fuzzing::read(input) {
        Ok(series) => check(&series),
        Err(error) => {
            let said = error.to_string();
            assert!(said.starts_with("input: ") && said.len() < 4096 + 2 * input.len(), "{said}");
        }
    }
}

/// The series is orderly, and what it is written as is read as the same series again.
fn check(series: &Series) {
    assert!(!series.patches.is_empty() && !series.name.is_empty());
    let is_plain = |name: &str| !name.starts_with('.') && !name.contains(['/', '\0', '\n']);
    assert!(is_plain(&series.name), "{:?}", series.name);
    let mut mbox = Vec::new();
    for Patch { number, file, subject, text, .. } in &series.patches {
        assert!(is_plain(file) && file.ends_with(".patch"), "{file:?}");
        assert!(file.starts_with(&format!("{number:04}")), "{file} is patch {number}");
        assert!(!subject.contains(char::is_control), "{subject:?}");
        mbox.extend_from_slice(text);
        mbox.push(b'\n');
    }
    for note in &series.notes {
        assert!(!note.contains(|c: char| c.is_control() && c != '\n'), "{note:?}");
    }
    // A diff without a mail around it has nothing that tells it from the mail before; a mail may have another one in its text,
    // which nothing that reads mailboxes can tell from one that follows.
    let begins =
        |text: &[u8]| text.split(|byte| *byte == b'\n').filter(|line| line.starts_with(b"From ")).count();
    if !series.patches.iter().all(|patch| patch.text.starts_with(b"From ") && begins(&patch.text) == 1) {
        return;
    }
    let again = match series::fuzzing::read(&mbox) {
        Ok(again) => again,
        Err(error) => panic!("what was written cannot be read: {error}"),
    };
    let files = |series: &Series| -> Vec<_> {
        series.patches.iter().map(|patch| patch.diffstat.clone()).collect::<Vec<_>>()
    };
    assert_eq!(files(&again), files(series), "what was written is another series");
}
