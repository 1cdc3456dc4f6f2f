//! The kernel's own tests (`tools/testing/selftests`), built from a kernel's tree and installed into a folder.
//!
//! Compiler and libraries come from a Debian root of their own and not from the host: tests then run in the guest that
//! has the same libraries, and are the same on every host. What does not build is told program by program; the rest runs.

mod install;
pub(crate) mod log;

use std::{collections::BTreeMap, path::PathBuf};

use debian::{Request, Reuse};
use measure::BuildEnd;
use plan::KernelSpec;
use serde::{Deserialize, Serialize};

use crate::{
    KernelError,
    apply::{self, ApplyEnd},
    digest::Fields,
    error::io,
    folder, identity,
    lock::{self, Lock},
    progress::{Listener, note, stage},
    sandbox,
    site::Site,
    source,
    work::Work,
    workshop::DEADLINE,
};
use install::Installation;

/// Changed whenever the same inputs would give other files.
const RECIPE: &str = "3";

/// The suite that the guests' root is made of: what is linked here must run there.
const SUITE: &str = "trixie";

/// What selftests are built with, and the libraries that those of networking, memory and tracing link against.
const PACKAGES: &[&str] = &[
    "bash",
    "binutils",
    "clang",
    "coreutils",
    "dash",
    "diffutils",
    "findutils",
    "gcc",
    "grep",
    "libc6-dev",
    "libcap-dev",
    "libelf-dev",
    "libmnl-dev",
    "libnuma-dev",
    "libssl-dev",
    // Zero-copy receive is newer than the suite.
    "liburing-dev/forky",
    "liburing2/forky",
    "llvm",
    "make",
    "mawk",
    "perl-base",
    "pkgconf",
    "python3-jsonschema",
    "python3-minimal",
    "python3-yaml",
    "rsync",
    "sed",
    "zlib1g-dev",
];

/// Dependencies of maintainer scripts, none of which run.
const OMITTED: &[&str] = &[
    "adduser",
    "base-passwd",
    "debconf",
    "debconf-2.0",
    "init-system-helpers",
    "libpam-modules",
    "libpam-modules-bin",
    "libpam-runtime",
    "libsemanage-common",
    "libsemanage2",
    "login.defs",
    "media-types",
    "passwd",
    "tzdata",
];

/// Where the installed tests of an entry are.
const TESTS: &str = "tests";
/// Beside the tests: a line for each program that was not built, its name, a tabulator and the reason.
const NOT_BUILT: &str = "not-built.txt";
/// The file that makes a folder an entry.
const FACTS: &str = "facts.json";

/// Installed tests in the cache.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Selftests {
    /// Stands for everything that decides what is in them, in hexadecimal.
    pub key: String,
    /// Holds `run_kselftest.sh` and a folder for each collection.
    pub folder: PathBuf,
    /// Programs that could not be built, such as `net:tls`, and why.
    pub not_built: BTreeMap<String, String>,
}

/// What is known of installed tests.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Facts {
    not_built: BTreeMap<String, String>,
}

/// The tests of these collections, from the cache or built now; the inner error is what the series did wrong.
pub(crate) fn obtain(
    site: &Site,
    spec: &KernelSpec,
    collections: &[String],
    log_dir: &std::path::Path,
    listener: &mut Listener<'_>,
) -> Result<Result<Selftests, BuildEnd>, KernelError> {
    site.require_sandbox()?;
    folder::create(log_dir)?;
    let title = format!("selftests {} of {}", collections.join(", "), spec.base.name);
    let tree = source::obtain(site, &spec.base, listener)?;
    stage(listener, "compiler and libraries for selftests");
    let root = site.packages.root(&site.layout.build_roots(), &request(), Reuse::Last, &mut |_| {}).map_err(
        |source| KernelError::Debian {
            what: "the compiler and the libraries of selftests".to_owned(),
            source: Box::new(source),
        },
    )?;
    let key = key(spec, &tree.id, collections, &root.key);
    if let Some(found) = find(site, &key)? {
        return Ok(Ok(found));
    }
    let _building = lock::exclusive(&site.layout.lock("selftests-build", &key), &title, DEADLINE, listener)?;
    if let Some(found) = find(site, &key)? {
        return Ok(Ok(found));
    }
    let work = Work::new(&site.layout)?;
    // Some Makefiles write into the tree, so there is always one of its own.
    let own = work.at("tree");
    folder::link_tree(&tree.path, &own, sandbox::owner())?;
    if let ApplyEnd::Failed(failure) =
        apply::apply(&site.supervisor, &spec.series, &own, &work.at("patches"))?
    {
        return Ok(Err(BuildEnd::DoesNotApply(failure)));
    }
    for collection in collections {
        if !own.join("tools/testing/selftests").join(collection).join("Makefile").is_file() {
            return Err(KernelError::BadBase {
                base: spec.base.name.clone(),
                reason: format!("its tree has no selftests called `{collection}`"),
            });
        }
    }
    stage(listener, format!("build {title}"));
    let installation = Installation {
        supervisor: &site.supervisor,
        root: &root.path,
        tree: &own,
        build: work.at("build"),
        output: work.at("entry").join(TESTS),
        log: log_dir.join(format!("{}.log", crate::cache::Layout::safe(&title.replace(' ', "-")))),
    };
    folder::create(&work.at("entry"))?;
    let not_built = match installation.make(collections)? {
        Ok(not_built) => not_built,
        Err(errors) => {
            return Ok(Err(BuildEnd::DoesNotCompile { errors, log: installation.log.clone() }));
        }
    };
    for (program, reason) in &not_built {
        note(listener, format!("The test {program} of {} is not built: {reason}.", spec.base.name));
    }
    // The guest tells why it does not run them.
    let lines: String = not_built.iter().map(|(program, reason)| format!("{program}\t{reason}\n")).collect();
    folder::write_durably(&work.at("entry").join(TESTS).join(NOT_BUILT), lines.as_bytes())?;
    let facts = serde_json::to_vec_pretty(&Facts { not_built }).expect("a map of strings serialises");
    folder::write_durably(&work.at("entry").join("used"), b"")?;
    folder::write_durably(&work.at("entry").join(FACTS), &facts)?;
    folder::publish(&work.at("entry"), &site.layout.selftests(&key))?;
    match find(site, &key)? {
        Some(found) => Ok(Ok(found)),
        None => Err(KernelError::Unexpected {
            what: format!("selftests {key} just published"),
            reason: "another process is removing them".to_owned(),
        }),
    }
}

/// Tests in the cache, pinned for as long as this process lives.
fn find(site: &Site, key: &str) -> Result<Option<Selftests>, KernelError> {
    let place = site.layout.selftests(key);
    let Some(pin): Option<Lock> = lock::try_shared(&site.layout.lock("selftests", key))? else {
        return Ok(None);
    };
    let path = place.join(FACTS);
    let text = match std::fs::read(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(io("read", path)(error)),
    };
    let Facts { not_built } = serde_json::from_slice(&text).map_err(|error| KernelError::Unexpected {
        what: path.display().to_string(),
        reason: error.to_string(),
    })?;
    // Only gc reads this time.
    let _ = folder::touch(&place.join("used"));
    site.pin(pin);
    Ok(Some(Selftests { key: key.to_owned(), folder: place.join(TESTS), not_built }))
}

fn request() -> Request {
    Request::with_dependencies(SUITE, PACKAGES, OMITTED)
}

fn key(spec: &KernelSpec, source: &str, collections: &[String], root: &str) -> String {
    let mut fields =
        Fields::new("selftests").with("source", source).with("root", root).with("recipe", RECIPE);
    for patch in identity::patches(spec) {
        fields = fields.with("patch", patch);
    }
    collections.iter().fold(fields, |fields, collection| fields.with("collection", collection)).finish()
}
