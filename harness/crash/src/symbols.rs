//! From functions and offsets to lines of source.

use std::{
    collections::HashMap,
    fmt, fs,
    path::{Path, PathBuf},
};

use addr2line::Loader;
use measure::{Complaint, ComplaintKind, CrashReport, Frame, SourceLine};

use crate::{frame::base, title};

/// Where the sandbox that builds kernels has their source.
const SOURCE: &str = "/src/";
/// Most inlined functions of one frame.
const INLINED: usize = 16;

/// Why a kernel's symbols cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SymbolsError {
    /// `System.map` cannot be read.
    #[error("{path} cannot be read")]
    Map {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The image has no debug information that can be read.
    #[error("{path}: {reason}")]
    Image {
        /// The file.
        path: PathBuf,
        /// What the reader of DWARF said.
        reason: String,
    },
}

/// The symbols and line tables of one kernel.
pub struct Symbols {
    loader: Loader,
    /// Where the functions of each name begin, and how long they are.
    functions: HashMap<String, Vec<(u64, u64)>>,
}

impl fmt::Debug for Symbols {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Symbols").field("functions", &self.functions.len()).finish_non_exhaustive()
    }
}

impl Symbols {
    /// Those of `vmlinux`, an image with debug information, and the `System.map` of the same build.
    ///
    /// # Errors
    /// If one of them cannot be read.
    pub fn open(vmlinux: &Path, system_map: &Path) -> Result<Self, SymbolsError> {
        let map = fs::read_to_string(system_map)
            .map_err(|source| SymbolsError::Map { path: system_map.to_owned(), source })?;
        let loader = Loader::new(vmlinux)
            .map_err(|error| SymbolsError::Image { path: vmlinux.to_owned(), reason: error.to_string() })?;
        Ok(Self { loader, functions: functions(&map) })
    }

    /// The complaint about a guest that hangs and does not say where: `report` has where its CPUs are.
    #[must_use]
    pub fn hang(&self, report: &CrashReport) -> Complaint {
        let busy = report.cpus.iter().filter(|cpu| cpu.is_busy_in_kernel());
        let frames: Vec<Frame> = busy.filter_map(|cpu| self.at(cpu.address)).collect();
        hang(report, frames)
    }

    /// The function that an address is in.
    fn at(&self, address: u64) -> Option<Frame> {
        let has = |(start, size): &&(u64, u64)| (*start..start.saturating_add(*size)).contains(&address);
        let (function, (start, size)) =
            self.functions.iter().find_map(|(name, all)| Some((name, *all.iter().find(has)?)))?;
        let mut frame = Frame {
            function: function.clone(),
            offset: address - start,
            size,
            module: None,
            certain: true,
            lines: vec![],
        };
        frame.lines = self.lines(&frame, true);
        Some(frame)
    }

    /// Adds lines to the frames of a complaint, and says why where there are none.
    pub fn decode(&self, complaint: &mut Complaint) {
        for index in 0..complaint.frames.len() {
            // A return address is behind the call; the instruction that faulted is itself.
            let faulted = index == 0 && complaint.excerpt.contains("RIP: 0010:");
            let frame = &complaint.frames[index];
            let lines = self.lines(frame, faulted);
            complaint.frames[index].lines = lines;
        }
        let in_image = complaint.frames.iter().any(|frame| frame.module.is_none());
        let decoded = complaint.frames.iter().any(|frame| !frame.lines.is_empty());
        complaint.undecoded = match (complaint.frames.is_empty(), decoded, in_image) {
            (true, ..) | (_, true, _) => None,
            (_, _, false) => Some("all functions are in modules, whose symbols are not at hand".into()),
            _ => Some("the symbols are not of this kernel".into()),
        };
    }

    fn lines(&self, frame: &Frame, faulted: bool) -> Vec<SourceLine> {
        if frame.module.is_some() {
            return vec![];
        }
        // Functions of the same name are told apart by their length, as `scripts/faddr2line` does.
        let Some(candidates) = self.functions.get(&frame.function) else { return vec![] };
        let fitting: Vec<u64> =
            candidates.iter().filter(|(_, size)| *size == frame.size).map(|(start, _)| *start).collect();
        let [start] = fitting[..] else { return vec![] };
        let offset = if faulted { frame.offset } else { frame.offset.saturating_sub(1) };
        let Some(address) = start.checked_add(offset) else { return vec![] };
        let mut lines = Vec::new();
        let Ok(mut found) = self.loader.find_frames(address) else { return lines };
        while let Ok(Some(inlined)) = found.next() {
            if lines.len() == INLINED {
                break;
            }
            let function = inlined
                .function
                .as_ref()
                .and_then(|function| function.raw_name().ok().map(std::borrow::Cow::into_owned))
                .unwrap_or_else(|| frame.function.clone());
            let Some(location) = inlined.location else { continue };
            let Some(file) = location.file else { continue };
            lines.push(SourceLine { function, file: from_top(file), line: location.line.unwrap_or(0) });
        }
        lines
    }
}

/// The complaint about a guest that hangs, whose busy CPUs are in `frames`.
pub fn hang(report: &CrashReport, frames: Vec<Frame>) -> Complaint {
    let kind = ComplaintKind::Hang;
    let at = || report.cpus.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
    let title = match (frames.first(), report.cpus.as_slice()) {
        (Some(frame), _) => format!("hang in {}", base(&frame.function)),
        (None, []) => "hang: where is not known".to_owned(),
        (None, cpus) if cpus.iter().all(|cpu| cpu.halted) => "hang: every CPU is idle".to_owned(),
        (None, cpus) if cpus.iter().all(|cpu| cpu.halted || cpu.ring != 0) => "hang: in a program".to_owned(),
        (None, _) => "hang in the kernel".to_owned(),
    };
    Complaint {
        kind,
        guest: report.guest.clone(),
        fingerprint: title::fingerprint(kind, &title, &frames),
        words: if report.cpus.is_empty() {
            report.title.clone()
        } else {
            format!("{}; {}", report.title, at())
        },
        title,
        frames,
        undecoded: None,
        excerpt: report.excerpt.clone(),
        fatal: true,
        times: 1,
    }
}

/// A file's path from the top of the kernel's tree.
pub(crate) fn from_top(file: &str) -> String {
    let inside = file.split_once(SOURCE).map_or(file, |(_, inside)| inside);
    let mut parts: Vec<&str> = Vec::new();
    for part in inside.split('/') {
        match part {
            "." | "" => {}
            ".." if !parts.is_empty() => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    parts.join("/")
}

/// Functions of a `System.map`, each as long as to the next symbol, as `kallsyms` counts.
fn functions(map: &str) -> HashMap<String, Vec<(u64, u64)>> {
    let mut symbols: Vec<(u64, &str, bool)> = map
        .lines()
        .filter_map(|line| {
            let mut words = line.split(' ');
            let (address, kind, name) = (words.next()?, words.next()?, words.next()?);
            let is_code = matches!(kind, "t" | "T" | "w" | "W");
            Some((u64::from_str_radix(address, 16).ok()?, name, is_code))
        })
        .collect();
    symbols.sort_by_key(|&(address, ..)| address);
    let mut functions: HashMap<String, Vec<(u64, u64)>> = HashMap::new();
    for (index, &(address, name, is_code)) in symbols.iter().enumerate() {
        // Several symbols may have one address; the next one that has another ends them all.
        let next = symbols[index..].iter().map(|&(next, ..)| next).find(|&next| next > address);
        if let (true, Some(next)) = (is_code, next) {
            functions.entry(name.to_owned()).or_default().push((address, next - address));
        }
    }
    functions
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_end_where_the_next_symbol_begins() {
        let map = "0000000000000010 T a\n0000000000000010 t alias\n0000000000000018 d data\n0000000000000020 t a\n0000000000000040 T _etext\n";
        let functions = functions(map);
        assert_eq!(functions["a"], [(0x10, 8), (0x20, 0x20)]);
        assert_eq!(functions["alias"], [(0x10, 8)]);
        assert!(!functions.contains_key("data") && !functions.contains_key("_etext"));
    }

    #[test]
    fn files_are_named_from_the_top_of_the_tree() {
        assert_eq!(from_top("/src/net/ipv4/tcp.c"), "net/ipv4/tcp.c");
        assert_eq!(from_top("/src/./arch/x86/../include/x.h"), "arch/include/x.h");
        assert_eq!(from_top("net/core/dev.c"), "net/core/dev.c");
    }
}
