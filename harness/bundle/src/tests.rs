//! Bundles written, read, cut, flipped and forged.

use std::{fs, io::Write as _, path::PathBuf};

use proptest::prelude::*;
use tempfile::TempDir;

use crate::{BundleError, Content, Damage, Limits, Part, Reader, Shelf, sha256, write, write::header};

fn part(path: &str, text: &str) -> Part {
    Part { path: path.to_owned(), content: Content::Bytes(text.as_bytes().to_vec()) }
}

/// A room with a small bundle in it.
fn small() -> (TempDir, PathBuf) {
    let room = tempfile::tempdir().unwrap();
    let file = room.path().join("b");
    let long = format!("trials/0/raw/{}", "x".repeat(115));
    let parts =
        vec![part("run.json", "{}"), part("a/b/c", ""), part(&long, "long"), part("z", &"z".repeat(512))];
    write(&file, "20260101-000000-x", "0.1.0", true, vec![], parts).unwrap();
    (room, file)
}

/// What becomes of a file that claims to be a bundle; nothing of a bad one may be left.
fn take(room: &TempDir, bytes: &[u8]) -> Result<Vec<String>, BundleError> {
    take_within(room, bytes, &Limits::default())
}

fn take_within(room: &TempDir, bytes: &[u8], limits: &Limits) -> Result<Vec<String>, BundleError> {
    let (file, root) = (room.path().join("candidate"), room.path().join("shelf"));
    fs::write(&file, bytes).unwrap();
    let taken = Shelf::open(&root)?.take(&file, limits, &|_| true);
    match taken {
        Ok(opened) => {
            let names = opened.manifest.members.iter().map(|member| member.path.clone()).collect();
            for member in &opened.manifest.members {
                let content = fs::read(opened.folder.join(&member.path)).unwrap();
                assert_eq!(sha256(&content), member.sha256);
            }
            opened.discard().unwrap();
            assert_eq!(fs::read_dir(&root).unwrap().count(), 0);
            Ok(names)
        }
        Err(error) => {
            assert!(error.is_the_users(), "{error:?}");
            let left: Vec<_> = fs::read_dir(&root).unwrap().map(|entry| entry.unwrap().path()).collect();
            assert!(left.is_empty(), "{error:?} left {left:?}");
            Err(error)
        }
    }
}

fn damage(taken: Result<Vec<String>, BundleError>) -> Damage {
    match taken {
        Err(BundleError::Damaged { damage, .. }) => damage,
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_went_in_comes_out_and_the_same_gives_the_same_bytes() {
    let (room, file) = small();
    let bytes = fs::read(&file).unwrap();
    assert_eq!(take(&room, &bytes).unwrap().len(), 4);
    let (_again, other) = small();
    assert_eq!(bytes, fs::read(other).unwrap());
    let left: Vec<_> = fs::read_dir(room.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left.len(), 3, "no draft is left: {left:?}");
}

#[test]
fn a_bundle_cut_at_any_byte_is_refused_and_leaves_nothing() {
    let (room, file) = small();
    let bytes = fs::read(&file).unwrap();
    for cut in 0..bytes.len() {
        let damage = damage(take(&room, &bytes[..cut]));
        assert!(
            matches!(damage, Damage::NotABundle { .. } | Damage::Broken { .. }),
            "cut at {cut}: {damage}"
        );
    }
    for more in [&b"\0"[..], b"\x28\xb5\x2f\xfd"] {
        assert!(matches!(damage(take(&room, &[&bytes, more].concat())), Damage::NotABundle { .. }));
    }
}

#[test]
fn a_flipped_bit_is_found() {
    let (room, file) = small();
    let bytes = fs::read(&file).unwrap();
    for at in 0..bytes.len() {
        let mut flipped = bytes.clone();
        flipped[at] ^= 1 << (at % 8);
        // Some bits of a zstd frame mean nothing; then what comes out must be what went in.
        if let Ok(names) = take(&room, &flipped) {
            assert_eq!(names.len(), 4, "bit of byte {at}");
        }
    }
}

/// An archive by hand: a manifest's text, and blocks with what follows each.
fn forged(manifest: &str, entries: &[(tar::Header, &[u8])]) -> Vec<u8> {
    let mut tar = Vec::new();
    let mut add = |header: &tar::Header, content: &[u8]| {
        tar.extend_from_slice(header.as_bytes());
        tar.extend_from_slice(content);
        tar.resize(tar.len().next_multiple_of(512), 0);
    };
    add(&header("manifest.json", 0, manifest.len() as u64).unwrap(), manifest.as_bytes());
    entries.iter().for_each(|(header, content)| add(header, content));
    tar.resize(tar.len() + 1024, 0);
    compressed(&tar)
}

fn compressed(bytes: &[u8]) -> Vec<u8> {
    let mut zstd = zstd::Encoder::new(Vec::new(), 3).unwrap();
    zstd.write_all(bytes).unwrap();
    zstd.finish().unwrap()
}

fn manifest(members: &[(&str, &[u8])]) -> String {
    let members: Vec<_> = members
        .iter()
        .map(|(path, content)| serde_json::json!({ "path": path, "size": content.len(), "sha256": sha256(content) }))
        .collect();
    serde_json::json!({
        "kind": "assay bundle", "format": 1, "assay": "0.1.0", "run": "r", "images": false, "without": [], "members": members,
    })
    .to_string()
}

#[test]
fn names_that_lead_elsewhere_or_stand_for_two_are_refused() {
    let room = tempfile::tempdir().unwrap();
    for names in [
        &["../x"][..],
        &["/etc/cron.d/x"],
        &["a/../../x"],
        &["a//b"],
        &[".ssh/x"],
        &["a", "a"],
        &["A", "a"],
        &["a", "a/b"],
        &["manifest.json"],
        &["a\u{1b}[2J"],
        &["a b"],
    ] {
        let members: Vec<(&str, &[u8])> = names.iter().map(|name| (*name, &b""[..])).collect();
        let found = damage(take(&room, &forged(&manifest(&members), &[])));
        assert!(matches!(found, Damage::Hostile { .. }), "{names:?}: {found}");
        assert!(!found.to_string().contains('\u{1b}'), "{found}");
    }
    let left: Vec<_> = fs::read_dir(room.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left.len(), 2, "{left:?}");
}

#[test]
fn anything_but_the_plain_files_of_the_manifest_is_refused() {
    let room = tempfile::tempdir().unwrap();
    let text = manifest(&[("a", b"abc")]);
    let good = || header("a", 1, 3).unwrap();
    let with = |change: &dyn Fn(&mut tar::Header)| {
        let mut header = good();
        change(&mut header);
        header.set_cksum();
        header
    };
    assert!(take(&room, &forged(&text, &[(good(), b"abc")])).is_ok());
    use tar::EntryType as Kind;
    for kind in [
        Kind::Symlink,
        Kind::Link,
        Kind::Char,
        Kind::Block,
        Kind::Fifo,
        Kind::Directory,
        Kind::XHeader,
        Kind::XGlobalHeader,
        Kind::GNULongName,
        Kind::GNULongLink,
        Kind::GNUSparse,
        Kind::new(b'?'),
    ] {
        let entry = with(&|header| {
            header.set_entry_type(kind);
            header.set_link_name_literal("/etc/passwd").unwrap();
        });
        let found = damage(take(&room, &forged(&text, &[(entry, b"abc")])));
        assert!(matches!(found, Damage::Hostile { .. }), "{kind:?}: {found}");
    }
    let changes: [&dyn Fn(&mut tar::Header); 4] = [
        &|header| header.set_path("b").unwrap(),
        &|header| header.set_size(1 << 40),
        &|header| header.set_mode(0o4755),
        &|header| header.as_ustar_mut().unwrap().prefix[..3].copy_from_slice(b"../"),
    ];
    for (index, change) in changes.into_iter().enumerate() {
        let found = damage(take(&room, &forged(&text, &[(with(change), b"abc")])));
        assert!(matches!(found, Damage::Hostile { .. }), "change {index}: {found}");
    }
    let wrong = damage(take(&room, &forged(&text, &[(good(), b"abd")])));
    assert!(matches!(wrong, Damage::WrongChecksum { .. }), "{wrong}");
    let missing = damage(take(&room, &forged(&text, &[])));
    assert!(matches!(missing, Damage::Hostile { .. } | Damage::Broken { .. }), "{missing}");
    let hidden = damage(take(&room, &forged(&text, &[(good(), b"abc"), (good(), b"abc")])));
    assert!(matches!(hidden, Damage::NotABundle { .. }), "{hidden}");
}

#[test]
fn too_much_is_refused_by_what_is_declared_and_by_what_comes() {
    let room = tempfile::tempdir().unwrap();
    let limits = Limits { manifest: 2000, members: 3, member: 1000, total: 2000 };
    let large = |bytes: &[u8]| {
        let found = damage(take_within(&room, bytes, &limits));
        assert!(matches!(found, Damage::TooLarge { .. }), "{found}");
    };
    large(&forged(&manifest(&[("a", &[0; 1001])]), &[]));
    large(&forged(&manifest(&[("a", &[0; 900]), ("b", &[0; 900]), ("c", &[0; 900])]), &[]));
    large(&forged(&manifest(&[("a", b""), ("b", b""), ("c", b""), ("d", b"")]), &[]));
    large(&forged(&" ".repeat(3000), &[]));
    // A gigabyte of zeros in thirty kilobytes, where four bytes were declared, and after the end.
    let mut bomb = forged(&manifest(&[("a", b"aaaa")]), &[]);
    let unpacked = zstd::decode_all(&bomb[..]).unwrap();
    let mut zstd = zstd::Encoder::new(Vec::new(), 1).unwrap();
    zstd.write_all(&unpacked[..unpacked.len() - 1024]).unwrap();
    zstd.write_all(header("a", 1, 4).unwrap().as_bytes()).unwrap();
    for _ in 0..1024 {
        zstd.write_all(&[0; 1 << 20]).unwrap();
    }
    bomb = zstd.finish().unwrap();
    assert!(bomb.len() < 1 << 20);
    assert!(matches!(damage(take_within(&room, &bomb, &limits)), Damage::WrongChecksum { .. }));
}

#[test]
fn a_window_that_would_take_all_memory_is_refused() {
    let room = tempfile::tempdir().unwrap();
    let mut zstd = zstd::Encoder::new(Vec::new(), 3).unwrap();
    zstd.window_log(30).unwrap();
    zstd.write_all(&vec![7; 9 << 20]).unwrap();
    let bytes = zstd.finish().unwrap();
    assert!(matches!(damage(take(&room, &bytes)), Damage::Broken { .. } | Damage::Hostile { .. }));
}

#[test]
fn a_newer_format_says_so_and_other_files_are_no_bundles() {
    let room = tempfile::tempdir().unwrap();
    let newer = r#"{ "kind": "assay bundle", "format": 2, "anything": [] }"#;
    let found = damage(take(&room, &forged(newer, &[])));
    assert!(matches!(found, Damage::Newer { found: 2, supported: 1 }), "{found}");
    for text in ["", "{}", "[]", r#"{ "kind": "x", "format": 1 }"#] {
        assert!(matches!(damage(take(&room, &forged(text, &[]))), Damage::NotABundle { .. }), "{text}");
    }
    assert!(matches!(damage(take(&room, &compressed(b"hello"))), Damage::Broken { .. }));
    let pipe = room.path().join("pipe");
    nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).unwrap();
    assert!(Reader::open(&pipe, &Limits::default()).is_err(), "a pipe is not waited for");
}

#[test]
fn a_killed_writers_draft_is_taken_over_and_an_unpackers_folder_swept() {
    let (room, file) = small();
    let bytes = fs::read(&file).unwrap();
    fs::write(room.path().join("b.unfinished"), vec![0; 1 << 20]).unwrap();
    write(&file, "20260101-000000-x", "0.1.0", true, vec![], vec![part("run.json", "{}")]).unwrap();
    assert!(!room.path().join("b.unfinished").exists());
    let root = room.path().join("shelf");
    let digest = Reader::open(&file, &Limits::default()).unwrap().digest().to_owned();
    fs::create_dir_all(root.join(&digest).with_extension("unfinished").join("x")).unwrap();
    fs::write(root.join(&digest).with_extension("lock"), "").unwrap();
    Shelf::open(&root).unwrap();
    assert_eq!(fs::read_dir(&root).unwrap().count(), 0);
    assert!(take(&room, &bytes).is_ok());
}

#[test]
fn an_unpacked_bundle_is_used_again_only_as_it_should_be() {
    let (room, file) = small();
    let shelf = Shelf::open(&room.path().join("shelf")).unwrap();
    let opened = shelf.take(&file, &Limits::default(), &|_| true).unwrap();
    let (folder, z) = (opened.folder.clone(), opened.folder.join("z"));
    let at_once = shelf.take(&file, &Limits::default(), &|_| true).unwrap();
    opened.discard().unwrap();
    assert!(folder.exists(), "another one uses it");
    drop(at_once);
    fs::write(&z, "changed").unwrap();
    let again = shelf.take(&file, &Limits::default(), &|_| true).unwrap();
    assert_eq!(fs::read(&z).unwrap().len(), 512);
    again.discard().unwrap();
    assert!(!folder.exists());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_behind_any_manifest_end_in_an_answer(text in ".{0,200}", body in prop::collection::vec(any::<u8>(), 0..2000)) {
        let room = tempfile::tempdir().unwrap();
        let mut tar = header("manifest.json", 0, text.len() as u64).unwrap().as_bytes().to_vec();
        tar.extend_from_slice(text.as_bytes());
        tar.extend_from_slice(&body);
        let _ = take(&room, &compressed(&tar));
        let _ = take(&room, &body);
    }

    #[test]
    fn names_come_out_below_the_folder_or_not_at_all(name in "[a-zA-Z./\\\\ -]{0,20}") {
        let room = tempfile::tempdir().unwrap();
        let good = crate::is_member_path(&name);
        let Ok(entry) = header(if good { &name } else { "x" }, 1, 1) else { return Ok(()) };
        let taken = take(&room, &forged(&manifest(&[(&name, b"1")]), &[(entry, b"1")]));
        prop_assert_eq!(taken.is_ok(), good, "{}", name);
    }
}
