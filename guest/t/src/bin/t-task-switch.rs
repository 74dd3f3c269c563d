//! A task switch by a far jump to a TSS and back, in 32-bit protected mode. Needs `mode=32`.
//! The hypervisor either lets the CPU's task switch be, or stops the guest and says so.
#![no_std]
#![no_main]

// The runtime's panic handler.
use rt as _;

core::arch::global_asm!(include_str!("task_switch.s"));
