//! What a guest has of the host when it was asked for: folders, its root, a debugger.

use std::{
    fs::{self, Permissions},
    io::{BufRead, BufReader},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use tests::{Room, can_boot, said, top};

/// A folder that everybody can enter, guests of root among them; gone with the value.
struct Open(tempfile::TempDir);

impl Open {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).unwrap();
        Self(folder)
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn folder(&self, name: &str, mode: u32) -> PathBuf {
        let folder = self.path().join(name);
        fs::create_dir(&folder).unwrap();
        fs::set_permissions(&folder, Permissions::from_mode(mode)).unwrap();
        folder
    }

    fn program(&self, name: &str, script: &str) {
        let file = self.path().join(name);
        fs::write(&file, script).unwrap();
        fs::set_permissions(&file, Permissions::from_mode(0o755)).unwrap();
    }
}

/// `assay exec` in a folder.
fn exec_in(folder: &Path, arguments: &[&str]) -> Output {
    let project = top();
    let mut command = Room::new().sharing_command();
    command.arg("--project").arg(&project).arg("exec").args(arguments).current_dir(folder);
    command.output().unwrap()
}

fn out(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn shared_folders_are_read_only_unless_writing_was_asked_for() {
    if !can_boot() {
        return;
    }
    let open = Open::new();
    let data = open.folder("data", 0o755);
    fs::write(data.join("given"), "from the host\n").unwrap();
    let results = open.folder("results", 0o777);
    let script =
        "cat /mnt/data/given; touch /mnt/data/new 2>&1; ls /mnt; echo from the guest > /results/file";
    let shares = [data.to_str().unwrap().to_owned(), format!("{}:/results:rw", results.display())];
    let output = exec_in(&top(), &["--share", &shares[0], "--share", &shares[1], "--", "sh", "-c", script]);
    assert!(output.status.success(), "{}", said(&output));
    let expected = "from the host\ntouch: /mnt/data/new: Read-only file system\ndata\n";
    assert_eq!(out(&output), expected, "{}", said(&output));
    assert!(!data.join("new").exists());
    assert_eq!(fs::read_to_string(results.join("file")).unwrap(), "from the guest\n");
}

#[test]
fn what_cannot_be_shared_is_refused_before_anything_boots_with_every_problem() {
    if !can_boot() {
        return;
    }
    let open = Open::new();
    // Root itself may always; the user that its guests run as may not.
    let closed = open.folder("closed", 0o000);
    let output = exec_in(
        &top(),
        &[
            "--share",
            closed.to_str().unwrap(),
            "--share",
            "/no/such/folder",
            "--share",
            "/usr:/proc/x",
            "--",
            "true",
        ],
    );
    assert_eq!(output.status.code(), Some(2), "{}", said(&output));
    let text = String::from_utf8_lossy(&output.stderr);
    for problem in ["may not read", "No such file", "the guest's own"] {
        assert!(text.contains(problem), "{problem} is missing in\n{text}");
    }
}

#[test]
fn with_the_hosts_root_a_command_finds_the_users_files_and_changes_none() {
    if !can_boot() {
        return;
    }
    let open = Open::new();
    open.program("mytest", "#!/bin/sh\nuname -r; pwd; touch /usr/assay-was-here 2>&1; exit 3\n");
    // The folder is below /tmp, which is the guest's own: it is there all the same.
    let output = exec_in(open.path(), &["--root", "host", "--", "./mytest"]);
    assert_eq!(output.status.code(), Some(3), "{}", said(&output));
    let text = out(&output);
    assert!(text.starts_with("6.12."), "{}", said(&output));
    assert!(text.contains(open.path().to_str().unwrap()), "{}", said(&output));
    assert!(text.contains("Read-only file system"), "{}", said(&output));

    let script = "touch /usr/assay-was-here && ls /usr/assay-was-here && command -v cargo; ls -A /run";
    let output = exec_in(&top(), &["--root", "host:overlay", "--", "sh", "-c", script]);
    assert!(output.status.success(), "{}", said(&output));
    assert!(out(&output).starts_with("/usr/assay-was-here\n"), "{}", said(&output));
    assert!(!Path::new("/usr/assay-was-here").exists());
}

#[test]
fn a_kernel_without_9p_is_told_by_the_option_that_it_lacks() {
    if !can_boot() {
        return;
    }
    for flags in [["--share", "/usr/share"], ["--root", "host"]] {
        let mut arguments = vec!["--base", "debian-cloud"];
        arguments.extend(flags);
        arguments.extend(["--", "true"]);
        let output = exec_in(&top(), &arguments);
        assert_eq!(output.status.code(), Some(2), "{}", said(&output));
        assert!(String::from_utf8_lossy(&output.stderr).contains("no CONFIG_9P_FS"), "{}", said(&output));
    }
}

#[test]
fn a_debugger_sees_symbols_and_lines_of_a_guest_that_waits_for_it() {
    if !can_boot() {
        return;
    }
    if Command::new("gdb").arg("--version").output().is_err() {
        eprintln!("SKIPPED: there is no gdb");
        return;
    }
    let room = Room::new();
    let mut guest = room
        .sharing_command()
        .args(["exec", "--gdb=wait", "--", "uname", "-r"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut told = BufReader::new(guest.stderr.take().unwrap()).lines();
    let pid = told.find_map(|line| {
        let line = line.unwrap();
        let (_, rest) = line.split_once("assay gdb --pid ")?;
        Some(rest.split('`').next()?.to_owned())
    });
    let pid = pid.expect("it says how to attach");
    let script = ["-batch", "-ex", "hbreak start_kernel", "-ex", "continue", "-ex", "bt", "-ex", "detach"];
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(60);
    let output = loop {
        let output = room.sharing_command().args(["gdb", "--pid", &pid, "--"]).args(script).output().unwrap();
        // It says so while QEMU is not there yet.
        if output.status.code() != Some(2) {
            break output;
        }
        assert!(std::time::Instant::now() < deadline, "{}", said(&output));
    };
    let text = out(&output);
    assert!(text.contains("start_kernel () at") && text.contains("x86_64_start_kernel"), "{}", said(&output));
    let ended = guest.wait_with_output().unwrap();
    assert!(ended.status.success() && out(&ended).starts_with("6.12."), "{}", said(&ended));
}
