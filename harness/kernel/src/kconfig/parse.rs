//! Reading one Kconfig file after another into the definitions of options.

use std::collections::BTreeMap;

use super::expression::Expression;

/// What the Kconfig files of a tree say of its options.
#[derive(Clone, Debug, Default)]
pub(crate) struct Kconfig {
    /// An option may be defined in several places.
    pub(super) definitions: BTreeMap<String, Vec<Definition>>,
    pub(super) selects: Vec<Select>,
    choices: usize,
}

/// One definition of an option.
#[derive(Clone, Debug, Default)]
pub(super) struct Definition {
    /// All that must hold: its own `depends on`, that of what encloses it, the condition of its prompt.
    pub(super) depends: Vec<Expression>,
    /// Whether it has a prompt, so that a configuration may ask for it.
    pub(super) prompt: bool,
    /// `bool`, `tristate`, `string`, `int` or `hex`.
    pub(super) kind: Option<String>,
    /// Lowest and highest value, with a condition.
    pub(super) ranges: Vec<(Expression, Expression, Option<Expression>)>,
    /// The choice that it belongs to.
    pub(super) choice: Option<usize>,
}

/// `select` forces an option on.
#[derive(Clone, Debug)]
pub(super) struct Select {
    pub(super) by: String,
    pub(super) target: String,
    pub(super) condition: Option<Expression>,
}

/// What encloses a line: a menu, a choice, an `if`.
#[derive(Debug, Default)]
struct Block {
    depends: Vec<Expression>,
    choice: Option<usize>,
}

/// Where attributes such as `depends on` belong at this point of a file.
enum Subject {
    Nothing,
    /// The innermost block: `menu` and `choice` take attributes.
    Block,
    /// The last definition of this option.
    Option(String),
}

/// Gives the text of a sourced file; nothing if it is not to be had.
pub(super) type Loader<'a> = dyn Fn(&str) -> Option<String> + 'a;

impl Kconfig {
    /// Reads the file `path` and all that it sources. `architecture` stands for `$(SRCARCH)`.
    pub(super) fn parse(path: &str, architecture: &str, load: &Loader<'_>) -> Self {
        let mut kconfig = Self::default();
        Parser {
            kconfig: &mut kconfig,
            blocks: Vec::new(),
            architecture,
            load,
            depth: 0,
            around: 0,
            read: 0,
        }
        .file(path);
        kconfig
    }
}

/// Deeper than this, files source each other in a circle.
const MAX_DEPTH: u32 = 64;
/// Most bytes that are read, a file counting for at least [`FILE`]. A tree has some 1700 Kconfig files of together 5 MiB, each
/// of which is sourced once; two that source each other twice would be read 2 to the power of [`MAX_DEPTH`] times.
const MAX_TEXT: usize = 64 << 20;
const FILE: usize = 8 << 10;
/// What a condition counts for that an option has of a block around it: each option has a copy of each.
const CONDITION: usize = 64;

struct Parser<'a> {
    kconfig: &'a mut Kconfig,
    blocks: Vec<Block>,
    architecture: &'a str,
    load: &'a Loader<'a>,
    depth: u32,
    /// How many of the blocks are around the file.
    around: usize,
    /// Bytes that were read so far.
    read: usize,
}

impl Parser<'_> {
    fn file(&mut self, path: &str) {
        if self.depth == MAX_DEPTH || self.read > MAX_TEXT {
            return;
        }
        let text = (self.load)(path);
        self.read += text.as_ref().map_or(0, String::len).max(FILE);
        let Some(text) = text else { return };
        self.depth += 1;
        let around = std::mem::replace(&mut self.around, self.blocks.len());
        let mut subject = Subject::Nothing;
        let mut lines = text.lines().peekable();
        while let Some(line) = lines.next() {
            let mut line = line.to_owned();
            while line.ends_with('\\') {
                line.pop();
                line.push_str(lines.next().unwrap_or_default());
            }
            let line = without_comment(&line).trim();
            if line == "help" || line == "---help---" {
                skip_help(&mut lines);
            } else if !line.is_empty() {
                self.line(line, &mut subject);
            }
        }
        // A block ends in the file in which it began.
        self.blocks.truncate(self.around);
        self.around = around;
        self.depth -= 1;
    }

    fn line(&mut self, line: &str, subject: &mut Subject) {
        let (keyword, rest) =
            line.split_once(char::is_whitespace).map_or((line, ""), |(k, rest)| (k, rest.trim()));
        match keyword {
            "config" | "menuconfig" => {
                let choice = self.blocks.iter().rev().find_map(|block| block.choice);
                let conditions: usize = self.blocks.iter().map(|block| block.depends.len()).sum();
                self.read += conditions * CONDITION;
                if self.read > MAX_TEXT {
                    *subject = Subject::Nothing;
                    return;
                }
                let depends = self.blocks.iter().flat_map(|block| block.depends.clone()).collect();
                let definition = Definition { depends, choice, ..Definition::default() };
                self.kconfig.definitions.entry(rest.to_owned()).or_default().push(definition);
                *subject = Subject::Option(rest.to_owned());
            }
            "menu" => {
                self.blocks.push(Block::default());
                *subject = Subject::Block;
            }
            "choice" => {
                self.kconfig.choices += 1;
                self.blocks.push(Block { choice: Some(self.kconfig.choices), ..Block::default() });
                *subject = Subject::Block;
            }
            "if" => {
                self.blocks
                    .push(Block { depends: Expression::parse(rest).into_iter().collect(), choice: None });
                *subject = Subject::Nothing;
            }
            "endmenu" | "endchoice" | "endif" => {
                if self.blocks.len() > self.around {
                    self.blocks.pop();
                }
                *subject = Subject::Nothing;
            }
            "source" => {
                let path = rest.trim_matches('"');
                let path =
                    path.replace("$(SRCARCH)", self.architecture).replace("$SRCARCH", self.architecture);
                self.file(&path);
                *subject = Subject::Nothing;
            }
            // Its conditions hide the comment and nothing else.
            "comment" | "mainmenu" => *subject = Subject::Nothing,
            _ => self.attribute(keyword, rest, subject),
        }
    }

    fn attribute(&mut self, keyword: &str, rest: &str, subject: &Subject) {
        let (main, condition) = conditional(rest);
        let condition = condition.and_then(Expression::parse);
        match subject {
            Subject::Nothing => {}
            Subject::Block => {
                let depends = match keyword {
                    "depends" => main.strip_prefix("on").and_then(Expression::parse),
                    // Hides prompts in a menu, so that they cannot be asked for.
                    "visible" => condition,
                    "prompt" | "bool" | "tristate" => condition,
                    _ => None,
                };
                if let Some(block) = self.blocks.last_mut() {
                    block.depends.extend(depends);
                }
            }
            Subject::Option(name) => {
                if let ("select", target) = (keyword, main) {
                    let select = Select { by: name.clone(), target: target.to_owned(), condition };
                    self.kconfig.selects.push(select);
                    return;
                }
                let last =
                    self.kconfig.definitions.get_mut(name).and_then(|definitions| definitions.last_mut());
                let Some(definition) = last else { return };
                match keyword {
                    "bool" | "tristate" | "string" | "int" | "hex" => {
                        definition.kind = Some(keyword.to_owned());
                        definition.offer(main, condition);
                    }
                    "def_bool" => definition.kind = Some("bool".to_owned()),
                    "def_tristate" => definition.kind = Some("tristate".to_owned()),
                    "prompt" => definition.offer(main, condition),
                    "depends" => {
                        let Some(needed) = main.strip_prefix("on").and_then(Expression::parse) else {
                            return;
                        };
                        definition.depends.push(match condition {
                            None => needed,
                            // In `depends on A if B`, A matters only where B holds.
                            Some(condition) => Expression::Or(
                                Box::new(Expression::Not(Box::new(condition))),
                                Box::new(needed),
                            ),
                        });
                    }
                    "range" => {
                        let mut bounds = main.split_whitespace().map(Expression::parse);
                        if let (Some(Some(low)), Some(Some(high))) = (bounds.next(), bounds.next()) {
                            definition.ranges.push((low, high, condition));
                        }
                    }
                    _ => {}
                }
            }
        }
    }
}

impl Definition {
    /// Takes note of a prompt, if there is one.
    fn offer(&mut self, prompt: &str, condition: Option<Expression>) {
        if prompt.starts_with(['"', '\'']) {
            self.prompt = true;
            self.depends.extend(condition);
        }
    }
}

/// Splits `text if condition` at an `if` that is not quoted.
fn conditional(rest: &str) -> (&str, Option<&str>) {
    let (mut quote, mut previous) = (None, ' ');
    for (at, c) in rest.char_indices() {
        match quote {
            Some(open) if c == open && previous != '\\' => quote = None,
            Some(_) => {}
            None if c == '"' || c == '\'' => quote = Some(c),
            None if previous.is_whitespace() || previous == '"' => {
                if let Some(condition) =
                    rest[at..].strip_prefix("if").filter(|tail| tail.starts_with([' ', '\t', '(']))
                {
                    return (rest[..at].trim(), Some(condition.trim()));
                }
            }
            None => {}
        }
        previous = c;
    }
    (rest, None)
}

/// The line up to a `#` that is not quoted.
fn without_comment(line: &str) -> &str {
    let (mut quote, mut previous) = (None, ' ');
    for (at, c) in line.char_indices() {
        match quote {
            Some(open) if c == open && previous != '\\' => quote = None,
            Some(_) => {}
            None if c == '"' || c == '\'' => quote = Some(c),
            None if c == '#' => return &line[..at],
            None => {}
        }
        previous = c;
    }
    line
}

/// Columns before the first character; a tab goes to the next multiple of eight.
fn indentation(line: &str) -> usize {
    line.chars()
        .take_while(|c| c.is_whitespace())
        .fold(0, |column, c| if c == '\t' { column / 8 * 8 + 8 } else { column + 1 })
}

/// Skips a help text: all that is indented at least as its first line.
fn skip_help<'a>(lines: &mut std::iter::Peekable<impl Iterator<Item = &'a str>>) {
    let mut first = None;
    while let Some(line) = lines.peek() {
        if !line.trim().is_empty() {
            let indent = indentation(line);
            if indent < *first.get_or_insert(indent) || indent == 0 {
                return;
            }
        }
        lines.next();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_that_source_each_other_are_read_a_bounded_number_of_times() {
        let loads = std::cell::Cell::new(0_usize);
        let kconfig = Kconfig::parse("Kconfig", "x86", &|_| {
            loads.set(loads.get() + 1);
            Some("source \"Kconfig\"\nsource \"Kconfig\"\nconfig A\n".to_owned())
        });
        assert!(loads.get() <= MAX_TEXT / FILE + 1, "{} files were read", loads.get());
        assert!(kconfig.definitions["A"].len() <= loads.get());
    }
}
