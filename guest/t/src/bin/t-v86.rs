//! Virtual-8086 mode: entered by IRET, with IOPL 0 and IOPL 3, with and without permission for ports, left by #GP.
//! Needs `mode=32`.
#![no_std]
#![no_main]

// The runtime's panic handler.
use rt as _;

core::arch::global_asm!(include_str!("v86.s"));
