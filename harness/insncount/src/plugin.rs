//! Installation, and the state that callbacks share.

use std::{
    cell::UnsafeCell,
    ffi::{CStr, c_char, c_int},
    fs::{self, File},
    io::BufWriter,
    sync::OnceLock,
    thread::{self, ThreadId},
};

use crate::{
    api::{self, Handlers, Id, Info, RegisterHandle, api},
    block::Blocks,
    memory::Strings,
    output,
    program::Programs,
    symbols::Symbols,
    translate,
    vcpu::{MOST_VCPUS, settle_passes},
};

/// What callbacks share.
#[derive(Debug)]
pub(crate) struct Plugin {
    pub(crate) symbols: Symbols,
    pub(crate) blocks: Blocks,
    pub(crate) strings: Strings,
    pub(crate) programs: Programs,
    pub(crate) vcpus: usize,
    /// Counted from power-on to power-off; marks change nothing.
    pub(crate) whole: bool,
    /// The window that has begun.
    pub(crate) window: Option<u64>,
    pub(crate) out: BufWriter<File>,
    pub(crate) registers: Registers,
    /// What should not have happened, by what it was.
    pub(crate) oddities: Vec<String>,
    /// The one thread that callbacks come from.
    thread: Option<ThreadId>,
}

/// Registers that are read, if QEMU has them under these names.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Registers {
    pub(crate) rax: Option<RegisterHandle>,
    pub(crate) rcx: Option<RegisterHandle>,
    pub(crate) rsp: Option<RegisterHandle>,
}

struct Shared(OnceLock<UnsafeCell<Plugin>>);

// SAFETY: used by one thread only: QEMU's main thread installs the plugin before there is a vCPU, and is called again
// when all vCPUs have stopped; between these, callbacks come from the one vCPU thread, which `vcpu_begins` makes sure of.
unsafe impl Sync for Shared {}

// SAFETY: as above.
unsafe impl Send for Shared {}

static PLUGIN: Shared = Shared(OnceLock::new());

/// Lends what callbacks share, for as long as `work` runs. It must not ask for it again.
pub(crate) fn with<R>(work: impl FnOnce(&mut Plugin) -> R) -> R {
    let plugin = PLUGIN.0.get().expect("QEMU installs a plugin before it calls it");
    // SAFETY: one thread (see `Shared`), and no caller nests.
    work(unsafe { &mut *plugin.get() })
}

impl Plugin {
    /// Notes what makes the counts doubtful; the host refuses a window with any.
    pub(crate) fn odd(&mut self, what: String) {
        const ENOUGH: usize = 20;
        if self.oddities.len() < ENOUGH {
            self.oddities.push(what);
        }
    }

    /// Begins at zero.
    pub(crate) fn clear(&self) {
        self.blocks.clear();
        self.strings.clear();
        self.programs.clear();
    }
}

/// QEMU calls this when it has loaded us. A result that is not zero ends QEMU.
///
/// # Safety
/// Called by QEMU, with its own structures.
#[unsafe(no_mangle)]
unsafe extern "C" fn qemu_plugin_install(
    id: Id,
    info: *const Info,
    argc: c_int,
    argv: *const *const c_char,
) -> c_int {
    // SAFETY: QEMU passes an array of so many terminated strings.
    let arguments = (0..usize::try_from(argc).unwrap_or(0))
        .map(|index| unsafe { CStr::from_ptr(*argv.add(index)) }.to_string_lossy().into_owned());
    // SAFETY: QEMU's structure lives during the call.
    let info = unsafe { &*info };
    match install(id, info, arguments) {
        Ok(()) => 0,
        Err(problem) => {
            say(&problem);
            1
        }
    }
}

fn install(id: Id, info: &Info, arguments: impl Iterator<Item = String>) -> Result<(), String> {
    let api = api::load().map_err(|missing| format!("this QEMU has no {missing}"))?;
    let asked = Asked::parse(arguments)?;
    // SAFETY: QEMU passes a terminated string.
    let target = unsafe { CStr::from_ptr(info.target) };
    if target != c"x86_64" || !info.system_emulation {
        return Err("only whole x86-64 machines are counted".to_owned());
    }
    let vcpus = usize::try_from(info.most_vcpus).unwrap_or(usize::MAX);
    if vcpus > MOST_VCPUS {
        return Err(format!("{vcpus} vCPUs; at most {MOST_VCPUS} are counted"));
    }
    let map = fs::read_to_string(&asked.map).map_err(|error| format!("map={}: {error}", asked.map))?;
    let symbols = Symbols::parse(&map);
    if let Some(missing) = symbols.missing() {
        return Err(format!("map={}: there is no {missing} in it", asked.map));
    }
    let out = File::create(&asked.out).map_err(|error| format!("out={}: {error}", asked.out))?;
    let mut plugin = Plugin {
        symbols,
        blocks: Blocks::default(),
        strings: Strings::default(),
        programs: Programs::default(),
        vcpus,
        whole: asked.whole,
        window: asked.whole.then_some(0),
        out: BufWriter::new(out),
        registers: Registers::default(),
        oddities: Vec::new(),
        thread: None,
    };
    output::header(&mut plugin, api::qemu_plugin_version.load(std::sync::atomic::Ordering::Relaxed))
        .map_err(|error| format!("out={}: {error}", asked.out))?;
    if PLUGIN.0.set(UnsafeCell::new(plugin)).is_err() {
        return Err("loaded twice".to_owned());
    }
    api.register(id, Handlers { vcpu: vcpu_begins, translation: translate::translated, exit });
    Ok(())
}

/// The plugin's arguments.
#[derive(Debug, Default, PartialEq, Eq)]
struct Asked {
    out: String,
    map: String,
    whole: bool,
}

impl Asked {
    fn parse(arguments: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut asked = Self::default();
        for argument in arguments {
            match argument.split_once('=') {
                Some(("out", path)) => path.clone_into(&mut asked.out),
                Some(("map", path)) => path.clone_into(&mut asked.map),
                Some(("whole", "on")) => asked.whole = true,
                Some(("whole", "off")) => asked.whole = false,
                _ => return Err(format!("`{argument}` is none of out=FILE, map=SYSTEM_MAP, whole=on")),
            }
        }
        if asked.out.is_empty() || asked.map.is_empty() {
            return Err("out=FILE and map=SYSTEM_MAP are needed".to_owned());
        }
        Ok(asked)
    }
}

fn vcpu_begins(_: u32) {
    let here = thread::current().id();
    let [rax, rcx, rsp] = [c"rax", c"rcx", c"rsp"].map(|name| api().find_register(name));
    let other = with(|plugin| {
        plugin.registers = Registers { rax, rcx, rsp };
        *plugin.thread.get_or_insert(here) != here
    });
    if other {
        // Counting on would mix up what several threads count.
        say("several vCPU threads; -accel tcg,thread=single is needed");
        std::process::exit(1);
    }
}

fn exit() {
    // SAFETY: all vCPUs have stopped.
    unsafe { settle_passes() }
    with(|plugin| {
        let ended = match plugin.window {
            Some(window) if plugin.whole => output::window(plugin, window),
            Some(window) => output::unfinished(plugin, window),
            None => Ok(()),
        };
        if let Err(error) = ended.and_then(|()| output::footer(plugin)) {
            say(&format!("writing the counts: {error}"));
        }
    });
}

/// To standard error: QEMU's own log is off unless it is asked for.
pub(crate) fn say(problem: &str) {
    eprintln!("insncount: {problem}");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(arguments: &[&str]) -> Result<Asked, String> {
        Asked::parse(arguments.iter().map(|argument| (*argument).to_owned()))
    }

    #[test]
    fn arguments_are_understood_or_named() {
        let wanted = Asked { out: "/o=1".to_owned(), map: "m".to_owned(), whole: true };
        assert_eq!(asked(&["out=/o=1", "map=m", "whole=on"]), Ok(wanted));
        assert!(asked(&["out=o"]).unwrap_err().contains("map=SYSTEM_MAP"));
        assert!(asked(&["out=o", "map=m", "speed=11"]).unwrap_err().contains("speed=11"));
    }
}
