//! A stranger's bundle, and the run in it: what is not whole and right is refused and leaves nothing, and no path of a run leads
//! out of the unpacked bundle.

use std::{
    fs,
    path::{Path, PathBuf},
};

use bundle::{Adopted, Content, Limits, Opened, Part, Scrub, Shelf};
use measure::BuildEnd;
use plan::{Machine, Source, WorkloadKind};
use store::Environment;

use crate::{
    scratch,
    sections::{Section, split},
};

/// Small, so that an input that is all zeros to the decompressor does not take seconds.
const LIMITS: Limits = Limits { manifest: 1 << 20, members: 500, member: 1 << 20, total: 4 << 20 };

/// One input: a bundle as it is; the archive in one, in a section `tar`; a forged one of a section `manifest.json` and its
/// members; or the members of an honest one, whose manifest is made here.
pub fn run(input: &[u8]) {
    let _refused = understand(input);
}

/// The same, and why it is no bundle with a run that can be passed on: that honest inputs are such is a test's to say.
///
/// # Errors
/// What is wrong with it, in words.
pub fn understand(input: &[u8]) -> Result<(), String> {
    let room = scratch::folder();
    let sections = split(input);
    let bytes = match sections.first() {
        None => Some(input.to_vec()),
        Some(("tar", content)) => bundle::fuzzing::compressed(content).ok(),
        Some(("manifest.json", manifest)) => bundle::fuzzing::archive(manifest, &sections[1..]).ok(),
        Some(_) => honest(room.path(), &sections),
    };
    let parts = taken(room.path(), &bytes.ok_or("its members are none of a bundle's")?)?;
    // What was understood can be passed on, and is understood as the same again.
    let before = shown(&parts);
    let bytes = packed(room.path(), parts).ok_or("it cannot be passed on")?;
    let again = taken(room.path(), &bytes).expect("what was passed on can be read");
    assert_eq!(shown(&again), before, "what was passed on is another run");
    Ok(())
}

/// A run as it goes into a bundle.
type Parts = (bundle::Portable, bool);

fn shown((portable, _): &Parts) -> String {
    let mut paths: Vec<&str> = portable.parts.iter().map(|part| part.path.as_str()).collect();
    paths.sort_unstable();
    format!("{:#?} {:#?} {paths:#?}", portable.file, portable.environment)
}

fn honest(room: &Path, sections: &[Section<'_>]) -> Option<Vec<u8>> {
    let images = sections.iter().any(|(name, _)| name.starts_with("boot/"));
    let part = |(name, content): &Section<'_>| Part {
        path: (*name).to_owned(),
        content: Content::Bytes(content.to_vec()),
    };
    written(room, images, sections.iter().map(part).collect())
}

fn packed(room: &Path, (portable, images): Parts) -> Option<Vec<u8>> {
    let mut parts = portable.parts;
    let json = |value: Result<Vec<u8>, serde_json::Error>| Content::Bytes(value.expect("it was read"));
    parts.push(Part { path: "run.json".to_owned(), content: json(serde_json::to_vec(&portable.file)) });
    if let Some(environment) = &portable.environment {
        let path = "environment.json".to_owned();
        parts.push(Part { path, content: json(serde_json::to_vec(environment)) });
    }
    written(room, images, parts)
}

fn written(room: &Path, images: bool, parts: Vec<Part>) -> Option<Vec<u8>> {
    let file = room.join("written");
    match bundle::write(&file, "20260101-000000-x", "0.1.0", images, vec![], parts) {
        Ok(_) => Some(fs::read(file).expect("it was written")),
        Err(error) => {
            assert!(error.is_the_users() || matches!(error, bundle::BundleError::Io { .. }), "{error:?}");
            None
        }
    }
}

fn taken(room: &Path, bytes: &[u8]) -> Result<Parts, String> {
    let (file, root) = (room.join("candidate"), room.join("shelf"));
    fs::write(&file, bytes).expect("the room is ours");
    let shelf = Shelf::open(&root).expect("the room is ours");
    let parts = match shelf.take(&file, &LIMITS, &|_| true) {
        Ok(opened) => {
            for member in &opened.manifest.members {
                let content = fs::read(opened.folder.join(&member.path)).expect("it was unpacked");
                assert_eq!(bundle::sha256(&content), member.sha256, "{}", member.path);
            }
            let parts = understood(&opened, &room.join("none"));
            // What is to be passed on is read before it goes.
            let parts = parts.map(|parts| (in_memory(parts.0), parts.1));
            opened.discard().expect("nobody else uses it");
            parts
        }
        Err(error) => {
            assert!(error.is_the_users(), "{error:?}");
            let said = format!("{error}: {:?}", std::error::Error::source(&error).map(ToString::to_string));
            assert!(said.len() < 8192 && !said.contains(char::is_control), "{said}");
            Err(said)
        }
    };
    let left: Vec<PathBuf> =
        fs::read_dir(&root).expect("it is ours").flatten().map(|entry| entry.path()).collect();
    assert!(left.is_empty(), "{left:?} is left");
    parts
}

fn in_memory(mut portable: bundle::Portable) -> bundle::Portable {
    for part in &mut portable.parts {
        if let Content::File { path, .. } = &part.content {
            part.content = Content::Bytes(fs::read(path).expect("a member is there"));
        }
    }
    portable
}

/// What `assay replay` makes of it.
fn understood(opened: &Opened, kept: &Path) -> Result<Parts, String> {
    fs::create_dir_all(opened.folder.join("trials")).map_err(|error| error.to_string())?;
    let stored = store::read(&opened.folder).map_err(|error| format!("{error:?}"))?;
    let environment = Environment::of_run(&opened.folder).map_err(|error| format!("{error:?}"))?;
    let problems = scenario::vet(&stored.file.plan);
    if !problems.is_empty() {
        return Err(problems.join("; "));
    }
    let planned = runner::schedule(&stored.file.plan);
    assert!(planned.len() <= 10_000_000, "a schedule of {} boots", planned.len());
    let images = opened.manifest.images;
    match bundle::adopt(stored.file, environment, opened, images) {
        Ok(adopted) => {
            inside(&adopted, &opened.folder, images);
            let mut pinned = adopted.file.clone();
            let lacking = bundle::pin(&mut pinned, None);
            for arm in &pinned.plan.arms {
                let base = &arm.kernel.base;
                assert!(
                    is_public(&base.source) || lacking.iter().any(|lack| lack.base == base.name),
                    "{base:?}"
                );
            }
            let Adopted { file, environment } = &adopted;
            match bundle::portable(file, environment.as_ref(), kept, images, &Scrub::default()) {
                Ok(portable) => Ok((portable, images)),
                // A folder of modules that the bundle does not have.
                Err(error @ (bundle::BundleError::Io { .. } | bundle::BundleError::Changed { .. })) => {
                    Err(error.to_string())
                }
                Err(error) => panic!("{error:?}"),
            }
        }
        Err(problems) => {
            assert!(!problems.is_empty());
            assert!(problems.iter().all(|problem| !problem.contains(char::is_control)), "{problems:?}");
            Err(problems.join("; "))
        }
    }
}

/// Every path that is used leads to where the bundle was unpacked.
fn inside(adopted: &Adopted, folder: &Path, images: bool) {
    let check = |path: &Path| {
        let below =
            path.strip_prefix(folder).unwrap_or_else(|_| panic!("{} is of this machine", path.display()));
        assert!(
            below.components().all(|part| matches!(part, std::path::Component::Normal(_))),
            "{}",
            path.display()
        );
    };
    for arm in &adopted.file.plan.arms {
        for series in &arm.kernel.series {
            check(&series.folder);
            series.patches.iter().for_each(|patch| check(&patch.path));
        }
        if let Source::PrebuiltImage { image, modules, config } = &arm.kernel.base.source
            && image != Path::new("elsewhere")
        {
            check(image);
            [modules, config].into_iter().flatten().for_each(|path| check(path));
        }
        if let Machine::Fake(fake) = &arm.machine {
            check(&fake.script);
        }
    }
    for workload in &adopted.file.plan.workloads {
        if let WorkloadKind::Command(command) = &workload.kind {
            command.files.iter().for_each(|file| check(&file.path));
        }
    }
    for kernel in adopted.file.kernels.values() {
        if let BuildEnd::Built(image) = &kernel.build {
            if images {
                check(&image.image);
            }
            let others = [&image.vmlinux, &image.system_map, &image.modules, &image.config];
            others.into_iter().flatten().for_each(|path| check(path));
        }
    }
    for boot in adopted.environment.iter().flat_map(|environment| environment.boots.values()) {
        boot.files().for_each(|file| check(&file.path));
    }
}

/// Whether a source is had without a file of this machine, or from the bundle.
fn is_public(source: &Source) -> bool {
    let is_of_the_web = |location: &str| location.starts_with("https://") || location.starts_with("http://");
    match source {
        Source::Git { repository: location, .. } | Source::Tarball { location, .. } => {
            is_of_the_web(location)
        }
        Source::PrebuiltImage { image, .. } => image != Path::new("elsewhere"),
        Source::DebianSource { .. } | Source::DebianImage { .. } => true,
        Source::Imported => false,
    }
}
