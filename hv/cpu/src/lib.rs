//! How the machine is touched: privileged instructions, assembly, and nearly all of the unsafe code.
//!
//! Everything here runs at CPL 0 on an identity mapping (virtual address = physical address), with
//! interrupts disabled but in [`traps::accept_interrupts`] and [`traps::wait`].
#![no_std]

extern crate alloc;

pub mod apic;
pub mod clock;
pub mod cpuid;
pub mod cr;
mod extended_state;
mod holder;
pub mod machine;
pub mod msr;
mod page;
pub mod percpu;
pub mod phys;
pub mod pic;
mod pit;
mod pm_timer;
pub mod report;
pub mod rtc;
pub mod svm;
pub mod symbols;
pub mod traps;
pub mod tsc;
pub mod vmx;
