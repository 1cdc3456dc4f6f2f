//! Machines that boot a kernel: QEMU, and a fake one for tests; sessions to their agents.
