//! What a command gets, and what comes back.

use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use crate::support::{SOON, sh, supervisor};
use subprocess::{
    Ended, Input, Resource, RunAs, Stdio, SubprocessError, Supervisor, Tool, ToolError, sandbox_ids,
};

#[test]
fn a_failure_names_the_command_its_status_and_its_last_words() {
    let error = sh("echo doing; echo 'it broke' >&2; exit 3").run(&supervisor()).unwrap_err();
    assert!(matches!(error, ToolError::Failed { ended: Ended::Exited(3), .. }), "{error:?}");
    assert_eq!(
        error.to_string(),
        "`sh -c 'echo doing; echo '\\''it broke'\\'' >&2; exit 3'` exited with 3: it broke"
    );
}

#[test]
fn a_signal_is_told_from_a_status() {
    let supervisor = supervisor();
    for (script, ended) in [
        ("kill -SEGV $$", Ended::Signalled(11)),
        // A real-time signal, for which there is no name.
        ("kill -40 $$", Ended::Signalled(40)),
        ("exit 137", Ended::Exited(137)),
    ] {
        assert_eq!(sh(script).run_unchecked(&supervisor).unwrap().ended, ended, "{script}");
    }
}

#[test]
fn output_beyond_a_pipes_buffer_comes_back_whole() {
    let output = sh("head -c 3000000 /dev/zero; head -c 2000000 /dev/zero >&2").run(&supervisor()).unwrap();
    assert_eq!((output.stdout.len(), output.stderr.len()), (3_000_000, 2_000_000));
}

#[test]
fn too_much_output_is_an_error_and_ends_the_command() {
    let error = sh("cat /dev/zero").max_output(100_000).run(&supervisor()).unwrap_err();
    assert!(matches!(error, ToolError::TooMuchOutput { limit: 100_000, .. }), "{error:?}");
}

#[test]
fn a_log_gets_everything_and_the_output_its_end() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("build.log");
    std::fs::write(&log, "before\n").unwrap();
    let script = "for i in 1 2 3; do echo out $i; echo err $i >&2; done";
    let output = sh(script).log(&log).max_output(6).run(&supervisor()).unwrap();
    assert_eq!((output.stdout.as_slice(), output.stderr.as_slice()), (&b"out 3\n"[..], &b"err 3\n"[..]));
    let text = std::fs::read_to_string(&log).unwrap();
    assert!(text.starts_with("before\n"), "{text}");
    let mut lines: Vec<&str> = text.lines().skip(1).collect();
    lines.sort_unstable();
    assert_eq!(lines, ["err 1", "err 2", "err 3", "out 1", "out 2", "out 3"]);
}

#[test]
fn output_may_go_to_a_file_which_others_may_read() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("contents");
    std::fs::write(&file, "more than what comes now").unwrap();
    let output = sh("printf new; echo err >&2; touch made").in_dir(folder.path()).stdout_file(&file);
    let output = output.run(&supervisor()).unwrap();
    assert_eq!((output.stdout.as_slice(), output.stderr.as_slice()), (&b""[..], &b"err\n"[..]));
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "new");
    let mode = std::fs::metadata(folder.path().join("made")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o644);
}

#[test]
fn a_log_that_cannot_be_written_is_named() {
    let error = sh("echo").log("/no/such/folder/log").run(&supervisor()).unwrap_err();
    assert_eq!(error.to_string(), "writing the log /no/such/folder/log");
    let error = sh("echo text").log("/dev/full").run(&supervisor()).unwrap_err();
    assert_eq!(error.to_string(), "writing the log /dev/full");
}

#[test]
fn a_passed_deadline_quotes_the_last_words() {
    let tool = sh("echo 'waiting for the server' >&2; sleep 1000").deadline(Duration::from_millis(500));
    let error = tool.run(&supervisor()).unwrap_err();
    assert!(
        error.to_string().ends_with("was ended after its deadline of 0.5 s: waiting for the server"),
        "{error}"
    );
}

#[test]
fn the_environment_is_clean() {
    // A variable that the test runner has for certain.
    assert!(std::env::var_os("CARGO_MANIFEST_DIR").is_some());
    let supervisor = supervisor();
    let output = Tool::new("env").env("ARCH", "x86").run(&supervisor).unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let mut names: Vec<&str> = text.lines().map(|line| line.split('=').next().unwrap()).collect();
    names.sort_unstable();
    assert_eq!(names, ["ARCH", "LC_ALL", "PATH", "TZ"], "{text}");

    let output = Tool::new("env")
        .pass_env("CARGO_MANIFEST_DIR")
        .pass_env("NOT_SET_ANYWHERE")
        .run(&supervisor)
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("CARGO_MANIFEST_DIR=") && !text.contains("NOT_SET_ANYWHERE"), "{text}");
}

#[test]
fn only_the_standard_streams_are_open_in_a_child() {
    // Its fourth is the folder that it lists.
    let output = Tool::new("ls").arg("/proc/self/fd").run(&supervisor()).unwrap();
    assert_eq!(String::from_utf8(output.stdout).unwrap(), "0\n1\n2\n3\n");
}

#[test]
fn it_runs_where_it_is_told() {
    let supervisor = supervisor();
    let folder = tempfile::tempdir().unwrap();
    let there = folder.path().canonicalize().unwrap();
    let output = Tool::new("pwd").in_dir(&there).run(&supervisor).unwrap();
    assert_eq!(String::from_utf8(output.stdout).unwrap().trim_end(), there.to_str().unwrap());
    // The supervisor's own folder is elsewhere; a tool's is the harness's.
    let output = Tool::new("pwd").run(&supervisor).unwrap();
    let here = std::env::current_dir().unwrap();
    assert_eq!(String::from_utf8(output.stdout).unwrap().trim_end(), here.to_str().unwrap());
}

#[test]
fn what_cannot_be_started_is_named() {
    let supervisor = supervisor();
    let error = Tool::new("no-such-program").run(&supervisor).unwrap_err();
    assert!(
        error.to_string().starts_with("`no-such-program` is not an executable on this machine"),
        "{error}"
    );
    let error = Tool::new("true").in_dir("/no/such/folder").run(&supervisor).unwrap_err();
    assert_eq!(error.to_string(), "cannot run `true` in /no/such/folder");
    let error = Tool::new("cat").stdin(Input::File("/no/such/file".into())).run(&supervisor).unwrap_err();
    assert_eq!(error.to_string(), "preparing the standard input of `cat`");
}

#[test]
fn input_is_read_from_bytes_and_files() {
    let supervisor = supervisor();
    let bytes = vec![b'x'; 1_000_000];
    let output = Tool::new("cat").stdin(Input::Bytes(bytes.clone())).run(&supervisor).unwrap();
    assert!(output.stdout == bytes);
    let output =
        Tool::new("wc").arg("-c").stdin(Input::File("/proc/version".into())).run(&supervisor).unwrap();
    assert_ne!(output.stdout, b"0\n");
    assert_eq!(Tool::new("wc").arg("-c").run(&supervisor).unwrap().stdout, b"0\n");
}

#[test]
fn unprivileged_has_nothing_left_to_use() {
    let tool = Tool::new("cat").arg("/proc/self/status").run_as(RunAs::Unprivileged);
    let output = tool.run(&supervisor()).unwrap();
    let status = String::from_utf8(output.stdout).unwrap();
    let field = |name: &str| {
        let line = status.lines().find(|line| line.starts_with(name)).unwrap();
        line.split_whitespace().skip(1).map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(field("NoNewPrivs:"), ["1"]);
    // Otherwise the tests do not run as root, and the user stays the same.
    if let Some((uid, gid)) = sandbox_ids() {
        assert_eq!(field("Uid:"), vec![uid.to_string(); 4]);
        assert_eq!(field("Gid:"), vec![gid.to_string(); 4]);
        assert!(field("Groups:").is_empty());
        for set in ["CapEff:", "CapPrm:", "CapInh:", "CapAmb:"] {
            assert_eq!(field(set), ["0000000000000000"], "{set}");
        }
    }
}

#[test]
fn the_sandbox_user_is_nobody_else() {
    if let Some((uid, gid)) = sandbox_ids() {
        assert!((61184..=65519).contains(&uid.as_raw()));
        assert_eq!(nix::unistd::User::from_uid(uid).unwrap(), None);
        assert_eq!(nix::unistd::Group::from_gid(gid).unwrap(), None);
    }
}

#[test]
fn limits_hold() {
    let supervisor = supervisor();
    let folder = tempfile::tempdir().unwrap();
    let output = sh("head -c 100000 /dev/zero >file")
        .in_dir(folder.path())
        .limit(Resource::FileSize, 4096)
        .run_unchecked(&supervisor)
        .unwrap();
    assert!(!output.ended.is_success());
    assert_eq!(std::fs::metadata(folder.path().join("file")).unwrap().len(), 4096);
}

#[test]
fn fifty_commands_run_at_once() {
    let supervisor = supervisor();
    // Each holds the barrier closed until all of them run.
    let folder = tempfile::tempdir().unwrap();
    let script = "touch $0; while [ $(ls | wc -l) -lt 50 ]; do sleep 0.05; done; echo $0";
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..50)
            .map(|number| {
                let tool = sh(script).arg(number.to_string()).in_dir(folder.path()).deadline(SOON * 2);
                scope.spawn(|| tool.run(&supervisor).unwrap())
            })
            .collect();
        for (number, thread) in threads.into_iter().enumerate() {
            assert_eq!(thread.join().unwrap().stdout, format!("{number}\n").as_bytes());
        }
    });
}

#[test]
fn what_is_no_supervisor_is_refused() {
    let error = Supervisor::start(&["true".into()]).unwrap_err();
    assert!(matches!(error, SubprocessError::Handshake { .. }), "{error:?}");
    let error = Supervisor::start(&["/no/such/supervisor".into()]).unwrap_err();
    assert!(matches!(error, SubprocessError::Start { .. }), "{error:?}");
}

#[test]
fn the_supervisor_program_refuses_to_be_started_by_hand() {
    let supervisor = supervisor();
    let output = Tool::new(env!("CARGO_BIN_EXE_assay-supervise")).run_unchecked(&supervisor).unwrap();
    assert_eq!(output.ended, Ended::Exited(1));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("only the harness starts this program"), "{said}");
}

#[test]
fn descriptors_are_the_childs_alone() {
    let supervisor = supervisor();
    let (mut pipe, stdio) = crate::support::piped();
    let first = sh("sleep 1000").start(&supervisor, stdio).unwrap();
    // Were the first one's pipe open in the second, it would not close with the first.
    let _second = sh("sleep 1000").start(&supervisor, Stdio::default()).unwrap();
    first.kill().unwrap();
    crate::support::await_closed(&mut pipe);
}
