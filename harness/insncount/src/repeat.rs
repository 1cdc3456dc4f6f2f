//! Repeated string instructions, without a callback at each of their accesses.
//!
//! Under icount TCG executes one iteration at a time (target/i386/tcg/translate.c `do_gen_rep`): an instruction that has
//! more to do jumps to itself, to a block of its own, and one more pass finds nothing left to do. At the first pass RCX says
//! how many iterations there will be, and each later one does one of them, unless
//! - it faults: the handler's entry takes the pass back (`fault`);
//! - it is interrupted: where it goes on, RCX is read again.
//!
//! So a pass costs no more than any other block, and its accesses nothing. Where a machine has one vCPU it costs less: a run of
//! passes has a callback at its first one, and its length is known where it is left. If the next block is the one behind the
//! instruction, it ran to its end; otherwise it was interrupted or faulted, and what the handler's first block finds on the stack
//! and in RCX says where. (On several vCPUs, a window may end while another one is in the midst of a run.) No device cuts such a block short, as it may
//! others (`memory::accessed_alone`): its only instruction is its last, which may access them (accel/tcg/translator.c
//! `translator_loop`, `set_can_do_io`).

use std::ffi::c_uint;

use crate::{
    api::{Data, api},
    block::Block,
    memory::StringSite,
    plugin,
    program::Counts,
    vcpu::vcpu,
};

/// A repeated instruction that is a block by itself.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Repeat {
    pub(crate) site: &'static StringSite,
    /// The bits of RCX that count.
    pub(crate) counter: u64,
}

impl Repeat {
    /// How many iterations the vCPU whose callback is running has before it.
    pub(crate) fn left(&self) -> i64 {
        let counter = plugin::with(|plugin| plugin.registers.rcx).and_then(|rcx| api().register_value(rcx));
        let Some(counter) = counter else {
            plugin::with(|plugin| plugin.odd("a repeated instruction's counter cannot be read".to_owned()));
            return 0;
        };
        // No instruction does 2^63 iterations.
        (counter & self.counter).cast_signed()
    }
}

/// Whose iterations they are: neither the context nor the program changes within an instruction.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Account {
    Kernel { slot: usize },
    User(&'static Counts),
}

/// Passes that follow each other without an interruption.
#[derive(Debug)]
pub(crate) struct Passes {
    /// How many more there can be that do something; -1 behind the one that did nothing.
    left: i64,
    run: Option<Run>,
}

#[derive(Clone, Copy, Debug)]
struct Run {
    site: &'static StringSite,
    account: Account,
    /// What `left` was.
    before: i64,
}

impl Passes {
    pub(crate) const NONE: Self = Self { left: 0, run: None };

    /// The first pass of a run will come.
    pub(crate) fn begin(&mut self, site: &'static StringSite, account: Account, left: i64) {
        self.settle();
        self.left = left;
        self.run = Some(Run { site, account, before: left });
    }

    /// One pass more.
    #[inline]
    pub(crate) fn pass(&mut self) {
        self.left -= 1;
    }

    /// So many passes more.
    pub(crate) fn pass_on(&mut self, passes: i64) {
        self.left -= passes;
    }

    /// How many passes there have been since the first, of a run that has been left.
    pub(crate) fn since_first(&self, left: Left) -> i64 {
        match left {
            // The one that did nothing was the last.
            Left::Done => self.left + 1,
            Left::Interrupted { left } => self.left - left,
            Left::Faulted { left } => self.left - left + 1,
        }
        .max(0)
    }

    /// The last pass did not come to its end.
    pub(crate) fn take_back(&mut self) {
        self.left += 1;
    }

    /// Counts the iterations so far.
    pub(crate) fn settle(&mut self) {
        let Some(run) = &mut self.run else { return };
        let left = self.left.max(0);
        let iterations = (run.before - left).unsigned_abs();
        run.before = left;
        match run.account {
            Account::Kernel { slot } => run.site.add(slot, iterations),
            Account::User(program) => program.add_bytes(iterations * u64::from(run.site.kind.element)),
        }
    }
}

/// How a run of passes was left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Left {
    Done,
    /// Between two passes, when so many iterations were left.
    Interrupted {
        left: i64,
    },
    /// In a pass, which will be done again.
    Faulted {
        left: i64,
    },
}

/// A pass of a repeated instruction in a block of its own; where that can be, the first of a run.
pub(crate) extern "C" fn passes(index: c_uint, data: Data) {
    // SAFETY: `translate` registered this callback with such a reference.
    let block = unsafe { &*data.cast::<Block>() };
    // SAFETY: in a callback, with QEMU's number.
    unsafe { vcpu(index) }.enter_pass(block);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{block::KERNEL, decode::StringKind, memory::Strings};

    fn site() -> &'static StringSite {
        let kind =
            StringKind { name: "rep movsl".to_owned(), element: 4, stores: true, left: Some(u64::MAX) };
        Strings::default().intern(KERNEL, &kind, 5)
    }

    fn passes(passes: &mut Passes, count: usize) {
        (0..count).for_each(|_| passes.pass());
    }

    #[test]
    fn the_last_pass_does_nothing() {
        let (site, account) = (site(), Account::Kernel { slot: 3 });
        let mut run = Passes::NONE;
        run.settle();
        run.begin(site, account, 5);
        passes(&mut run, 6);
        run.begin(site, account, 0);
        passes(&mut run, 1);
        run.settle();
        run.settle();
        assert_eq!(site.iterations(3), 5);
    }

    #[test]
    fn what_faults_or_is_interrupted_goes_on_where_it_was() {
        let (site, account) = (site(), Account::Kernel { slot: 0 });
        let mut run = Passes::NONE;
        run.begin(site, account, 10);
        passes(&mut run, 4);
        // The fourth faults, and is done again.
        run.take_back();
        run.begin(site, account, 7);
        passes(&mut run, 2);
        // An interrupt.
        run.begin(site, account, 5);
        passes(&mut run, 6);
        run.settle();
        assert_eq!(site.iterations(0), 10);
    }

    #[test]
    fn a_window_divides_a_run() {
        let (site, account) = (site(), Account::Kernel { slot: 0 });
        let mut run = Passes::NONE;
        run.begin(site, account, 10);
        passes(&mut run, 4);
        run.settle();
        assert_eq!(site.iterations(0), 4);
        site.clear();
        passes(&mut run, 7);
        run.settle();
        assert_eq!(site.iterations(0), 6);
    }

    #[test]
    fn a_run_is_as_long_as_its_end_says() {
        let mut run = Passes::NONE;
        let mut since_first = |iterations, left| {
            run.begin(site(), Account::Kernel { slot: 0 }, iterations);
            run.pass();
            run.since_first(left)
        };
        assert_eq!(since_first(5, Left::Done), 5);
        assert_eq!(since_first(0, Left::Done), 0);
        assert_eq!(since_first(5, Left::Interrupted { left: 4 }), 0);
        assert_eq!(since_first(5, Left::Interrupted { left: 0 }), 4, "before the pass that does nothing");
        assert_eq!(since_first(5, Left::Faulted { left: 5 }), 0);
        assert_eq!(since_first(5, Left::Faulted { left: 3 }), 2);
    }

    #[test]
    fn a_programs_bytes_are_counted() {
        let program: &'static Counts = Box::leak(Box::default());
        let mut run = Passes::NONE;
        run.begin(site(), Account::User(program), 3);
        passes(&mut run, 4);
        run.settle();
        assert_eq!(program.get(), (0, 0, 12));
    }
}
