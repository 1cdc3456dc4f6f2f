//! What git, b4 and mail clients write.

use super::*;

#[test]
fn a_thread_of_a_list() {
    let series = series("page-pool.mbox");
    insta::assert_json_snapshot!(series);
    let text = String::from_utf8(series.patches[0].text.clone()).unwrap();
    insta::assert_snapshot!(text);
    insta::assert_snapshot!(String::from_utf8(series.cover_text().unwrap()).unwrap());
}

#[test]
fn the_result_is_that_of_b4() {
    for (ours, b4) in [
        ("page-pool.mbox", "page-pool.b4.mbx"),
        ("quoted-printable.mbox", "quoted-printable.b4.mbx"),
        ("slow-receive.mbox", "slow-receive.b4.mbx"),
    ] {
        let (ours, b4) = (series(ours), series(b4));
        assert_eq!(trailers(&ours), trailers(&b4));
        for (a, b) in ours.patches.iter().zip(&b4.patches) {
            assert_eq!((&a.author, &a.subject, &a.body), (&b.author, &b.subject, &b.body));
            assert_eq!(diff(&a.text), diff(&b.text));
        }
    }
}

#[test]
fn the_newest_version_with_the_reviews_that_still_hold() {
    let series = series("thread.mbox.gz");
    let mut expected = trailers(&super::series("thread.b4.mbx"));
    // b4 was given the second version's thread alone: the first one's second patch did not change since.
    expected[1].insert(1, "Acked-by: Other Reviewer <other@example.net>".into());
    assert_eq!(trailers(&series), expected);
    assert_eq!(series.version, 2);
    insta::assert_snapshot!(series.notes.join("\n"));
}

#[test]
fn transfer_encodings_and_names_that_are_not_ascii() {
    let plain = series("page-pool.mbox");
    for name in ["quoted-printable.mbox", "base64.mbox"] {
        let series = series(name);
        assert_eq!(series.patches[0].author.as_ref().unwrap().to_string(), "Jörg Čapek <joerg@example.org>");
        assert_eq!(trailers(&series)[0], ["Signed-off-by: Jörg Čapek <joerg@example.org>"]);
        for (a, b) in series.patches.iter().zip(&plain.patches) {
            assert_eq!(diff(&a.text), diff(&b.text), "{name}");
        }
        let text = String::from_utf8(series.patches[0].text.clone()).unwrap();
        assert!(
            text.contains("From: Jörg Čapek <joerg@example.org>\n") && text.contains("charset=UTF-8"),
            "{text}"
        );
    }
}

#[test]
fn patches_as_attachments() {
    let plain = series("page-pool.mbox");
    let attached = series("attachments.eml");
    assert_eq!(attached.patches.len(), 2, "two files of format-patch in one mail");
    let single = series("attach.patch");
    assert_eq!(single.patches.len(), 1, "git format-patch --attach");
    assert_eq!(diff(&single.patches[0].text), diff(&plain.patches[1].text));
    assert_eq!(single.patches[0].subject, "page_pool: Make recycling into the cache traceable");
    assert_eq!(trailers(&single)[0], ["Signed-off-by: Assay developers <assay@localhost.invalid>"]);
    for (a, b) in attached.patches.iter().zip(&plain.patches) {
        assert_eq!((&a.subject, diff(&a.text)), (&b.subject, diff(&b.text)));
    }
}

#[test]
fn a_bare_diff_is_left_as_it_is() {
    let diff = bytes("page-pool.diff");
    let series = read(&diff).unwrap();
    assert_eq!((series.kind, series.name.as_str(), series.patches.len()), ("diff", "stem", 1));
    assert_eq!(series.patches[0].text, diff);
    assert_eq!(series.patches[0].file, "0001-stem.patch");
    assert_eq!(series.patches[0].author, None);
}

/// `cat fix.diff series.mbox`, and a note above a mail.
#[test]
fn a_mail_below_something_that_is_none_is_not_taken_for_a_part_of_it() {
    let (diff, mails) = (bytes("page-pool.diff"), bytes("slow-receive.mbox"));
    let line = diff.iter().filter(|byte| **byte == b'\n').count() + 1;
    for above in [diff.as_slice(), &b"\n".repeat(line - 1)[..], &b"x\n".repeat(line - 1)] {
        let read = read(&[above, &mails].concat());
        if above.starts_with(b"\n") {
            assert_eq!(read.unwrap().patches.len(), 2, "empty lines are no text");
        } else {
            let told = format!(
                "input: line {line} begins a mail, and what stands above it is in none (remedy: take either out)"
            );
            assert_eq!(read.unwrap_err(), told);
        }
    }
    let sentence = [&b"From what I saw at 12:30 it is faster.\n\n"[..], &diff].concat();
    assert_eq!(read(&sentence).unwrap().kind, "diff", "a sentence begins no mail");
}

#[test]
fn what_is_no_series_is_told() {
    assert_eq!(read(b"schema: 1\n").unwrap_err(), "input: is neither an mbox nor a mail nor a diff");
    let talk = mail("1", "", "A <a@x>", "hello", "No patch here.\n");
    assert_eq!(read(talk.as_bytes()).unwrap_err(), "input: holds a mail, but no patch");
}
