//! The file of counts.

use serde::{Deserialize, Deserializer};

use crate::Class;

/// The newest version that is understood.
const VERSION: u32 = 2;

/// Most instructions of all windows together, and most string accesses and bytes: 200 days of four thousand million a second.
/// Whatever is added up of them, bytes of elements included, stays within 64 bits.
const MOST: u64 = 1 << 56;

/// Whose work the kernel did, as its `preempt_count` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Context {
    /// System calls, faults, kernel threads.
    Task,
    /// The CPU's idle task.
    Idle,
    /// A softirq is served. Code that only disables softirqs is not in here.
    Softirq,
    /// An interrupt is served.
    Hardirq,
    /// A non-maskable interrupt is served.
    Nmi,
}

impl Context {
    /// All of them, in the order of tables.
    pub const ALL: [Self; 5] = [Self::Task, Self::Softirq, Self::Hardirq, Self::Nmi, Self::Idle];

    /// As it is written.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Task => "task",
            Self::Idle => "idle",
            Self::Softirq => "softirq",
            Self::Hardirq => "hardirq",
            Self::Nmi => "nmi",
        }
    }
}

/// A whole file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Counts {
    /// How many vCPUs the machine had.
    pub vcpus: u32,
    /// Instructions from one sample of a stack to the next; or why none was taken.
    pub sampled: Result<u32, String>,
    /// In the order in which they ended.
    pub windows: Vec<Window>,
    /// The machine ended within this window: nothing is known of it.
    pub unfinished: Option<u64>,
    /// QEMU ended by itself. Without it the file ends somewhere, and so does the last window.
    pub powered_off: bool,
}

/// What was executed in one window.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Window {
    /// The number that the workload gave it.
    pub number: u64,
    /// Kernel code.
    pub code: Vec<Code>,
    /// String instructions of the kernel, which are in `code` as well.
    pub strings: Vec<StringCounts>,
    /// User space.
    pub programs: Vec<Program>,
    /// Stacks that were sampled. They are no counts, and in no sum.
    pub stacks: Vec<Stack>,
    /// All instructions, as TCG counts them: the sum of `code` and `programs`.
    pub executed: u64,
    /// What makes the counts doubtful.
    pub oddities: Vec<String>,
}

/// A stretch of kernel code without a gap, executed by one vCPU in one context.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Code {
    /// Which vCPU.
    pub vcpu: u32,
    /// In which context.
    pub context: Context,
    /// The first instruction's address.
    #[serde(deserialize_with = "address")]
    pub at: u64,
    /// Bytes of each instruction.
    pub length: Vec<u8>,
    /// What each does.
    pub class: Vec<Class>,
    /// How often each was executed. Iterations of string instructions count, and the pass that finds nothing left to do.
    pub count: Vec<u64>,
}

impl Code {
    /// Each instruction: its address, its class, how often it was executed.
    pub fn instructions(&self) -> impl Iterator<Item = (u64, Class, u64)> + '_ {
        let addresses = self.length.iter().scan(self.at, |next, length| {
            let address = *next;
            *next = next.wrapping_add((*length).into());
            Some(address)
        });
        addresses.zip(&self.class).zip(&self.count).map(|((address, class), count)| (address, *class, *count))
    }
}

/// A string instruction of the kernel on one vCPU in one context.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StringCounts {
    /// Which vCPU.
    pub vcpu: u32,
    /// In which context.
    pub context: Context,
    /// Its address.
    #[serde(deserialize_with = "address")]
    pub at: u64,
    /// Such as `rep movsb`.
    pub name: String,
    /// Bytes of an element.
    pub element: u8,
    /// Accesses of elements: one an iteration, two where strings are compared.
    pub accesses: u64,
}

impl StringCounts {
    /// Iterations that did something.
    #[must_use]
    pub fn iterations(&self) -> u64 {
        if self.name.contains("cmps") { self.accesses / 2 } else { self.accesses }
    }

    /// Bytes that were copied, set, read or compared.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.iterations() * u64::from(self.element)
    }
}

/// The user space of all tasks of one name on one vCPU.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Program {
    /// Which vCPU.
    pub vcpu: u32,
    /// The tasks' name, at most 15 bytes; `(boot)` before there were tasks.
    pub name: String,
    /// Instructions that are no string instructions.
    pub insns: u64,
    /// Passes through string instructions: iterations, and those that find nothing left to do.
    pub string_passes: u64,
    /// Bytes that they handled.
    pub string_bytes: u64,
}

/// A stack that was sampled.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stack {
    /// On which vCPU.
    pub vcpu: u32,
    /// In which context; none is user space.
    #[serde(deserialize_with = "context_or_user")]
    pub context: Option<Context>,
    /// The task's name.
    pub program: String,
    /// It was followed to where the kernel was entered.
    pub complete: bool,
    /// How often it was seen.
    pub samples: u64,
    /// First addresses of functions, innermost first.
    #[serde(deserialize_with = "addresses")]
    pub functions: Vec<u64>,
}

/// Why a file is not understood.
#[derive(Debug, thiserror::Error)]
pub enum CountsError {
    /// No file of the plugin's.
    #[error("no file of instruction counts: it begins with `{begins}`")]
    Foreign {
        /// Its first characters.
        begins: String,
    },
    /// A later Assay's.
    #[error("instruction counts of version {found}; up to {VERSION} is understood")]
    Newer {
        /// Its version.
        found: u32,
    },
    /// Damaged or cut off.
    #[error("line {line} of the instruction counts")]
    Line {
        /// From 1.
        line: usize,
        /// What is wrong with it.
        #[source]
        source: serde_json::Error,
    },
    /// A line where it does not belong, or lists of different lengths.
    #[error("line {line} of the instruction counts: {problem}")]
    Inconsistent {
        /// From 1.
        line: usize,
        /// What is wrong with it.
        problem: String,
    },
}

#[derive(Deserialize)]
struct Header {
    version: u32,
    vcpus: u32,
    sample: Option<u32>,
    no_stacks: Option<String>,
}

#[derive(Deserialize)]
struct End {
    window: u64,
    executed: u64,
    oddities: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Line {
    Insncount(Header),
    Begin(u64),
    Code(Code),
    String(StringCounts),
    Program(Program),
    Stack(Stack),
    End(End),
    Unfinished(u64),
    PoweredOff(bool),
}

impl Counts {
    /// Understands a file.
    ///
    /// # Errors
    /// If it is another kind of file, newer, damaged, or if the rows of a window do not add up to what the plugin says it
    /// counted. A window without its end, since QEMU was killed, is left out.
    pub fn read(text: &str) -> Result<Self, CountsError> {
        let mut lines = text.lines().enumerate().map(|(index, line)| (index + 1, line));
        let foreign = || CountsError::Foreign { begins: text.chars().take(40).collect() };
        let Some(Ok(Line::Insncount(header))) = lines.next().map(|(_, line)| serde_json::from_str(line))
        else {
            return Err(foreign());
        };
        if header.version > VERSION {
            return Err(CountsError::Newer { found: header.version });
        }
        let sampled = match (header.sample, header.no_stacks) {
            (Some(every), _) => Ok(every),
            (None, Some(why)) => Err(why),
            (None, None) => Err("no stack was sampled".to_owned()),
        };
        let mut counts =
            Self { vcpus: header.vcpus, sampled, windows: vec![], unfinished: None, powered_off: false };
        let mut open: Option<Window> = None;
        let (mut all, mut all_handled, mut all_samples) = (0, 0, 0);
        let mut lines = lines.peekable();
        while let Some((number, line)) = lines.next() {
            let inconsistent = |problem: String| CountsError::Inconsistent { line: number, problem };
            let line = match serde_json::from_str(line) {
                Ok(line) => line,
                // QEMU was killed while it wrote.
                Err(_) if lines.peek().is_none() && !text.ends_with('\n') => break,
                Err(source) => return Err(CountsError::Line { line: number, source }),
            };
            match (line, &mut open) {
                (Line::Begin(number), None) => open = Some(Window { number, ..Window::default() }),
                (Line::Code(code), Some(window)) => {
                    if code.length.len() != code.count.len() || code.class.len() != code.count.len() {
                        return Err(inconsistent("lists of different lengths".to_owned()));
                    }
                    window.code.push(code);
                }
                (Line::String(string), Some(window)) => window.strings.push(string),
                (Line::Program(program), Some(window)) => window.programs.push(program),
                (Line::Stack(stack), Some(window)) => window.stacks.push(stack),
                (Line::End(end), Some(window)) => {
                    (window.executed, window.oddities) = (end.executed, end.oddities);
                    let add = |sum: u64, more: Option<u64>| {
                        let sum = more.and_then(|more| sum.checked_add(more)).filter(|sum| *sum <= MOST);
                        sum.ok_or_else(|| inconsistent("more than any machine executes".to_owned()))
                    };
                    let sum = add(0, window.sum())?;
                    all = add(all, Some(sum))?;
                    all_handled = add(all_handled, window.handled())?;
                    all_samples = add(all_samples, window.samples())?;
                    if window.number != end.window || sum != end.executed {
                        return Err(inconsistent(format!(
                            "window {} has {sum} instructions, and ends as window {} with {}",
                            window.number, end.window, end.executed
                        )));
                    }
                    counts.windows.extend(open.take());
                }
                (Line::Unfinished(number), None) => counts.unfinished = Some(number),
                (Line::PoweredOff(powered_off), None) => counts.powered_off = powered_off,
                _ => return Err(inconsistent("it does not belong here".to_owned())),
            }
        }
        Ok(counts)
    }
}

impl Window {
    /// Instructions; nothing if they are more than can be counted.
    fn sum(&self) -> Option<u64> {
        let code = self.code.iter().flat_map(|code| code.count.iter().copied());
        let programs = self.programs.iter().flat_map(|program| [program.insns, program.string_passes]);
        checked_sum(code.chain(programs))
    }

    /// What string instructions did: accesses of the kernel's, bytes of programs'.
    fn handled(&self) -> Option<u64> {
        let accesses = self.strings.iter().map(|string| string.accesses);
        checked_sum(accesses.chain(self.programs.iter().map(|program| program.string_bytes)))
    }

    fn samples(&self) -> Option<u64> {
        checked_sum(self.stacks.iter().map(|stack| stack.samples))
    }
}

/// A context's name, or `user`.
fn context_or_user<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Context>, D::Error> {
    let name = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
    let known = Context::ALL.into_iter().find(|context| context.name() == name);
    match known {
        None if name != "user" => Err(serde::de::Error::custom(format!("`{name}` is no context"))),
        known => Ok(known),
    }
}

fn addresses<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u64>, D::Error> {
    let list = <Vec<std::borrow::Cow<'de, str>>>::deserialize(deserializer)?;
    list.iter().map(|text| hexadecimal(text).map_err(serde::de::Error::custom)).collect()
}

fn hexadecimal(text: &str) -> Result<u64, std::num::ParseIntError> {
    u64::from_str_radix(text.strip_prefix("0x").unwrap_or(text), 16)
}

fn checked_sum(mut counts: impl Iterator<Item = u64>) -> Option<u64> {
    counts.try_fold(0, u64::checked_add)
}

fn address<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
    hexadecimal(&text).map_err(serde::de::Error::custom)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: &str = r#"{"insncount":{"version":1,"plugin_api":7,"vcpus":1,"whole":false}}"#;
    const WINDOW: &str = r#"{"begin":1}
{"code":{"vcpu":0,"context":"softirq","at":"0xffffffff81002530","length":[4,1],"class":[0,4],"count":[43,42]}}
{"string":{"vcpu":0,"context":"task","at":"0xffffffff819905db","name":"rep stosb","element":1,"accesses":98}}
{"program":{"vcpu":0,"name":"init","insns":10,"string_passes":3,"string_bytes":2}}
{"end":{"window":1,"executed":98,"oddities":[]}}
"#;

    #[test]
    fn a_window_is_read_as_it_was_written() {
        let counts = Counts::read(&format!("{HEADER}\n{WINDOW}{{\"powered_off\":true}}\n")).unwrap();
        assert!(counts.powered_off);
        let [window] = &counts.windows[..] else { panic!("{counts:?}") };
        assert_eq!(window.executed, 98);
        let instructions: Vec<_> = window.code[0].instructions().collect();
        assert_eq!(
            instructions,
            [(0xffff_ffff_8100_2530, Class(0), 43), (0xffff_ffff_8100_2534, Class(4), 42)]
        );
        assert_eq!(window.strings[0].bytes(), 98);
    }

    #[test]
    fn stacks_are_beside_the_counts_and_in_no_sum() {
        let stack = r#"{"stack":{"vcpu":0,"context":"user","program":"init","complete":true,"samples":3,"functions":[]}}
{"stack":{"vcpu":0,"context":"softirq","program":"init","complete":false,"samples":1,"functions":["0xffffffff81002530","0x1"]}}
{"end""#;
        let header = HEADER.replace("\"version\":1", "\"version\":2,\"sample\":20011");
        let text = format!("{header}\n{}", WINDOW.replace("{\"end\"", stack));
        let counts = Counts::read(&text).unwrap();
        assert_eq!((counts.sampled, counts.windows[0].executed), (Ok(20_011), 98));
        let [user, kernel] = &counts.windows[0].stacks[..] else { panic!("two stacks") };
        assert_eq!((user.context, user.samples, user.complete), (None, 3, true));
        assert_eq!(
            (kernel.context, &kernel.functions[..]),
            (Some(Context::Softirq), &[0xffff_ffff_8100_2530, 1][..])
        );
        let wrong = text.replace("\"softirq\",\"program\"", "\"hardly\",\"program\"");
        assert!(Counts::read(&wrong).is_err());
        let header = HEADER.replace("\"whole\"", "\"no_stacks\":\"k: no ORC\",\"whole\"");
        assert_eq!(Counts::read(&header).unwrap().sampled, Err("k: no ORC".to_owned()));
    }

    #[test]
    fn what_was_cut_off_is_left_out_and_what_does_not_add_up_is_refused() {
        let cut = format!("{HEADER}\n{WINDOW}{}", WINDOW.split_at(120).0);
        let counts = Counts::read(&cut).unwrap();
        assert_eq!(counts.windows.len(), 1);
        assert!(!counts.powered_off);
        let wrong = format!("{HEADER}\n{}", WINDOW.replace("42]", "41]"));
        assert!(Counts::read(&wrong).unwrap_err().to_string().contains("has 97 instructions"));
        let damaged = format!("{HEADER}\n{}", WINDOW.replace("\"count\"", "\"cuont\""));
        assert!(matches!(Counts::read(&damaged), Err(CountsError::Line { line: 3, .. })));
    }

    #[test]
    fn what_cannot_be_added_up_is_refused() {
        let large = |count: u64| {
            let window = WINDOW
                .replace("\"count\":[43,42]", &format!("\"count\":[{count},{count}]"))
                .replace("98,\"odd", &format!("{},\"odd", count.saturating_mul(2).saturating_add(13)));
            format!("{HEADER}\n{window}")
        };
        assert!(Counts::read(&large(1 << 54)).is_ok());
        for count in [1 << 56, u64::MAX] {
            let error = Counts::read(&large(count)).unwrap_err();
            assert!(error.to_string().ends_with("more than any machine executes"), "{error}");
        }
        let strings =
            format!("{HEADER}\n{}", WINDOW.replace("\"accesses\":98", "\"accesses\":18446744073709551615"));
        assert!(Counts::read(&strings).is_err());
        let often = format!("{}{}", large(1 << 54), large(1 << 54).split_once('\n').unwrap().1);
        assert!(Counts::read(&often).is_err(), "what a file's windows have is added up");
    }

    #[test]
    fn other_files_and_newer_ones_are_refused() {
        assert!(matches!(Counts::read("hello"), Err(CountsError::Foreign { .. })));
        assert!(matches!(Counts::read(""), Err(CountsError::Foreign { .. })));
        let newer = HEADER.replace("\"version\":1", "\"version\":3");
        assert!(matches!(Counts::read(&newer), Err(CountsError::Newer { found: 3 })));
    }
}
