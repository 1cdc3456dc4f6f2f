//! The conversation: one request after another, each answered on its own.

use std::{
    io::{self, BufReader, Read, Write},
    process::ExitCode,
    sync::Arc,
    thread,
};

use nix::{sys::utsname::uname, time::ClockId};
use protocol::{FrameError, FromAgent, Id, Moment, Step, ToAgent, VERSION};

use crate::{
    EXIT_BROKEN, EXIT_CLOSED, console, exec,
    interact::{self, Feed},
    kernel_log, listening, namespace, perturb, power,
    put::Puts,
    read,
    session::Session,
    share, source,
};

/// What the agent is on this machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// It serves in the name of PID 1: the machine is its own, and may be powered off.
    Init,
    /// It is a guest on somebody's machine.
    Guest,
}

/// Answers the host until it closes the stream, or breaks the protocol.
pub(crate) fn serve(reader: impl Read, writer: impl Write + Send + 'static, role: Role) -> ExitCode {
    let session = Arc::new(Session::new(writer));
    match ready() {
        Ok(ready) => session.send(&ready),
        Err(errno) => return unready(&errno),
    }
    answer(reader, &session, Puts::default(), role)
}

/// Plays a script, tells the host what was answered once `port` has opened the way to it, and then answers the host.
pub(crate) fn play<R: Read, W: Write + Send + 'static>(
    script: impl Read,
    port: impl FnOnce() -> io::Result<(R, W)>,
) -> ExitCode {
    // When the agent was ready, and not when it was heard.
    let ready = match ready() {
        Ok(ready) => ready,
        Err(errno) => return unready(&errno),
    };
    let session = Arc::new(Session::without_host());
    let mut puts = Puts::default();
    let mut script = BufReader::new(script);
    loop {
        match protocol::read_frame(&mut script) {
            Ok(Step::Ask(request)) => dispatch(request, &session, &mut puts, Role::Init),
            Ok(Step::Await(id, awaited)) => session.wait_for(id, awaited),
            Err(FrameError::Closed) => break,
            Err(error) => {
                console::say_error("reading the script", &error);
                return ExitCode::from(EXIT_BROKEN);
            }
        }
    }
    match port() {
        Ok((reader, writer)) => {
            session.tell(writer, &ready);
            answer(reader, &session, puts, Role::Init)
        }
        Err(error) => {
            console::say_error("opening the way to the host", &error);
            ExitCode::from(EXIT_BROKEN)
        }
    }
}

fn unready(errno: &nix::errno::Errno) -> ExitCode {
    console::say_error("reading the kernel's release and uptime", errno);
    ExitCode::from(EXIT_BROKEN)
}

/// Answers one request after another.
fn answer(reader: impl Read, session: &Arc<Session>, mut puts: Puts, role: Role) -> ExitCode {
    let mut reader = BufReader::new(reader);
    let end = loop {
        match protocol::read_frame::<ToAgent>(&mut reader) {
            Ok(request) => dispatch(request, session, &mut puts, role),
            Err(end) => break end,
        }
    };
    session.kill_all();
    match (end, role) {
        (FrameError::Closed, Role::Guest) => ExitCode::from(EXIT_CLOSED),
        (FrameError::Closed, Role::Init) => {
            console::say("the host has closed its end of the port");
            ExitCode::from(EXIT_CLOSED)
        }
        (end, _) => {
            console::say_error("reading from the host", &end);
            ExitCode::from(EXIT_BROKEN)
        }
    }
}

/// Tells the host why there is nothing to answer with here, and waits until it has heard.
pub(crate) fn unfit(mut port: impl Read + Write, why: &str) -> ExitCode {
    console::say(why);
    let heard = protocol::write_frame(&mut port, &FromAgent::Unfit(why.to_owned()))
        .and_then(|()| protocol::read_frame::<ToAgent>(&mut port));
    match heard {
        Ok(_) | Err(FrameError::Closed) => ExitCode::from(EXIT_CLOSED),
        Err(error) => {
            console::say_error("telling the host", &error);
            ExitCode::from(EXIT_BROKEN)
        }
    }
}

fn ready() -> nix::Result<FromAgent> {
    let release = uname()?.release().to_string_lossy().into_owned();
    let uptime = std::time::Duration::from(ClockId::CLOCK_BOOTTIME.now()?);
    let uptime_ns = u64::try_from(uptime.as_nanos()).unwrap_or(u64::MAX);
    Ok(FromAgent::Ready { version: VERSION, uptime_ns, release })
}

/// What may take long gets a thread; what is ordered (the parts of a file) or short is answered on the spot.
fn dispatch(request: ToAgent, session: &Arc<Session>, puts: &mut Puts, role: Role) {
    match request {
        ToAgent::Exec(id, command) => {
            concurrently(session, id, move |session| exec::run(session, id, &command));
        }
        ToAgent::Kill(id, target, signal) => session.finish(id, session.signal(target, signal)),
        ToAgent::Put { id, path, mode, offset, bytes, last } => {
            session.finish(id, puts.part(&path, mode, offset, &bytes, last));
        }
        ToAgent::Read { id, patterns, limit } => concurrently(session, id, move |session| {
            session.send_files(
                id,
                Moment::Now,
                read::read_all(&patterns, limit as usize, read::Net::OfProcess)?,
            );
            session.finish(id, Ok(()));
            Ok(())
        }),
        ToAgent::KernelLog(id) => concurrently(session, id, move |session| kernel_log::send(session, id)),
        ToAgent::WaitListening(id, listen) => concurrently(session, id, move |session| {
            listening::wait(&listen)?;
            session.finish(id, Ok(()));
            Ok(())
        }),
        ToAgent::WaitFile(id, awaited) => concurrently(session, id, move |session| {
            listening::wait_file(&awaited)?;
            session.finish(id, Ok(()));
            Ok(())
        }),
        ToAgent::Interact(id, command) => {
            concurrently(session, id, move |session| interact::run(session, id, &command));
        }
        ToAgent::Input { id, bytes } => feed(session, id, |feed| feed.input(&bytes)),
        ToAgent::InputEnd(id) => feed(session, id, Feed::input_end),
        ToAgent::Taken(id, bytes) => feed(session, id, |feed| feed.taken(bytes)),
        ToAgent::Resize(id, size) => feed(session, id, |feed| feed.resize(size)),
        ToAgent::Perturb(id, perturb) => concurrently(session, id, move |session| {
            perturb::perturb(perturb)?;
            session.finish(id, Ok(()));
            Ok(())
        }),
        ToAgent::SetRing(id, asked) => concurrently(session, id, move |session| {
            if let Some(name) = &asked.netns {
                namespace::enter(name)?;
            }
            source::set_receive_ring(&asked.interface, asked.receive)?;
            session.finish(id, Ok(()));
            Ok(())
        }),
        ToAgent::Mount(id, share) => match role {
            Role::Init => concurrently(session, id, move |session| {
                share::attach(&share)?;
                session.finish(id, Ok(()));
                Ok(())
            }),
            Role::Guest => {
                session.finish(id, Err("this machine is not the agent's to mount anything on".into()));
            }
        },
        ToAgent::PowerOff(id) => match role {
            Role::Init => session.finish(id, Err(power::off())),
            Role::Guest => session.finish(id, Err("this machine is not the agent's to power off".into())),
        },
    }
}

/// Tells a command that is fed while it runs. One that has ended meanwhile needs nothing any more.
fn feed(session: &Session, id: Id, tell: impl FnOnce(&Feed)) {
    if let Some(feed) = session.feed(id) {
        tell(&feed);
    }
}

/// Answers a request on a thread of its own. `work` sends its own last message, or says why it failed.
fn concurrently(
    session: &Arc<Session>,
    id: Id,
    work: impl FnOnce(&Arc<Session>) -> Result<(), String> + Send + 'static,
) {
    let shared = Arc::clone(session);
    let answer = move || {
        let result = match shared.open() {
            Ok(_open) => work(&shared),
            Err(reason) => Err(reason),
        };
        if let Err(reason) = result {
            shared.send(&FromAgent::Failed(id, reason));
        }
    };
    if let Err(error) = thread::Builder::new().spawn(answer) {
        session.send(&FromAgent::Failed(id, format!("starting a thread: {error}")));
    }
}
