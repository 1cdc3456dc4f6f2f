//! The machine's own Debian archive: packages resolved, fetched and unpacked for real.

use std::fs;
use std::path::{Path, PathBuf};

use debian::{DebianError, Event, Packages, Request, Reuse, Wanted};
use subprocess::Supervisor;

/// A folder that keeps lists and packages between runs.
const MIRROR: &str = "ASSAY_TEST_MIRROR";

/// The packages of the folder that the variable names; `None`, with a word why, where it is not set.
fn packages() -> Option<Packages> {
    let Some(folder) = std::env::var_os(MIRROR).map(PathBuf::from) else {
        eprintln!(
            "skipped: {MIRROR}=FOLDER allows fetching packages from the machine's Debian mirror into FOLDER"
        );
        assert!(std::env::var_os("ASSAY_TEST_REQUIRE").is_none(), "a required test would be skipped");
        return None;
    };
    Some(Packages::open(&folder, &Supervisor::for_tests()).expect("the folder can be used"))
}

fn request(suites: &[&str], packages: &[Wanted]) -> Request {
    Request {
        suites: suites.iter().map(|suite| (*suite).to_owned()).collect(),
        packages: packages.to_vec(),
        with_dependencies: false,
        recommends: false,
        omit: Vec::new(),
    }
}

/// What was told besides that another test held the folder's lock: they run side by side.
fn but_waiting(mut events: Vec<Event>) -> Vec<Event> {
    events.retain(|event| !matches!(event, Event::Waiting { .. }));
    events
}

#[test]
fn a_package_is_resolved_fetched_and_unpacked() {
    let Some(packages) = packages() else { return };
    let request = request(&["bookworm"], &[Wanted::new("busybox-static")]);

    let resolved = packages.resolve(&request).unwrap();
    assert_eq!(resolved.len(), 1);
    assert_eq!((resolved[0].name.as_str(), resolved[0].architecture.as_str()), ("busybox-static", "amd64"));
    assert_eq!(packages.resolve(&request).unwrap(), resolved);

    let files = packages.fetch(&resolved, &mut |_| {}).unwrap();
    assert_eq!(fs::metadata(&files[0]).unwrap().len(), resolved[0].bytes);
    let mut events = Vec::new();
    packages.fetch(&resolved, &mut |event| events.push(event)).unwrap();
    assert_eq!(but_waiting(events), [], "fetched again");

    let into = tempfile::tempdir().unwrap();
    debian::unpack(&files, into.path(), &Supervisor::for_tests()).unwrap();
    // This suite's package has it in /bin.
    assert!(into.path().join("usr/bin/busybox").is_file());
    assert!(into.path().join("bin").is_symlink());
}

#[test]
fn a_damaged_file_in_the_pool_is_fetched_again() {
    let Some(packages) = packages() else { return };
    // One that no other test of this file uses: they run side by side.
    let resolved = packages.resolve(&request(&["bookworm"], &[Wanted::new("hostname")])).unwrap();
    let file = packages.fetch(&resolved, &mut |_| {}).unwrap().remove(0);
    let whole = fs::read(&file).unwrap();
    fs::write(&file, &whole[..whole.len() / 2]).unwrap();

    let mut events = Vec::new();
    packages.fetch(&resolved, &mut |event| events.push(event)).unwrap();

    assert_eq!(fs::read(&file).unwrap(), whole);
    let (of_packages, of_bytes) = (1, resolved[0].bytes);
    let event = |packages, bytes| Event::Fetching { packages, of_packages, bytes, of_bytes };
    assert_eq!(but_waiting(events), [event(0, 0), event(1, of_bytes)]);
}

#[test]
fn a_package_that_is_gone_makes_the_lists_out_of_date() {
    let Some(packages) = packages() else { return };
    let mut gone = packages.resolve(&request(&["bookworm"], &[Wanted::new("hostname")])).unwrap().remove(0);
    gone.version += "gone";
    gone.uri += "gone";
    // A state of its own, since the lists of the other are in use.
    let folder = tempfile::tempdir().unwrap();
    let packages = Packages::open(folder.path(), &Supervisor::for_tests()).unwrap();
    let note = folder.path().join("updated/of-some-suites");
    fs::write(&note, "").unwrap();

    let error = packages.fetch(&[gone], &mut |_| {}).unwrap_err();

    let DebianError::Tool { doing, source } = error else { panic!("{error:?}") };
    assert!(doing.starts_with("fetching hostname_"), "{doing}");
    assert!(source.to_string().contains("404"), "{source}");
    assert!(!note.exists());
    assert_eq!(fs::read_dir(folder.path().join("pool")).unwrap().count(), 0, "something half was kept");
}

#[test]
fn dependencies_come_along_and_what_is_omitted_stays_out() {
    let Some(packages) = packages() else { return };
    let mut request = request(&["trixie"], &[Wanted::new("iperf3")]);
    request.with_dependencies = true;
    let names = |request: &Request| -> Vec<String> {
        packages.resolve(request).unwrap().into_iter().map(|package| package.name).collect()
    };
    let all = names(&request);
    for name in ["iperf3", "libiperf0", "libc6", "debconf", "passwd"] {
        assert!(all.iter().any(|found| found == name), "{name} in {all:?}");
    }
    request.omit = ["debconf", "adduser", "passwd"].map(str::to_owned).to_vec();
    let fewer = names(&request);
    assert!(fewer.len() < all.len() - 3, "also what only they need: {fewer:?}");
    assert!(!fewer.iter().any(|name| request.omit.contains(name)), "{fewer:?}");
    assert!(fewer.iter().any(|name| name == "libc6"));
}

#[test]
fn the_first_suite_wins_and_a_package_may_name_its_own() {
    let Some(packages) = packages() else { return };
    let version = |suites: &[&str], suite: Option<&str>| {
        let wanted = Wanted { suite: suite.map(str::to_owned), ..Wanted::new("busybox-static") };
        packages.resolve(&request(suites, &[wanted])).unwrap().remove(0).version
    };
    let served = packages.served("busybox-static", &["bookworm".into(), "trixie".into()]).unwrap();
    let of = |suite: &str| served.iter().find(|one| one.suite == suite).unwrap().version.clone();
    assert_ne!(of("bookworm"), of("trixie"));
    assert_eq!(version(&["bookworm", "trixie"], None), of("bookworm"));
    assert_eq!(version(&["trixie", "bookworm"], None), of("trixie"));
    assert_eq!(version(&["trixie", "bookworm"], Some("bookworm")), of("bookworm"));
}

#[test]
fn what_is_not_served_is_said_with_what_is() {
    let Some(packages) = packages() else { return };
    let wanted = Wanted { version: Some("1:0.1-1".into()), ..Wanted::new("busybox-static") };
    let error = packages.resolve(&request(&["trixie"], &[wanted])).unwrap_err();
    let DebianError::NotServed { served, .. } = &error else { panic!("{error:?}") };
    let text = error.to_string();
    let start = "package busybox-static version 1:0.1-1 is no longer served by trixie; served: ";
    assert_eq!(text, format!("{start}{} (trixie)", served[0].version));

    let error = packages.resolve(&request(&["trixie"], &[Wanted::new("no-such-package")])).unwrap_err();
    assert_eq!(error.to_string(), "no package no-such-package in trixie");
}

#[test]
fn a_root_is_made_once_found_again_and_checked() {
    let Some(packages) = packages() else { return };
    let folder = tempfile::tempdir().unwrap();
    let request = request(&["trixie"], &[Wanted::new("busybox-static"), Wanted::new("base-files")]);
    // As a process that was killed leaves it.
    let left = folder.path().join("making-0123");
    fs::create_dir(&left).unwrap();

    let mut unpacked = Vec::new();
    let mut note = |event| {
        if let Event::Unpacking { package, .. } = event {
            unpacked.push(package);
        }
    };
    let root = packages.root(folder.path(), &request, Reuse::Current, &mut note).unwrap();

    assert_eq!(unpacked, ["base-files", "busybox-static"]);
    assert!(root.path.join("usr/bin/busybox").is_file() && root.path.join("etc/debian_version").is_file());
    assert!(!left.exists());
    root.verify().unwrap();
    for reuse in [Reuse::Current, Reuse::Last] {
        let mut told = Vec::new();
        let again = packages.root(folder.path(), &request, reuse, &mut |event| told.push(event)).unwrap();
        assert_eq!((again, but_waiting(told)), (root.clone(), Vec::new()), "made again");
    }
    assert!(set_id_files(&root.path).is_empty());

    fs::write(root.path.join("etc/debian_version"), "0").unwrap();
    assert!(matches!(root.verify(), Err(DebianError::DamagedRoot { .. })));
    let mut told = Vec::new();
    let mended = packages.root(folder.path(), &request, Reuse::Last, &mut |event| told.push(event)).unwrap();
    assert_eq!(mended, root);
    mended.verify().unwrap();
    assert!(
        told.iter().any(|event| matches!(event, Event::Damaged { aside, .. } if aside.is_dir())),
        "{told:?}"
    );
}

/// Files that would run as somebody else than who starts them.
fn set_id_files(folder: &Path) -> Vec<PathBuf> {
    use std::os::unix::fs::PermissionsExt as _;
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("the folder can be read") {
        let path = entry.expect("the folder can be read").path();
        let metadata = path.symlink_metadata().expect("the file is there");
        if metadata.is_dir() {
            found.extend(set_id_files(&path));
        } else if metadata.is_file() && metadata.permissions().mode() & 0o6000 != 0 {
            found.push(path);
        }
    }
    found
}
