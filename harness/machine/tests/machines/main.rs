//! Whole machines, from boot to power-off.

mod closed;
mod fakes;
mod guests;
mod lab;
mod nested;
