//! `tool: command`, and the metrics that it defines.

use std::{
    collections::{BTreeMap, BTreeSet},
    os::unix::fs::PermissionsExt as _,
    path::Path,
};

use measure::{Better, Unit, metric};
use plan::{
    AcceptedExit, Command, CommandMetric, CommandServer, Find, GuestFile, OutputOf, Side, Transport, Which,
    Workload, WorkloadKind,
};

use crate::{
    fields::{Fields, entries, items, text_of},
    matrix::Expanded,
    problem::Findings,
    project::{existing_path, file_sha256},
    schema::{self, ARGUMENT, ENV_NAME, PATH},
    tree::{Node, Value},
    value::printable,
};

/// Most metrics of a command.
const MAX_METRICS: usize = 32;
/// Most files of a command.
const MAX_FILES: usize = 64;
/// Most words of a command.
const MAX_WORDS: usize = 1000;

/// A command; relative paths start at `folder`.
pub(crate) fn command(fields: &Fields<'_>, folder: &Path, findings: &mut Findings) -> Option<WorkloadKind> {
    let run = run(fields, findings);
    let server = server(fields, findings);
    let files = files(fields, folder, findings);
    let env = env(fields, findings);
    let stdin = fields.optional_text("stdin", findings);
    let deadline_s = fields.seconds_u32("deadline", findings);
    let exit = exit(fields, findings);
    let repeat = fields.count("repeat", findings);
    let side = fields.choice::<Side>("side", findings);
    let metrics = metrics(fields, findings);
    Some(WorkloadKind::Command(Command {
        run: run?,
        side: side?,
        server: server?,
        files: files?,
        env: env?,
        stdin: stdin?.unwrap_or_default(),
        deadline_s: deadline_s?,
        exit: exit?,
        repeat: repeat?,
        metrics: metrics?,
    }))
}

fn run(fields: &Fields<'_>, findings: &mut Findings) -> Option<Vec<String>> {
    match (fields.given("run"), fields.given("shell")) {
        (Some(_), Some(node)) => {
            findings.add(&node.place, "given beside `run`", "either run or shell");
            None
        }
        (None, None) => {
            findings.add(fields.place(), "neither `run` nor `shell`: nothing runs", "either run or shell");
            None
        }
        (Some(node), None) => argv(node, findings),
        (None, Some(_)) => {
            let script = fields.text("shell", findings)?;
            Some(vec!["sh".to_owned(), "-c".to_owned(), script])
        }
    }
}

fn argv(node: &Node, findings: &mut Findings) -> Option<Vec<String>> {
    let allowed = schema::COMMAND.key("run").kind.allowed();
    let list = items(node, &allowed, findings);
    if matches!(node.value, Value::List(_)) && (list.is_empty() || list.len() > MAX_WORDS) {
        findings.add(&node.place, format!("{} words", list.len()), format!("1 to {MAX_WORDS} words"));
    }
    let words: Option<Vec<String>> = all(list.iter().map(|item| text_of(item, ARGUMENT, findings)));
    let words = words?;
    match words.first() {
        Some(program) if program.is_empty() => {
            findings.add(&node.place, "the program has no name", "the name or the path of a program");
            None
        }
        Some(_) => Some(words),
        None => None,
    }
}

/// Every one, or none; all are looked at.
fn all<T>(values: impl Iterator<Item = Option<T>>) -> Option<Vec<T>> {
    values.collect::<Vec<_>>().into_iter().collect()
}

fn server(fields: &Fields<'_>, findings: &mut Findings) -> Option<Option<CommandServer>> {
    let transport = fields.choice::<Transport>("transport", findings);
    let port = fields.integer("port", findings).and_then(|port| u16::try_from(port).ok());
    match (fields.given("server"), fields.given("port")) {
        (None, None) => Some(None),
        (None, Some(node)) => {
            findings.add(&node.place, "a port, but no server that listens there", "with server: [PROGRAM]");
            None
        }
        (Some(_), None) => {
            let allowed = format!("port: {}", schema::COMMAND.key("port").kind.allowed());
            findings.add(fields.place(), "a server without a port", allowed);
            None
        }
        (Some(node), Some(_)) => {
            let run = argv(node, findings);
            Some(Some(CommandServer { run: run?, port: port?, transport: transport? }))
        }
    }
}

fn files(fields: &Fields<'_>, folder: &Path, findings: &mut Findings) -> Option<Vec<GuestFile>> {
    let node = fields.value("files", findings)?;
    let allowed = schema::COMMAND.key("files").kind.allowed();
    let list = items(&node, &allowed, findings);
    if list.len() > MAX_FILES {
        findings.add(&node.place, format!("{} files", list.len()), allowed);
    }
    let files = all(list.iter().map(|item| {
        let path = text_of(item, PATH, findings)?;
        let path = existing_path(&folder.join(path), &item.place, findings)?;
        let sha256 = file_sha256(&path, &item.place, findings)?;
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default().to_owned();
        let executable = path.metadata().is_ok_and(|facts| facts.permissions().mode() & 0o111 != 0);
        Some(GuestFile { path, sha256, name, executable })
    }))?;
    let mut names = BTreeSet::new();
    if let Some(again) = files.iter().position(|file| !names.insert(&file.name)) {
        let message = format!("a second file called `{}`", printable(&files[again].name));
        findings.add(&list[again].place, message, "files of different names");
        return None;
    }
    Some(files)
}

fn env(fields: &Fields<'_>, findings: &mut Findings) -> Option<BTreeMap<String, String>> {
    let node = fields.value("env", findings)?;
    let read = all(entries(&node, &schema::COMMAND.key("env").kind.allowed(), findings).iter().map(
        |(name, node)| {
            if !(ENV_NAME.holds)(name) {
                findings.add(&node.place, format!("`{}` is no variable", printable(name)), ENV_NAME.what);
                return None;
            }
            Some((name.clone(), text_of(node, ARGUMENT, findings)?))
        },
    ));
    Some(read?.into_iter().collect())
}

fn exit(fields: &Fields<'_>, findings: &mut Findings) -> Option<AcceptedExit> {
    let node = fields.value("exit", findings)?;
    let kind = schema::Kind::Integer { min: 0, max: 255 };
    let allowed = schema::COMMAND.key("exit").kind.allowed();
    if node.text() == Some("any") {
        return Some(AcceptedExit::Any);
    }
    let single = std::slice::from_ref(&*node);
    let list = match &node.value {
        Value::Scalar { .. } => single,
        _ => items(&node, &allowed, findings),
    };
    let statuses = all(list.iter().map(|item| match kind.integer(item) {
        Ok(status) => u8::try_from(status).ok(),
        Err(message) => {
            findings.add(&item.place, message, allowed.clone());
            None
        }
    }))?;
    if statuses.is_empty() {
        findings.add(&node.place, "no status is a success", allowed);
        return None;
    }
    Some(AcceptedExit::OneOf(statuses))
}

fn metrics(fields: &Fields<'_>, findings: &mut Findings) -> Option<Vec<CommandMetric>> {
    let node = fields.value("metrics", findings)?;
    let allowed = schema::COMMAND.key("metrics").kind.allowed();
    let list = items(&node, &allowed, findings);
    if list.len() > MAX_METRICS {
        findings.add(&node.place, format!("{} metrics", list.len()), allowed);
    }
    let metrics = all(list.iter().map(|item| command_metric(item, findings)))?;
    let mut names = BTreeSet::new();
    if let Some(again) = metrics.iter().position(|metric| !names.insert(&metric.name)) {
        let message = format!("a second metric called `{}`", metrics[again].name);
        findings.add(&list[again].place, message, "each name once");
        return None;
    }
    Some(metrics)
}

fn command_metric(node: &Node, findings: &mut Findings) -> Option<CommandMetric> {
    let fields = Fields::open(node, &schema::METRIC, findings)?;
    let name = fields.text("name", findings);
    if let Some(name) = name.as_deref().filter(|name| metric::find(name).is_some()) {
        let message = format!("`{name}` is a metric that Assay knows");
        findings.add(&fields.place_of("name"), message, "a name that is not in *Metrics*");
        return None;
    }
    let unit = fields.choice::<Unit>("unit", findings);
    let better = fields.choice::<Better>("better", findings);
    let find = match (fields.given("regex"), fields.given("json")) {
        (Some(_), None) => regex(&fields, findings).map(Find::Regex),
        (None, Some(_)) => fields.text("json", findings).map(Find::Json),
        (Some(_), Some(node)) => {
            findings.add(&node.place, "given beside `regex`", "either regex or json");
            None
        }
        (None, None) => {
            findings.add(
                fields.place(),
                "neither `regex` nor `json`: nothing is found",
                "either regex or json",
            );
            None
        }
    };
    let from = fields.text("from", findings).map(|from| match from.as_str() {
        "stdout" => OutputOf::Stdout,
        "stderr" => OutputOf::Stderr,
        _ => OutputOf::File(from),
    });
    let scale = fields.fraction("scale", findings);
    let which = fields.choice::<Which>("which", findings);
    Some(CommandMetric {
        name: name?,
        unit: unit?,
        better: better?,
        from: from?,
        find: find?,
        which: which?,
        scale: scale?,
    })
}

/// A regular expression; what is wrong with one is told in its own words.
fn regex(fields: &Fields<'_>, findings: &mut Findings) -> Option<String> {
    let node = fields.given("regex")?;
    match node.text().map(plan::value_regex) {
        Some(Err(why)) => {
            let message = format!("`{}`: {why}", printable(node.text().unwrap_or_default()));
            findings.add(&node.place, message, schema::METRIC.key("regex").kind.allowed());
            None
        }
        _ => fields.text("regex", findings),
    }
}

/// Commands that define the same name must mean the same by it: a report has one table.
pub(crate) fn check_metrics(workloads: &[Expanded<Workload>], node: &Node, findings: &mut Findings) {
    let mut known: BTreeMap<&str, (&str, Unit, Better)> = BTreeMap::new();
    for workload in workloads.iter().flat_map(|group| group.cells.iter().flatten()) {
        for metric in workload.own_metrics() {
            let first = known.entry(metric.name).or_insert((&workload.name, metric.unit, metric.better));
            if (first.1, first.2) != (metric.unit, metric.better) {
                let place = node.get(workload.group()).map_or(&node.place, |node| &node.place);
                let message =
                    format!("`{}` has another unit or direction than in workload `{}`", metric.name, first.0);
                findings.add(place, message, "one unit and one direction for one name");
            }
        }
    }
}
