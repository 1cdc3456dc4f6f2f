//! Arms start from the base's objects, and come out as if they had not.

use plan::ConfigValue;

use crate::toy::{CHANGES_ALPHA, Toy, had_stage, new_file};

#[test]
fn an_arm_compiles_only_what_its_patch_touches_and_is_identical_to_a_clean_build() {
    let toy = Toy::new();
    let kernels = toy.open();
    let base = toy.build(&kernels, &toy.base());
    let before = toy.pristine();
    let spec = toy.patched("sum", &[CHANGES_ALPHA]);
    let arm = toy.build(&kernels, &spec);
    assert_ne!(arm.key, base.key);
    assert_ne!(arm.image_sha256, base.image_sha256);
    let (base_log, arm_log) = (toy.log("toy.log"), toy.log("toy+sum.log"));
    for object in ["alpha.o", "beta.o"] {
        assert!(base_log.contains(&format!("  CC      {object}")), "{base_log}");
    }
    assert!(arm_log.contains("  CC      alpha.o") && !arm_log.contains("  CC      beta.o"), "{arm_log}");
    assert_eq!(toy.pristine(), before, "the pristine tree was written to");

    let reproduction = kernels.reproduce(&spec, &toy.path("again"), &mut |_| ()).unwrap();
    assert!(reproduction.is_identical(), "{reproduction:?}");
    let clean_log = std::fs::read_to_string(toy.path("again").join("toy+sum.log")).unwrap();
    assert!(clean_log.contains("  CC      beta.o"), "{clean_log}");
}

#[test]
fn a_header_rebuilds_all_that_includes_it() {
    let toy = Toy::new();
    let kernels = toy.open();
    toy.build(&kernels, &toy.base());
    let header = "diff --git a/include/toy.h b/include/toy.h\n--- a/include/toy.h\n+++ b/include/toy.h\n\
        @@ -1,2 +1,2 @@\n-#define TOY 1\n+#define TOY 2\n int beta(int);\n";
    toy.build(&kernels, &toy.patched("header", &[header]));
    let log = toy.log("toy+header.log");
    assert!(log.contains("CC      alpha.o") && log.contains("CC      beta.o"), "{log}");
}

#[test]
fn options_start_from_the_same_objects() {
    let toy = Toy::new();
    let kernels = toy.open();
    let spec = toy.with_options(&[("RING", ConfigValue::Number(8))]);
    // Builds the base first, unasked.
    let image = toy.build(&kernels, &spec);
    assert!(kernels.lookup(&toy.base()).unwrap().is_some());
    let log = toy.log("toy+RING_8.log");
    assert!(log.contains("CC      beta.o") && !log.contains("CC      alpha.o"), "{log}");
    assert!(std::fs::read_to_string(image.config.unwrap()).unwrap().contains("CONFIG_RING=8"));
    // An option that is so anyway makes the same kernel.
    let same = toy.build(&kernels, &toy.with_options(&[("PCI", ConfigValue::Yes)]));
    assert_eq!(same.key, toy.build(&kernels, &toy.base()).key);
}

#[test]
fn what_one_series_left_reaches_no_other() {
    let toy = Toy::new();
    let kernels = toy.open();
    let base = toy.build(&kernels, &toy.base());
    // Poisons an object that the base has, and plants another.
    let planting = toy.makefile_that_runs(&["cp $(O)/alpha.o $(O)/beta.o".to_owned()]);
    let (end, _) = toy.obtain(&kernels, &toy.patched("poison", &[CHANGES_ALPHA, &planting]));
    assert!(matches!(end.unwrap(), measure::BuildEnd::DoesNotCompile { .. }), "two starts do not link");
    let clean = toy.patched("sum", &[CHANGES_ALPHA]);
    toy.build(&kernels, &clean);
    assert!(kernels.reproduce(&clean, &toy.path("again"), &mut |_| ()).unwrap().is_identical());
    assert!(kernels.reproduce(&toy.base(), &toy.path("again"), &mut |_| ()).unwrap().is_identical());
    assert_eq!(kernels.lookup(&toy.base()).unwrap().unwrap().image_sha256, base.image_sha256);
}

#[test]
fn a_new_file_is_in_the_arm_and_nowhere_else() {
    let toy = Toy::new();
    let kernels = toy.open();
    let (end, told) = toy.obtain(&kernels, &toy.patched("new", &[&new_file("gamma.c", "int gamma;")]));
    assert!(matches!(end.unwrap(), measure::BuildEnd::Built(_)));
    assert!(had_stage(&told, "compile toy + new"), "{told:?}");
    assert!(!toy.pristine().iter().any(|(path, _)| path.ends_with("gamma.c")));
}
