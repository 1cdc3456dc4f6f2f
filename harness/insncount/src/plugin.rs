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
    api::{self, Board, Handlers, Id, Info, RegisterHandle, api},
    block::Blocks,
    memory::Strings,
    orc::Orc,
    output,
    program::Programs,
    stacks::Stacks,
    symbols::{self, Symbols},
    translate,
    vcpu::{MOST_VCPUS, settle_passes, vcpu},
};

/// What callbacks share.
#[derive(Debug)]
pub(crate) struct Plugin {
    pub(crate) symbols: Symbols,
    pub(crate) blocks: Blocks,
    pub(crate) strings: Strings,
    pub(crate) programs: Programs,
    /// What samples of stacks need, if they are wanted and can be had.
    pub(crate) stacks: Option<Stacks>,
    /// Why they cannot.
    pub(crate) no_stacks: Option<String>,
    pub(crate) vcpus: usize,
    /// Counted from power-on to power-off; marks change nothing.
    pub(crate) whole: bool,
    /// Where the running repeated instruction is written, on a machine of one vCPU (`repeat`).
    pub(crate) board: Option<Board>,
    /// No window has begun, and nothing needs to be counted until one does.
    pub(crate) is_prelude: bool,
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
    pub(crate) rbp: Option<RegisterHandle>,
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
    pub(crate) fn clear(&mut self) {
        self.blocks.clear();
        self.strings.clear();
        self.programs.clear();
        if let Some(stacks) = &mut self.stacks {
            stacks.clear();
        }
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
    let (stacks, no_stacks) = match asked.stacks(&map) {
        None => (None, None),
        Some(Ok(stacks)) => (Some(stacks), None),
        Some(Err(why)) => (None, Some(why)),
    };
    let out = File::create(&asked.out).map_err(|error| format!("out={}: {error}", asked.out))?;
    let mut plugin = Plugin {
        symbols,
        blocks: Blocks::default(),
        strings: Strings::default(),
        programs: Programs::default(),
        stacks,
        no_stacks,
        vcpus,
        whole: asked.whole,
        board: (vcpus == 1).then(|| api.new_board()),
        is_prelude: asked.prelude && !asked.whole && vcpus == 1 && api.can_translate_again(),
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
#[derive(Debug, PartialEq, Eq)]
struct Asked {
    out: String,
    map: String,
    whole: bool,
    /// Before the first window nothing is counted, where that can be.
    prelude: bool,
    /// Instructions from one sample of a stack to the next.
    sample: Option<u32>,
    /// The kernel's image, by which stacks are followed.
    kernel: String,
}

impl Default for Asked {
    fn default() -> Self {
        let (out, map, kernel) = Default::default();
        Self { out, map, whole: false, prelude: true, sample: None, kernel }
    }
}

impl Asked {
    /// What samples of stacks need, if they are asked for; or why they cannot be had.
    fn stacks(&self, map: &str) -> Option<Result<Stacks, String>> {
        let every = self.sample?;
        let orc =
            File::open(&self.kernel).map_err(|error| error.to_string()).and_then(|image| Orc::of(&image));
        let stacks = |orc| Stacks::new(every.into(), orc, symbols::functions(map));
        Some(orc.map(stacks).map_err(|why| format!("kernel={}: {why}", self.kernel)))
    }

    fn parse(arguments: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut asked = Self::default();
        for argument in arguments {
            match argument.split_once('=') {
                Some(("out", path)) => path.clone_into(&mut asked.out),
                Some(("map", path)) => path.clone_into(&mut asked.map),
                Some(("whole", "on")) => asked.whole = true,
                Some(("whole", "off")) => asked.whole = false,
                Some(("prelude", "on")) => asked.prelude = true,
                Some(("prelude", "off")) => asked.prelude = false,
                Some(("kernel", path)) => path.clone_into(&mut asked.kernel),
                Some(("sample", every)) => match every.parse() {
                    Ok(every) if every > 0 => asked.sample = Some(every),
                    _ => return Err(format!("sample={every} is no number of instructions")),
                },
                _ => {
                    let known =
                        "out=FILE, map=SYSTEM_MAP, whole=on, prelude=off, sample=INSTRUCTIONS, kernel=IMAGE";
                    return Err(format!("`{argument}` is none of {known}"));
                }
            }
        }
        if asked.out.is_empty() || asked.map.is_empty() {
            return Err("out=FILE and map=SYSTEM_MAP are needed".to_owned());
        }
        if asked.sample.is_some() && asked.whole {
            return Err("stacks are sampled in windows, not with whole=on".to_owned());
        }
        Ok(asked)
    }
}

fn vcpu_begins(index: u32) {
    let here = thread::current().id();
    let [rax, rcx, rsp, rbp] = [c"rax", c"rcx", c"rsp", c"rbp"].map(|name| api().find_register(name));
    let (other, board) = with(|plugin| {
        plugin.registers = Registers { rax, rcx, rsp, rbp };
        (*plugin.thread.get_or_insert(here) != here, plugin.board)
    });
    if other {
        // Counting on would mix up what several threads count.
        say("several vCPU threads; -accel tcg,thread=single is needed");
        std::process::exit(1);
    }
    // SAFETY: in a callback, with QEMU's number.
    unsafe { vcpu(index) }.set_board(board);
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
        let wanted = Asked { out: "/o=1".to_owned(), map: "m".to_owned(), whole: true, ..Asked::default() };
        assert_eq!(asked(&["out=/o=1", "map=m", "whole=on"]), Ok(wanted));
        assert!(asked(&["out=o", "map=m"]).unwrap().prelude);
        assert!(!asked(&["out=o", "map=m", "prelude=off"]).unwrap().prelude);
        assert!(asked(&["out=o"]).unwrap_err().contains("map=SYSTEM_MAP"));
        assert!(asked(&["out=o", "map=m", "speed=11"]).unwrap_err().contains("speed=11"));
        assert_eq!(asked(&["out=o", "map=m", "sample=20011", "kernel=k"]).unwrap().sample, Some(20_011));
        assert!(asked(&["out=o", "map=m", "sample=0"]).unwrap_err().contains("sample=0"));
        assert!(asked(&["out=o", "map=m", "sample=9", "whole=on"]).unwrap_err().contains("whole=on"));
    }
}
