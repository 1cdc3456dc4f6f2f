//! Consoles of crashes that were provoked in real guests of both bases (`cargo xtask crashes`): what is read from each.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
};

use measure::Complaint;

/// One fixture: what is read from its console, and what `assay exec` told when it was captured.
struct Captured {
    base: &'static str,
    name: String,
    console: Vec<u8>,
    complaints: Vec<Complaint>,
    told: String,
}

fn folder(base: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/console").join(base)
}

fn captured() -> Vec<Captured> {
    let mut all = Vec::new();
    for base in ["6.12", "7.3"] {
        let mut names: Vec<String> = fs::read_dir(folder(base))
            .expect("fixtures of this base")
            .map(|entry| entry.expect("an entry").file_name().into_string().expect("Unicode"))
            .filter_map(|name| name.strip_suffix(".txt").map(str::to_owned))
            .filter(|name| !name.ends_with(".told"))
            .collect();
        names.sort();
        for name in names {
            let console = fs::read(folder(base).join(format!("{name}.txt"))).expect("a console");
            let told =
                fs::read_to_string(folder(base).join(format!("{name}.told.txt"))).expect("what was told");
            let complaints = crash::read("guest", &console);
            all.push(Captured { base, name, console, complaints, told });
        }
    }
    all
}

/// Kind, title, fingerprint and the innermost functions of everything that a kernel complained about.
fn lines(of: &Captured) -> String {
    let mut text = format!("{} {}\n", of.base, of.name);
    for complaint in &of.complaints {
        let fatal = if complaint.fatal { ", fatal" } else { "" };
        let times = if complaint.times > 1 { format!(", {} times", complaint.times) } else { String::new() };
        let functions: Vec<&str> = complaint
            .frames
            .iter()
            .filter(|frame| frame.certain)
            .take(6)
            .map(|frame| frame.function.as_str())
            .collect();
        writeln!(
            text,
            "  {} [{}{fatal}{times}]: {}\n    {}",
            complaint.kind.words(),
            complaint.fingerprint,
            complaint.title,
            functions.join(" < ")
        )
        .expect("a string takes everything");
    }
    text
}

#[test]
fn what_is_read_from_every_capture() {
    let all = captured();
    insta::assert_snapshot!(all.iter().map(lines).collect::<String>());
    assert!(all.len() >= 30, "{} captures", all.len());
}

#[test]
fn what_was_told_is_what_is_read() {
    for of in captured() {
        let titles: Vec<&str> = of.complaints.iter().map(|complaint| complaint.title.as_str()).collect();
        // Of a kernel that died, the cause; of one that went on, everything.
        let crashed = of
            .told
            .lines()
            .find_map(|line| line.strip_prefix("assay: the kernel crashed: "))
            .map(str::to_owned);
        match crashed {
            Some(title) if titles.is_empty() => {
                assert!(title.contains("the guest"), "{} {}: {title}", of.base, of.name);
            }
            Some(title) => {
                assert!(titles.contains(&title.as_str()), "{} {}: {title} is not read", of.base, of.name);
            }
            None => {
                for title in titles {
                    assert!(of.told.contains(title), "{} {}: {title} was not told", of.base, of.name);
                }
            }
        }
    }
}

#[test]
fn a_crash_has_one_kind_and_title_on_both_bases() {
    let mut titles: BTreeMap<String, Vec<(&str, Option<String>)>> = BTreeMap::new();
    for of in captured() {
        // A guest that is given up complains of more, depending on how busy the host is.
        let first = of.complaints.first();
        let first = first.map(|complaint| format!("{}: {}", complaint.kind.words(), complaint.title));
        titles.entry(of.name).or_default().push((of.base, first));
    }
    let differing: Vec<_> = titles
        .iter()
        .filter(|(name, bases)| {
            matches!(bases.as_slice(), [(_, one), (_, other)] if one != other)
                && !DIFFER.contains(&name.as_str())
        })
        .collect();
    assert!(differing.is_empty(), "{differing:#?}");
}

/// Crashes that the two kernels tell differently.
const DIFFER: &[&str] = &[
    // 7.3 prints the `cut here` line at a level that consoles do not show (lib/bug.c), so the words of WARN() cannot be told from
    // whatever was printed before them.
    "list-add",
    "list-del",
    "refcount-overflow",
    "refcount-zero",
    "warning-with-words",
];

/// A boot has other addresses, times and numbers of processes: as if captured again.
fn captured_again(console: &[u8]) -> Vec<u8> {
    let text = String::from_utf8_lossy(console);
    let mut again = String::with_capacity(text.len());
    for line in text.lines() {
        let shifted: Vec<String> = line.split(' ').map(other).collect();
        again.push_str(&shifted.join(" "));
        again.push('\n');
    }
    again.into_bytes()
}

/// Another number of a process, another address, another time, in place of one.
fn other(word: &str) -> String {
    let is_address =
        word.len() == 16 && word.starts_with("ffff") && word.bytes().all(|b| b.is_ascii_hexdigit());
    if is_address {
        return format!(
            "ffff8880{}",
            word.chars().skip(8).map(|c| if c == '0' { '1' } else { '0' }).collect::<String>()
        );
    }
    // `PID:` stands before a plain number, and a task is `name/number` or `name:number`.
    match word.rsplit_once([':', '/']) {
        Some((name, number)) if !name.is_empty() && number.parse::<u32>().is_ok_and(|number| number > 9) => {
            word.replace(number, "4711")
        }
        _ => word.to_owned(),
    }
}

#[test]
fn the_same_crash_of_another_boot_has_the_same_fingerprint() {
    for of in captured() {
        let prints = |complaints: &[Complaint]| -> Vec<String> {
            complaints.iter().map(|complaint| complaint.fingerprint.clone()).collect()
        };
        let again = crash::read("guest", &captured_again(&of.console));
        assert_eq!(prints(&of.complaints), prints(&again), "{} {}", of.base, of.name);
    }
}
