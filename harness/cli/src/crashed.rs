//! What a guest's kernel said before its end, for whoever started the guest: decoded, and where the whole console is.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::Context;
use jiff::Timestamp;
use measure::{Complaint, CrashReport, KernelImage};

use crate::{arguments::Places, failure::Failure};

/// Lines of the console that are shown where the kernel has not said what it died of.
const LAST_LINES: usize = 20;

/// A guest that crashed, hung or stopped.
#[derive(Debug)]
pub(crate) struct Crash {
    /// As it was seen from outside.
    pub(crate) report: CrashReport,
    /// What the kernel says it died of, decoded.
    pub(crate) cause: Option<Complaint>,
    /// Where its console was kept.
    pub(crate) console: Option<PathBuf>,
}

impl From<CrashReport> for Crash {
    fn from(report: CrashReport) -> Self {
        Self { report, cause: None, console: None }
    }
}

impl Crash {
    /// Tells it on standard error: the stack with its lines of source, or the last lines of the console; the title last, where it is
    /// looked for.
    pub(crate) fn tell(&self) {
        match &self.cause {
            Some(cause) => {
                // What led to it: the lines before the kernel's first word of it.
                let before = cause.excerpt.lines().take_while(|line| !line.contains(&cause.words));
                before.for_each(|line| eprintln!("| {line}"));
                report::stack(cause).iter().for_each(|line| eprintln!("| {line}"));
            }
            None => {
                let lines: Vec<&str> = self.report.excerpt.lines().collect();
                let last = &lines[lines.len().saturating_sub(LAST_LINES)..];
                last.iter().for_each(|line| eprintln!("| {line}"));
            }
        }
        eprintln!("assay: the kernel crashed: {}", self.title());
        if let Some(console) = &self.console {
            eprintln!("assay: its whole console: {}", console.display());
        }
    }

    /// One line; the same for the same crash of another boot where the kernel said what it was.
    pub(crate) fn title(&self) -> &str {
        self.cause.as_ref().map_or(&self.report.title, |cause| &cause.title)
    }
}

/// What became of a guest's console.
#[derive(Debug)]
pub(crate) struct Consoles<'a> {
    /// Where the guest's process left it.
    pub(crate) folder: &'a Path,
    /// The guest that the user asked for; another one may crash.
    pub(crate) guest: &'a str,
    /// What it booted.
    pub(crate) image: &'a KernelImage,
    /// Where the user wants to have it.
    pub(crate) wanted: Option<&'a Path>,
}

impl Consoles<'_> {
    /// Keeps the console where it was asked for.
    pub(crate) fn keep(&self) -> Result<(), Failure> {
        match self.wanted {
            Some(path) => copy(self.folder, self.guest, path),
            None => Ok(()),
        }
    }

    /// Puts together what is known of a crash, and keeps the console: where it was asked for, else beside the runs.
    pub(crate) fn explain(&self, report: CrashReport, places: &Places) -> Result<Crash, Failure> {
        let mut complaints = self.complaints(Some(&report));
        let console = match self.wanted {
            Some(path) => path.to_owned(),
            None => {
                let name = format!(
                    "{}-{}.console.log",
                    Timestamp::now().strftime("%Y%m%d-%H%M%S"),
                    std::process::id()
                );
                places.results.join("crashes").join(name)
            }
        };
        copy(self.folder, &report.guest, &console)?;
        let fatal = complaints.iter().position(|complaint| complaint.fatal);
        Ok(Crash { report, cause: fatal.map(|index| complaints.swap_remove(index)), console: Some(console) })
    }

    /// Tells what the kernel complained about and lived on.
    pub(crate) fn tell_survived(&self) {
        for complaint in self.complaints(None) {
            report::stack(&complaint).iter().for_each(|line| eprintln!("| {line}"));
            let times =
                if complaint.times > 1 { format!(" ({} times)", complaint.times) } else { String::new() };
            eprintln!("assay: the kernel complained, and went on: {}{times}", complaint.title);
        }
    }

    /// A console that cannot be read is told as what it is by whoever keeps it.
    fn complaints(&self, crash: Option<&CrashReport>) -> Vec<Complaint> {
        runner::complaints(self.folder, &|_| Some(self.image), crash, &mut vec![]).unwrap_or_default()
    }
}

/// Copies a guest's console.
fn copy(folder: &Path, guest: &str, to: &Path) -> Result<(), Failure> {
    if let Some(parent) = to.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        fs::create_dir_all(parent).with_context(|| format!("creating {}", parent.display()))?;
    }
    fs::copy(folder.join(format!("{guest}.console.log")), to)
        .with_context(|| format!("keeping the console in {}", to.display()))?;
    Ok(())
}
