//! KTAP 1, and the TAP 13 that kernel selftests write: a pure reader of whatever comes.
//!
//! The format is that of the kernel's `Documentation/dev-tools/ktap.rst`. What writes it takes liberties, and a guest may
//! write anything: kernel messages between the lines, an end in the middle, no plan. So a line either is a result, a
//! plan or the name of what is to come, or it is passed over.
//!
//! A subtest is indented more than the result of its test, which follows it: by spaces (KUnit, KTAP) or by `# `
//! (`kselftest/runner.sh`, which puts that before every line of a program).

use measure::TestResult;

/// Most results that are read of one program: a guest decides how much it writes.
const MAX_RESULTS: usize = 20_000;
/// Most characters of a name or a message.
const MAX_TEXT: usize = 300;
/// Deepest indentation that is told from deeper ones: KUnit has three levels of four spaces. Whoever walks over results does so
/// one call a level.
const MAX_INDENT: usize = 40;

/// A result, and those of its subtests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reported {
    /// As the test calls itself; its number, as `#3`, if it has no name.
    pub name: String,
    /// How it ended.
    pub result: TestResult,
    /// What stands behind the name: a reason, a diagnosis.
    pub message: String,
    /// In the order in which they came.
    pub subtests: Vec<Reported>,
}

/// What one output says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// In the order in which they came.
    pub tests: Vec<Reported>,
    /// Why it ended early, in its own words (`Bail out!`).
    pub bailed_out: Option<String>,
}

/// Reads an output.
#[must_use]
pub fn parse(output: &str) -> Report {
    let mut levels = Levels::default();
    let mut bailed_out = None;
    let mut results = 0;
    for line in output.lines() {
        let (indent, text) = indentation(line);
        if let Some(reason) = text.strip_prefix("Bail out!") {
            bailed_out = Some(short(reason.trim()));
        } else if let Some(plan) = plan(text) {
            levels.plan(indent, plan);
        } else if let Some(name) = text.strip_prefix("Subtest:").or_else(|| text.strip_prefix("# Subtest:")) {
            levels.announce(indent, short(name.trim()));
        } else if let Some(result) = result(text)
            && results < MAX_RESULTS
        {
            results += 1;
            levels.result(indent, result);
        }
    }
    Report { tests: levels.finish(), bailed_out }
}

/// How far a line is indented, and what follows. `# ` counts like two spaces, but only before what is one of ours:
/// elsewhere it begins a comment.
fn indentation(line: &str) -> (usize, &str) {
    let mut rest = line.trim_end();
    let mut indent = 0;
    loop {
        if let Some(after) = rest.strip_prefix(' ') {
            (indent, rest) = (indent + 1, after);
        } else if let Some(after) = rest.strip_prefix("# ") {
            (indent, rest) = (indent + 2, after);
        } else {
            return (indent.min(MAX_INDENT), rest);
        }
    }
}

/// `1..12`, or `1..0 # SKIP reason`.
fn plan(text: &str) -> Option<Plan> {
    let rest = text.strip_prefix("1..")?;
    let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    let count = rest[..digits].parse().ok()?;
    let rest = rest[digits..].trim();
    let skip = rest.strip_prefix('#').map(str::trim).and_then(|rest| keyword(rest, "SKIP"));
    // Something else that begins with `1..`.
    (rest.is_empty() || rest.starts_with('#')).then(|| Plan { count, skip: skip.map(short) })
}

#[derive(Clone, Debug)]
struct Plan {
    count: usize,
    skip: Option<String>,
}

/// `ok 3 - name # SKIP reason`. A number is asked for: prose begins with `ok` as well.
fn result(text: &str) -> Option<Reported> {
    let (passed, rest) = match text.strip_prefix("not ok ") {
        Some(rest) => (false, rest),
        None => (true, text.strip_prefix("ok ")?),
    };
    let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    let number = &rest[..digits];
    let rest = &rest[digits..];
    if number.is_empty() || !(rest.is_empty() || rest.starts_with([' ', '\t'])) {
        return None;
    }
    let rest = rest.trim_start();
    let rest = rest.strip_prefix("- ").unwrap_or(rest);
    let (name, behind) = split(rest);
    let (directive, message) = directive(behind);
    let result = match (passed, directive) {
        (_, Some(Directive::Skip)) => TestResult::Skip,
        (false, Some(Directive::Expected)) => TestResult::Xfail,
        (true, _) => TestResult::Pass,
        (false, Some(Directive::Timeout)) => TestResult::Timeout,
        (false, None) => TestResult::Fail,
    };
    let name = if name.is_empty() { format!("#{number}") } else { short(name) };
    Some(Reported { name, result, message: short(message), subtests: Vec::new() })
}

/// The name, and what stands behind an unescaped ` # `.
fn split(text: &str) -> (&str, &str) {
    if let Some(behind) = text.strip_prefix("# ") {
        return ("", behind.trim());
    }
    match text.find(" # ") {
        Some(at) => (text[..at].trim(), text[at + 3..].trim()),
        None => (text.trim_end_matches(" #").trim(), ""),
    }
}

#[derive(Clone, Copy)]
enum Directive {
    Skip,
    /// It was known that it would fail.
    Expected,
    Timeout,
}

fn directive(behind: &str) -> (Option<Directive>, &str) {
    let known = [
        ("SKIP", Directive::Skip),
        ("XFAIL", Directive::Expected),
        ("TODO", Directive::Expected),
        ("TIMEOUT", Directive::Timeout),
    ];
    for (word, directive) in known {
        if let Some(reason) = keyword(behind, word) {
            return (Some(directive), reason);
        }
    }
    (None, behind)
}

/// What follows a word, if `text` begins with it in whatever case.
fn keyword<'a>(text: &'a str, word: &str) -> Option<&'a str> {
    let head = text.get(..word.len())?;
    let rest = &text[word.len()..];
    let ends = rest.chars().next().is_none_or(|c| !c.is_alphanumeric());
    (head.eq_ignore_ascii_case(word) && ends).then(|| rest.trim_start_matches([':', ' ']).trim())
}

fn short(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(MAX_TEXT).collect()
}

/// The results that are still to get a parent, by their indentation.
#[derive(Default)]
struct Levels {
    open: Vec<Level>,
}

struct Level {
    indent: usize,
    /// Of what is to come at this indentation, if it was announced.
    name: Option<String>,
    plan: Option<Plan>,
    results: Vec<Reported>,
}

impl Levels {
    /// The level of an indentation; deeper ones that nothing claimed become its children.
    fn at(&mut self, indent: usize) -> &mut Level {
        let place = self.open.partition_point(|level| level.indent < indent);
        if self.open.get(place).is_none_or(|level| level.indent != indent) {
            self.open.insert(place, Level { indent, name: None, plan: None, results: Vec::new() });
        }
        &mut self.open[place]
    }

    fn plan(&mut self, indent: usize, plan: Plan) {
        self.at(indent).plan = Some(plan);
    }

    fn announce(&mut self, indent: usize, name: String) {
        self.at(indent).name = Some(name);
    }

    fn result(&mut self, indent: usize, mut result: Reported) {
        self.at(indent);
        let deeper = self.open.partition_point(|level| level.indent <= indent);
        for level in self.open.split_off(deeper).into_iter().rev() {
            result.subtests.splice(0..0, level.close());
        }
        self.at(indent).results.push(result);
    }

    /// What is left at the end of the output. Subtests whose test never reported stand for themselves.
    fn finish(self) -> Vec<Reported> {
        let mut tests: Vec<Reported> = Vec::new();
        for level in self.open {
            let name = level.name.clone();
            let results = level.close();
            match name {
                // The output ended before the test that was announced said how it went.
                Some(name) if !results.is_empty() && !tests.is_empty() => tests.push(Reported {
                    name,
                    result: TestResult::Missing,
                    message: "the output ends before its result".to_owned(),
                    subtests: results,
                }),
                _ => tests.extend(results),
            }
        }
        tests
    }
}

impl Level {
    /// Its results, with one for all that were planned and did not come.
    fn close(self) -> Vec<Reported> {
        let Self { plan, mut results, .. } = self;
        match plan {
            Some(Plan { count: 0, skip: Some(reason) }) if results.is_empty() => results.push(Reported {
                name: "(all)".to_owned(),
                result: TestResult::Skip,
                message: reason,
                subtests: Vec::new(),
            }),
            Some(Plan { count, .. }) if results.len() < count && results.len() < MAX_RESULTS => {
                let message = format!("{} of {count} planned results did not come", count - results.len());
                results.push(Reported {
                    name: "(planned)".to_owned(),
                    result: TestResult::Missing,
                    message,
                    subtests: Vec::new(),
                });
            }
            _ => {}
        }
        results
    }
}
