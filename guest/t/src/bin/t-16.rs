//! Starts and stays in real mode: strings, string I/O, exceptions through the IVT, exit.
//! Needs `mode=16`.
#![no_std]
#![no_main]

// The runtime's panic handler.
use rt as _;

core::arch::global_asm!(include_str!("real16.s"));
