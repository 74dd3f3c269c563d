//! Real mode, protected mode, 32-bit paging, PAE paging, long mode, compatibility mode, and
//! back to real mode, 100 times; the first time with a line for each. Starts with `mode=16`.
#![no_std]
#![no_main]

// The runtime's panic handler.
use rt as _;

#[repr(C, align(4096))]
struct Tables([u64; 512 * 7]);

/// PML4, PDPT, page directory of long mode; PDPT, page directory of PAE; page directory of 32-bit paging.
#[unsafe(no_mangle)]
static TABLES: rt::Single<Tables> = rt::Single::new(Tables([0; 512 * 7]));

core::arch::global_asm!(include_str!("modes.s"));
