//! What each vCPU is doing.

use std::cell::UnsafeCell;

use crate::{
    api::{Board, api},
    block::Block,
    plugin,
    program::{self, Counts},
    repeat::{Account, Left, Passes},
    symbols::Layout,
};

/// More than QEMU is given here.
pub(crate) const MOST_VCPUS: usize = 64;

/// Whose work the kernel does, as its `preempt_count` says (include/linux/preempt.h): from the instruction after the one
/// that raised the counter. An interrupt's first instructions are thus its task's, as they are to the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(usize)]
pub(crate) enum Context {
    Task,
    /// The CPU's idle task.
    Idle,
    Softirq,
    Hardirq,
    Nmi,
}

impl Context {
    pub(crate) const ALL: [Self; 5] = [Self::Task, Self::Idle, Self::Softirq, Self::Hardirq, Self::Nmi];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Task => "task",
            Self::Idle => "idle",
            Self::Softirq => "softirq",
            Self::Hardirq => "hardirq",
            Self::Nmi => "nmi",
        }
    }

    fn of(preempt_count: u32, is_idle: bool, layout: Layout) -> Self {
        // In serving, as opposed to disabling, softirqs the count is odd.
        const SOFTIRQ: u32 = 0x100;
        match () {
            () if preempt_count & layout.nmi != 0 => Self::Nmi,
            () if preempt_count & layout.hardirq != 0 => Self::Hardirq,
            () if preempt_count & SOFTIRQ != 0 => Self::Softirq,
            () if is_idle => Self::Idle,
            () => Self::Task,
        }
    }
}

/// One vCPU.
#[derive(Debug)]
#[repr(align(128))]
pub(crate) struct Vcpu {
    index: usize,
    slot: usize,
    last: Option<&'static Block>,
    /// The block in which a string instruction began to iterate.
    iterates: Option<&'static Block>,
    /// The repeated instruction that was alone in a block last.
    passes: Passes,
    /// The one whose further passes have no callbacks. It is `last`.
    running: Option<&'static Block>,
    /// Where such a one is written, if there may be any.
    board: Option<Board>,
    /// Of the program whose user space runs here.
    program: Option<&'static Counts>,
    /// The current task's address, once one was switched to.
    task: Option<u64>,
    preempt_count: u32,
    layout: Layout,
    is_idle: bool,
    context: Context,
    /// The current task's name.
    name: [u8; program::NAME],
    /// How many instructions the next sample of its stack is away.
    unsampled: i64,
}

impl Vcpu {
    const fn new(index: usize) -> Self {
        // Until a first task is seen to run, it is the one that boots, which becomes the idle task.
        Self {
            index,
            slot: slot(index, Context::Idle),
            last: None,
            iterates: None,
            passes: Passes::NONE,
            running: None,
            board: None,
            program: None,
            task: None,
            preempt_count: 0,
            layout: Layout::CLASSIC,
            is_idle: true,
            context: Context::Idle,
            name: *b"(boot)\0\0\0\0\0\0\0\0\0\0",
            unsampled: i64::MAX,
        }
    }

    pub(crate) fn index(&self) -> usize {
        self.index
    }

    pub(crate) fn context(&self) -> Context {
        self.context
    }

    /// Of the task that runs here.
    pub(crate) fn name(&self) -> [u8; program::NAME] {
        self.name
    }

    /// So many instructions begin. Whether they are those whose stack is to be sampled.
    #[inline]
    pub(crate) fn spend(&mut self, insns: u32) -> bool {
        self.unsampled -= i64::from(insns);
        self.unsampled < 0
    }

    /// A sample was taken.
    pub(crate) fn refill(&mut self, every: i64) {
        self.unsampled += every;
    }

    /// Which of a block's counters is this vCPU's in its present context.
    pub(crate) fn slot(&self) -> usize {
        self.slot
    }

    /// The block that was begun last.
    pub(crate) fn last(&self) -> Option<&'static Block> {
        self.last
    }

    pub(crate) fn set_last(&mut self, block: &'static Block) {
        self.last = Some(block);
    }

    /// A string instruction has done an iteration in this block.
    pub(crate) fn set_iterates(&mut self, block: &'static Block) {
        self.iterates = Some(block);
    }

    /// Passes of repeated instructions have no callbacks but for the first of a run, which sets the number there to the
    /// block's address.
    pub(crate) fn set_board(&mut self, board: Option<Board>) {
        self.board = board;
    }

    /// A pass of a repeated instruction that is a block by itself begins.
    #[inline]
    pub(crate) fn enter_pass(&mut self, block: &'static Block) {
        if let Some(board) = self.board {
            self.leave_run(block);
            self.enter_first_pass(block);
            self.running = Some(block);
            return api().write_on_board(board, std::ptr::from_ref(block).addr() as u64);
        }
        if !self.last.is_some_and(|last| std::ptr::eq(last, block)) {
            return self.enter_first_pass(block);
        }
        self.passes.pass();
        self.enter(block);
    }

    #[cold]
    #[inline(never)]
    fn enter_first_pass(&mut self, block: &'static Block) {
        self.reach_alone(block);
        if let Some(repeat) = block.repeat() {
            let account = if block.is_user() {
                Account::User(self.program())
            } else {
                Account::Kernel { slot: self.slot }
            };
            self.passes.begin(repeat.site, account, repeat.left());
        }
        self.passes.pass();
        self.enter(block);
    }

    /// If passes ran without callbacks until this block began, there were as many as its beginning tells.
    #[inline]
    fn leave_run(&mut self, next: &Block) {
        if self.running.is_some() {
            self.leave_running(next);
        }
    }

    /// A block begins behind passes that ran without callbacks: apart, as what every block does has to be short.
    #[cold]
    #[inline(never)]
    fn enter_after_run(&mut self, block: &'static Block) {
        self.leave_running(block);
        self.enter(block);
    }

    #[cold]
    #[inline(never)]
    fn leave_running(&mut self, next: &Block) {
        let Some(running) = self.running else { return };
        if next.follows(running) {
            return self.end_run(Left::Done);
        }
        // An interrupt pushes no error code.
        let interrupted = plugin::with(|plugin| plugin.registers.rsp)
            .and_then(|rsp| api().register_value(rsp))
            .and_then(|rsp| api().memory_u64(rsp));
        match interrupted {
            Some(address) => self.interrupt_run(address),
            None => {
                plugin::with(|plugin| plugin.odd("an interrupt's stack cannot be read".to_owned()));
                self.end_run(Left::Done);
            }
        }
    }

    /// A handler begins that was called in place of the instruction at this address.
    pub(crate) fn interrupt_run(&mut self, address: u64) {
        let Some(running) = self.running else { return };
        let left = match (running.interrupted(address), running.repeat()) {
            (Some(_), Some(repeat)) => Left::Interrupted { left: repeat.left() },
            _ => Left::Done,
        };
        self.end_run(left);
    }

    /// A handler begins, and the run's last pass faulted.
    pub(crate) fn fault_run(&mut self) {
        if let Some(repeat) = self.running.and_then(Block::repeat) {
            self.end_run(Left::Faulted { left: repeat.left() });
        }
    }

    fn end_run(&mut self, left: Left) {
        let Some(block) = self.running.take() else { return };
        if let Some(board) = self.board {
            api().write_on_board(board, 0);
        }
        let passes = self.passes.since_first(left);
        self.passes.pass_on(passes);
        if block.is_user() {
            self.program().correct(0, passes);
        } else {
            // SAFETY: it is the kernel's, and blocks have counters for every vCPU of the machine.
            unsafe { block.add(self.slot, passes.unsigned_abs()) }
        }
    }

    /// The last instruction faulted.
    pub(crate) fn take_back_pass(&mut self) {
        self.passes.take_back();
    }

    /// Counts what a repeated instruction has done by now.
    pub(crate) fn settle_passes(&mut self) {
        self.passes.settle();
    }

    /// An instruction that stores and is a block by itself begins.
    pub(crate) fn enter_store(&mut self, block: &'static Block) {
        self.leave_run(block);
        if !self.last.is_some_and(|last| std::ptr::eq(last, block)) {
            self.reach_alone(block);
        }
        self.enter(block);
    }

    /// An instruction that stores and is a block by itself follows another block.
    ///
    /// Where a store would change the very block it is in, as when the kernel patches its `memcpy` by `memcpy`, QEMU
    /// abandons the block before it and begins again with the instruction alone (accel/tcg/tb-maint.c, "precise SMC"). An
    /// instruction that is not reached from the end of the block it is in was reached that way.
    #[inline(never)]
    fn reach_alone(&mut self, block: &Block) {
        let began_in = self.iterates.take();
        if let Some(last) = self.last
            && let Some(position) = last.position(block.start())
        {
            let reached = if block.strings() == 1 {
                // After its first iteration it is, from itself.
                began_in.is_some_and(|began_in| std::ptr::eq(began_in, last))
            } else {
                last.may_go_to(block.start())
            };
            if !reached {
                self.correct(last, position, -1);
            }
        }
    }

    /// What user space runs here.
    #[inline]
    pub(crate) fn program(&mut self) -> &'static Counts {
        match self.program {
            Some(program) => program,
            None => self.find_program(),
        }
    }

    #[cold]
    #[inline(never)]
    fn find_program(&mut self) -> &'static Counts {
        if let Some(name) = self.task.and_then(program::name_of) {
            self.set_program(name);
        }
        self.program.get_or_insert_with(|| program::before_tasks(self.index))
    }

    /// Which one it is will be found out when it runs.
    pub(crate) fn forget_program(&mut self) {
        self.program = None;
    }

    /// From now on user space here is this program's.
    pub(crate) fn set_program(&mut self, name: [u8; program::NAME]) {
        self.is_idle = name.starts_with(b"swapper/");
        self.name = name;
        self.program = Some(program::find(name, self.index));
        self.settle();
    }

    pub(crate) fn task(&self) -> Option<u64> {
        self.task
    }

    pub(crate) fn set_task(&mut self, task: u64) {
        self.task = Some(task);
    }

    pub(crate) fn set_preempt_count(&mut self, count: u32, layout: Layout) {
        (self.preempt_count, self.layout) = (count, layout);
        self.settle();
    }

    fn settle(&mut self) {
        self.context = Context::of(self.preempt_count, self.is_idle, self.layout);
        self.slot = slot(self.index, self.context);
    }

    /// Counts one execution of the whole block.
    pub(crate) fn enter(&mut self, block: &'static Block) {
        if block.is_user() {
            self.enter_user(block);
        } else {
            // SAFETY: it is the kernel's.
            unsafe { self.enter_kernel(block) }
        }
    }

    /// Counts one execution of a block of the kernel's.
    ///
    /// # Safety
    /// The block is the kernel's.
    #[inline]
    pub(crate) unsafe fn enter_kernel(&mut self, block: &'static Block) {
        if self.running.is_some() {
            return self.enter_after_run(block);
        }
        // SAFETY: the caller's promise, and blocks have counters for every vCPU of the machine.
        unsafe { block.add(self.slot, 1) }
        self.last = Some(block);
    }

    /// Counts one execution of a block of user space.
    #[inline]
    pub(crate) fn enter_user(&mut self, block: &'static Block) {
        if self.running.is_some() {
            return self.enter_after_run(block);
        }
        let Some(program) = self.program else { return self.enter_new(block) };
        program.add(block.plain(), block.strings());
        self.last = Some(block);
    }

    /// The first one of a program: apart, since what every block does has to be short.
    #[cold]
    #[inline(never)]
    fn enter_new(&mut self, block: &'static Block) {
        self.program();
        self.enter_user(block);
    }

    /// Corrects what was counted of a block, from its instruction `from` on.
    pub(crate) fn correct(&mut self, block: &Block, from: usize, by: i64) {
        if block.is_user() {
            let (plain, strings) = block.tail(from);
            self.program().correct(plain * by, strings * by);
        } else {
            block.correct(self.slot, from, by);
        }
    }
}

/// Where a block's counter for a vCPU and a context is.
pub(crate) const fn slot(vcpu: usize, context: Context) -> usize {
    vcpu * Context::ALL.len() + context as usize
}

struct Vcpus(UnsafeCell<[Vcpu; MOST_VCPUS]>);

// SAFETY: used by the one thread that callbacks come from, which `plugin` makes sure of.
unsafe impl Sync for Vcpus {}

static VCPUS: Vcpus = Vcpus(UnsafeCell::new({
    let mut vcpus = [const { Vcpu::new(0) }; MOST_VCPUS];
    let mut index = 0;
    while index < MOST_VCPUS {
        vcpus[index] = Vcpu::new(index);
        index += 1;
    }
    vcpus
}));

/// The vCPU whose callback is running.
///
/// # Safety
/// Only in a callback, once in each, with the number that QEMU gave.
#[inline]
pub(crate) unsafe fn vcpu(index: u32) -> &'static mut Vcpu {
    debug_assert!((index as usize) < MOST_VCPUS, "`plugin` refuses more");
    // SAFETY: the caller's promise; `plugin` refuses machines with more.
    unsafe { &mut *VCPUS.0.get().cast::<Vcpu>().add(index as usize) }
}

/// Counts what repeated instructions have done by now, on all vCPUs.
///
/// # Safety
/// Only where no vCPU is borrowed.
pub(crate) unsafe fn settle_passes() {
    for index in 0..MOST_VCPUS {
        // SAFETY: the caller's promise; there are so many.
        unsafe { (*VCPUS.0.get())[index].settle_passes() }
    }
}

/// The next samples are so many instructions away, on all vCPUs; without a number there are none.
///
/// # Safety
/// Only where no vCPU is borrowed.
pub(crate) unsafe fn restart_samples(every: Option<i64>) {
    for index in 0..MOST_VCPUS {
        // SAFETY: the caller's promise; there are so many.
        unsafe { (*VCPUS.0.get())[index].unsampled = every.unwrap_or(i64::MAX) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_context_is_what_preempt_count_says() {
        let of = |count, is_idle| Context::of(count, is_idle, Layout::CLASSIC);
        assert_eq!(of(0, false), Context::Task);
        assert_eq!(of(0x8000_0001, false), Context::Task, "preemption is disabled");
        assert_eq!(of(0x200, false), Context::Task, "softirqs are disabled");
        assert_eq!(of(0, true), Context::Idle);
        assert_eq!(of(0x100, true), Context::Softirq);
        assert_eq!(of(0x1_0100, false), Context::Hardirq);
        assert_eq!(of(0x11_0000, false), Context::Nmi);
        let of = |count| Context::of(count, false, Layout::WITH_DISABLE_COUNT);
        assert_eq!(of(0xff_0001), Context::Task, "interrupts are disabled");
        assert_eq!(of(0x100_0100), Context::Hardirq);
        assert_eq!(of(0x1100_0000), Context::Nmi);
    }
}
