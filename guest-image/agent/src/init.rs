//! PID 1: from the kernel's hand-over to an agent that serves, and what happens when it ends.

#![expect(unsafe_code, reason = "fork, once, while there is one thread")]

mod loopback;
mod modules;
mod mounts;
mod port;
mod root;
mod uevents;

use std::{
    fs,
    fs::File,
    io,
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

use nix::{
    errno::Errno,
    sys::wait::{WaitStatus, waitpid},
    unistd::{ForkResult, Pid, fork, sethostname},
};

use self::{root::Root, uevents::Uevents};
use crate::{
    console,
    serve::{self, Role},
};

/// Where programs are looked up in the guest.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Why the machine could not be brought up.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BootError {
    #[error("mounting {what} on {target}")]
    Mount { what: String, target: String, source: io::Error },
    #[error("loading the module {module}")]
    Module { module: String, source: io::Error },
    #[error("listening for the kernel's device events")]
    Uevents { source: io::Error },
    #[error("{what} did not appear within {after:?}")]
    NeverAppeared { what: String, after: Duration },
    #[error("mounting the root disk {device}")]
    NoRootDisk { device: String, source: io::Error },
    #[error("mounting the disk {device} with the kernel's modules")]
    NoModulesDisk { device: String, source: io::Error },
    /// Not a failure of the machine's: the kernel was built without something. The host is told.
    #[error("this kernel has no {option}, which {purpose} needs")]
    Lacks { option: &'static str, purpose: &'static str },
    #[error("switching to the new root")]
    SwitchRoot { source: io::Error },
    #[error("reading /proc/cmdline")]
    CommandLine { source: io::Error },
    #[error("bringing up the loopback device")]
    Loopback { source: io::Error },
    #[error("opening the port {}", path.display())]
    Port { path: PathBuf, source: io::Error },
    #[error("opening the script")]
    Script { source: io::Error },
    #[error("forking")]
    Fork { source: io::Error },
}

/// What the kernel's command line asks of the agent. Words with a dot in them are left alone by the kernel.
#[derive(Debug, Default, PartialEq, Eq)]
struct Asked {
    /// `assay.root=/dev/vda`: enter the image on this disk, or what else a [`Root`] can be. Without it the initramfs
    /// stays the root.
    root: Option<Root>,
    /// `assay.modules=/dev/vdb`: the image on this disk, or in this file of the initramfs, has the kernel's modules.
    modules: Option<String>,
    /// `assay.port=/dev/ttyS1`: speak over this device and not over the virtio-serial port.
    port: Option<String>,
}

impl Asked {
    fn parse(command_line: &str) -> Self {
        let mut asked = Self::default();
        for word in command_line.split_ascii_whitespace() {
            match word.split_once('=') {
                Some(("assay.root", root)) => asked.root = Some(Root::parse(root)),
                Some(("assay.modules", device)) => asked.modules = Some(device.into()),
                Some(("assay.port", device)) => asked.port = Some(device.into()),
                _ => {}
            }
        }
        asked
    }
}

/// Brings the machine up and stays as its PID 1. Returns only if that cannot go on; the kernel then panics.
pub(crate) fn run() -> ExitCode {
    match boot().and_then(|booted| {
        // SAFETY: there is one thread, so no lock or half-done work of another is copied into the child.
        match unsafe { fork() }.map_err(|errno| BootError::Fork { source: errno.into() })? {
            ForkResult::Child => Ok(answer(booted)),
            ForkResult::Parent { child } => {
                drop(booted);
                Ok(reap(child))
            }
        }
    }) {
        Ok(code) => code,
        Err(error) => {
            console::say_error("cannot boot", &error);
            ExitCode::FAILURE
        }
    }
}

/// A machine that is up.
struct Booted {
    way: Way,
    /// Why it is not what it was made for: its kernel's doing, which the host is told in these words.
    unfit: Option<String>,
}

/// To the host.
enum Way {
    /// It is open.
    Open(File),
    /// First this is played. Only then is a port opened, which would be heard of on the other side.
    Script { script: File, port: Option<String>, events: Uevents },
}

fn boot() -> Result<Booted, BootError> {
    mounts::mount_all(mounts::EARLY)?;
    mounts::link_descriptors()?;
    let command_line =
        fs::read_to_string("/proc/cmdline").map_err(|source| BootError::CommandLine { source })?;
    let asked = Asked::parse(&command_line);
    // While the initramfs is in sight.
    let script = match File::open(Path::new("/").join(protocol::SCRIPT_FILE)) {
        Ok(script) => Some(script),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(source) => return Err(BootError::Script { source }),
    };
    let all_modules = asked.modules.as_deref().map(modules::Image::find).transpose()?;
    let events = Uevents::open()?;
    modules::load()?;
    let entered = asked.root.as_ref().map_or(Ok(()), |root| root::enter(root, &events));
    let unfit = match entered {
        Ok(()) => None,
        Err(lacks @ BootError::Lacks { .. }) => Some(lacks.to_string()),
        Err(error) => return Err(error),
    };
    mounts::mount_all(mounts::LATE)?;
    if let (Some(image), None) = (&all_modules, &unfit) {
        modules::mount_all(image, &events)?;
    }
    // Tools report it; a guest without a name is the same guest.
    let _ = sethostname("guest");
    loopback::up().map_err(|source| BootError::Loopback { source })?;
    let way = match script {
        Some(script) if unfit.is_none() => Way::Script { script, port: asked.port, events },
        _ => Way::Open(port::open(asked.port.as_deref(), &events)?),
    };
    Ok(Booted { way, unfit })
}

/// The child: the agent proper.
fn answer(Booted { way, unfit }: Booted) -> ExitCode {
    // SAFETY: there is still one thread; nothing else reads the environment.
    unsafe {
        std::env::set_var("PATH", PATH);
        std::env::set_var("HOME", "/root");
        std::env::set_var("LC_ALL", "C");
    }
    match (way, unfit) {
        (Way::Open(port), Some(why)) => serve::unfit(port, &why),
        (Way::Open(port), None) => match both_ways(port) {
            Ok((reader, writer)) => serve::serve(reader, writer, Role::Init),
            Err(error) => {
                console::say_error("duplicating the port's descriptor", &error);
                ExitCode::FAILURE
            }
        },
        (Way::Script { script, port, events }, _) => {
            serve::play(script, || both_ways(port::open(port.as_deref(), &events).map_err(io::Error::other)?))
        }
    }
}

fn both_ways(port: File) -> io::Result<(File, File)> {
    Ok((port.try_clone()?, port))
}

/// The parent: collects orphans until the agent itself ends. Then returns, and the kernel panics over its lost init:
/// unlike a power-off, that cannot be taken for a clean end.
fn reap(agent: Pid) -> ExitCode {
    loop {
        match waitpid(None, None) {
            Ok(status) if status.pid() == Some(agent) => {
                console::say(format_args!("died: {}", how(status)));
                return ExitCode::FAILURE;
            }
            Ok(_) | Err(Errno::EINTR) => {}
            Err(errno) => {
                console::say_error("waiting for children", &errno);
                return ExitCode::FAILURE;
            }
        }
    }
}

fn how(status: WaitStatus) -> String {
    match status {
        WaitStatus::Exited(_, code) => format!("exited with {code}"),
        WaitStatus::Signaled(_, signal, _) => format!("killed by {signal}"),
        other => format!("{other:?}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_read_word_by_word() {
        let asked = Asked::parse("console=ttyS0 assay.root=/dev/vda panic=-1 assay.rooted=no\n");
        assert_eq!(asked, Asked { root: Some(Root::Disk("/dev/vda".into())), ..Asked::default() });
        assert_eq!(Asked::parse(""), Asked::default());
        assert_eq!(Asked::parse("assay.modules=/dev/vdc").modules.as_deref(), Some("/dev/vdc"));
        assert_eq!(Asked::parse("assay.port=/dev/ttyS1").port.as_deref(), Some("/dev/ttyS1"));
    }

    #[test]
    fn an_end_is_told_in_words() {
        use nix::sys::signal::Signal;
        assert_eq!(how(WaitStatus::Exited(Pid::from_raw(2), 65)), "exited with 65");
        assert_eq!(how(WaitStatus::Signaled(Pid::from_raw(2), Signal::SIGKILL, false)), "killed by SIGKILL");
    }
}
