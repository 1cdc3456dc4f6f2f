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
