//! A series is untrusted: what its patches and Makefiles try against the host.

use std::{
    fs,
    net::TcpListener,
    os::unix::fs::{PermissionsExt as _, symlink},
};

use kernel::Fault;
use measure::BuildEnd;

use crate::toy::{Toy, new_file};

#[test]
fn paths_that_escape_the_tree_are_refused() {
    let toy = Toy::new();
    let kernels = toy.open();
    let through_link = format!(
        "diff --git a/out b/out\nnew file mode 120000\n--- /dev/null\n+++ b/out\n@@ -0,0 +1 @@\n+scripts\n\
         \\ No newline at end of file\n{}",
        new_file("out/planted", "x")
    );
    let link_out = "diff --git a/out b/out\nnew file mode 120000\n--- /dev/null\n+++ b/out\n@@ -0,0 +1 @@\n\
        +../../../../images\n\\ No newline at end of file\n";
    for (name, patch, path) in [
        ("up", new_file("../../planted", "x"), "planted"),
        ("absolute", new_file("/tmp/planted", "x"), "/tmp/planted"),
        ("dotted", new_file("scripts/../../planted", "x"), "planted"),
        ("git", new_file(".git/hooks/post-applypatch", "x"), ".git/hooks/post-applypatch"),
        ("through-link", through_link, "out/planted"),
        ("link-out", link_out.to_owned(), "out"),
    ] {
        let error = toy.obtain(&kernels, &toy.patched(name, &[&patch])).0.unwrap_err();
        assert_eq!(error.fault(), Fault::User, "{name}: {error}");
        let text = error.to_string();
        assert!(
            text.contains(&format!("{name}/0001-x.patch would write to")) && text.contains(path),
            "{text}"
        );
    }
    let planted = walk_names(&toy.path("."));
    assert!(!planted.iter().any(|name| name == "planted"), "{planted:?}");
}

fn walk_names(folder: &std::path::Path) -> Vec<String> {
    let mut names = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        names.push(entry.file_name().to_string_lossy().into_owned());
        if entry.file_type().unwrap().is_dir() {
            names.extend(walk_names(&entry.path()));
        }
    }
    names
}

#[test]
fn a_makefile_reaches_neither_the_network_nor_other_files() {
    let toy = Toy::new();
    let kernels = toy.open();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let secret = toy.path("secret");
    fs::write(&secret, "x").unwrap();
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o644)).unwrap();
    let probe = |name: &str, command: &str| {
        format!(
            "if ({command}) >/dev/null 2>&1; then echo PROBE {name} open; else echo PROBE {name} closed; fi"
        )
    };
    let commands = [
        probe("control", "true"),
        probe("tree", "touch /src/alpha.c"),
        probe("tools", "touch /usr/planted"),
        probe("host-file", &format!("cat {}", secret.display())),
        probe("host-folder", &format!("ls {}", toy.path(".").display())),
        probe("homes", "ls /home || ls /root"),
        probe("passwords", "cat /etc/passwd"),
        probe("loopback", &format!("bash -c 'exec 3<>/dev/tcp/127.0.0.1/{port}'")),
        probe("namespaces", "unshare --user true"),
        probe("processes", "test $$(ls -d /proc/[0-9]* | wc -l) -gt 20"),
        // One sparse file of ten gigabytes; what is kept in memory; places that are memory as well.
        probe("large-file", "truncate -s 10G $(O)/large"),
        probe("temporary", "fallocate -l 3G /tmp/large"),
        probe("shared-memory", "fallocate -l 3G /dev/shm/large"),
        probe("root", "touch /planted"),
        probe("devices", "touch /dev/planted"),
        "env | sort | sed 's/^/PROBE env /'".to_owned(),
        "id -u | sed 's/^/PROBE uid /'".to_owned(),
    ];
    let (end, _) = toy.obtain(&kernels, &toy.patched("probe", &[&toy.makefile_that_runs(&commands)]));
    assert!(matches!(end.as_ref().unwrap(), BuildEnd::Built(_)), "{end:?}");
    let log = toy.log("toy+probe.log");
    assert!(log.contains("PROBE control open"), "{log}");
    for name in [
        "tree",
        "tools",
        "host-file",
        "host-folder",
        "homes",
        "passwords",
        "loopback",
        "namespaces",
        "processes",
        "large-file",
        "temporary",
        "shared-memory",
        "root",
        "devices",
    ] {
        assert!(log.contains(&format!("PROBE {name} closed")), "{name}:\n{log}");
    }
    assert!(log.contains("PROBE env HOME=/tmp") && !log.contains("PROBE env CARGO"), "{log}");
    assert!(!log.contains("PROBE uid 0\n"), "{log}");
}

#[test]
fn links_that_a_build_leaves_are_not_followed() {
    let toy = Toy::new();
    let kernels = toy.open();
    fs::write(toy.path("secret"), "s").unwrap();
    // The host reads and writes the configuration in the object tree: it must do neither through a link.
    let links =
        toy.makefile_that_runs(&[format!("ln -sf {} $(O)/draft.config", toy.path("secret").display())]);
    let (end, _) = toy.obtain(&kernels, &toy.patched("links", &[&links]));
    assert!(matches!(end.unwrap(), BuildEnd::Built(_)));
    let image_is_a_link = toy.makefile_that_runs(&["ln -sf /usr/bin/true $(O)/System.map".to_owned()]);
    let (end, _) = toy.obtain(&kernels, &toy.patched("map", &[&image_is_a_link]));
    // Within the sandbox a link can only lead to what the sandbox has.
    assert!(end.is_ok(), "{end:?}");
    assert_eq!(fs::read_to_string(toy.path("secret")).unwrap(), "s");
}

#[test]
fn a_cache_that_the_sandbox_cannot_enter_is_named() {
    if subprocess::sandbox_ids().is_none() {
        // Without root the sandbox runs as the caller, who can enter.
        return;
    }
    let toy = Toy::new();
    let closed = toy.path("closed");
    fs::create_dir(&closed).unwrap();
    fs::set_permissions(&closed, fs::Permissions::from_mode(0o700)).unwrap();
    symlink(&closed, toy.path("cache")).unwrap();
    let error = toy.obtain(&toy.open(), &toy.base()).0.unwrap_err();
    assert_eq!(error.fault(), Fault::Infrastructure);
    assert!(error.to_string().contains("closed is closed to others"), "{error}");
}

#[test]
fn output_without_end_ends_the_build_and_not_the_disk() {
    let toy = Toy::new();
    let kernels = toy.open();
    let flood = toy.makefile_that_runs(&["cat /dev/zero".to_owned()]);
    let (end, _) = toy.obtain(&kernels, &toy.patched("flood", &[&flood]));
    let Ok(BuildEnd::DoesNotCompile { errors, .. }) = end else { panic!("{end:?}") };
    assert!(errors.contains("more than 256 MiB of output"), "{errors}");
    let size = fs::metadata(toy.path("logs/toy+flood.log")).unwrap().len();
    assert!(size <= 257 << 20, "{size}");
}

#[test]
fn what_a_build_leaves_running_ends_with_it() {
    let toy = Toy::new();
    let kernels = toy.open();
    let mark = format!("98765{}", std::process::id());
    let stays = toy.makefile_that_runs(&[format!("setsid sleep {mark} >/dev/null 2>&1 < /dev/null &")]);
    let (end, _) = toy.obtain(&kernels, &toy.patched("stays", &[&stays]));
    assert!(matches!(end.as_ref().unwrap(), BuildEnd::Built(_)), "{end:?}");
    let lives = fs::read_dir("/proc").unwrap().flatten().any(|process| {
        let line = fs::read(process.path().join("cmdline")).unwrap_or_default();
        line.split(|byte| *byte == 0).eq([b"sleep".as_slice(), mark.as_bytes(), b""])
    });
    assert!(!lives, "sleep {mark} outlives its build");
}
