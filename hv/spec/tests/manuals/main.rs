//! The tables of `spec` against independent ones (the `x86` and `raw-cpuid` crates), and their arithmetic against the manuals.

mod apic;
mod breakpoint;
mod controls;
mod cpuid;
mod exception;
mod exit;
mod msr;
mod paging;
mod registers;
mod segment;
mod svm;
mod task;
mod vmcs;
