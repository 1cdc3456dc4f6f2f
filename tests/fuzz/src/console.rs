//! What kernels say on their consoles, and the symbols that explain it.

use measure::{Complaint, ComplaintKind, Frame};

use crate::{
    scratch,
    sections::{get, split, text},
};

/// One input: `symbols` with the sections `map` and `vmlinux`, or a console as it is.
pub fn run(input: &[u8]) {
    let sections = split(input);
    if sections.first().is_some_and(|(name, _)| *name == "symbols") {
        symbols(&text(&sections, "symbols"), get(&sections, "map"), get(&sections, "vmlinux"));
        return;
    }
    let complaints = crash::read("guest", input);
    assert!(complaints.len() <= 100, "{} complaints", complaints.len());
    for complaint in &complaints {
        assert!(!complaint.title.contains(char::is_control), "{:?}", complaint.title);
        assert!(complaint.excerpt.chars().all(|c| !c.is_control() || matches!(c, '\n' | '\t')));
        assert!(complaint.times > 0 && complaint.excerpt.len() <= 500 * 4 * 1100);
        assert!(crash::artefact(complaint).is_none() || complaint.kind == ComplaintKind::Oops);
    }
    machine::fuzzing::console(input);
}

/// `question` has lines of a function, an offset and a size.
fn symbols(question: &str, map: &[u8], vmlinux: &[u8]) {
    let folder = scratch::folder();
    scratch::write(folder.path(), "System.map", map);
    scratch::write(folder.path(), "vmlinux", vmlinux);
    let paths = (folder.path().join("vmlinux"), folder.path().join("System.map"));
    let Ok(symbols) = crash::Symbols::open(&paths.0, &paths.1) else { return };
    let frames = question.lines().take(20).filter_map(|line| {
        let mut words = line.split(' ');
        Some(Frame {
            function: words.next()?.to_owned(),
            offset: words.next()?.parse().ok()?,
            size: words.next()?.parse().ok()?,
            module: None,
            certain: true,
            lines: vec![],
        })
    });
    let mut complaint = Complaint {
        kind: ComplaintKind::Oops,
        guest: "guest".into(),
        title: "x".into(),
        words: "x".into(),
        fingerprint: "x".into(),
        frames: frames.collect(),
        undecoded: None,
        excerpt: "RIP: 0010:x".into(),
        fatal: false,
        times: 1,
    };
    symbols.decode(&mut complaint);
    assert!(complaint.frames.iter().all(|frame| frame.lines.len() <= 16));
}
