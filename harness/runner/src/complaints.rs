//! What the kernels of a trial complained about, with lines of source where the symbols are at hand.

use std::{fs, io, path::Path};

use crash::Symbols;
use measure::{Complaint, CrashKind, CrashReport, KernelImage};

/// What kernels complained about on the consoles that guests left in `folder` (`GUEST.console.log`), with lines of source.
/// `image` tells which kernel a guest booted, by the guest's name, `crash` how one of them ended. What is not read goes to `unavailable`.
///
/// # Errors
/// If the consoles cannot be read.
pub fn complaints<'i>(
    folder: &Path,
    image: &dyn Fn(&str) -> Option<&'i KernelImage>,
    crash: Option<&CrashReport>,
    unavailable: &mut Vec<String>,
) -> io::Result<Vec<Complaint>> {
    let mut consoles = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().and_then(|name| name.to_str());
        if let Some(guest) = name.and_then(|name| name.strip_suffix(".console.log")) {
            consoles.push((guest.to_owned(), path));
        }
    }
    consoles.sort();
    let mut complaints = Vec::new();
    for (guest, path) in consoles {
        let console = fs::read(path)?;
        if console.len() > crash::MOST_READ {
            unavailable.push(format!(
                "complaints of {guest}'s kernel in the middle of its console: it is longer than the {} MiB that are read",
                crash::MOST_READ >> 20
            ));
        }
        complaints.extend(crash::read(&guest, &console));
    }
    if let Some(report) = crash {
        mark_fatal(&mut complaints, report);
    }
    decode(&mut complaints, image, crash);
    Ok(complaints)
}

/// A kernel that reports a stall lives on; the machine is ended because of it.
fn mark_fatal(complaints: &mut [Complaint], report: &CrashReport) {
    let of_guest = || |complaint: &&mut Complaint| complaint.guest == report.guest;
    if complaints.iter_mut().filter(of_guest()).all(|complaint| !complaint.fatal)
        && let Some(cause) =
            complaints.iter_mut().filter(of_guest()).find(|complaint| complaint.words == report.title)
    {
        cause.fatal = true;
    }
}

/// Symbols that cannot be read leave a complaint as the kernel told it, with the reason.
fn decode<'i>(
    complaints: &mut Vec<Complaint>,
    image: &dyn Fn(&str) -> Option<&'i KernelImage>,
    crash: Option<&CrashReport>,
) {
    // Of a guest that hung without a word, somebody else says where.
    let silent = crash.filter(|report| {
        matches!(report.kind, CrashKind::BootHang | CrashKind::Hang)
            && !complaints.iter().any(|complaint| complaint.fatal && complaint.guest == report.guest)
    });
    if silent.is_none() && complaints.iter().all(|complaint| complaint.frames.is_empty()) {
        return;
    }
    // Guests mostly have the same kernel, whose symbols take a while to read.
    let mut opened: Vec<(Option<&Path>, Result<Symbols, String>)> = Vec::new();
    let mut of = |guest: &str| {
        let files =
            image(guest).and_then(|image| Some((image.vmlinux.as_ref()?, image.system_map.as_ref()?)));
        let key = files.map(|(vmlinux, _)| vmlinux.as_path());
        match opened.iter().position(|(known, _)| *known == key) {
            Some(position) => position,
            None => {
                let symbols = match files {
                    Some((vmlinux, map)) => Symbols::open(vmlinux, map).map_err(|error| chain(&error)),
                    None => Err("the kernel came without symbols and System.map".to_owned()),
                };
                opened.push((key, symbols));
                opened.len() - 1
            }
        }
    };
    let guests: Vec<usize> = complaints.iter().map(|complaint| of(&complaint.guest)).collect();
    let hung = silent.map(|report| (report, of(&report.guest)));
    for (complaint, symbols) in complaints.iter_mut().zip(guests) {
        if complaint.frames.is_empty() {
            continue;
        }
        match &opened[symbols].1 {
            Ok(symbols) => symbols.decode(complaint),
            Err(reason) => complaint.undecoded = Some(reason.clone()),
        }
    }
    complaints.extend(hung.map(|(report, symbols)| match &opened[symbols].1 {
        Ok(symbols) => symbols.hang(report),
        Err(reason) => Complaint { undecoded: Some(reason.clone()), ..crash::hang(report, vec![]) },
    }));
}

fn chain(error: &dyn std::error::Error) -> String {
    std::iter::successors(Some(error), |error| error.source())
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(": ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_guests_console_is_read_and_what_cannot_be_decoded_says_why() {
        let folder = tempfile::tempdir().expect("a folder");
        let oops = include_bytes!("../../../tests/fixtures/console/oops-null-pointer.txt");
        fs::write(folder.path().join("server.console.log"), oops).expect("written");
        fs::write(
            folder.path().join("client.console.log"),
            include_bytes!("../../../tests/fixtures/console/soft-lockup.txt"),
        )
        .expect("written");
        fs::write(folder.path().join("server.stderr.log"), oops).expect("written");
        let report = CrashReport {
            kind: measure::CrashKind::Stall,
            guest: "client".into(),
            title: "watchdog: BUG: soft lockup - CPU#0 stuck for 26s! [busybox:43]".into(),
            excerpt: String::new(),
            cpus: vec![],
        };
        let mut unavailable = Vec::new();
        let complaints =
            complaints(folder.path(), &|_| None, Some(&report), &mut unavailable).expect("readable");
        assert!(unavailable.is_empty());
        assert_eq!(complaints.len(), 2);
        // No panic says so: it is the one for which the machine was ended.
        assert_eq!((complaints[0].guest.as_str(), complaints[0].fatal), ("client", true));
        let complaints = &complaints[1..];
        assert_eq!(complaints[0].guest, "server");
        assert_eq!(
            complaints[0].undecoded.as_deref(),
            Some("the kernel came without symbols and System.map")
        );
    }
}
