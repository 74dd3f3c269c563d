//! Starts and stays in 32-bit protected mode without paging: string I/O, exceptions, exit.
//! Needs `mode=32`.
#![no_std]
#![no_main]

// The runtime's panic handler.
use rt as _;

core::arch::global_asm!(include_str!("protected32.s"));
