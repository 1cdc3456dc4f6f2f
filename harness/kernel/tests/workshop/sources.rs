//! Where trees and images come from.

use std::{fs, path::Path, time::Duration};

use kernel::{Fault, Kernels};
use plan::{KernelSpec, Source};
use subprocess::Tool;

use crate::toy::{CHANGES_ALPHA, Toy, notes, sha256};

fn with_source(toy: &Toy, source: Source) -> KernelSpec {
    let mut spec = toy.base();
    spec.base.source = source;
    spec
}

fn users_error(toy: &Toy, kernels: &Kernels, spec: &KernelSpec) -> String {
    let error = toy.obtain(kernels, spec).0.unwrap_err();
    assert_eq!(error.fault(), Fault::User, "{error}");
    error.to_string()
}

#[test]
fn a_tarball_must_be_the_one_that_was_named() {
    let toy = Toy::new();
    let Source::Tarball { location, .. } = toy.source.clone() else { unreachable!() };
    let spec = with_source(&toy, Source::Tarball { location: location.clone(), sha256: "0".repeat(64) });
    let error = users_error(&toy, &toy.open(), &spec);
    assert!(error.contains(&location) && error.contains(&"0".repeat(64)), "{error}");
    let trees = fs::read_dir(toy.cache().join("trees")).unwrap().count();
    assert_eq!(trees, 0, "an unchecked tree was kept");
}

#[test]
fn a_tree_of_another_version_is_the_users_error() {
    let toy = Toy::new();
    let mut spec = toy.base();
    spec.base.version = "6.1".into();
    let error = users_error(&toy, &toy.open(), &spec);
    assert!(error.contains("calls itself 6.12.7, but version 6.1 was expected"), "{error}");
}

fn git(toy: &Toy, folder: &Path, arguments: &[&str]) -> String {
    let output = Tool::new("git")
        .arg("-C")
        .arg(folder)
        .args(["-c", "user.name=a", "-c", "user.email=a@example.org", "-c", "init.defaultBranch=main"])
        .args(arguments)
        .deadline(Duration::from_secs(60))
        .run(&toy.supervisor)
        .unwrap();
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

#[test]
fn a_git_ref_is_resolved_to_its_commit_and_followed() {
    let toy = Toy::new();
    let tree = toy.path("linux-6.12.7");
    git(&toy, &tree, &["init", "--quiet"]);
    git(&toy, &tree, &["add", "."]);
    git(&toy, &tree, &["commit", "--quiet", "-m", "one"]);
    let first = git(&toy, &tree, &["rev-parse", "HEAD"]);
    let repository = tree.display().to_string();
    let spec = with_source(&toy, Source::Git { repository: repository.clone(), reference: "main".into() });
    let image = toy.build(&toy.open(), &spec);
    assert_eq!(image.source_version, first);
    assert!(toy.open().lookup(&spec).unwrap().is_some());

    fs::write(tree.join("beta.c"), "int beta(int x)\n{\n\treturn x * 5;\n}\n").unwrap();
    git(&toy, &tree, &["commit", "--quiet", "-a", "-m", "two"]);
    assert!(toy.open().lookup(&spec).unwrap().is_none(), "the branch has moved");
    let moved = toy.build(&toy.open(), &spec);
    assert_ne!(moved.image_sha256, image.image_sha256);

    let missing = with_source(&toy, Source::Git { repository, reference: "no-such-branch".into() });
    assert!(users_error(&toy, &toy.open(), &missing).contains("no-such-branch"));
}

#[test]
fn a_fetched_ref_stays_where_it_was_until_it_is_forgotten() {
    let toy = Toy::new();
    let tree = toy.path("linux-6.12.7");
    git(&toy, &tree, &["init", "--quiet"]);
    git(&toy, &tree, &["add", "."]);
    git(&toy, &tree, &["commit", "--quiet", "-m", "one"]);
    let repository = format!("file://{}", tree.display());
    let spec = with_source(&toy, Source::Git { repository, reference: "main".into() });
    let first = toy.build(&toy.open(), &spec);
    fs::write(tree.join("beta.c"), "int beta(int x)\n{\n\treturn x * 5;\n}\n").unwrap();
    git(&toy, &tree, &["commit", "--quiet", "-a", "-m", "two"]);
    let kernels = toy.open();
    assert_eq!(kernels.lookup(&spec).unwrap().unwrap().source_version, first.source_version);
    kernels.forget_version(&spec.base.source).unwrap();
    // Within one run both arms come from one version.
    let error = toy.obtain(&kernels, &spec).0.unwrap_err();
    assert!(error.to_string().contains(&first.source_version), "{error}");
    assert_ne!(toy.build(&toy.open(), &spec).source_version, first.source_version);
}

#[test]
fn a_prebuilt_image_is_taken_as_it_is_with_its_modules() {
    let toy = Toy::new();
    let kernels = toy.open();
    let built = toy.build(&kernels, &toy.base());
    let modules = toy.path("root");
    let folder = modules.join("lib/modules/6.12.7-toy");
    fs::create_dir_all(folder.join("kernel")).unwrap();
    fs::write(folder.join("modules.dep"), "kernel/x.ko:\n").unwrap();
    fs::write(folder.join("kernel/x.ko"), "x").unwrap();
    std::os::unix::fs::symlink("/usr/src", folder.join("build")).unwrap();
    let image = toy.path("my-vmlinux");
    fs::copy(&built.image, &image).unwrap();
    let source = Source::PrebuiltImage {
        image: image.clone(),
        modules: Some(modules.clone()),
        config: Some(built.config.clone().unwrap()),
    };
    let spec = with_source(&toy, source);
    let taken = toy.build(&kernels, &spec);
    assert_eq!(taken.release, "6.12.7-toy");
    assert_eq!(taken.image_sha256, sha256(&fs::read(&image).unwrap()));
    assert_eq!((taken.toolchain.as_str(), taken.vmlinux), ("", None));
    let inside = taken.modules.unwrap().join("lib/modules/6.12.7-toy");
    assert!(inside.join("kernel/x.ko").is_file() && !inside.join("build").exists());
    assert_eq!(kernels.lookup(&spec).unwrap().unwrap().key, taken.key);
    assert!(kernels.config(&spec, &mut |_| ()).unwrap().unwrap().contains("CONFIG_PCI=y"));

    // Another module is another kernel.
    fs::write(folder.join("kernel/y.ko"), "y").unwrap();
    assert_eq!(kernels.lookup(&spec).unwrap(), None);
    let series = KernelSpec { series: toy.patched("sum", &[CHANGES_ALPHA]).series, ..spec.clone() };
    assert!(users_error(&toy, &kernels, &series).contains("no series and no options can go into it"));
    fs::write(&image, "not a kernel").unwrap();
    assert!(users_error(&toy, &kernels, &spec).contains("neither a bzImage nor an ELF vmlinux"));
}

#[test]
fn nothing_is_noted_when_all_goes_well() {
    let toy = Toy::new();
    let (end, told) = toy.obtain(&toy.open(), &toy.patched("sum", &[CHANGES_ALPHA]));
    end.unwrap();
    assert_eq!(notes(&told), "");
}
