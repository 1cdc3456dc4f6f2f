//! YAML text to a tree of nodes that know their line.
//!
//! Built from the parser's events rather than from a loaded document, because a document no longer shows duplicate
//! keys, and because depth, size, anchors and aliases can be refused before anything grows.

use std::path::Path;

use saphyr_parser::{Event, Parser, ScalarStyle, Span};

use crate::{
    problem::{Findings, Place},
    value::printable,
};

/// Deepest nesting; the schema needs five levels.
const MAX_DEPTH: usize = 16;
/// Most values in a file; the largest sensible scenario has a few hundred.
const MAX_NODES: usize = 10_000;
/// Longest key in bytes.
const MAX_KEY: usize = 128;

/// A value and where it stands.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) place: Place,
    pub(crate) value: Value,
}

/// A value as it was written. Numbers keep their text, so that `6.10` stays `6.10`.
#[derive(Clone, Debug)]
pub(crate) enum Value {
    /// Nothing, `~` or `null`.
    Null,
    Scalar {
        text: String,
        quoted: bool,
    },
    List(Vec<Node>),
    /// In the order of the file; keys are unique.
    Map(Vec<(String, Node)>),
}

impl Node {
    /// An empty map at `place`, for a section that the file leaves out.
    pub(crate) fn empty_map(place: Place) -> Self {
        Self { place, value: Value::Map(Vec::new()) }
    }

    /// The value of `key`, if this is a map that has it.
    pub(crate) fn get(&self, key: &str) -> Option<&Node> {
        match &self.value {
            Value::Map(entries) => entries.iter().find(|(name, _)| name == key).map(|(_, node)| node),
            _ => None,
        }
    }

    /// What stands at the end of these keys, if they lead anywhere.
    pub(crate) fn at(&self, path: &[&str]) -> Option<&Node> {
        path.iter().try_fold(self, |node, key| node.get(key))
    }

    /// Puts `value` at the end of these keys, where something stands already.
    pub(crate) fn set(&mut self, path: &[String], value: &Node) {
        let Some((key, rest)) = path.split_first() else {
            *self = value.clone();
            return;
        };
        if let Value::Map(entries) = &mut self.value
            && let Some((_, inner)) = entries.iter_mut().find(|(name, _)| name == key)
        {
            inner.set(rest, value);
        }
    }

    /// Whether this is `{}`.
    pub(crate) fn is_empty_map(&self) -> bool {
        matches!(&self.value, Value::Map(entries) if entries.is_empty())
    }

    /// The text of a scalar.
    pub(crate) fn text(&self) -> Option<&str> {
        match &self.value {
            Value::Scalar { text, .. } => Some(text),
            _ => None,
        }
    }

    /// For messages: what stands here.
    pub(crate) fn describe(&self) -> String {
        match &self.value {
            Value::Null => "no value".to_owned(),
            Value::Scalar { text, .. } => format!("`{}`", printable(text)),
            Value::List(_) => "a list".to_owned(),
            Value::Map(_) => "a map".to_owned(),
        }
    }

    /// This node laid over `under`: maps are merged key by key, anything else replaces what was there.
    pub(crate) fn over(&self, under: &Node) -> Node {
        let (Value::Map(upper), Value::Map(lower)) = (&self.value, &under.value) else {
            return self.clone();
        };
        let mut merged: Vec<(String, Node)> = lower
            .iter()
            .map(|(key, node)| {
                (key.clone(), self.get(key).map_or_else(|| node.clone(), |mine| mine.over(node)))
            })
            .collect();
        merged.extend(upper.iter().filter(|(key, _)| under.get(key).is_none()).cloned());
        Node { place: self.place.clone(), value: Value::Map(merged) }
    }
}

/// The one document in `text`.
pub(crate) fn parse(text: &str, file: &Path, findings: &mut Findings) -> Option<Node> {
    if !lines_are_clean(text, file, findings) {
        return None;
    }
    let mut builder = Builder { file, findings, open: Vec::new(), nodes: 0, documents: 0, root: None };
    let read = Parser::new_from_str(text).try_for_each(|event| {
        let (event, span) =
            event.map_err(|error| Refusal::new(error.marker().line(), "is not YAML", error.info()))?;
        builder.accept(event, span)
    });
    let root = builder.root;
    match (read, root) {
        (Err(Refusal { line, message, allowed }), _) => {
            findings.add(&Place::file(file, Some(line)), message, allowed);
            None
        }
        (Ok(()), None | Some(Node { value: Value::Null, .. })) => {
            findings.add(&Place::file(file, Some(1)), "holds nothing", "a map that begins with `schema: 1`");
            None
        }
        (Ok(()), root) => root,
    }
}

/// A default of the schema, as if it stood at `place`.
pub(crate) fn parse_default(text: &str, place: &Place, findings: &mut Findings) -> Option<Node> {
    let mut node = parse(text, Path::new("a default of the schema"), findings)?;
    if let Value::List(items) = &mut node.value {
        for item in items {
            item.place = place.clone();
        }
    }
    node.place = place.clone();
    Some(node)
}

/// Refuses what YAML parsers disagree on: control characters, and tabs in the indentation.
fn lines_are_clean(text: &str, file: &Path, findings: &mut Findings) -> bool {
    let mut clean = true;
    for (index, line) in text.lines().enumerate() {
        let place = Place::file(file, Some(index + 1));
        if let Some(control) = line.chars().find(|c| c.is_control() && *c != '\t') {
            findings.add(
                &place,
                format!("holds the control character U+{:04X}", u32::from(control)),
                "plain text",
            );
            clean = false;
        }
        let indentation = &line[..line.len() - line.trim_start().len()];
        if indentation.contains('\t') && !line.trim().is_empty() {
            findings.add(&place, "a tab in the indentation", "spaces");
            clean = false;
        }
    }
    clean
}

/// Why reading stops: what follows could not be told from what was meant.
struct Refusal {
    line: usize,
    message: String,
    allowed: String,
}

impl Refusal {
    fn new(line: usize, message: impl Into<String>, allowed: impl Into<String>) -> Self {
        Self { line, message: message.into(), allowed: allowed.into() }
    }
}

/// A list or map whose end has not been read yet.
struct Open {
    place: Place,
    content: OpenContent,
}

enum OpenContent {
    List(Vec<Node>),
    Map { entries: Vec<(String, Node)>, key: Option<(String, usize)> },
}

struct Builder<'a> {
    file: &'a Path,
    findings: &'a mut Findings,
    open: Vec<Open>,
    nodes: usize,
    documents: usize,
    root: Option<Node>,
}

impl Builder<'_> {
    fn accept(&mut self, event: Event<'_>, span: Span) -> Result<(), Refusal> {
        let line = span.start.line();
        self.refuse_indirection(&event, line)?;
        match event {
            Event::DocumentStart(_) => {
                self.documents += 1;
                if self.documents > 1 {
                    return Err(Refusal::new(line, "begins a second document", "one document a file"));
                }
                Ok(())
            }
            Event::Scalar(text, style, ..) => self.scalar(&text, style, line),
            Event::SequenceStart(..) => self.start(OpenContent::List(Vec::new()), line),
            Event::MappingStart(..) => self.start(OpenContent::Map { entries: Vec::new(), key: None }, line),
            Event::SequenceEnd | Event::MappingEnd => self.end(line),
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd | Event::Alias(_) => {
                Ok(())
            }
        }
    }

    /// Anchors, aliases and tags: a scenario says what it means in place, and cannot be made to grow.
    fn refuse_indirection(&self, event: &Event<'_>, line: usize) -> Result<(), Refusal> {
        let (anchor, tag) = match event {
            Event::Alias(_) => return Err(Refusal::new(line, "an alias (`*name`)", "the value written out")),
            Event::Scalar(_, _, anchor, tag)
            | Event::SequenceStart(anchor, tag)
            | Event::MappingStart(anchor, tag) => (*anchor, tag.as_ref()),
            _ => return Ok(()),
        };
        if anchor != 0 {
            return Err(Refusal::new(line, "an anchor (`&name`)", "the value without an anchor"));
        }
        match tag {
            Some(tag) => {
                let message = format!("the tag `{}`", printable(&tag.to_string()));
                Err(Refusal::new(line, message, "the value without a tag"))
            }
            None => Ok(()),
        }
    }

    fn scalar(&mut self, text: &str, style: ScalarStyle, line: usize) -> Result<(), Refusal> {
        if let Some(Open { place, content: OpenContent::Map { entries, key: key @ None } }) =
            self.open.last_mut()
        {
            if text.is_empty() || text.len() > MAX_KEY {
                let message = "a key without a name, or with a very long one";
                return Err(Refusal::new(line, message, format!("1 to {MAX_KEY} bytes")));
            }
            if let Some((_, first)) = entries.iter().find(|(name, _)| name == text) {
                let first = first.place.line().unwrap_or(line);
                let message = format!("the key stands on line {first} already");
                self.findings.add(&place.key(text, line), message, "each key once");
            }
            *key = Some((text.to_owned(), line));
            return Ok(());
        }
        let place = self.next_place(line);
        let quoted = style != ScalarStyle::Plain;
        let value = if !quoted && matches!(text, "" | "~" | "null" | "Null" | "NULL") {
            Value::Null
        } else {
            Value::Scalar { text: text.to_owned(), quoted }
        };
        self.add(Node { place, value }, line)
    }

    fn start(&mut self, content: OpenContent, line: usize) -> Result<(), Refusal> {
        if let Some(Open { content: OpenContent::Map { key: None, .. }, .. }) = self.open.last() {
            return Err(Refusal::new(line, "a list or a map as a key", "a name"));
        }
        if self.open.len() == MAX_DEPTH {
            return Err(Refusal::new(line, "is nested too deeply", format!("at most {MAX_DEPTH} levels")));
        }
        let place = self.next_place(line);
        self.open.push(Open { place, content });
        Ok(())
    }

    fn end(&mut self, line: usize) -> Result<(), Refusal> {
        let Some(Open { place, content }) = self.open.pop() else { return Ok(()) };
        let value = match content {
            OpenContent::List(items) => Value::List(items),
            OpenContent::Map { entries, .. } => Value::Map(entries),
        };
        self.add(Node { place, value }, line)
    }

    /// Where the value that comes next stands. A value of a map stands on its key's line: there a reader looks for it.
    fn next_place(&self, line: usize) -> Place {
        match self.open.last() {
            None => Place::file(self.file, Some(line)),
            Some(Open { place, content: OpenContent::List(items) }) => place.item(items.len(), line),
            Some(Open { place, content: OpenContent::Map { key, .. } }) => match key {
                Some((key, line)) => place.key(key, *line),
                None => place.clone(),
            },
        }
    }

    fn add(&mut self, node: Node, line: usize) -> Result<(), Refusal> {
        self.nodes += 1;
        if self.nodes > MAX_NODES {
            return Err(Refusal::new(line, "holds too many values", format!("at most {MAX_NODES}")));
        }
        match self.open.last_mut().map(|open| &mut open.content) {
            None => self.root = Some(node),
            Some(OpenContent::List(items)) => items.push(node),
            Some(OpenContent::Map { entries, key }) => {
                if let Some((key, _)) = key.take()
                    && entries.iter().all(|(name, _)| *name != key)
                {
                    entries.push((key, node));
                }
            }
        }
        Ok(())
    }
}
