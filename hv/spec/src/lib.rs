//! What the manuals say: layouts and numbers. No behaviour, no `unsafe`.
//!
//! `SDM` is Intel's "Software Developer's Manual", `APM` AMD's "Architecture Programmer's Manual"; both are cited by title.
#![no_std]
#![forbid(unsafe_code)]

mod number;

pub mod addr;
pub mod apic;
pub mod breakpoint;
pub mod control_registers;
pub mod cpuid;
pub mod exception;
pub mod msr;
pub mod paging;
pub mod segment;
pub mod svm;
pub mod task;
pub mod vmx;
