//! What profiles look like: counts of a real run of `scenarios/planted-slowdown-exact.yaml`, of a few functions.

use std::{fs, path::PathBuf};

use profile::{ArmBoots, Boot, By, Counts, Differential, Profile, SourceFiles, Stacks, Symbols};
use report::{
    Model, Outcome, ProfilePage, Profiled, html, profile_html, profile_json, profile_markdown, profile_text,
};

use crate::{PLAIN, baseline, check};

const BLOCKS: u32 = 4;
/// Payload of the run.
const KIB: f64 = 4096.0;

fn fixture(name: &str) -> String {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/profile");
    fs::read_to_string(folder.join(name)).expect("fixtures are committed")
}

/// An arm's kernel and boots.
struct Arm {
    symbols: Symbols,
    files: SourceFiles,
    boots: Vec<Boot>,
}

impl Arm {
    fn read(arm: &str) -> Self {
        let mut symbols = Symbols::default();
        symbols.add(&fixture(&format!("{arm}.System.map")));
        let boot = |block| {
            let counts =
                Counts::read(&fixture(&format!("{arm}-{block}.jsonl"))).expect("the plugin wrote it");
            Boot {
                block,
                kib: Some(KIB),
                profile: Profile::new(&counts.windows[0], &symbols),
                stacks: Stacks::default(),
            }
        };
        let boots: Vec<Boot> = (0..BLOCKS).map(boot).collect();
        let files = boots[0].profile.functions.iter().filter_map(|function| {
            let name = &function.symbol.as_ref()?.name;
            let is_tcp = name.starts_with("tcp_") || name.starts_with("planted");
            Some((
                function.start,
                if is_tcp { "net/ipv4/tcp_input.c" } else { "net/core/skbuff.c" }.to_owned(),
            ))
        });
        let files = files.collect();
        Self { symbols, files, boots }
    }

    fn bind<'a>(&'a self, name: &'a str) -> ArmBoots<'a> {
        ArmBoots { name, symbols: &self.symbols, files: Some(&self.files), boots: &self.boots }
    }
}

fn profiled(arm: &str, by: By) -> Profiled {
    let (before, after) = (Arm::read("baseline"), Arm::read(arm));
    let name = if arm == "baseline" { "again" } else { arm };
    let table = Differential::new(Some(&before.bind("baseline")), &after.bind(name), by).top(6, 2);
    Profiled { workload: "tcp".into(), at: [].into(), table, flame: None }
}

/// A run of which two candidates were profiled.
pub(crate) fn model() -> Model {
    let lab = baseline(&["again", "slower"]).boots("again", 0.0, 0.0, 1.0).boots("slower", 0.0, 0.0, 1.0);
    let mut model = lab.model();
    model.profiles = vec![profiled("baseline", By::Function), profiled("slower", By::Function)];
    model
}

#[test]
fn a_report_with_profiles() {
    check("profiles", &model(), Outcome::Holds);
    let page = html(&model());
    assert!(page.contains("href=\"#profile\"") && page.contains("planted_slowdown"), "{page}");
}

#[test]
fn a_profile_by_itself() {
    let after = Arm::read("slower");
    let alone = Differential::new(None, &after.bind("slower"), By::Context);
    let profiles = vec![
        profiled("slower", By::Function),
        Profiled {
            workload: "tcp".into(),
            at: [("flows".to_owned(), "4".to_owned())].into(),
            table: alone,
            flame: None,
        },
    ];
    let page = ProfilePage {
        run: "20260102-030405-planted".into(),
        scenario: "planted".into(),
        profiles,
        notes: vec!["Source files are unavailable for `other`.".into()],
    };
    let text = profile_text(&page, PLAIN);
    assert!(text.lines().all(|line| line.chars().count() <= 100), "{text}");
    insta::assert_snapshot!("profile.terminal", text);
    insta::assert_snapshot!("profile.markdown", profile_markdown(&page));
    insta::assert_snapshot!("profile.html", profile_html(&page));
    insta::assert_snapshot!("profile.json", profile_json(&page).unwrap());
}
