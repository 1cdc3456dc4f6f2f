//! Whole machines, from boot to power-off.

mod fakes;
mod guests;
mod lab;
