//! Commands, run by the real binary.

use std::{
    fs,
    path::Path,
    time::{Duration, Instant},
};

use crate::host::{Host, PATIENCE, exec, shell};
use protocol::{CHUNK, Exec, FromAgent, HowEnded, Moment, ToAgent};

/// Waits until a process is gone: dead, or a zombie that nobody has reaped yet.
fn gone(pid: &str) -> bool {
    let deadline = Instant::now() + PATIENCE;
    while Instant::now() < deadline {
        match fs::read_to_string(format!("/proc/{pid}/stat")) {
            Err(_) => return true,
            Ok(stat) if stat.rsplit(')').next().is_some_and(|rest| rest.trim_start().starts_with('Z')) => {
                return true;
            }
            Ok(_) => std::thread::park_timeout(Duration::from_millis(5)),
        }
    }
    false
}

#[test]
fn output_larger_than_a_chunk_and_a_pipe_arrives_whole_and_apart() {
    let mut host = Host::new();
    let ran = host.run(1, shell("head -c 1000000 /dev/zero; head -c 200000 /dev/zero >&2")).unwrap();
    assert_eq!(ran.stdout.len(), 1_000_000);
    assert_eq!(ran.stderr.len(), 200_000);
    assert_eq!(ran.how, Some(HowEnded::Exited(0)));
    assert!(ran.pid > 0 && ran.elapsed > Duration::ZERO);
}

#[test]
fn ends_are_told_apart() {
    let mut host = Host::new();
    assert_eq!(host.run(1, shell("exit 7")).unwrap().how, Some(HowEnded::Exited(7)));
    assert_eq!(host.run(2, shell("kill -9 $$")).unwrap().how, Some(HowEnded::Signalled(9)));
}

#[test]
fn what_cannot_be_started_says_why() {
    let mut host = Host::new();
    assert!(host.run(1, exec(&["no-such-program"])).unwrap_err().contains("`no-such-program` is not in"));
    assert!(host.run(2, exec(&["/no/such"])).unwrap_err().contains("No such file"));
    assert!(host.run(3, exec(&["/proc/self/maps"])).unwrap_err().contains("denied"));
    assert!(host.run(4, exec(&[])).unwrap_err().contains("without a program"));
    assert!(host.run(5, exec(&["a\0b"])).is_err());
    assert!(host.run(6, Exec { deadline_ms: 0, ..exec(&["true"]) }).unwrap_err().contains("0 ms"));
    assert!(host.run(7, Exec { netns: Some("assay-none".into()), ..exec(&["true"]) }).is_err());
    assert!(host.run(8, Exec { cpus: vec![9999], ..exec(&["true"]) }).unwrap_err().contains("9999"));
    assert_eq!(
        host.run(9, exec(&["true"])).unwrap().how,
        Some(HowEnded::Exited(0)),
        "it goes on all the same"
    );
}

#[test]
fn a_deadline_kills_the_whole_group_and_keeps_what_was_written() {
    let mut host = Host::new();
    let script = "sh -c 'echo $$; exec sleep 1000' & wait";
    let ran = host.run(1, Exec { deadline_ms: 300, ..shell(script) }).unwrap();
    assert_eq!(ran.how, Some(HowEnded::DeadlinePassed));
    assert!(ran.elapsed >= Duration::from_millis(300));
    let grandchild = String::from_utf8(ran.stdout).unwrap();
    assert!(gone(grandchild.trim()), "{grandchild} lives");
}

#[test]
fn what_a_command_leaves_in_its_group_ends_with_it() {
    let mut host = Host::new();
    let ran = host.run(1, shell("sleep 1000 & echo $!")).unwrap();
    assert_eq!(ran.how, Some(HowEnded::Exited(0)));
    assert!(gone(String::from_utf8(ran.stdout).unwrap().trim()));
}

#[test]
fn a_daemon_that_keeps_the_pipe_open_does_not_keep_the_command_open() {
    let mut host = Host::new();
    let folder = tempfile::tempdir().unwrap();
    let pid = folder.path().join("pid");
    let daemon = format!("setsid sh -c 'echo $$ > {0}; exec sleep 1000' &", pid.display());
    let script = format!("{daemon} while ! [ -s {0} ]; do sleep 0.01; done; echo up", pid.display());
    let ran = host.run(1, shell(&script)).unwrap();
    assert_eq!((ran.how, ran.stdout.as_slice()), (Some(HowEnded::Exited(0)), b"up\n".as_slice()));
    let daemon = fs::read_to_string(pid).unwrap();
    assert!(Path::new("/proc").join(daemon.trim()).exists(), "it left the group and stays");
    host.run(2, exec(&["kill", daemon.trim()])).unwrap();
}

#[test]
fn a_running_command_can_be_signalled_and_an_ended_one_cannot() {
    let mut host = Host::new();
    host.send(&ToAgent::Exec(
        1,
        shell("trap 'echo caught; exit 3' INT; echo up; while :; do sleep 0.01; done"),
    ));
    loop {
        if let FromAgent::Output { bytes, .. } = host.next() {
            assert_eq!(bytes, b"up\n");
            break;
        }
    }
    host.send(&ToAgent::Kill(2, 1, 2));
    let mut done = false;
    let mut caught = Vec::new();
    let how = loop {
        match host.next() {
            FromAgent::Done(2) => done = true,
            FromAgent::Output { bytes, .. } => caught.extend(bytes),
            FromAgent::Ended { id: 1, how, .. } => break how,
            other => panic!("{other:?}"),
        }
    };
    // The signal reaches the whole group, so the shell's sleep ends by it as well.
    assert!(done && caught.starts_with(b"caught"), "{}", String::from_utf8_lossy(&caught));
    assert_eq!(how, HowEnded::Exited(3));
    assert!(host.ask(3, &ToAgent::Kill(3, 1, 2)).unwrap_err().contains("runs no command"));
    assert!(host.ask(4, &ToAgent::Kill(4, 1, 999)).unwrap_err().contains("not a signal"));
}

#[test]
fn input_environment_and_cores_reach_the_command() {
    let mut host = Host::new();
    let ran = host.run(1, Exec { stdin: vec![b'x'; CHUNK], ..exec(&["wc", "-c"]) }).unwrap();
    assert_eq!(String::from_utf8(ran.stdout).unwrap().trim(), CHUNK.to_string());
    let ran = host.run(2, exec(&["cat"])).unwrap();
    assert!(ran.stdout.is_empty(), "without input there is none to wait for");
    let env = vec![("ASSAY_X".to_owned(), "a b".to_owned())];
    let ran = host.run(3, Exec { env, ..shell("echo \"$ASSAY_X\"") }).unwrap();
    assert_eq!(ran.stdout, b"a b\n");
    let ran = host
        .run(4, Exec { cpus: vec![0], ..exec(&["grep", "Cpus_allowed_list", "/proc/self/status"]) })
        .unwrap();
    assert_eq!(ran.stdout, b"Cpus_allowed_list:\t0\n");
    let ran = host.run(5, Exec { stdin: vec![0; CHUNK + 1], ..exec(&["cat"]) });
    assert!(ran.unwrap_err().contains("are allowed"));
}

#[test]
fn files_are_read_before_and_after() {
    let folder = tempfile::tempdir().unwrap();
    let counter = folder.path().join("counter");
    fs::write(&counter, "1").unwrap();
    let pattern = format!("{}/c*", folder.path().display());
    let script = format!("echo 2 > {}", counter.display());
    let mut host = Host::new();
    let snapshot = vec![pattern, "/no/such".to_owned()];
    let ran = host.run(1, Exec { snapshot, ..shell(&script) }).unwrap();
    let path = counter.to_str().unwrap().to_owned();
    let missing = || Err("No such file or directory (os error 2)".to_owned());
    assert_eq!(
        ran.files,
        [
            (Moment::Before, path.clone(), Ok(b"1".to_vec())),
            (Moment::Before, "/no/such".into(), missing()),
            (Moment::After, path, Ok(b"2\n".to_vec())),
            (Moment::After, "/no/such".into(), missing()),
        ]
    );
}

#[test]
fn several_commands_run_at_once() {
    let mut host = Host::new();
    let folder = tempfile::tempdir().unwrap();
    let pipe = folder.path().join("pipe");
    nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).unwrap();
    // Each can end only while the other runs.
    host.send(&ToAgent::Exec(1, shell(&format!("cat {}", pipe.display()))));
    host.send(&ToAgent::Exec(2, shell(&format!("echo hello > {}", pipe.display()))));
    let (mut heard, mut ended) = (Vec::new(), 0);
    while ended < 2 {
        match host.next() {
            FromAgent::Output { id: 1, bytes, .. } => heard.extend(bytes),
            FromAgent::Ended { how, .. } => {
                assert_eq!(how, HowEnded::Exited(0));
                ended += 1;
            }
            FromAgent::Started { .. } => {}
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(heard, b"hello\n");
}

#[test]
fn a_request_number_in_use_is_refused_and_the_running_command_goes_on() {
    let mut host = Host::new();
    host.send(&ToAgent::Exec(1, exec(&["sleep", "1000"])));
    assert!(matches!(host.next(), FromAgent::Started { id: 1, .. }));
    host.send(&ToAgent::Exec(1, exec(&["true"])));
    assert!(matches!(host.next(), FromAgent::Failed(1, reason) if reason.contains("runs a command already")));
    host.send(&ToAgent::Kill(2, 1, 9));
    assert!(matches!(
        host.next(),
        FromAgent::Done(2) | FromAgent::Ended { id: 1, how: HowEnded::Signalled(9), .. }
    ));
}

#[test]
fn the_deadline_holds_although_the_host_does_not_read() {
    let mut host = Host::deaf();
    let folder = tempfile::tempdir().unwrap();
    let pid = folder.path().join("pid");
    let script = format!("echo $$ > {}; exec yes", pid.display());
    host.send(&ToAgent::Exec(1, Exec { deadline_ms: 500, ..shell(&script) }));
    let deadline = Instant::now() + PATIENCE;
    while fs::metadata(&pid).map_or(0, |facts| facts.len()) == 0 {
        assert!(Instant::now() < deadline, "the command never started");
        std::thread::park_timeout(Duration::from_millis(5));
    }
    assert!(gone(fs::read_to_string(pid).unwrap().trim()));
}

#[test]
fn commands_end_with_the_conversation() {
    let mut host = Host::new();
    host.send(&ToAgent::Exec(1, exec(&["sleep", "1000"])));
    let FromAgent::Started { pid, .. } = host.next() else { panic!("not started") };
    assert!(host.close().success());
    assert!(gone(&pid.to_string()));
}
