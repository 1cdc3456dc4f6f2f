//! Line coverage of the parsers by the corpora: the replaying test is built with the compiler's own counters, and LLVM's tools
//! read them.

use std::{collections::BTreeMap, fmt::Write as _, fs, path::Path};

use anyhow::{Context, Result, bail};

use super::{
    parsers::{Parser, TARGETS},
    place, project,
};
use crate::{
    run::{self, Run},
    setup,
};

/// Least share of a parser's lines that the corpora reach, in percent.
const LEAST: f64 = 80.0;

/// Lines by number, with how often each ran.
type Lines = BTreeMap<usize, u64>;

/// Runs the kept corpora with counters, prints the table and writes it to `tests/fuzz/COVERAGE.md`. Too little coverage is a
/// failure.
pub(super) fn table() -> Result<()> {
    let lines = measured(&Tools::find()?)?;
    let mut text = format!(
        "# What the corpora reach\n\nMade by `cargo xtask fuzz --coverage`: lines of each parser that run when the inputs in `corpus/` are read. Of larger files the functions\nthat read are counted. The least is {LEAST} %.\n\n| target | parser | lines | reached | % |\n|---|---|--:|--:|--:|\n"
    );
    let (mut shorts, mut too_little) = (Vec::new(), Vec::new());
    for (target, parser) in
        TARGETS.iter().flat_map(|(target, parsers)| parsers.iter().map(move |parser| (target, parser)))
    {
        let counted = counted(parser, &lines)?;
        let (all, reached) = (counted.len(), counted.values().filter(|count| **count > 0).count());
        #[expect(clippy::cast_precision_loss, reason = "numbers of lines")]
        let percent = 100.0 * reached as f64 / all as f64;
        writeln!(text, "| {target} | {} | {all} | {reached} | {percent:.0} |", parser.shown())
            .context("writing into memory")?;
        if percent < LEAST && !parser.short.is_empty() {
            shorts.push(format!("- {}: {}.", parser.shown(), parser.short));
        } else if percent < LEAST {
            let missed: Vec<String> =
                counted.iter().filter(|(_, count)| **count == 0).map(|(line, _)| line.to_string()).collect();
            too_little.push(format!("{}: {percent:.0} %, lines {}", parser.shown(), missed.join(" ")));
        }
    }
    if !shorts.is_empty() {
        write!(
            text,
            "\nLess than that, since no input of a target reaches the rest:\n\n{}\n",
            shorts.join("\n")
        )
        .context("writing into memory")?;
    }
    print!("{text}");
    let path = project().join("COVERAGE.md");
    fs::write(&path, text).with_context(|| format!("writing {}", path.display()))?;
    if !too_little.is_empty() {
        bail!("less than {LEAST} % of:\n{}", too_little.join("\n"));
    }
    Ok(())
}

/// `llvm-profdata` and `llvm-cov` of the compiler's own LLVM: their format changes with it.
struct Tools {
    suffix: String,
}

impl Tools {
    fn find() -> Result<Self> {
        let said = Run::new("rustc").args(["--version", "--verbose"]).output()?;
        let version = said.lines().find_map(|line| line.strip_prefix("LLVM version: "));
        let major = version.and_then(|version| version.split('.').next()).context("rustc names no LLVM")?;
        let package = format!("llvm-{major}");
        setup::packages(&[(&package, "coverage of fuzzing")])?;
        Ok(Self { suffix: format!("-{major}") })
    }

    fn run(&self, tool: &str) -> Run {
        Run::new(format!("{tool}{}", self.suffix))
    }
}

/// Every line of our sources that the replaying test has counters for, by the file's path in the project.
fn measured(tools: &Tools) -> Result<BTreeMap<String, Lines>> {
    let (counters, merged) = (place("counters"), place("merged.profdata"));
    if counters.exists() {
        fs::remove_dir_all(&counters).with_context(|| format!("removing {}", counters.display()))?;
    }
    run::cargo()
        .args(["test", "--quiet", "-p", "fuzz", "--test", "replay", "--target-dir"])
        .args([place("coverage")])
        .env("RUSTFLAGS", "-C instrument-coverage")
        .env("LLVM_PROFILE_FILE", counters.join("%p-%m.profraw"))
        .ok()?;
    let raw: Vec<_> = fs::read_dir(&counters)
        .with_context(|| format!("reading {}", counters.display()))?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .collect();
    tools.run("llvm-profdata").args(["merge", "-sparse", "-o"]).args([&merged]).args(raw).ok()?;
    let text = tools
        .run("llvm-cov")
        .args(["export", "-format=lcov", "-instr-profile"])
        .args([&merged])
        .args([replaying()?])
        .output()?;
    Ok(read(&text, &run::top()))
}

/// The replaying test's binary: the newest of its name.
fn replaying() -> Result<std::path::PathBuf> {
    let folder = place("coverage").join("debug/deps");
    let entries = fs::read_dir(&folder).with_context(|| format!("reading {}", folder.display()))?;
    let is_ours = |path: &Path| {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        name.starts_with("replay-") && path.extension().is_none()
    };
    let binaries = entries.filter_map(|entry| Some(entry.ok()?.path())).filter(|path| is_ours(path));
    binaries
        .max_by_key(|path| fs::metadata(path).and_then(|data| data.modified()).ok())
        .context("no binary was built")
}

/// LLVM's `lcov` output: `SF:PATH`, `DA:LINE,COUNT`. A function that is compiled several times has its lines several times.
fn read(text: &str, top: &Path) -> BTreeMap<String, Lines> {
    let mut files: BTreeMap<String, Lines> = BTreeMap::new();
    let mut file = None;
    for line in text.lines() {
        if let Some(path) = line.strip_prefix("SF:") {
            file = Path::new(path).strip_prefix(top).ok().and_then(Path::to_str).map(str::to_owned);
        } else if let (Some(data), Some(file)) = (line.strip_prefix("DA:"), &file)
            && let Some((line, count)) = data.split_once(',')
            && let (Ok(line), Ok(count)) = (line.parse(), count.parse::<u64>())
        {
            *files.entry(file.clone()).or_default().entry(line).or_default() += count;
        }
    }
    files
}

/// The lines of one parser.
fn counted(parser: &Parser, files: &BTreeMap<String, Lines>) -> Result<Lines> {
    let lines = files.get(parser.file).with_context(|| format!("no line of {} was counted", parser.file))?;
    let mut counted = Lines::new();
    for range in parser.lines(&parser.source()?)? {
        counted.extend(lines.range(range).map(|(line, count)| (*line, *count)));
    }
    if counted.is_empty() {
        bail!("no line of {} was counted", parser.shown());
    }
    Ok(counted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_of_a_line_are_added_up_and_other_projects_are_left_out() {
        let text = "SF:/top/a.rs\nFN:1,f\nDA:1,2\nDA:2,0\nend_of_record\nSF:/other/b.rs\nDA:1,1\nSF:/top/a.rs\nDA:2,5\n";
        let files = read(text, Path::new("/top"));
        assert_eq!(files.len(), 1);
        assert_eq!(files["a.rs"], Lines::from([(1, 2), (2, 5)]));
    }
}
