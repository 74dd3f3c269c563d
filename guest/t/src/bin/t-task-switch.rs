//! Task switches in 32-bit protected mode: by JMP, CALL, IRET and task gates, to 32-bit, 16-bit and virtual-8086 tasks,
//! with their own address spaces, and those that are refused. Needs `mode=32`.
#![no_std]
#![no_main]

// The runtime's panic handler.
use rt as _;

core::arch::global_asm!(include_str!("task_switch.s"));
