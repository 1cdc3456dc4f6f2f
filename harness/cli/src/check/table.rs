//! The outcome of `assay series check` for people.

use kernel::{Applies, Style, StyleLevel};
use measure::BuildEnd;

use super::{BaseCheck, Boot, Build, PatchCheck};
use crate::builds::describe;

/// Widest name of a patch.
const NAME: usize = 52;

/// A table for each base, then what was found, by patch.
pub(super) fn table(checks: &[BaseCheck]) -> String {
    let mut text = String::new();
    for check in checks {
        text.push_str(&format!("{} + {}\n", check.base, check.series));
        text.push_str(&row(["patch", "applies", "checkpatch", "builds"]));
        for patch in &check.patches {
            let cells = [&short(patch), &applies(patch), &style(patch), &build(patch)];
            text.push_str(&row(cells.map(String::as_str)));
        }
        text.push_str(&format!("  {}\n", boot(&check.boot)));
        let built = check.patches.iter().any(|patch| matches!(patch.build, Build::Built { .. }));
        if built && !check.base_warnings_known {
            text.push_str("  the compiler's warnings of the base itself are not known: each counts as new\n");
        }
        for patch in &check.patches {
            findings(patch, &mut text);
        }
        text.push('\n');
    }
    let clean = checks.iter().filter(|check| check.is_clean()).count();
    text.push_str(&match checks.len() {
        1 if clean == 1 => "clean\n".to_owned(),
        1 => "not clean\n".to_owned(),
        all => format!("{clean} of {all} bases clean\n"),
    });
    text
}

fn row([patch, applies, style, build]: [&str; 4]) -> String {
    format!("  {patch:<NAME$}  {applies:<7}  {style:<18}  {build}").trim_end().to_owned() + "\n"
}

/// The file's name without its folder and ending.
fn short(patch: &PatchCheck) -> String {
    let name = patch.inspected.patch.rsplit('/').next().unwrap_or_default();
    name.trim_end_matches(".patch").chars().take(NAME).collect()
}

fn applies(patch: &PatchCheck) -> String {
    match &patch.inspected.applies {
        Applies::Yes => "yes",
        Applies::No(_) => "NO",
        Applies::NotReached => "-",
    }
    .to_owned()
}

fn style(patch: &PatchCheck) -> String {
    if let Style::Unavailable(_) = &patch.inspected.style {
        return "unavailable".to_owned();
    }
    let names = ["error", "warning", "check"];
    let counts = patch.style_counts().into_iter().zip(names).filter(|(count, _)| *count > 0);
    let words: Vec<String> =
        counts.map(|(count, name)| format!("{count} {name}{}", if count == 1 { "" } else { "s" })).collect();
    if words.is_empty() { "clean".to_owned() } else { words.join(", ") }
}

fn build(patch: &PatchCheck) -> String {
    match &patch.build {
        Build::Built { new_warnings, seconds } => {
            let took = seconds.map_or("cached".to_owned(), |seconds| format!("{seconds:.0} s"));
            match new_warnings.as_ref().map(Vec::len) {
                None => format!("yes, {took}; warnings unknown"),
                Some(0) => format!("yes, {took}"),
                Some(1) => format!("1 NEW WARNING, {took}"),
                Some(count) => format!("{count} NEW WARNINGS, {took}"),
            }
        }
        Build::Failed(_) => "NO".to_owned(),
        Build::NotBuilt(why) => why.clone(),
    }
}

fn boot(boot: &Boot) -> String {
    match boot {
        Boot::Booted { warnings } if warnings.is_empty() => {
            "boots, the agent answers, powers off, no warning in the kernel's log".to_owned()
        }
        Boot::Booted { warnings } => format!("boots, WITH WARNINGS: {}", warnings.join("; ")),
        Boot::Crashed { title, excerpt } => {
            let lines: String = excerpt.lines().map(|line| format!("\n    {line}")).collect();
            format!("DOES NOT BOOT: {title}{lines}")
        }
        Boot::NotBooted(why) => format!("not booted: {why}"),
    }
}

fn findings(patch: &PatchCheck, text: &mut String) {
    let name = &patch.inspected.patch;
    let mut line = |words: &str| {
        let words = words.trim_end().replace('\n', "\n    ");
        text.push_str(&format!("  {words}\n"));
    };
    if let Applies::No(failure) = &patch.inspected.applies {
        line(&format!("{name}: does not apply: {}", failure.message));
        if let Some(hunk) = &failure.hunk {
            line(hunk);
        }
    }
    match &patch.inspected.style {
        Style::Unavailable(why) => line(&format!("{name}: unavailable: {why}")),
        Style::Checked(findings) => {
            for finding in findings {
                let level = match finding.level {
                    StyleLevel::Error => "error",
                    StyleLevel::Warning => "warning",
                    StyleLevel::Check => "check",
                };
                line(&format!("{name}:{}: {level}: {} ({})", finding.line, finding.message, finding.kind));
            }
        }
    }
    match &patch.build {
        Build::Failed(end) => match &**end {
            // Its log goes with this command.
            BuildEnd::DoesNotCompile { errors, .. } => line(&format!("{name}: does not compile:\n{errors}")),
            end => line(&format!("{name}: {}", describe(end))),
        },
        Build::Built { new_warnings: Some(warnings), .. } => {
            warnings.iter().for_each(|warning| line(&format!("{name}: {warning}")));
        }
        Build::Built { .. } | Build::NotBuilt(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use kernel::{Inspected, StyleFinding};
    use measure::ApplyFailure;

    use super::*;

    fn patch(name: &str, applies: Applies, findings: &[StyleLevel], build: Build) -> PatchCheck {
        let finding = |level: &StyleLevel| StyleFinding {
            level: *level,
            kind: "LONG_LINE".into(),
            line: 31,
            message: "line length of 120 exceeds 100 columns".into(),
        };
        let style = Style::Checked(findings.iter().map(finding).collect());
        PatchCheck { inspected: Inspected { patch: format!("s/{name}.patch"), applies, style }, build }
    }

    fn on_a_base(patches: Vec<PatchCheck>, boot: Boot) -> BaseCheck {
        BaseCheck { base: "b".into(), series: "s".into(), patches, boot, base_warnings_known: true }
    }

    fn built(seconds: Option<f64>, warnings: &[&str]) -> Build {
        Build::Built { seconds, new_warnings: Some(warnings.iter().map(ToString::to_string).collect()) }
    }

    #[test]
    fn a_clean_series_is_said_to_be_clean() {
        let check = on_a_base(
            vec![
                patch("0001-a", Applies::Yes, &[StyleLevel::Warning, StyleLevel::Check], built(None, &[])),
                patch("0002-b", Applies::Yes, &[], built(Some(61.7), &[])),
            ],
            Boot::Booted { warnings: vec![] },
        );
        let text = table(&[check]);
        let cells: Vec<Vec<&str>> =
            text.lines().map(|line| line.split("  ").map(str::trim).collect()).collect();
        let row =
            |index: usize| -> Vec<&str> { cells[index].iter().copied().filter(|c| !c.is_empty()).collect() };
        assert_eq!(row(2), ["0001-a", "yes", "1 warning, 1 check", "yes, cached"]);
        assert_eq!(row(3), ["0002-b", "yes", "clean", "yes, 62 s"]);
        assert!(text.contains("s/0001-a.patch:31: warning: line length"), "{text}");
        assert!(text.ends_with("\nclean\n"), "{text}");
    }

    #[test]
    fn whatever_is_wrong_makes_a_base_unclean_and_is_shown() {
        let failure = ApplyFailure {
            patch: "s/0001-a.patch".into(),
            file: None,
            line: None,
            hunk: Some("@@ -1 +1 @@\n-old\n+new".into()),
            message: "error: patch failed: a.c:1".into(),
        };
        let booted = || Boot::Booted { warnings: vec![] };
        let lone = |applies, findings: &[StyleLevel], build, boot| {
            on_a_base(vec![patch("0001-a", applies, findings, build)], boot)
        };
        let crash = Boot::Crashed { title: "Oops: 0000".into(), excerpt: "RIP: 0010:f".into() };
        let errors = BuildEnd::DoesNotCompile { errors: "a.c:3:1: error: no".into(), log: "log".into() };
        for (check, shown) in [
            (lone(Applies::No(failure), &[], Build::NotBuilt("-".into()), booted()), "-old"),
            (lone(Applies::Yes, &[StyleLevel::Error], built(None, &[]), booted()), "31: error: line length"),
            (lone(Applies::Yes, &[], built(None, &["a.c:1: warning: odd"]), booted()), "1 NEW WARNING"),
            (lone(Applies::Yes, &[], Build::Failed(Box::new(errors)), booted()), "a.c:3:1: error: no"),
            (lone(Applies::Yes, &[], built(None, &[]), crash), "DOES NOT BOOT: Oops: 0000"),
            (
                lone(
                    Applies::Yes,
                    &[],
                    built(None, &[]),
                    Boot::Booted { warnings: vec!["WARNING: x".into()] },
                ),
                "WITH WARNINGS: WARNING: x",
            ),
        ] {
            assert!(!check.is_clean(), "{check:?}");
            let clean = on_a_base(vec![], booted());
            let text = table(&[clean, check]);
            assert!(text.contains(shown) && text.ends_with("\n1 of 2 bases clean\n"), "{text}");
        }
    }
}
