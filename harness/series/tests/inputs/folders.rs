//! Folders, maildirs and files.

use std::fs;

use crate::support::{Repository, fixture, read, supervisor};

#[test]
fn what_format_patch_writes() {
    let repository = Repository::new();
    for number in 0..12 {
        repository.write("x", format!("{number}\n").as_bytes());
        repository.commit(&format!("net: number {number}"));
    }
    repository.git(&[
        "format-patch",
        "--quiet",
        "-o",
        "out",
        "--cover-letter",
        "--reroll-count=2",
        "-N",
        "HEAD~11..HEAD",
    ]);
    let out = repository.folder.path().join("out");
    let series = read(out.to_str().unwrap(), None, &repository.supervisor).unwrap();
    let subjects: Vec<String> = series.patches.iter().map(|patch| patch.subject.clone()).collect();
    let expected: Vec<String> = (1..12).map(|number| format!("net: number {number}")).collect();
    assert_eq!(subjects, expected, "the files have numbers where the subjects have none");
    assert!(series.cover.is_some() && series.version == 2, "{:?}", series.notes);
    fs::remove_file(out.join("v2-0004-net-number-4.patch")).unwrap();
    let problem = read(out.to_str().unwrap(), None, &repository.supervisor).unwrap_err();
    assert!(problem.ends_with("patch 4 of 11 is missing"), "{problem}");
}

#[test]
fn a_maildir_and_a_folder_of_mails_are_their_thread() {
    let supervisor = supervisor();
    let thread = read(fixture("page-pool.mbox").to_str().unwrap(), None, &supervisor).unwrap();
    let maildir = read(fixture("maildir").to_str().unwrap(), None, &supervisor).unwrap();
    assert_eq!(maildir.kind, "maildir");
    assert_eq!((&maildir.patches, &maildir.cover), (&thread.patches, &thread.cover));
    let room = tempfile::tempdir().unwrap();
    for (index, entry) in fs::read_dir(fixture("maildir/new")).unwrap().enumerate() {
        fs::copy(entry.unwrap().path(), room.path().join(format!("mail-{index}.eml"))).unwrap();
    }
    let folder = read(room.path().to_str().unwrap(), None, &supervisor).unwrap();
    assert_eq!((&folder.patches, folder.kind), (&thread.patches, "folder"));
}

#[test]
fn folders_and_files_without_patches_are_told() {
    let supervisor = supervisor();
    let room = tempfile::tempdir().unwrap();
    let told = |name: &str| {
        let path = room.path().join(name);
        read(path.to_str().unwrap(), None, &supervisor)
            .unwrap_err()
            .replace(room.path().to_str().unwrap(), "ROOM")
    };
    fs::create_dir(room.path().join("empty")).unwrap();
    fs::write(room.path().join("text"), "hello\n").unwrap();
    fs::write(room.path().join("short.gz"), [0x1f, 0x8b, 8, 0]).unwrap();
    assert!(told("empty").starts_with("ROOM/empty: holds no patch (expected NNNN-subject.patch"));
    assert_eq!(told("text"), "ROOM/text: is neither an mbox nor a mail nor a diff");
    assert!(told("short.gz").starts_with("ROOM/short.gz: is damaged gzip"));
    assert!(told("gone").starts_with("ROOM/gone: there is no such file or folder"));
}
