//! The part of QEMU's plugin interface that is used, looked up in the process that loaded us.
//!
//! Looked up and not linked: two generations of the interface differ in the arguments of callbacks, and tests of this
//! crate run without a QEMU.

use std::{
    ffi::{CStr, c_char, c_int, c_uint, c_void},
    sync::{
        OnceLock,
        atomic::{AtomicI32, Ordering},
    },
};

/// The plugin's handle.
pub(crate) type Id = u64;
/// A block that is being translated.
pub(crate) type Tb = *mut c_void;
/// An instruction of such a block.
pub(crate) type Insn = *mut c_void;
/// A callback's own data.
pub(crate) type Data = *mut c_void;

pub(crate) type VcpuCallback = extern "C" fn(c_uint, Data);
pub(crate) type MemoryCallback = extern "C" fn(c_uint, u32, u64, Data);

/// `QEMU_PLUGIN_CB_NO_REGS`.
pub(crate) const NO_REGISTERS: c_int = 0;
/// `QEMU_PLUGIN_CB_R_REGS`.
pub(crate) const READS_REGISTERS: c_int = 1;

/// Which accesses a memory callback is called for: the values of `enum qemu_plugin_mem_rw`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
pub(crate) enum Access {
    Read = 1,
    Write = 2,
    Any = 3,
}

/// `struct qemu_info_t`.
#[repr(C)]
pub(crate) struct Info {
    pub(crate) target: *const c_char,
    pub(crate) oldest_version: c_int,
    pub(crate) version: c_int,
    pub(crate) system_emulation: bool,
    pub(crate) vcpus: c_int,
    pub(crate) most_vcpus: c_int,
}

/// GLib's `GArray` and `GByteArray`: their public members.
#[repr(C)]
struct Array {
    data: *mut u8,
    length: c_uint,
}

/// `qemu_plugin_reg_descriptor` as far as both generations agree.
#[repr(C)]
struct Register {
    handle: *mut c_void,
    name: *const c_char,
}

/// Memory for each vCPU, a number, which QEMU's own code can read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Board(*mut c_void);

/// `qemu_plugin_u64`.
#[repr(C)]
struct Entry {
    board: *mut c_void,
    offset: usize,
}

/// `qemu_plugin_mem_value`: its union's largest member is two numbers.
#[repr(C)]
struct Value {
    kind: c_int,
    low: u64,
    high: u64,
}

/// Says to QEMU which version of the interface we speak. It is read after the constructors of a shared object have run.
#[unsafe(no_mangle)]
pub(crate) static qemu_plugin_version: AtomicI32 = AtomicI32::new(OLD);

/// QEMU 10.0: reading guest memory came with it.
const OLD: i32 = 4;
/// QEMU 11.1: every callback has data of its own, and no plugin's handle.
const NEW: i32 = 7;

#[used]
#[unsafe(link_section = ".init_array")]
static CHOOSE_VERSION: extern "C" fn() = {
    extern "C" fn choose() {
        // Came in the versions between the two. Those are refused by QEMU itself, which compares the numbers.
        if !lookup(c"qemu_plugin_set_pc").is_null() {
            qemu_plugin_version.store(NEW, Ordering::Relaxed);
        }
    }
    choose
};

fn lookup(name: &CStr) -> *mut c_void {
    // SAFETY: a lookup among the process's own symbols by a terminated name.
    unsafe { nix::libc::dlsym(nix::libc::RTLD_DEFAULT, name.as_ptr()) }
}

macro_rules! functions {
    ($($field:ident = $name:literal: fn($($argument:ty),*) $(-> $result:ty)?;)*) => {
        /// QEMU's and GLib's functions.
        pub(crate) struct Api {
            is_new: bool,
            $($field: unsafe extern "C" fn($($argument),*) $(-> $result)?,)*
        }

        impl Api {
            /// # Errors
            /// The name of the function that this process lacks.
            fn find() -> Result<Self, &'static str> {
                Ok(Self {
                    is_new: qemu_plugin_version.load(Ordering::Relaxed) == NEW,
                    $($field: {
                        let name = const {
                            match CStr::from_bytes_with_nul(concat!($name, "\0").as_bytes()) {
                                Ok(name) => name,
                                Err(_) => panic!("a name has no zero byte"),
                            }
                        };
                        let found = lookup(name);
                        if found.is_null() {
                            return Err($name);
                        }
                        // SAFETY: the interface declares the function of this name with these arguments.
                        unsafe {
                            std::mem::transmute::<*mut c_void, unsafe extern "C" fn($($argument),*) $(-> $result)?>(found)
                        }
                    },)*
                })
            }
        }
    };
}

functions! {
    on_vcpu = "qemu_plugin_register_vcpu_init_cb": fn(Id, *const c_void, Data);
    on_translation = "qemu_plugin_register_vcpu_tb_trans_cb": fn(Id, *const c_void, Data);
    on_exit = "qemu_plugin_register_atexit_cb": fn(Id, *const c_void, Data);
    reset = "qemu_plugin_reset": fn(Id, *const c_void, Data);
    on_block = "qemu_plugin_register_vcpu_tb_exec_cb": fn(Tb, VcpuCallback, c_int, Data);
    on_block_if = "qemu_plugin_register_vcpu_tb_exec_cond_cb": fn(Tb, VcpuCallback, c_int, c_int, Entry, u64, Data);
    new_board = "qemu_plugin_scoreboard_new": fn(usize) -> *mut c_void;
    find_on_board = "qemu_plugin_scoreboard_find": fn(*mut c_void, c_uint) -> *mut u64;
    on_insn = "qemu_plugin_register_vcpu_insn_exec_cb": fn(Insn, VcpuCallback, c_int, Data);
    on_memory = "qemu_plugin_register_vcpu_mem_cb": fn(Insn, MemoryCallback, c_int, c_int, Data);
    block_length = "qemu_plugin_tb_n_insns": fn(Tb) -> usize;
    block_insn = "qemu_plugin_tb_get_insn": fn(Tb, usize) -> Insn;
    insn_bytes = "qemu_plugin_insn_data": fn(Insn, *mut u8, usize) -> usize;
    insn_address = "qemu_plugin_insn_vaddr": fn(Insn) -> u64;
    accessed_value = "qemu_plugin_mem_get_value": fn(u32) -> Value;
    registers = "qemu_plugin_get_registers": fn() -> *mut Array;
    read_register = "qemu_plugin_read_register": fn(*mut c_void, *mut Array) -> c_int;
    read_memory = "qemu_plugin_read_memory_vaddr": fn(u64, *mut Array, usize) -> bool;
    new_bytes = "g_byte_array_new": fn() -> *mut Array;
    resize_bytes = "g_byte_array_set_size": fn(*mut Array, c_uint) -> *mut Array;
    free_array = "g_array_unref": fn(*mut Array);
    element_size = "g_array_get_element_size": fn(*mut Array) -> c_uint;
}

static API: OnceLock<Api> = OnceLock::new();

/// What [`load`] has found.
pub(crate) fn api() -> &'static Api {
    API.get().expect("QEMU installs a plugin before it calls it")
}

/// Looks everything up.
///
/// # Errors
/// The name of a function that this process lacks.
pub(crate) fn load() -> Result<&'static Api, &'static str> {
    let found = Api::find()?;
    Ok(API.get_or_init(|| found))
}

/// What is called, whichever generation calls.
pub(crate) struct Handlers {
    pub(crate) vcpu: fn(u32),
    pub(crate) translation: fn(Tb),
    pub(crate) exit: fn(),
}

static HANDLERS: OnceLock<Handlers> = OnceLock::new();
static ID: OnceLock<Id> = OnceLock::new();

fn handlers() -> &'static Handlers {
    HANDLERS.get().expect("handlers are set before they are registered")
}

extern "C" fn vcpu_old(_: Id, vcpu: c_uint) {
    (handlers().vcpu)(vcpu);
}

extern "C" fn vcpu_new(vcpu: c_uint, _: Data) {
    (handlers().vcpu)(vcpu);
}

extern "C" fn translation_old(_: Id, block: Tb) {
    (handlers().translation)(block);
}

extern "C" fn translation_new(block: Tb, _: Data) {
    (handlers().translation)(block);
}

/// All callbacks and all translated code are gone, and no vCPU runs.
extern "C" fn again(_: Data) {
    if let Some(&id) = ID.get() {
        api().register_handlers(id);
    }
}

extern "C" fn exit_old(_: Id, _: Data) {
    (handlers().exit)();
}

extern "C" fn exit_new(_: Data) {
    (handlers().exit)();
}

// SAFETY: in what follows, handles are those that QEMU gave in the callback that is still running, arrays are GLib's
// own, and callbacks have the arguments of the generation that was found.
impl Api {
    /// Has the handlers called from now on.
    pub(crate) fn register(&self, id: Id, wanted: Handlers) {
        HANDLERS.get_or_init(|| wanted);
        ID.get_or_init(|| id);
        self.register_handlers(id);
    }

    /// Whether [`Api::translate_again`] works.
    pub(crate) fn can_translate_again(&self) -> bool {
        // The old generation's plugins/loader.c locks where it should unlock, and waits for itself.
        self.is_new
    }

    /// Has every block translated, and shown to the handler, again, from the one on that follows the running one.
    pub(crate) fn translate_again(&self) {
        if let Some(&id) = ID.get() {
            // SAFETY: see above.
            unsafe { (self.reset)(id, again as *const c_void, std::ptr::null_mut()) }
        }
    }

    fn register_handlers(&self, id: Id) {
        let none = std::ptr::null_mut();
        let (vcpu, translation, exit) = if self.is_new {
            (vcpu_new as *const c_void, translation_new as *const c_void, exit_new as *const c_void)
        } else {
            (vcpu_old as *const c_void, translation_old as *const c_void, exit_old as *const c_void)
        };
        // SAFETY: see above; the old generation's functions ignore what comes after their arguments.
        unsafe {
            (self.on_vcpu)(id, vcpu, none);
            (self.on_translation)(id, translation, none);
            (self.on_exit)(id, exit, none);
        }
    }

    pub(crate) fn on_block(&self, block: Tb, callback: VcpuCallback, registers: c_int, data: Data) {
        // SAFETY: see above.
        unsafe { (self.on_block)(block, callback, registers, data) }
    }

    /// Called where the vCPU's number is another than this one.
    pub(crate) fn on_block_unless(
        &self,
        block: Tb,
        callback: VcpuCallback,
        board: Board,
        is: u64,
        data: Data,
    ) {
        /// `QEMU_PLUGIN_COND_NE`.
        const NOT_EQUAL: c_int = 3;
        let entry = Entry { board: board.0, offset: 0 };
        // SAFETY: see above.
        unsafe { (self.on_block_if)(block, callback, READS_REGISTERS, NOT_EQUAL, entry, is, data) }
    }

    pub(crate) fn new_board(&self) -> Board {
        // SAFETY: see above.
        Board(unsafe { (self.new_board)(size_of::<u64>()) })
    }

    /// Sets the number of the machine's only vCPU.
    #[inline]
    pub(crate) fn write_on_board(&self, board: Board, number: u64) {
        // SAFETY: QEMU has memory for the first vCPU once there is one, and it is its own, whose callback runs.
        unsafe { *(self.find_on_board)(board.0, 0) = number }
    }

    pub(crate) fn on_insn(&self, insn: Insn, callback: VcpuCallback, registers: c_int, data: Data) {
        // SAFETY: see above.
        unsafe { (self.on_insn)(insn, callback, registers, data) }
    }

    /// Called after each access.
    pub(crate) fn on_memory(&self, insn: Insn, callback: MemoryCallback, access: Access, data: Data) {
        // SAFETY: see above.
        unsafe { (self.on_memory)(insn, callback, NO_REGISTERS, access as c_int, data) }
    }

    /// The instructions of a block, in order.
    pub(crate) fn insns(&self, block: Tb) -> impl Iterator<Item = Insn> {
        // SAFETY: see above.
        let length = unsafe { (self.block_length)(block) };
        // SAFETY: see above; the index is below the length.
        (0..length).map(move |index| unsafe { (self.block_insn)(block, index) })
    }

    pub(crate) fn address(&self, insn: Insn) -> u64 {
        // SAFETY: see above.
        unsafe { (self.insn_address)(insn) }
    }

    /// Copies an instruction's bytes and says how many there are.
    pub(crate) fn bytes(&self, insn: Insn, into: &mut [u8; 16]) -> usize {
        // SAFETY: the length is that of the buffer.
        unsafe { (self.insn_bytes)(insn, into.as_mut_ptr(), into.len()) }
    }

    /// The handle of a register of the vCPU whose callback is running.
    pub(crate) fn find_register(&self, wanted: &CStr) -> Option<RegisterHandle> {
        // SAFETY: the array is ours to free; its elements begin with the members of `Register`, at a distance that GLib
        // knows, and names are terminated and never freed.
        unsafe {
            let array = (self.registers)();
            if array.is_null() {
                return None;
            }
            let size = (self.element_size)(array) as usize;
            let found = (0..(*array).length as usize)
                .map(|index| (*array).data.add(index * size).cast::<Register>().read_unaligned())
                .find(|register| !register.name.is_null() && CStr::from_ptr(register.name) == wanted);
            (self.free_array)(array);
            found.map(|register| RegisterHandle(register.handle))
        }
    }

    /// A 64-bit register of the vCPU whose callback, one that reads registers, is running.
    pub(crate) fn register_value(&self, register: RegisterHandle) -> Option<u64> {
        let scratch = self.scratch();
        // SAFETY: see above. Whether it worked is seen by the length: the result's type differs between generations.
        unsafe {
            (self.resize_bytes)(scratch, 0);
            (self.read_register)(register.0, scratch);
        }
        let mut value = [0; 8];
        copy(scratch, &mut value).then(|| u64::from_le_bytes(value))
    }

    /// What was read or written, by what the callback of an access was given; its lower 8 bytes.
    pub(crate) fn accessed(&self, info: u32) -> u64 {
        // SAFETY: see above.
        let Value { kind, low, .. } = unsafe { (self.accessed_value)(info) };
        // `QEMU_PLUGIN_MEM_VALUE_U8`, `U16`, `U32`: of a union only so much is set.
        match kind {
            0 => low & 0xff,
            1 => low & 0xffff,
            2 => low & 0xffff_ffff,
            _ => low,
        }
    }

    /// Reads guest memory through the page tables of the vCPU whose callback is running.
    pub(crate) fn memory(&self, address: u64, into: &mut [u8]) -> bool {
        let scratch = self.scratch();
        // SAFETY: see above.
        let read = unsafe {
            (self.resize_bytes)(scratch, 0);
            (self.read_memory)(address, scratch, into.len())
        };
        read && copy(scratch, into)
    }

    pub(crate) fn memory_u64(&self, address: u64) -> Option<u64> {
        let mut value = [0; 8];
        self.memory(address, &mut value).then(|| u64::from_le_bytes(value))
    }

    /// One array for all readings: callbacks come from one thread, and none runs within another.
    fn scratch(&self) -> *mut Array {
        struct Scratch(*mut Array);
        // SAFETY: used by the one thread that callbacks come from.
        unsafe impl Send for Scratch {}
        // SAFETY: as above.
        unsafe impl Sync for Scratch {}
        static SCRATCH: OnceLock<Scratch> = OnceLock::new();
        // SAFETY: GLib allocates it, and it is never freed.
        SCRATCH.get_or_init(|| Scratch(unsafe { (self.new_bytes)() })).0
    }
}

/// QEMU's handle of a register, valid for the vCPU it was found on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RegisterHandle(*mut c_void);

fn copy(array: *const Array, into: &mut [u8]) -> bool {
    // SAFETY: GLib's array has as many bytes as it says.
    unsafe {
        if ((*array).length as usize) < into.len() {
            return false;
        }
        std::ptr::copy_nonoverlapping((*array).data, into.as_mut_ptr(), into.len());
    }
    true
}
