//! Real runs carried elsewhere, and a bundle whose patch attacks the machine that builds it.

use std::{
    fs,
    net::TcpListener,
    os::{
        linux::net::SocketAddrExt as _,
        unix::{
            fs::PermissionsExt as _,
            net::{SocketAddr, UnixListener},
        },
    },
    path::{Path, PathBuf},
    process::{Command, Output},
};

use serde_json::{Value, json};
use tests::{Room, can_boot, said, top};

use crate::forge::{edit, forged};

/// A short run of real boots, and its bundle.
fn bundled(room: &Room, flags: &[&str]) -> PathBuf {
    if !room.results().exists() {
        let scenario = top().join("tests/fixtures/scenarios/short.yaml");
        let output = room.sharing_command().arg("run").arg(scenario).output().unwrap();
        assert!(matches!(output.status.code(), Some(0 | 3)), "{}", said(&output));
    }
    let file = room.results().with_file_name(format!("bundle{}", flags.len()));
    let output = room
        .sharing_command()
        .arg("bundle")
        .arg(room.run())
        .args(flags)
        .arg("-o")
        .arg(&file)
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    file
}

/// `assay` in another folder, with another home and other results, and the machine's cache, where QEMU and kernels are.
fn elsewhere(room: &Path) -> Command {
    let (home, here) = (room.join("home"), room.join("here"));
    fs::create_dir_all(&home).unwrap();
    fs::create_dir_all(&here).unwrap();
    let mut command = Command::new(tests::assay());
    command.current_dir(here).env("HOME", home).env_remove("ASSAY_PROJECT");
    command.arg("--results").arg(room.join("results"));
    command
}

fn answer(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {}", said(output)))
}

#[test]
fn a_real_run_is_repeated_elsewhere_with_the_same_images_and_rebuilt() {
    if !can_boot() {
        return;
    }
    let (room, other) = (Room::new(), tempfile::tempdir().unwrap());
    for (flags, images) in [(&[][..], "same"), (&["--no-images"][..], "rebuilt")] {
        let file = bundled(&room, flags);
        let output =
            elsewhere(other.path()).args(["replay", "--json", "--boots", "1"]).arg(&file).output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{}", said(&output));
        let answer = answer(&output);
        assert_eq!((&answer["images"], &answer["agrees"]), (&images.into(), &"yes".into()), "{answer}");
        if images == "rebuilt" {
            assert_eq!(answer["identical"], json!({ "one": true, "other": true }), "{answer}");
        }
    }
    let large = fs::metadata(bundled(&room, &[])).unwrap().len();
    let small = fs::metadata(bundled(&room, &["--no-images"])).unwrap().len();
    assert!(small < 10 << 20 && large > 4 * small, "{small} {large}");
}

/// A patch that has `init/Makefile` run a script, as `git diff` writes it.
fn patch(script: &str) -> String {
    let lines: Vec<&str> = script.lines().collect();
    let added: String = lines.iter().map(|line| format!("+{line}\n")).collect();
    format!(
        "diff --git a/init/Makefile b/init/Makefile\n--- a/init/Makefile\n+++ b/init/Makefile\n@@ -1,7 +1,8 @@\n \
         # SPDX-License-Identifier: GPL-2.0\n #\n # Makefile for the linux kernel.\n #\n\
         +hostile := $(shell sh $(srctree)/init/attempts.sh >&2)\n \n \
         ccflags-y := -fno-function-sections -fno-data-sections\n \n\
         diff --git a/init/attempts.sh b/init/attempts.sh\nnew file mode 100644\n--- /dev/null\n+++ b/init/attempts.sh\n\
         @@ -0,0 +1,{} @@\n{added}",
        lines.len()
    )
}

#[test]
fn a_bundle_with_a_hostile_patch_is_built_and_none_of_what_it_tries_succeeds() {
    if !can_boot() {
        return;
    }
    let room = Room::new();
    let bundle = bundled(&room, &["--no-images"]);
    let victim = tempfile::tempdir().unwrap();
    fs::set_permissions(victim.path(), fs::Permissions::from_mode(0o777)).unwrap();
    let secret = victim.path().join("secret");
    fs::write(&secret, "the secret").unwrap();
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o644)).unwrap();
    let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
    let socket = victim.path().join("socket");
    let _unix = UnixListener::bind(&socket).unwrap();
    fs::set_permissions(&socket, fs::Permissions::from_mode(0o777)).unwrap();
    let mark = format!("assay-hostile-{}", std::process::id());
    let _abstract = UnixListener::bind_addr(&SocketAddr::from_abstract_name(&mark).unwrap()).unwrap();
    let sleep = format!("98765{}", std::process::id());
    let results = victim.path().join("results");
    fs::create_dir(&results).unwrap();
    fs::set_permissions(&results, fs::Permissions::from_mode(0o777)).unwrap();
    let words = [
        ("@CACHE@", "/var/cache/assay".to_owned()),
        ("@RESULTS@", results.display().to_string()),
        ("@HOME@", victim.path().join("home").display().to_string()),
        ("@SECRET@", secret.display().to_string()),
        ("@PORT@", tcp.local_addr().unwrap().port().to_string()),
        ("@SOCKET@", socket.display().to_string()),
        ("@ABSTRACT@", mark.clone()),
        ("@PID@", std::process::id().to_string()),
        ("@SLEEP@", sleep.clone()),
    ];
    let template = include_str!("../../fixtures/hostile/attempts.sh");
    let script = words.iter().fold(template.to_owned(), |text, (word, value)| text.replace(word, value));
    let patch = patch(&script);
    let sha256 = bundle::sha256(patch.as_bytes());
    let forgery = bundle.with_file_name("hostile");
    forged(&bundle, &forgery, &|folder| {
        let place = folder.join("patches/hostile");
        fs::create_dir_all(&place).unwrap();
        fs::write(place.join("0001-hostile.patch"), &patch).unwrap();
        edit(&folder.join("manifest.json"), &|manifest| {
            let member = json!({ "path": "patches/hostile/0001-hostile.patch", "size": 0, "sha256": "" });
            manifest["members"].as_array_mut().unwrap().push(member);
        });
        edit(&folder.join("run.json"), &|run| {
            run["plan"]["arms"][1]["kernel"]["series"] = json!([{
                "name": "hostile", "folder": "patches/hostile",
                "patches": [{ "path": "patches/hostile/0001-hostile.patch", "sha256": sha256 }],
            }]);
        });
    });
    let output =
        elsewhere(victim.path()).args(["replay", "--json", "--boots", "1"]).arg(&forgery).output().unwrap();
    let answer = answer(&output);
    // It was built, booted and measured as any other.
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    assert_eq!(answer["identical"], json!({ "one": true, "other": false }), "{answer}");

    let run = results.join(answer["run"].as_str().unwrap());
    let log = fs::read_to_string(run.join("builds/debian-6.12+hostile.log")).unwrap();
    assert!(log.contains("ATTEMPT control SUCCEEDED") && log.contains("ATTEMPT background started"), "{log}");
    let tried = template.lines().filter_map(|line| line.strip_prefix("attempt ")?.split(' ').next());
    let mut count = 0;
    for name in tried.filter(|name| *name != "control") {
        assert!(log.contains(&format!("ATTEMPT {name} refused")), "{name}: {log}");
        assert!(!log.contains(&format!("ATTEMPT {name} SUCCEEDED")), "{name}: {log}");
        count += 1;
    }
    assert!(count > 25, "{count}");
    assert!(!log.contains("the secret"), "{log}");
    for planted in
        ["/planted", "/usr/planted", "/etc/cron.d/planted", "/dev/planted", "/var/cache/assay/planted"]
    {
        assert!(!Path::new(planted).exists(), "{planted}");
    }
    assert!(!results.join("planted").exists());
    let lives = fs::read_dir("/proc").unwrap().flatten().any(|process| {
        let line = fs::read(process.path().join("cmdline")).unwrap_or_default();
        line.split(|byte| *byte == 0).eq([b"sleep".as_slice(), sleep.as_bytes(), b""])
    });
    assert!(!lives, "sleep {sleep} outlives its build");

    // Each has a patch of its own, and nobody asks for this kernel again.
    let stored: Value = serde_json::from_slice(&fs::read(run.join("run.json")).unwrap()).unwrap();
    let image = Path::new(stored["kernels"]["other"]["build"]["image"].as_str().unwrap()).to_owned();
    fs::remove_dir_all(image.parent().unwrap()).unwrap();
}
