//! The initramfs with the agent, and the guest's read-only root disk.
