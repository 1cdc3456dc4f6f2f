//! A fake machine: everything around a machine is real (the process under its supervisor, the socket, the protocol,
//! the console), only the guest is a script.

mod hostile;
mod numbers;
mod script;
mod serve;

pub(crate) use serve::serve;

use std::time::Instant;

use plan::FakeMachine;
use subprocess::{RunAs, Tool};

use crate::{
    Attachments, Boot, BootEnd, MachineError, World,
    guest::{Guest, Trouble, ready},
    helper, network,
    process::{OnCrash, Process, Socket, socket_folder},
    running,
    session::{ANSWER_DEADLINE, Manner},
};

/// How many bytes the commands of a script write, their numbers moved as a slower kernel moves them.
#[cfg(feature = "fuzzing")]
pub(crate) fn written(path: &std::path::Path) -> Result<usize, String> {
    let script = script::Script::load(path)?;
    let commands = script.kernels.values().flat_map(|kernel| &kernel.commands).chain(&script.commands);
    let texts = commands.map(|command| numbers::scale(command.stdout.text(), &command.numbers, 0.5));
    Ok(texts.map(|text| text.len()).sum())
}

/// Boots a fake machine.
pub(crate) async fn boot(boot: &Boot<'_>, machine: &FakeMachine) -> Result<BootEnd, MachineError> {
    // Read here as well: a script with a mistake is to be told in words, not by a process that fails.
    script::Script::load(&machine.script)
        .map_err(|message| MachineError::Script { path: machine.script.clone(), message })?;
    if *boot.attachments != Attachments::default() {
        let message = "a fake machine neither shares folders nor waits for debuggers".into();
        return Ok(BootEnd::NotTestable(message));
    }
    if *boot.world != World::Open {
        return Ok(BootEnd::NotTestable("a fake machine executes no instructions to count".into()));
    }
    let sockets = socket_folder(boot.runtime)?;
    let agent = Socket::listen(sockets.path(), "guest.agent")?;
    let Some((program, arguments)) = boot.host.helper.split_first() else {
        return Err(MachineError::NoHelper);
    };
    let tool = Tool::new(program)
        .args(arguments)
        .arg(helper::FAKE)
        .arg(&machine.script)
        .arg(&boot.files.kernel)
        .arg(agent.path())
        .arg(boot.folder)
        .args(boot.cmdline)
        .run_as(RunAs::Caller);
    let began = Instant::now();
    let process = Process::start(
        "guest",
        tool,
        boot.folder,
        boot.supervisor,
        OnCrash::Ends,
        // Nobody says why it stops.
        tokio::sync::watch::channel(None).1,
    )
    .await?;
    let deadline = began + boot.deadline;
    let connected = async {
        tokio::select! {
            biased;
            fate = process.ended() => Err(crate::guest::of_fate(&process, fate)),
            stream = agent.accept() => ready(&process, stream?, deadline, ANSWER_DEADLINE, Manner::Live).await,
        }
    };
    match connected.await {
        Ok((session, greeting)) => {
            let guest = Guest { process, session, greeting, execution: "fake", monitor: None, iommu: false };
            let booted = running::Booted {
                guests: vec![guest],
                layout: network::Layout::Loopback,
                took: began.elapsed(),
                traced: boot.traced,
                shares: &[],
                perturb: None,
                nest: None,
                folder: sockets,
            };
            running::bring_up(booted, &plan::Knobs::default()).await
        }
        Err(trouble) => {
            process.kill().await?;
            match trouble {
                Trouble::Crashed(report) => Ok(BootEnd::Crashed(report)),
                Trouble::NotTestable(message) => Ok(BootEnd::NotTestable(message)),
                Trouble::Failed(error) => Err(error),
            }
        }
    }
}
