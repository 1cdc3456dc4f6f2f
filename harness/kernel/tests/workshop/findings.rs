//! What a series does wrong is a result with its place.

use kernel::{Applies, Fault, Style, StyleLevel};
use measure::BuildEnd;
use plan::ConfigValue;

use crate::toy::{CHANGES_ALPHA, Toy, had_stage, new_file};

#[test]
fn a_patch_that_does_not_apply_names_patch_file_line_and_hunk() {
    let toy = Toy::new();
    let kernels = toy.open();
    let stale = CHANGES_ALPHA.replace("-\treturn TOY + beta(1);", "-\treturn TOY + gamma(1);");
    let (end, told) = toy.obtain(&kernels, &toy.patched("late", &[CHANGES_ALPHA, &stale]));
    let BuildEnd::DoesNotApply(failure) = end.unwrap() else { panic!("it must not apply") };
    assert_eq!(failure.patch, "late/0002-x.patch");
    assert_eq!(failure.file.as_deref(), Some("alpha.c"));
    assert_eq!(failure.line, Some(2));
    assert!(failure.hunk.unwrap().starts_with("@@ -2,5 +2,5 @@\n \n int start(void)\n"));
    assert!(failure.message.contains("patch does not apply"));
    // Told before anything was compiled, the base included.
    assert!(!had_stage(&told, "compile"), "{told:?}");
}

#[test]
fn a_patch_without_a_patch_in_it_does_not_apply() {
    let toy = Toy::new();
    let (end, _) = toy.obtain(&toy.open(), &toy.patched("empty", &["Subject: nothing\n"]));
    let BuildEnd::DoesNotApply(failure) = end.unwrap() else { panic!("it must not apply") };
    assert!(failure.message.contains("No valid patches"), "{}", failure.message);
}

#[test]
fn a_series_that_does_not_compile_gives_the_first_errors_and_the_log() {
    let toy = Toy::new();
    let kernels = toy.open();
    let broken = CHANGES_ALPHA.replace("+\treturn TOY + beta(2);", "+\treturn TOY + beta(2;");
    let (end, _) = toy.obtain(&kernels, &toy.patched("broken", &[&broken]));
    let BuildEnd::DoesNotCompile { errors, log } = end.unwrap() else { panic!("it must not compile") };
    assert!(errors.starts_with("alpha.c:5:"), "{errors}");
    assert!(errors.contains("error: expected"), "{errors}");
    assert_eq!(log, toy.path("logs").join("toy+broken.log"));
    assert!(toy.log("toy+broken.log").contains(&errors[..40]));
    // The base was built on the way, and is there for the other arm.
    assert!(kernels.lookup(&toy.base()).unwrap().is_some());
}

#[test]
fn a_kernel_that_is_none_is_the_series_doing() {
    let toy = Toy::new();
    let no_kernel = toy.makefile_that_runs_last("echo nonsense > $(O)/vmlinux");
    let (end, _) = toy.obtain(&toy.open(), &toy.patched("nonsense", &[&no_kernel]));
    let BuildEnd::DoesNotCompile { errors, .. } = end.unwrap() else { panic!("there is nothing to boot") };
    assert!(errors.contains("not possible to strip the kernel"), "{errors}");
}

#[test]
fn an_option_that_does_not_survive_names_the_dependency_it_lacks() {
    let toy = Toy::new();
    let kernels = toy.open();
    let options = [
        ("PCI", ConfigValue::No),
        ("NIC", ConfigValue::Yes),
        ("NOCK", ConfigValue::Module),
        ("RING", ConfigValue::Number(64)),
    ];
    let (end, _) = toy.obtain(&kernels, &toy.with_options(&options));
    let BuildEnd::ConfigLost { problems } = end.unwrap() else { panic!("options must be lost") };
    assert_eq!(
        problems,
        [
            "CONFIG_NIC=y (asked by the arm) is not set: lacks PCI (PCI is not set)",
            "CONFIG_NOCK=m (asked by the arm) is not set: no Kconfig file of this tree defines such an option",
        ]
    );
    assert!(kernels.config(&toy.with_options(&options), &mut |_| ()).unwrap().is_err());
    let kept = kernels.config(&toy.with_options(&options[3..]), &mut |_| ()).unwrap().unwrap();
    assert!(kept.contains("CONFIG_RING=64\n") && kept.contains("CONFIG_PCI=y\n"), "{kept}");
}

#[test]
fn a_patch_that_changed_since_it_was_planned_is_the_users_error() {
    let toy = Toy::new();
    let spec = toy.patched("s", &[CHANGES_ALPHA]);
    std::fs::remove_file(&spec.series[0].patches[0].path).unwrap();
    let error = toy.obtain(&toy.open(), &spec).0.unwrap_err();
    assert_eq!(error.fault(), Fault::User, "{error}");
    std::fs::write(&spec.series[0].patches[0].path, "something else").unwrap();
    let error = toy.obtain(&toy.open(), &spec).0.unwrap_err();
    assert_eq!(error.fault(), Fault::User);
    assert!(error.to_string().contains("has changed since it was planned"), "{error}");
}

#[test]
fn a_series_is_inspected_patch_by_patch() {
    let toy = Toy::new();
    let kernels = toy.open();
    let stale = CHANGES_ALPHA.replace("-\treturn TOY + beta(1);", "-\treturn TOY + gamma(1);");
    // A stand-in for checkpatch, which a series may bring along like any file.
    let script = "print \"$ARGV[-1]:3: WARNING:TOY: as told\\n\"; exit 1;";
    let spec = toy.patched("three", &[&new_file("scripts/checkpatch.pl", script), &stale, CHANGES_ALPHA]);
    let inspected = kernels.inspect(&spec, &mut |_| ()).unwrap();
    let names: Vec<&str> = inspected.iter().map(|patch| patch.patch.as_str()).collect();
    assert_eq!(names, ["three/0001-x.patch", "three/0002-x.patch", "three/0003-x.patch"]);
    assert_eq!(inspected[0].applies, Applies::Yes);
    let Applies::No(failure) = &inspected[1].applies else { panic!("{:?}", inspected[1]) };
    assert_eq!(failure.patch, "three/0002-x.patch");
    assert_eq!(inspected[2].applies, Applies::NotReached);
    let Style::Checked(findings) = &inspected[2].style else { panic!("{:?}", inspected[2]) };
    assert_eq!(
        (findings[0].line, findings[0].level, findings[0].kind.as_str(), findings[0].message.as_str()),
        (3, StyleLevel::Warning, "TOY", "as told")
    );
    let without = kernels.inspect(&toy.patched("plain", &[CHANGES_ALPHA]), &mut |_| ()).unwrap();
    assert!(
        matches!(&without[0].style, Style::Unavailable(why) if why.contains("has no scripts/checkpatch.pl"))
    );
}

#[test]
fn the_compilers_warnings_stay_with_the_image() {
    let toy = Toy::new();
    let warns = CHANGES_ALPHA.replace("return TOY + beta(2)", "return TOY + beta(1 / 0)");
    let spec = toy.patched("warns", &[&warns]);
    let base = toy.build(&toy.open(), &toy.base());
    toy.build(&toy.open(), &spec);
    // From the cache.
    let kernels = toy.open();
    let image = kernels.lookup(&spec).unwrap().unwrap();
    let warnings = kernels.warnings(&image).unwrap().unwrap();
    assert!(
        warnings.len() == 1
            && warnings[0].starts_with("alpha.c:5:")
            && warnings[0].contains("division by zero"),
        "{warnings:?}"
    );
    assert_eq!(kernels.warnings(&base).unwrap(), Some(vec![]));
    assert!(kernels.verify().unwrap().is_empty(), "they are one of the image's files");
}
