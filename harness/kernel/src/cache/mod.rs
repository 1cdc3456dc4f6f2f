//! The content-addressed store of images, and around it source trees and shared objects, which can be had again.

mod entry;
mod gc;
mod layout;

pub use entry::Stored;
pub(crate) use entry::{
    CONFIG, Draft, Found, IMAGE, SYSTEM_MAP, VMLINUX, find, publish, read_manifest, set_aside, verify_fully,
};
pub use gc::{Freed, Keep};
pub(crate) use gc::{collect, supersede};
pub(crate) use layout::Layout;
