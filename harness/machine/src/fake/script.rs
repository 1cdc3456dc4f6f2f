//! The script of a fake machine.

use std::{collections::BTreeMap, path::Path};

use serde::Deserialize;

/// A fake machine's script: a JSON file.
///
/// ```json
/// {
///   "release": "6.12.0-fake",
///   "seed": 1,
///   "files": { "/proc/cmdline": { "text": "console=ttyS0\n" }, "/proc/stat": { "file": "stat.txt" } },
///   "files_after": { "/proc/stat": { "file": "stat-later.txt" } },
///   "commands": [
///     { "match": ["iperf3", "-s"], "until_killed": true },
///     { "match": ["iperf3"], "stdout": { "file": "iperf3.json" }, "delay_ms": 5,
///       "noise": 0.01, "numbers": [{ "pointer": "/end/sum_received/bits_per_second" }] }
///   ],
///   "words": { "mitigations=auto": 0.9 },
///   "kernels": {
///     "slow": { "factor": 0.9 },
///     "panics": { "boot": { "outcome": "stops", "console": { "text": "Kernel panic - not syncing: x\n" } } }
///   }
/// }
/// ```
///
/// A command is answered by the first entry whose `match` is the beginning of its argv (the program's file name
/// counts); a command that no entry matches fails as one that is not installed. Files that are not listed do not exist;
/// those in `files_after` are read instead of those in `files` by snapshots after a command. Sources of snapshots that are
/// no files, such as `clock:monotonic`, are listed like files. Paths of `file` are relative to the script.
///
/// The arm is told by the kernel image: the trimmed text of that file is looked up in `kernels`; an image that is not
/// listed there behaves like `{}`. `factor` multiplies the `numbers` of every command, and so does that of every word of
/// `words` that the arm has on the kernel's command line; `noise` adds to it a relative
/// error drawn evenly from `-noise` to `+noise`, the same for all numbers of one answer, seeded by `seed`, the kernel
/// and the trial.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Script {
    /// What `uname -r` says.
    pub(super) release: String,
    #[serde(default)]
    pub(super) seed: u64,
    /// Files in the guest.
    #[serde(default)]
    pub(super) files: BTreeMap<String, Content>,
    /// Files that are different after a command.
    #[serde(default)]
    pub(super) files_after: BTreeMap<String, Content>,
    /// The kernel's log.
    #[serde(default)]
    pub(super) kernel_log: Content,
    #[serde(default)]
    pub(super) commands: Vec<Command>,
    /// Factors of words on the command line.
    #[serde(default)]
    pub(super) words: BTreeMap<String, f64>,
    /// What differs between kernel images, by the image's trimmed text.
    #[serde(default)]
    pub(super) kernels: BTreeMap<String, Kernel>,
}

/// Something that is written: here, or in a file beside the script.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Content {
    Text(String),
    File(String),
}

impl Default for Content {
    fn default() -> Self {
        Self::Text(String::new())
    }
}

/// How a command is answered.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Command {
    /// The beginning of its argv.
    #[serde(rename = "match")]
    pub(super) argv: Vec<String>,
    #[serde(default)]
    pub(super) stdout: Content,
    #[serde(default)]
    pub(super) stderr: Content,
    /// Exit status.
    #[serde(default)]
    pub(super) exit: i32,
    /// How long it takes.
    #[serde(default)]
    pub(super) delay_ms: u64,
    /// A server: it ends when it is killed, or when its deadline passes.
    #[serde(default)]
    pub(super) until_killed: bool,
    /// The machine crashes in the middle of it: written to the console, after which the machine stops.
    #[serde(default)]
    pub(super) crash: Option<Content>,
    /// Relative error of its numbers.
    #[serde(default)]
    pub(super) noise: f64,
    /// Numbers in its standard output that factor and noise apply to.
    #[serde(default)]
    pub(super) numbers: Vec<Number>,
}

/// Where a number is.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Number {
    /// In JSON, by its pointer (RFC 6901).
    Pointer(String),
    /// In text: the first number after every occurrence of this.
    After(String),
}

/// What is particular to a kernel image.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Kernel {
    #[serde(default)]
    pub(super) boot: Outcome,
    #[serde(default = "one")]
    pub(super) factor: f64,
    /// Answers that come before the script's own.
    #[serde(default)]
    pub(super) commands: Vec<Command>,
}

fn one() -> f64 {
    1.0
}

impl Default for Kernel {
    fn default() -> Self {
        Self { boot: Outcome::default(), factor: one(), commands: Vec::new() }
    }
}

/// How a boot goes.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(tag = "outcome", rename_all = "kebab-case", deny_unknown_fields)]
pub(super) enum Outcome {
    /// The agent answers.
    #[default]
    Ready,
    /// Writes this to the console and stops: at every boot of a trial, or at the first so many of them.
    Stops {
        console: Content,
        #[serde(default)]
        times: Option<usize>,
    },
    /// Writes this to the console and never answers.
    Hangs {
        #[serde(default)]
        console: Content,
    },
    /// The agent answers, and means ill.
    Hostile { does: Hostility },
}

/// What a hostile guest does. All but the last two say that they are ready, and answer as the script says until then.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Hostility {
    /// Answers with bytes that are no frame.
    Garbage,
    /// Announces a frame of 4 GiB.
    Oversize,
    /// Answers every request with output that does not end.
    Endless,
    /// Answers with the beginning of a frame, and keeps the rest.
    Half,
    /// Answers one byte at a time, with seconds between them.
    Drip,
    /// Reads requests and answers none.
    Mute,
    /// Reads nothing.
    Deaf,
    /// Answers every request twice, and many that nobody made.
    Echo,
    /// Answers every request under another one's number.
    Astray,
    /// Answers well, and does not power off.
    Stays,
    /// Writes to its console as fast as it can, and answers nothing.
    Floods,
    /// Says with escape sequences and 500 KiB of them that it is ready, and fails every request in the same tone.
    Loud,
}

impl Script {
    /// Reads a script, with every file it names.
    pub(super) fn load(path: &Path) -> Result<Self, String> {
        let text = std::fs::read_to_string(path).map_err(|error| error.to_string())?;
        let mut script: Self = serde_json::from_str(&text).map_err(|error| error.to_string())?;
        let commands = script.kernels.values().flat_map(|kernel| &kernel.commands).chain(&script.commands);
        let is_empty = |number: &Number| matches!(number, Number::After(words) if words.is_empty());
        if commands.flat_map(|command| &command.numbers).any(is_empty) {
            return Err("`after` is empty: every place is after nothing".to_owned());
        }
        let folder = path.parent().unwrap_or(Path::new("."));
        script.contents(&mut |content| content.resolve(folder))?;
        Ok(script)
    }

    fn contents(&mut self, act: &mut impl FnMut(&mut Content) -> Result<(), String>) -> Result<(), String> {
        let files = self.files.values_mut().chain(self.files_after.values_mut());
        for content in files.chain([&mut self.kernel_log]) {
            act(content)?;
        }
        for kernel in self.kernels.values_mut() {
            if let Outcome::Stops { console, .. } | Outcome::Hangs { console } = &mut kernel.boot {
                act(console)?;
            }
        }
        let commands = self.kernels.values_mut().flat_map(|kernel| &mut kernel.commands);
        for command in commands.chain(&mut self.commands) {
            act(&mut command.stdout)?;
            act(&mut command.stderr)?;
            if let Some(crash) = &mut command.crash {
                act(crash)?;
            }
        }
        Ok(())
    }
}

impl Content {
    /// Replaces a file's name by what it contains.
    fn resolve(&mut self, folder: &Path) -> Result<(), String> {
        if let Self::File(name) = self {
            let path = folder.join(&*name);
            let text = std::fs::read_to_string(&path);
            *self = Self::Text(text.map_err(|error| format!("reading `{}`: {error}", path.display()))?);
        }
        Ok(())
    }

    /// What is written. Names of files were replaced when the script was loaded.
    pub(super) fn text(&self) -> &str {
        match self {
            Self::Text(text) | Self::File(text) => text,
        }
    }
}

impl Command {
    /// Whether it answers this argv.
    pub(super) fn answers(&self, argv: &[String]) -> bool {
        let Some((program, arguments)) = argv.split_first() else { return false };
        let program = program.rsplit('/').next().unwrap_or(program);
        let given = std::iter::once(program).chain(arguments.iter().map(String::as_str));
        self.argv.len() <= argv.len() && self.argv.iter().map(String::as_str).eq(given.take(self.argv.len()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_matched_by_the_beginning_of_its_argv() {
        let command = Command { argv: vec!["iperf3".into(), "-s".into()], ..Command::default() };
        let answers =
            |argv: &[&str]| command.answers(&argv.iter().map(|&word| word.to_owned()).collect::<Vec<_>>());
        assert!(answers(&["iperf3", "-s", "-1"]));
        assert!(answers(&["/usr/bin/iperf3", "-s"]));
        assert!(!answers(&["iperf3"]));
        assert!(!answers(&["iperf3", "-c"]));
        assert!(!answers(&[]));
    }

    #[test]
    fn a_mistake_in_a_script_is_told_in_words() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("script.json");
        std::fs::write(&path, r#"{"release": "x", "comands": []}"#).unwrap();
        assert!(Script::load(&path).unwrap_err().contains("comands"));
        std::fs::write(&path, r#"{"release": "x", "commands": [{"match": [], "numbers": [{"after": ""}]}]}"#)
            .unwrap();
        assert!(Script::load(&path).unwrap_err().contains("`after` is empty"));
        std::fs::write(&path, r#"{"release": "x", "files": {"/a": {"file": "absent.txt"}}}"#).unwrap();
        assert!(Script::load(&path).unwrap_err().contains("absent.txt"));
    }
}
