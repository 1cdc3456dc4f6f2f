//! Fake machines: a script in place of a guest, everything around it real.

#![expect(clippy::unwrap_used, reason = "a test ends at what it did not expect")]

use std::{path::PathBuf, time::Duration};

use crate::lab::{crashed, helper, up};
use machine::{
    Boot, BootEnd, BootFiles, GuestCommand, Heard, Host, InteractiveCommand, MachineError, SessionError,
};
use measure::CrashKind;
use plan::{FakeMachine, Machine};
use protocol::{CHUNK, HowEnded, Stream, Transport};
use subprocess::Supervisor;

const SCRIPT: &str = r#"{
    "release": "6.12.0-fake",
    "files": { "/proc/cmdline": { "text": "console=ttyS0\n" }, "/proc/stat": { "text": "cpu 1 2 3\n" } },
    "kernel_log": { "text": "6,1,2,-;hello\n" },
    "commands": [
        { "match": ["iperf3", "-s"], "until_killed": true },
        { "match": ["iperf3"], "stdout": { "text": "{\"bps\":100.0}" }, "noise": 0.1, "numbers": [{ "pointer": "/bps" }] },
        { "match": ["fails"], "stderr": { "text": "no route" }, "exit": 1 },
        { "match": ["slow"], "delay_ms": 60000 },
        { "match": ["crashes"], "crash": { "text": "[    1.0] Kernel panic - not syncing: in the middle\n" } }
    ],
    "kernels": {
        "slow": { "factor": 0.5 },
        "panics": { "boot": { "outcome": "stops", "console": { "text": "Kernel panic - not syncing: boot\nmore\n" } } },
        "stops": { "boot": { "outcome": "stops", "console": { "text": "fine so far\n" } } },
        "hangs": { "boot": { "outcome": "hangs", "console": { "text": "last words\n" } } }
    }
}"#;

/// Boots the script with a kernel whose image is this text, as the trial of this name.
async fn boot(kernel: &str, trial: &str) -> Result<BootEnd, MachineError> {
    boot_script(SCRIPT, kernel, trial).await
}

async fn boot_script(script: &str, kernel: &str, trial: &str) -> Result<BootEnd, MachineError> {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let files = BootFiles {
        kernel: write("kernel", kernel),
        initramfs: PathBuf::new(),
        root_disk: PathBuf::new(),
        modules_disk: None,
        disks: vec![],
    };
    let machine = Machine::Fake(FakeMachine { script: write("script.json", script) });
    let logs = folder.path().join(trial);
    std::fs::create_dir(&logs).unwrap();
    machine::boot(Boot {
        machine: &machine,
        cmdline: &[],
        files: &files,
        levels: machine::Levels::default(),
        folder: &logs,
        runtime: folder.path(),
        deadline: Duration::from_secs(2),
        traced: false,
        world: &machine::World::Open,
        attachments: &machine::Attachments::default(),
        supervisor: &Supervisor::for_tests(),
        host: &Host { kvm: Err("a fake machine".into()), qemu: None, helper: helper() },
    })
    .await
}

const OFF: Duration = Duration::from_secs(10);

/// What iperf3 says in a trial.
async fn bps(kernel: &str, trial: &str) -> f64 {
    let running = up(boot(kernel, trial).await.unwrap());
    let executed = running.client().session.exec(GuestCommand::new("iperf3").arg("-c")).await.unwrap();
    assert_eq!(running.power_off(OFF).await.unwrap(), Ok(()));
    let text = String::from_utf8(executed.stdout).unwrap();
    text.strip_prefix("{\"bps\":").and_then(|rest| rest.strip_suffix('}')).unwrap().parse().unwrap()
}

#[tokio::test]
async fn a_script_answers_like_a_guest() {
    let running = up(boot("any", "0").await.unwrap());
    let facts = &running.facts()[0].1;
    assert_eq!(
        (facts.release.as_str(), facts.cmdline.as_str(), facts.accel.as_str()),
        ("6.12.0-fake", "console=ttyS0", "fake")
    );
    assert!(running.shared_guest());
    let session = running.server().session;
    let server = session.start(running.server().command("iperf3").arg("-s")).await.unwrap();
    session.wait_listening(None, Transport::Tcp, 5201, OFF).await.unwrap();
    let command = GuestCommand::new("fails").snapshot(["/proc/stat", "/proc/none"]);
    let executed = session.exec(command).await.unwrap();
    assert_eq!((executed.how, executed.stderr.as_slice()), (HowEnded::Exited(1), &b"no route"[..]));
    assert_eq!(executed.before["/proc/stat"].as_deref(), Ok(&b"cpu 1 2 3\n"[..]));
    assert!(executed.after["/proc/none"].is_err());
    assert_eq!(session.kernel_log().await.unwrap(), b"6,1,2,-;hello\n");
    server.kill(15).await.unwrap();
    assert_eq!(server.wait().await.unwrap().how, HowEnded::Signalled(15));
    let unknown = session.exec(GuestCommand::new("unknown")).await;
    assert!(matches!(unknown, Err(SessionError::Guest { .. })), "{unknown:?}");
    assert_eq!(running.power_off(OFF).await.unwrap(), Ok(()));
}

#[tokio::test]
async fn numbers_vary_by_trial_repeat_with_it_and_follow_the_kernel() {
    let (first, again, other) = (bps("base", "1").await, bps("base", "1").await, bps("base", "2").await);
    assert_eq!(first, again);
    assert_ne!(first, other);
    for value in [first, other] {
        assert!((90.0..=110.0).contains(&value), "{value}");
    }
    let slow = bps("slow\n", "1").await;
    assert!((45.0..=55.0).contains(&slow), "{slow}");
}

#[tokio::test]
async fn a_command_ends_at_its_deadline() {
    let running = up(boot("any", "0").await.unwrap());
    let command = GuestCommand::new("slow").deadline(Duration::from_millis(50));
    let executed = running.server().session.exec(command).await.unwrap();
    assert_eq!(executed.how, HowEnded::DeadlinePassed);
}

#[tokio::test]
async fn a_command_that_is_fed_is_heard_as_it_comes_and_can_be_killed() {
    let running = up(boot("any", "0").await.unwrap());
    let session = running.server().session;
    let fails = session.interact(InteractiveCommand::new("fails")).await.unwrap();
    assert_eq!(fails.hear().await.unwrap(), Heard::Output(Stream::Stderr, b"no route".to_vec()));
    assert_eq!(fails.hear().await.unwrap(), Heard::Ended(HowEnded::Exited(1)));
    let server = session.interact(InteractiveCommand::new("iperf3").args(["-s"])).await.unwrap();
    // More than the window: the guest takes what it is given.
    server.say(&vec![b'x'; 5 * CHUNK]).await.unwrap();
    server.kill(15).await.unwrap();
    assert_eq!(server.hear().await.unwrap(), Heard::Ended(HowEnded::Signalled(15)));
    let unknown = session.interact(InteractiveCommand::new("unknown")).await;
    assert!(matches!(unknown, Err(SessionError::Guest { .. })), "{unknown:?}");
    let crashes = session.interact(InteractiveCommand::new("crashes")).await.unwrap();
    assert!(matches!(crashes.hear().await, Err(SessionError::Closed { .. })));
}

#[tokio::test]
async fn a_panic_at_boot_is_a_crash() {
    let report = crashed(boot("panics", "0").await.unwrap());
    assert_eq!(report.kind, CrashKind::Panic);
    assert_eq!(report.title, "Kernel panic - not syncing: boot");
    assert!(report.excerpt.ends_with("more"), "{report:?}");
}

#[tokio::test]
async fn a_stop_without_a_word_is_a_stop() {
    let report = crashed(boot("stops", "0").await.unwrap());
    assert_eq!((report.kind, report.excerpt.as_str()), (CrashKind::Stopped, "fine so far"));
}

#[tokio::test]
async fn a_hang_ends_at_the_boot_deadline_with_the_last_words() {
    let report = crashed(boot("hangs", "0").await.unwrap());
    assert_eq!((report.kind, report.excerpt.as_str()), (CrashKind::BootHang, "last words"));
}

#[tokio::test]
async fn a_crash_in_the_middle_of_a_command_is_seen_by_whoever_watches() {
    let running = up(boot("any", "0").await.unwrap());
    let session = running.server().session;
    let (report, executed) = tokio::join!(running.crashed(), session.exec(GuestCommand::new("crashes")));
    assert_eq!(report.unwrap().title, "Kernel panic - not syncing: in the middle");
    assert!(matches!(executed, Err(SessionError::Closed { .. })), "{executed:?}");
    let off = running.power_off(OFF).await.unwrap();
    assert_eq!(off.unwrap_err().kind, CrashKind::Panic);
}

#[tokio::test]
async fn a_mistake_in_the_script_is_told_and_is_no_crash() {
    let error = boot_script("{\"release\": 1}", "any", "0").await.unwrap_err();
    assert!(
        matches!(&error, MachineError::Script { message, .. } if message.contains("release") || message.contains("integer")),
        "{error}"
    );
}
