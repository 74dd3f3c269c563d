//! What we decide: pure of hardware and of `unsafe`, so that `cargo test` runs it.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;
#[cfg(test)]
extern crate std;

pub mod acpi;
pub mod breakpoints;
pub mod calendar;
pub mod device;
pub mod emulate;
pub mod errno;
pub mod exit;
pub mod file_system;
pub mod guest;
pub mod host;
pub mod machine;
pub mod memory;
pub mod msrs;
mod pvclock;
pub mod reset;
pub mod run;
pub mod schedule;
pub mod syscall;
pub mod trace;
pub mod vcpu;
pub mod watched;
