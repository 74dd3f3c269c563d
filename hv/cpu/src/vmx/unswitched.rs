//! The guest's registers that VM entry and VM exit leave alone, besides the extended states: between
//! load and save they are the CPU's own, and read and written there, because a guest changes them
//! without an exit (SWAPGS changes KERNEL_GS_BASE, a page fault CR2).

use crate::cr::{read_cr2, write_cr2};
use crate::holder::Claim;
use crate::msr;
use core::arch::asm;
use spec::control_registers::Dr6;
use spec::msr::Msr;

/// The MSRs, in the order of [`Unswitched::msrs`].
const MSRS: [Msr; 5] = [
    Msr::IA32_STAR,
    Msr::IA32_LSTAR,
    Msr::IA32_CSTAR,
    Msr::IA32_FMASK,
    Msr::IA32_KERNEL_GS_BASE,
];

/// The registers while no CPU holds them.
pub(super) struct Unswitched {
    msrs: [u64; MSRS.len()],
    cr2: u64,
    dr6: u64,
}

impl Unswitched {
    /// The values after RESET.
    pub(super) fn new() -> Self {
        Self {
            msrs: [0; MSRS.len()],
            cr2: 0,
            dr6: Dr6::RESET.bits(),
        }
    }

    /// Loads them into this CPU, unless it still holds them; we ourselves use none of them.
    pub(super) fn load(&mut self, claim: Claim) {
        if claim == Claim::Kept {
            return;
        }
        for (msr, value) in MSRS.iter().zip(self.msrs) {
            write_msr(*msr, value);
        }
        write_cr2(self.cr2);
        write_dr6(self.dr6);
    }

    /// Copies them out of this CPU.
    pub(super) fn save(&mut self) {
        self.msrs = MSRS.map(|msr| msr::read(msr.0));
        self.cr2 = read_cr2();
        self.dr6 = read_dr6();
    }
}

/// Writes one of [`MSRS`].
pub(super) fn write_msr(msr: Msr, value: u64) {
    debug_assert!(MSRS.contains(&msr));
    // SAFETY: the MSRs concern SYSCALL and SWAPGS, which the hypervisor never executes. The caller
    // has checked that addresses are canonical.
    unsafe { msr::write(msr.0, value) }
}

/// DR6.
pub(super) fn read_dr6() -> u64 {
    let value;
    // SAFETY: reading DR6 changes nothing; DR7.GD is clear outside the guest. (The x86 crate's
    // `dr6` drops the bits that are always 1.)
    unsafe { asm!("mov {}, dr6", out(reg) value, options(nomem, nostack, preserves_flags)) }
    value
}

/// Writes DR6.
pub(super) fn write_dr6(value: u64) {
    // SAFETY: DR6 is a status register; its upper half takes only zeros.
    unsafe {
        asm!("mov dr6, {}", in(reg) value & 0xffff_ffff, options(nomem, nostack, preserves_flags))
    }
}
