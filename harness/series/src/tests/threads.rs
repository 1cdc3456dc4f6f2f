//! Which mails of a thread are the series, and in which order.

use super::*;

const A: &str = "A <a@x>";

fn subjects(series: &Series) -> Vec<&str> {
    series.patches.iter().map(|patch| patch.subject.as_str()).collect()
}

#[test]
fn order_copies_and_mails_that_are_none() {
    let mails = [
        mail("3", "1", A, "[PATCH 2/2] two", &patch("two")),
        mail("2", "1", A, "[PATCH 1/2] one", &patch("one")),
        mail("1", "", A, "[PATCH 0/2] both", "Hello.\n"),
        mail("2", "1", A, "[PATCH 1/2] one", &patch("one")),
        mail("5", "2", "B <b@x>", "[PATCH] fix of one", &patch("other")),
        mail("6", "2", "B <b@x>", "Re: [PATCH 1/2] one", &patch("better")),
    ];
    let series = read(&mbox(&mails)).unwrap();
    assert_eq!(subjects(&series), ["one", "two"]);
    assert_eq!(series.name, "both");
    let notes = series.notes.join("\n");
    for note in [
        "put the patches in order",
        "left out 1 further copy",
        "left out `[PATCH] fix of one`",
        "sent in reply",
    ] {
        assert!(notes.contains(note), "{note}: {notes}");
    }
}

#[test]
fn everything_that_is_missing_is_named() {
    let mails = [
        mail("1", "", A, "[PATCH 0/4] all", "Hello.\n"),
        mail("3", "1", A, "[PATCH 2/4] two", &patch("two")),
        mail("4", "1", A, "[PATCH 4/4] four", &patch("four")),
    ];
    assert_eq!(
        read(&mbox(&mails)).unwrap_err(),
        "input: patch 1 of 4 is missing\ninput: patch 3 of 4 is missing"
    );
    let of_many = [mail("3", "1", A, "[PATCH 2/9701] two", &patch("two"))];
    assert_eq!(
        read(&mbox(&of_many)).unwrap_err(),
        "input: patch 1 of 9701 is missing\ninput: patches 3 to 9701 of 9701 are missing"
    );
    let cover =
        [mail("1", "", A, "[PATCH v3 0/1] all", "Hello.\n"), mail("2", "", A, "[PATCH v2] x", &patch("x"))];
    assert_eq!(
        read(&mbox(&cover)).unwrap_err(),
        "input: patch 1 of 1 is missing",
        "v2 is not what v3 announces"
    );
}

#[test]
fn two_series_are_not_mixed() {
    let mails =
        [mail("1", "", A, "[PATCH 1/2] a", &patch("a")), mail("2", "", A, "[PATCH 1/3] b", &patch("b"))];
    assert!(read(&mbox(&mails)).unwrap_err().contains("numbered n/2 and n/3"));
    let mails = [
        mail("1", "", A, "[PATCH 1/2] a", &patch("a")),
        mail("2", "", A, "[PATCH 2/2] b", &patch("b")),
        mail("3", "", A, "[PATCH 1/2] c", &patch("c")),
    ];
    assert!(
        read(&mbox(&mails))
            .unwrap_err()
            .contains("two different patches are number 1: `a` (<1>) and `c` (<3>)")
    );
}

#[test]
fn a_new_version_of_one_patch() {
    let mails = [
        mail("1", "", A, "[PATCH 1/2] a", &patch("a")),
        mail("2", "1", A, "[PATCH 2/2] b", &patch("b")),
        mail("3", "2", A, "[PATCH v2 2/2] b", &patch("better")),
    ];
    let series = read(&mbox(&mails)).unwrap();
    assert_eq!(subjects(&series), ["a", "b"]);
    assert!(diff(&series.patches[1].text).contains("better"));
    assert!(
        series.notes.iter().any(|note| note.contains("took patch 1/2 from version 1")),
        "{:?}",
        series.notes
    );
    let unrelated =
        [mails[0].clone(), mails[1].clone(), mail("3", "", A, "[PATCH v2 2/2] b", &patch("better"))];
    assert_eq!(read(&mbox(&unrelated)).unwrap_err(), "input: patch 1 of 2 is missing");
}

#[test]
fn patches_without_numbers() {
    let mails = [mail("1", "", A, "[PATCH] a", &patch("a")), mail("2", "", A, "[PATCH] b", &patch("b"))];
    let series = read(&mbox(&mails)).unwrap();
    assert_eq!(subjects(&series), ["a", "b"]);
    assert!(series.notes.iter().any(|note| note.contains("no numbers")));
    let resent = mail("2", "", A, "[PATCH RESEND] a", &patch("later")).replace("10:00:00", "11:00:00");
    let series = read(&mbox(&[resent, mails[0].clone()])).unwrap();
    assert_eq!(series.patches.len(), 1);
    assert!(diff(&series.patches[0].text).contains("later"));
}

#[test]
fn a_reply_is_a_patch_where_there_is_no_other() {
    let series = read(mail("1", "0", A, "Re: it crashes", &patch("a")).as_bytes()).unwrap();
    assert_eq!(subjects(&series), ["it crashes"]);
    assert!(series.notes.iter().any(|note| note.contains("from a reply")));
}

#[test]
fn reviews_of_a_changed_patch_do_not_hold() {
    let mails = [
        mail("1", "", A, "[PATCH] a", &patch("a")),
        mail("2", "1", "B <b@x.org>", "Re: [PATCH] a", "Reviewed-by: B <b@x.org>\n"),
        mail("3", "", A, "[PATCH v2] a", &patch("better")),
        mail("4", "3", "C <c@x.org>", "Re: [PATCH v2] a", "> text\n\nOn that: fine.\n"),
        mail("5", "4", "D <d@x.org>", "Re: [PATCH v2] a", "Tested-by: D <d@x.org> # on hardware\n"),
    ];
    let series = read(&mbox(&mails)).unwrap();
    assert_eq!(trailers(&series)[0], ["Signed-off-by: A <a@x>", "Tested-by: D <d@x.org> # on hardware"]);
    assert_eq!(series.patches[0].trailers[1].added_from.as_deref(), Some("<5>"));
    assert!(
        series.notes.iter().any(|note| note.contains("older version of a patch that has changed")),
        "{:?}",
        series.notes
    );
    let text = String::from_utf8(series.patches[0].text.clone()).unwrap();
    assert!(text.contains("Signed-off-by: A <a@x>\nTested-by: D <d@x.org> # on hardware\n---\n"), "{text}");
}
