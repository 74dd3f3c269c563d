//! The test guests: one behaviour each, in `src/bin`, over the runtime `rt`.
//!
//! How to add one: `src/bin/t-NAME.rs` with `rt::main!(main);` and a `fn main()` of checks,
//! and a stanza in `tests/`.
#![no_std]

pub mod multiboot;
