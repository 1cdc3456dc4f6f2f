//! Whatever comes, nothing is lost without a word.

use proptest::prelude::*;

use super::*;

/// For every beginning of a mailbox: the whole series or an error.
fn cut_everywhere(bytes: &[u8]) {
    let whole = read(bytes).expect("it is sound");
    let diffs: Vec<String> = whole.patches.iter().map(|patch| diff(&patch.text)).collect();
    let mut good = 0;
    for end in 0..bytes.len() {
        if let Ok(series) = read(&bytes[..end]) {
            let found: Vec<String> = series.patches.iter().map(|patch| diff(&patch.text)).collect();
            assert!(found == diffs, "cut after {end} bytes of {}: {:?}", bytes.len(), series.notes);
            good += 1;
        }
    }
    assert!(good < bytes.len() / 2, "most of a series is no series");
}

#[test]
fn a_mailbox_cut_anywhere_is_whole_or_refused() {
    cut_everywhere(&bytes("page-pool.mbox"));
}

#[test]
fn encoded_mailboxes_too() {
    cut_everywhere(&bytes("quoted-printable.mbox"));
    cut_everywhere(&bytes("base64.mbox"));
}

#[test]
fn a_mail_with_attachments_is_whole_or_refused() {
    let bytes = bytes("attachments.eml");
    for end in 0..bytes.len() {
        if let Ok(series) = read(&bytes[..end]) {
            assert_eq!(series.patches.len(), 2, "cut after {end} bytes");
        }
    }
}

#[test]
fn mail_clients_do_damage_in_known_ways() {
    let body = "Why.\n---\ndiff --git a/x.c b/x.c\n--- a/x.c\n+++ b/x.c\n@@ -1,4 +1,4 @@\n \tone\n-\ttwo of a kind that is so long that it does not fit\n+\tTWO\n \tthree\n \tfour\n-- \n2.47\n";
    let sent = |body: &str| read(mail("1", "", "A <a@x>", "[PATCH] net: x", body).as_bytes());
    assert_eq!(sent(body).unwrap().patches[0].diffstat[0].added, 1);
    let cases = [
        (
            body.replace("long that it", "long\nthat it"),
            "line 7 of its diff: `that it does not fit` is no line of a hunk: a mail client wrapped the line above",
        ),
        (body.replace('\t', "        "), "a mail client turned tabs into spaces"),
        (body.replace("\n \t", "\n\t"), "white space was stripped on the way"),
        (body.replace(" \tfour\n", ""), "does not have the lines that it says"),
        (body.split("-\ttwo").next().unwrap().to_owned(), "the patch is cut off"),
    ];
    for (damaged, expected) in cases {
        let problem = sent(&damaged).unwrap_err();
        assert!(problem.contains("arrived damaged") && problem.contains(expected), "{problem}");
    }
    let crlf = mail("1", "", "A <a@x>", "[PATCH] net: x", body).replace('\n', "\r\n");
    assert_eq!(read(crlf.as_bytes()).unwrap().patches[0].text, sent(body).unwrap().patches[0].text);
}

#[test]
fn other_peoples_text_reaches_no_terminal_and_no_path() {
    let subject = "[PATCH] ../../etc/x: \u{1b}]0;owned\u{7} =?utf-8?q?=1b[31m=0aFrom:_y?=";
    let series = read(mail("1", "", "A <a@x>", subject, &patch("new")).as_bytes()).unwrap();
    let patch = &series.patches[0];
    assert!(!patch.subject.chars().any(char::is_control), "{:?}", patch.subject);
    assert!(patch.file.chars().all(|c| c.is_ascii_alphanumeric() || "-.".contains(c)), "{}", patch.file);
    assert!(!series.name.contains(['/', '.']), "{}", series.name);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn nothing_panics(at in 0_usize..6000, replacement in proptest::collection::vec(any::<u8>(), 0..40), length in 0_usize..40) {
        for name in ["page-pool.mbox", "attachments.eml", "attach.patch"] {
            let mut bytes = bytes(name);
            let at = at.min(bytes.len());
            let end = (at + length).min(bytes.len());
            bytes.splice(at..end, replacement.iter().copied());
            // Either is fine; a panic is not.
            let _ = read(&bytes);
        }
    }
}
