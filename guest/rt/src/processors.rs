//! More than one virtual CPU: starting them, and interrupting them.

use core::arch::{asm, global_asm};
use core::hint::spin_loop;

use x86::controlregs::{cr0, cr3, cr4};

use crate::{
    lapic,
    machine::{cpuid, rdmsr, rdtsc, tsc_khz},
};

/// How many virtual CPUs a guest can have.
pub const MOST: usize = 8;
const STACK: usize = 16 << 10;

#[repr(C, align(16))]
struct Stacks([[u8; STACK]; MOST]);

static mut STACKS: Stacks = Stacks([[0; STACK]; MOST]);

/// Delivery modes of the ICR, in its bits 10:8, and the level "assert".
pub mod delivery {
    /// Fixed.
    pub const FIXED: u32 = 0;
    /// Lowest priority.
    pub const LOWEST_PRIORITY: u32 = 1 << 8;
    /// NMI.
    pub const NMI: u32 = 4 << 8;
    /// INIT.
    pub const INIT: u32 = 5 << 8;
    /// Startup.
    pub const STARTUP: u32 = 6 << 8;
}

/// Destinations of the ICR: its bit 11, and the shorthands in bits 19:18.
pub mod destination {
    /// A set of logical IDs.
    pub const LOGICAL: u32 = 1 << 11;
    /// The sender.
    pub const SELF: u32 = 1 << 18;
    /// All.
    pub const ALL: u32 = 2 << 18;
    /// All but the sender.
    pub const OTHERS: u32 = 3 << 18;
}

const ASSERT: u32 = 1 << 14;

/// The APIC ID of the virtual CPU that asks, by CPUID.
#[must_use]
pub fn id() -> u32 {
    cpuid(1).ebx >> 24
}

/// Sends an interrupt command to the virtual CPU with this APIC ID.
pub fn send(to: u32, command: u32) {
    lapic::command(to, command | ASSERT);
}

/// Waits at most 10 s; whether it came true.
pub fn wait(until: impl Fn() -> bool) -> bool {
    let end = rdtsc() + 10_000 * tsc_khz();
    while !until() {
        if rdtsc() > end {
            return false;
        }
        spin_loop();
    }
    true
}

/// Starts the virtual CPU with this APIC ID: from INIT, through a startup IPI, to `work` in 64-bit mode on a stack of
/// its own. It halts when `work` returns. It has no TSS: what it takes must not want an interrupt stack.
pub fn start(to: u32, work: fn()) {
    // SAFETY: the words are the trampoline's, which no virtual CPU executes now; the tables and stacks are static.
    unsafe {
        let top = (&raw mut STACKS.0[to as usize]).cast::<u8>().add(STACK);
        let words = (&raw mut rt_processor_words).cast::<u64>();
        let values = [
            cr0().bits() as u64,
            cr3(),
            cr4().bits() as u64,
            rdmsr(x86::msr::IA32_EFER),
            top as u64,
            work as *const () as u64,
        ];
        for (n, value) in values.into_iter().enumerate() {
            words.add(n).write_volatile(value);
        }
        asm!("sgdt [{}]", in(reg) &raw mut rt_processor_gdtr);
        asm!("sidt [{}]", in(reg) &raw mut rt_processor_idtr);
    }
    send(to, delivery::INIT);
    let page = rt_processor as *const () as u64 >> 12;
    send(to, delivery::STARTUP | page as u32);
}

unsafe extern "C" {
    fn rt_processor();
    static mut rt_processor_words: u64;
    static mut rt_processor_gdtr: u64;
    static mut rt_processor_idtr: u64;
}

global_asm!(include_str!("processors.s"));
