//! Running a command, with a look at files immediately before and after.

use std::{
    io::{self, PipeReader, PipeWriter, Write},
    os::unix::process::CommandExt,
    process::{Command, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};

use nix::{
    sched::{CpuSet, sched_getaffinity, sched_setaffinity},
    unistd::Pid,
};
use protocol::{CHUNK, Exec, FromAgent, HowEnded, Id, Moment};

use crate::{
    leader::{Leader, how},
    namespace, program,
    pump::{Pump, Streams},
    read::{self, Net},
    session::Session,
    trace::{self, Trace},
};

/// Runs a command to its end on the calling thread, which is used for nothing else afterwards: it may have changed
/// its namespaces. The end of the command is the end of its first process; what is left of its process group is then
/// killed, and what was written until then is its output.
pub(crate) fn run(session: &Arc<Session>, id: Id, exec: &Exec) -> Result<(), String> {
    if exec.deadline_ms == 0 {
        return Err("a deadline of 0 ms".into());
    }
    let net = match &exec.netns {
        Some(name) => {
            namespace::enter(name)?;
            Net::OfThread
        }
        None => Net::OfProcess,
    };
    let (mut command, streams) = prepare(exec)?;
    let (follows, snapshot): (Vec<_>, Vec<_>) =
        exec.snapshot.iter().cloned().partition(|pattern| pattern == trace::SYSCALLS);
    let trace = (!follows.is_empty()).then(|| Trace::follow(id, &mut command));
    let everywhere = narrow(&exec.cpus)?;

    let before = read::snapshot(&snapshot, net)?;
    let start = Instant::now();
    if let Some(window) = exec.window {
        mark::begin(window);
    }
    let spawned = command.spawn();
    // The parent's copies of the pipes' far ends would keep them open.
    drop(command);
    let child = spawned.map_err(|error| format!("starting `{}`: {error}", exec.argv[0]))?;
    if let Some(everywhere) = everywhere {
        sched_setaffinity(Pid::from_raw(0), &everywhere)
            .map_err(|errno| format!("widening the cores again: {}", errno.desc()))?;
    }
    let mut leader = Leader::of(session, id, child)?;
    let pump = Pump::start(Arc::clone(session), id, leader.pid, before, streams)
        .map_err(|error| format!("starting a thread: {error}"))?;

    let ended_in_time = leader.wait_until(start + Duration::from_millis(exec.deadline_ms))?;
    if !ended_in_time {
        leader.kill_group();
        leader.wait()?;
    }
    if let Some(window) = exec.window {
        mark::end(window);
    }
    let elapsed = start.elapsed();
    let mut after = read::snapshot(&snapshot, net)?;
    leader.kill_group();
    after.extend(trace.map(trace::reading));
    pump.finish()?;
    let status = leader.reap().map_err(|error| format!("waiting for `{}`: {error}", exec.argv[0]))?;

    session.send_files(id, Moment::After, after);
    let how = if ended_in_time { how(status) } else { HowEnded::DeadlinePassed };
    let elapsed_ns = u64::try_from(elapsed.as_nanos()).unwrap_or(u64::MAX);
    session.send(&FromAgent::Ended { id, how, elapsed_ns });
    Ok(())
}

/// All that can be done before the moment that counts.
#[expect(
    clippy::disallowed_methods,
    reason = "in the guest there is no supervisor: the agent starts commands itself"
)]
fn prepare(exec: &Exec) -> Result<(Command, Streams), String> {
    let (name, arguments) = exec.argv.split_first().ok_or("a command without a program")?;
    let path = exec.env.iter().rev().find(|(key, _)| key == "PATH").map(|(_, value)| value.into());
    let path = path.or_else(|| std::env::var_os("PATH")).unwrap_or_default();
    let pipes = || -> io::Result<_> { Ok((io::pipe()?, io::pipe()?)) };
    let ((stdout, stdout_end), (stderr, stderr_end)) =
        pipes().map_err(|error| format!("making pipes: {error}"))?;
    let mut command = Command::new(program::find(name, &path)?);
    command
        .arg0(name)
        .args(arguments)
        .envs(exec.env.iter().map(|(key, value)| (key, value)))
        .stdin(standard_input(&exec.stdin)?)
        .stdout(stdout_end)
        .stderr(stderr_end)
        .process_group(0);
    Ok((command, Streams { stdout, stderr }))
}

/// A pipe that holds all of `bytes` already: nothing needs to feed it while the command runs.
fn standard_input(bytes: &[u8]) -> Result<Stdio, String> {
    if bytes.is_empty() {
        return Ok(Stdio::null());
    }
    if bytes.len() > CHUNK {
        return Err(format!("{} bytes of standard input; {CHUNK} are allowed", bytes.len()));
    }
    let fill = || -> io::Result<PipeReader> {
        let (reader, mut writer) = io::pipe()?;
        // A new pipe holds 64 KiB; where the system grants less, fail and do not block.
        nonblocking(&writer)?;
        writer.write_all(bytes)?;
        Ok(reader)
    };
    fill().map(Stdio::from).map_err(|error| format!("filling the standard input: {error}"))
}

fn nonblocking(writer: &PipeWriter) -> io::Result<()> {
    use nix::fcntl::{FcntlArg, OFlag, fcntl};
    fcntl(writer, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
    Ok(())
}

/// Keeps this thread, and so what it starts, on `cpus`. Returns where it may run otherwise; does nothing for an empty
/// list.
fn narrow(cpus: &[u32]) -> Result<Option<CpuSet>, String> {
    if cpus.is_empty() {
        return Ok(None);
    }
    let this = Pid::from_raw(0);
    let mut set = CpuSet::new();
    for &cpu in cpus {
        set.set(cpu as usize).map_err(|_too_large| format!("there is no core {cpu}"))?;
    }
    let everywhere =
        sched_getaffinity(this).map_err(|errno| format!("reading the cores: {}", errno.desc()))?;
    sched_setaffinity(this, &set)
        .map_err(|errno| format!("keeping it on the cores {cpus:?}: {}", errno.desc()))?;
    Ok(Some(everywhere))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_core_that_cannot_exist_is_named() {
        assert_eq!(narrow(&[100_000]).unwrap_err(), "there is no core 100000");
        assert!(narrow(&[]).unwrap().is_none());
    }

    #[test]
    fn standard_input_holds_a_whole_chunk_and_no_more() {
        standard_input(&vec![0; CHUNK]).unwrap();
        assert!(standard_input(&vec![0; CHUNK + 1]).unwrap_err().contains("are allowed"));
    }
}
