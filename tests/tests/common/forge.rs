//! Bundles as a stranger could make them.

use std::{fs, path::Path, process::Command};

use serde_json::Value;
use tests::said;

/// Unpacks a bundle with the system's own tools, changes it, and packs what is there again, as its owner could: with a manifest
/// that is right.
pub(crate) fn forged(file: &Path, to: &Path, change: &dyn Fn(&Path)) {
    let folder = tempfile::tempdir().unwrap();
    let tar = |arguments: &[&str]| {
        let done = Command::new("tar").args(arguments).arg("-C").arg(folder.path()).output().unwrap();
        assert!(done.status.success(), "{}", said(&done));
    };
    let unzipped = zstd::decode_all(fs::File::open(file).unwrap()).unwrap();
    fs::write(folder.path().join("all.tar"), unzipped).unwrap();
    tar(&["-xf", folder.path().join("all.tar").to_str().unwrap()]);
    fs::remove_file(folder.path().join("all.tar")).unwrap();
    change(folder.path());
    let manifest: Value =
        serde_json::from_slice(&fs::read(folder.path().join("manifest.json")).unwrap()).unwrap();
    let parts = manifest["members"].as_array().unwrap().iter().map(|member| bundle::Part {
        path: member["path"].as_str().unwrap().to_owned(),
        content: bundle::Content::File {
            path: folder.path().join(member["path"].as_str().unwrap()),
            sha256: None,
        },
    });
    bundle::write(to, "forged", "0.1.0", manifest["images"].as_bool().unwrap(), vec![], parts.collect())
        .unwrap();
}

/// Changes a JSON file.
pub(crate) fn edit(path: &Path, change: &dyn Fn(&mut Value)) {
    let mut value: Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
    change(&mut value);
    fs::write(path, serde_json::to_vec(&value).unwrap()).unwrap();
}
