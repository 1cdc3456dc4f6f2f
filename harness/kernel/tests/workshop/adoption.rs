//! Kernels that somebody else built.

use std::{
    fs,
    path::{Path, PathBuf},
};

use kernel::Finished;
use subprocess::Tool;

use crate::toy::Toy;

/// What make would leave in `folder`: a toy kernel that says `text`, and a module.
fn finished(toy: &Toy, folder: &Path, text: &str) -> Finished {
    fs::create_dir_all(folder.join("drivers")).unwrap();
    let source = folder.join("a.c");
    fs::write(&source, format!("const char banner[] = \"Linux version 6.12.7-own {text}\";\n")).unwrap();
    let compile = |flags: &[&str], to: &str| {
        let gcc = Tool::new("gcc").args(flags).arg("-o").arg(folder.join(to)).arg(&source);
        gcc.deadline(std::time::Duration::from_secs(60)).run(&toy.supervisor).unwrap();
    };
    compile(&["-g", "-c"], "drivers/own.ko");
    compile(&["-g", "-nostdlib", "-shared"], "vmlinux");
    fs::write(folder.join(".config"), "CONFIG_OWN=y\n").unwrap();
    fs::write(folder.join("modules.builtin"), "kernel/fs/x.ko\n").unwrap();
    Finished {
        name: folder.display().to_string(),
        image: folder.join("vmlinux"),
        strip: true,
        config: folder.join(".config"),
        system_map: None,
        release: "6.12.7-own".into(),
        modules: vec![(folder.join("drivers/own.ko"), PathBuf::from("kernel/drivers/own.ko"))],
        lists: vec![folder.join("modules.builtin"), folder.join("not-there")],
    }
}

#[test]
fn a_build_is_taken_once_and_again_when_it_has_changed() {
    let toy = Toy::new();
    let folder = toy.path("build");
    let build = finished(&toy, &folder, "one");
    let adopt = |build: &Finished| toy.open().adopt(build, &mut |_| ()).unwrap();
    let image = adopt(&build);
    assert_eq!((image.release.as_str(), image.vmlinux.as_ref()), ("6.12.7-own", None));
    assert!(
        fs::metadata(&image.image).unwrap().len() < fs::metadata(&build.image).unwrap().len(),
        "it is stripped"
    );
    let modules = image.modules.clone().unwrap().join("lib/modules/6.12.7-own");
    for name in ["kernel/drivers/own.ko", "modules.order", "modules.builtin", "modules.dep"] {
        assert!(modules.join(name).is_file(), "{name}");
    }
    assert_eq!(fs::read_to_string(modules.join("modules.order")).unwrap(), "kernel/drivers/own.ko\n");
    assert_eq!(adopt(&build).key, image.key);

    let again = adopt(&finished(&toy, &folder, "two"));
    assert_ne!((&again.key, &again.image_sha256), (&image.key, &image.image_sha256));
    // What was taken does not change with the build folder.
    assert!(fs::read(&image.image).unwrap().windows(3).any(|window| window == b"one"));
}

#[test]
fn of_one_folder_a_few_builds_are_kept_and_of_one_that_is_gone_none() {
    let toy = Toy::new();
    let gone = toy.path("gone");
    toy.open().adopt(&finished(&toy, &gone, "gone"), &mut |_| ()).unwrap();
    fs::remove_dir_all(&gone).unwrap();
    let base = toy.build(&toy.open(), &toy.base());
    let mut keys = Vec::new();
    for number in 0..6 {
        let build = finished(&toy, &toy.path("build"), &number.to_string());
        keys.push(toy.open().adopt(&build, &mut |_| ()).unwrap().key);
    }
    let stored: Vec<String> = toy.open().list().unwrap().into_iter().map(|stored| stored.key).collect();
    assert!(stored.contains(&base.key), "what was built here stays");
    assert_eq!(stored.len(), 5, "{stored:?}");
    assert!(keys[2..].iter().all(|key| stored.contains(key)));
}

#[test]
fn a_file_that_is_missing_is_named() {
    let toy = Toy::new();
    let folder = toy.path("build");
    let build = Finished { config: folder.join("none"), ..finished(&toy, &folder, "one") };
    let error = toy.open().adopt(&build, &mut |_| ()).unwrap_err();
    assert_eq!(error.fault(), kernel::Fault::User);
    assert!(error.to_string().contains("none"), "{error}");
}
