//! What is in the cache stays right, is told when it is not, and goes when it may.

use std::{collections::BTreeSet, fs, thread};

use kernel::{Keep, Progress};
use measure::BuildEnd;

use crate::toy::{CHANGES_ALPHA, Toy, had_stage, notes};

#[test]
fn a_second_request_is_answered_from_the_cache() {
    let toy = Toy::new();
    let built = toy.build(&toy.open(), &toy.base());
    assert!(built.build_seconds > 0.0);
    assert_eq!((built.release.as_str(), built.key.len()), ("6.12.7-toy", 64));
    assert!(built.toolchain.contains("gcc") && built.toolchain.contains("ld"), "{}", built.toolchain);
    assert!(built.source_version.starts_with("sha256:"));
    let image = fs::read(&built.image).unwrap();
    let banner = format!("Linux version 6.12.7-toy #{}", &built.key[..12]);
    assert!(image.windows(banner.len()).any(|window| window == banner.as_bytes()));
    for path in [built.vmlinux.as_ref(), built.system_map.as_ref(), built.config.as_ref()] {
        assert!(path.unwrap().is_file());
    }

    let kernels = toy.open();
    let found = kernels.lookup(&toy.base()).unwrap().unwrap();
    assert_eq!(
        (&found.key, &found.image_sha256, found.build_seconds),
        (&built.key, &built.image_sha256, 0.0)
    );
    let (_, told) = toy.obtain(&kernels, &toy.base());
    assert_eq!(told, []);
    assert!(kernels.lookup(&toy.patched("sum", &[CHANGES_ALPHA])).unwrap().is_none());
    let listed = kernels.list().unwrap();
    assert_eq!(listed.len(), 1);
    assert_eq!((listed[0].key.as_str(), listed[0].base.as_str()), (built.key.as_str(), "toy"));
}

#[test]
fn a_damaged_image_is_named_set_aside_and_made_anew() {
    let toy = Toy::new();
    let kernels = toy.open();
    let (end, told) = toy.obtain(&kernels, &toy.base());
    let BuildEnd::Built(built) = end.unwrap() else { panic!("it must build") };
    let compiling = |total| Progress::Stage { what: "compile toy".into(), total_hint: Some(total) };
    assert!(told.contains(&compiling(2500)), "{told:?}");
    let done = told.iter().filter_map(|event| match event {
        Progress::Advance { done } => Some(*done),
        _ => None,
    });
    assert_eq!(done.max(), Some(4), "three objects and a link");
    let mut bytes = fs::read(&built.image).unwrap();
    bytes[100] ^= 1;
    fs::write(&built.image, &bytes).unwrap();
    assert_eq!(kernels.lookup(&toy.base()).unwrap(), None);
    assert_eq!(kernels.verify().unwrap()[0].0, built.key);
    let (end, told) = toy.obtain(&kernels, &toy.base());
    let BuildEnd::Built(again) = end.unwrap() else { panic!("it must build") };
    assert_eq!((again.key, again.image_sha256), (built.key.clone(), built.image_sha256.clone()));
    let notes = notes(&told);
    assert!(notes.contains(&built.key) && notes.contains("its image has sha256"), "{notes}");
    // The second time it is known how long it takes.
    assert!(told.contains(&compiling(4)), "{told:?}");
    assert_eq!(fs::read_dir(toy.cache().join("damaged")).unwrap().count(), 1);
    assert_eq!(kernels.verify().unwrap(), []);
}

#[test]
fn a_missing_file_and_a_broken_manifest_are_damage_too() {
    let toy = Toy::new();
    let kernels = toy.open();
    let built = toy.build(&kernels, &toy.base());
    fs::remove_file(built.system_map.as_ref().unwrap()).unwrap();
    let (_, told) = toy.obtain(&kernels, &toy.base());
    assert!(notes(&told).contains("System.map is missing"), "{told:?}");
    fs::write(built.image.with_file_name("manifest.json"), "{\"format\":").unwrap();
    let (end, told) = toy.obtain(&kernels, &toy.base());
    assert!(notes(&told).contains("manifest.json"), "{told:?}");
    assert!(matches!(end.unwrap(), BuildEnd::Built(_)));
}

#[test]
fn of_two_builders_one_builds_and_the_other_waits() {
    let toy = Toy::new();
    // The tree is there, so that both meet at the build.
    toy.build(&toy.open(), &toy.base());
    let spec = toy.patched("sum", &[CHANGES_ALPHA]);
    let (one, two) = thread::scope(|scope| {
        let builder = || {
            let kernels = toy.open();
            let mut told = Vec::new();
            let end = kernels.obtain(&spec, &toy.path("logs"), &mut |event: Progress| told.push(event));
            let BuildEnd::Built(image) = end.unwrap() else { panic!("it must build") };
            (image.key, told)
        };
        let (one, two) = (scope.spawn(builder), scope.spawn(builder));
        (one.join().unwrap(), two.join().unwrap())
    });
    assert_eq!(one.0, two.0);
    let compiled = [&one, &two].into_iter().filter(|(_, told)| had_stage(told, "compile toy + sum")).count();
    assert_eq!(compiled, 1, "{one:?} {two:?}");
    assert_eq!(toy.log("toy+sum.log").matches("  LD      vmlinux").count(), 1);
}

#[test]
fn what_a_dead_builder_left_is_removed_by_the_next() {
    let toy = Toy::new();
    drop(toy.open());
    let left = toy.cache().join("work/left");
    fs::create_dir_all(left.join("build")).unwrap();
    fs::write(left.join("alive"), "").unwrap();
    toy.open();
    assert!(!left.exists());
    assert_eq!(fs::read_dir(toy.cache().join("work")).unwrap().count(), 0);
}

#[test]
fn gc_keeps_what_is_named_and_what_is_in_use() {
    let toy = Toy::new();
    let (base, sum) = {
        let kernels = toy.open();
        let images =
            (toy.build(&kernels, &toy.base()), toy.build(&kernels, &toy.patched("sum", &[CHANGES_ALPHA])));
        // This process was given both, so both stay, but trees and objects can be had again.
        let freed = kernels.gc(&Keep::default()).unwrap();
        assert!(freed.bytes > 0);
        assert!(freed.removed.iter().all(|what| !what.starts_with("image")), "{freed:?}");
        assert!(images.0.image.is_file() && images.1.image.is_file());
        images
    };
    let kernels = toy.open();
    let freed = kernels.gc(&Keep { keys: BTreeSet::from([base.key.clone()]), bytes: 0 }).unwrap();
    assert_eq!(freed.removed, [format!("image {}", sum.key)]);
    assert!(base.image.is_file() && !sum.image.exists());
    assert!(kernels.lookup(&toy.base()).unwrap().is_some());
    // All that went can be had again: the base's objects are made although its image is there.
    toy.build(&kernels, &toy.patched("sum", &[CHANGES_ALPHA]));
    assert!(!toy.log("toy+sum.log").contains("CC      beta.o"));
    let everything = u64::MAX;
    assert_eq!(toy.open().gc(&Keep { keys: BTreeSet::new(), bytes: everything }).unwrap().removed, [""; 0]);
}
