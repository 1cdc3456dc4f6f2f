//! Nothing that was started outlives the child, the harness or the supervisor it belongs to.

use std::io;
use std::path::Path;
use std::process::{Command, Stdio as StdStdio};
use std::time::{Duration, Instant};

use crate::support::{SOON, TREE, announced, await_closed, await_gone, piped, runs, sh, supervisor};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use subprocess::{Ended, Stdio, SubprocessError, Tool, ToolError};

#[test]
fn deadline_ends_the_whole_tree_and_says_so() {
    let supervisor = supervisor();
    let (mut pipe, stdio) = piped();
    let child = sh(TREE).deadline(Duration::from_secs(2)).start(&supervisor, stdio).unwrap();
    let pids = announced(&mut pipe);
    assert!(pids.iter().all(|pid| runs(*pid)), "{pids:?}");

    let error = child.wait(SOON).unwrap_err();

    // At once: the end is reported after everything is gone.
    assert!(!pids.iter().any(|pid| runs(*pid)), "{pids:?}");
    assert!(error.to_string().contains("after its deadline of 2 s"), "{error}");
}

#[test]
fn a_deadline_holds_while_the_harness_is_busy() {
    let supervisor = supervisor();
    let (mut pipe, stdio) = piped();
    let start = Instant::now();
    // Nobody waits for this child or reads its reports on purpose.
    let _child = sh("sleep 1000").deadline(Duration::from_millis(300)).start(&supervisor, stdio).unwrap();
    await_closed(&mut pipe);
    assert!(start.elapsed() >= Duration::from_millis(300));
}

#[test]
fn what_a_command_leaves_behind_ends_with_it() {
    let output = sh("(setsid sleep 1000 & echo $!)").run(&supervisor()).unwrap();
    let daemon: i32 = String::from_utf8(output.stdout).unwrap().trim().parse().unwrap();
    assert!(!runs(daemon));
    assert!(output.took < SOON);
}

#[test]
fn a_daemon_lives_until_the_child_it_descends_from_ends() {
    let supervisor = supervisor();
    let (mut pipe, stdio) = piped();
    let child = sh(TREE).start(&supervisor, stdio).unwrap();
    let pids = announced(&mut pipe);
    // The end of another child is when the supervisor looks for orphans; a living child's daemon is none.
    sh("true").run(&supervisor).unwrap();
    assert!(pids.iter().all(|pid| runs(*pid)), "{pids:?}");
    child.kill().unwrap();
    child.wait(SOON).unwrap();
    assert!(!pids.iter().any(|pid| runs(*pid)), "{pids:?}");
}

#[test]
fn kill_ends_the_whole_tree() {
    let supervisor = supervisor();
    let (mut pipe, stdio) = piped();
    let child = sh(TREE).start(&supervisor, stdio).unwrap();
    let pids = announced(&mut pipe);
    child.kill().unwrap();
    assert_eq!(child.wait(SOON).unwrap(), Some(Ended::Signalled(9)));
    assert!(!pids.iter().any(|pid| runs(*pid)), "{pids:?}");
    // A second time there is nothing to do.
    child.kill().unwrap();
}

#[test]
fn dropping_a_child_ends_its_tree() {
    let supervisor = supervisor();
    let (mut pipe, stdio) = piped();
    let child = sh(TREE).start(&supervisor, stdio).unwrap();
    let pids = announced(&mut pipe);
    drop(child);
    await_closed(&mut pipe);
    await_gone(&pids);
}

#[test]
fn dropping_the_last_handle_waits_until_everything_is_gone() {
    let supervisor = supervisor();
    let process = supervisor.pid();
    let (mut pipe, stdio) = piped();
    let child = sh(TREE).start(&supervisor, stdio).unwrap();
    let pids = announced(&mut pipe);
    drop(child);
    drop(supervisor);
    assert!(!pids.iter().any(|pid| runs(*pid)), "{pids:?}");
    assert!(!Path::new(&format!("/proc/{process}")).exists(), "the supervisor was not reaped");
}

#[test]
#[expect(clippy::disallowed_methods, reason = "under a supervisor of ours, its helper would not be alone")]
fn a_killed_harness_leaves_nothing_running() {
    let supervise = Path::new(env!("CARGO_BIN_EXE_assay-supervise"));
    let example = supervise.with_file_name("examples").join("harness");
    let (mut pipe, writer) = io::pipe().unwrap();
    let mut harness = Command::new(&example)
        .arg(supervise)
        .args(["sh", "-c", TREE])
        .stdin(StdStdio::null())
        .stdout(writer)
        .spawn()
        .unwrap_or_else(|error| panic!("{} (cargo test builds it): {error}", example.display()));
    let pids = announced(&mut pipe);

    harness.kill().unwrap();
    harness.wait().unwrap();

    await_closed(&mut pipe);
    await_gone(&pids);
}

#[test]
fn a_killed_supervisor_takes_its_children_along_and_is_named() {
    let supervisor = supervisor();
    let (mut pipe, stdio) = piped();
    let child = sh("exec sleep 1000").start(&supervisor, stdio).unwrap();
    let (told, hears) = std::sync::mpsc::channel();
    child.on_exit(move |ended| told.send(ended).unwrap());

    kill(Pid::from_raw(supervisor.pid()), Signal::SIGKILL).unwrap();

    await_closed(&mut pipe);
    await_gone(&[child.pid()]);
    for result in [
        child.wait(SOON).map(drop),
        hears.recv_timeout(SOON).unwrap().map(drop),
        sh("true").run(&supervisor).map(drop),
    ] {
        let error = result.unwrap_err();
        let ToolError::Supervisor { source: SubprocessError::Lost { pid }, .. } = error else {
            panic!("{error:?}")
        };
        assert_eq!(pid, supervisor.pid());
    }
}

#[test]
fn a_terminal_cannot_end_the_supervisor() {
    let supervisor = supervisor();
    for signal in [Signal::SIGINT, Signal::SIGHUP, Signal::SIGTERM, Signal::SIGQUIT] {
        kill(Pid::from_raw(supervisor.pid()), signal).unwrap();
    }
    // In a session of its own, so that a terminal does not even try.
    let session = nix::unistd::getsid(Some(Pid::from_raw(supervisor.pid()))).unwrap();
    assert_eq!(session.as_raw(), supervisor.pid());
    // Its children are not deaf to them.
    let output = Tool::new("cat").arg("/proc/self/status").run(&supervisor).unwrap();
    let status = String::from_utf8(output.stdout).unwrap();
    for field in ["SigBlk:", "SigIgn:"] {
        let line = status.lines().find(|line| line.starts_with(field)).unwrap();
        let set = u64::from_str_radix(line.split_whitespace().nth(1).unwrap(), 16).unwrap();
        for signal in [Signal::SIGINT, Signal::SIGHUP, Signal::SIGTERM, Signal::SIGQUIT, Signal::SIGCHLD] {
            assert_eq!(set & 1 << (signal as u64 - 1), 0, "{signal} in {line}");
        }
    }
}

#[test]
fn terminate_lets_a_child_end_itself() {
    let supervisor = supervisor();
    let (mut pipe, stdio) = piped();
    let child = sh("trap 'exit 7' TERM; echo 1; echo 2; echo 3; echo 4; while :; do sleep 1000 & wait; done")
        .start(&supervisor, stdio)
        .unwrap();
    announced(&mut pipe);
    child.terminate(SOON).unwrap();
    assert_eq!(child.wait(SOON).unwrap(), Some(Ended::Exited(7)));
}

#[test]
fn terminate_kills_what_does_not_listen() {
    let supervisor = supervisor();
    let (mut pipe, stdio) = piped();
    let child = sh("trap '' TERM; echo 1; echo 2; echo 3; echo 4; while :; do sleep 1; done")
        .start(&supervisor, stdio)
        .unwrap();
    announced(&mut pipe);
    let start = Instant::now();
    child.terminate(Duration::from_millis(200)).unwrap();
    assert_eq!(child.wait(SOON).unwrap(), Some(Ended::Signalled(9)));
    assert!(start.elapsed() >= Duration::from_millis(200));
}

#[test]
fn wait_returns_while_the_child_runs() {
    let supervisor = supervisor();
    let child = sh("sleep 1000").start(&supervisor, Stdio::default()).unwrap();
    assert_eq!(child.wait(Duration::from_millis(20)).unwrap(), None);
    assert!(runs(child.pid()));
}

#[test]
fn a_callback_is_called_once_also_when_it_comes_late() {
    let supervisor = supervisor();
    let child = sh("exit 3").start(&supervisor, Stdio::default()).unwrap();
    assert_eq!(child.wait(SOON).unwrap(), Some(Ended::Exited(3)));
    let (told, hears) = std::sync::mpsc::channel();
    child.on_exit(move |ended| told.send(ended.unwrap()).unwrap());
    assert_eq!(hears.recv_timeout(SOON).unwrap(), Ended::Exited(3));
    assert!(hears.recv_timeout(SOON).is_err(), "the callback is gone after its one call");
}
