//! Virtual-processor identifiers, and forgetting cached translations.
//! SDM 3C "VMX Support for Address Translation".

use core::arch::asm;
use core::sync::atomic::{AtomicU64, Ordering};
use spec::vmx::controls::EptVpidCap;

/// The types of INVEPT and of INVVPID (SDM 3C "VMX Instructions").
const SINGLE_CONTEXT: u64 = 1;
const ALL_CONTEXT: u64 = 2;

/// INVEPT or INVVPID.
macro_rules! invalidate {
    ($instruction:literal, $kind:expr, $descriptor:expr) => {{
        let (kind, descriptor): (u64, [u64; 2]) = ($kind, $descriptor);
        let failed: u8;
        // SAFETY: VMX operation, and the processor has the instruction; it reads the descriptor and forgets
        // translations, which changes no meaning.
        unsafe {
            asm!(
                concat!($instruction, " {kind}, [{descriptor}]"),
                "setbe {failed}",
                kind = in(reg) kind,
                descriptor = in(reg) &descriptor,
                failed = out(reg_byte) failed,
                options(nostack, readonly)
            );
        }
        if failed != 0 {
            not_forgotten($instruction, kind, descriptor);
        }
    }};
}

/// Which VPIDs are taken: bit n of word m is VPID 64 m + n. VPID 0 is the hypervisor's own.
static TAKEN: [AtomicU64; 16] = {
    let mut words = [const { AtomicU64::new(0) }; 16];
    words[0] = AtomicU64::new(1);
    words
};

/// A VPID of one virtual CPU.
pub(super) struct Vpid(u16);

impl Vpid {
    /// One that is free, or `None`: then the virtual CPU runs without, and each of its VM entries
    /// and exits flushes.
    pub(super) fn new() -> Option<Self> {
        TAKEN.iter().zip(0_u16..).find_map(|(word, index)| {
            let first_zero = |bits: u64| (bits != u64::MAX).then(|| bits | (bits + 1));
            let before = word
                .fetch_update(Ordering::Relaxed, Ordering::Relaxed, first_zero)
                .ok()?;
            Some(Self(index * 64 + before.trailing_ones() as u16))
        })
    }

    /// Its number.
    pub(super) fn number(&self) -> u16 {
        self.0
    }

    /// Forgets this CPU's translations of linear addresses under it. A VPID is only made where INVVPID has one of
    /// these types.
    pub(super) fn flush(&self, capability: EptVpidCap) {
        let single = capability.contains(EptVpidCap::INVVPID_SINGLE_CONTEXT);
        let kind = if single { SINGLE_CONTEXT } else { ALL_CONTEXT };
        invalidate!("invvpid", kind, [u64::from(self.0), 0]);
    }
}

impl Drop for Vpid {
    fn drop(&mut self) {
        TAKEN[usize::from(self.0 / 64)].fetch_and(!(1 << (self.0 % 64)), Ordering::Relaxed);
    }
}

/// Forgets this CPU's translations that came from the EPT paging structures of `eptp`. Detection found one of these
/// types of INVEPT.
pub(super) fn flush_ept(eptp: u64, capability: EptVpidCap) {
    let single = capability.contains(EptVpidCap::INVEPT_SINGLE_CONTEXT);
    let kind = if single { SINGLE_CONTEXT } else { ALL_CONTEXT };
    invalidate!("invept", kind, [eptp, 0]);
}

#[cold]
fn not_forgotten(instruction: &str, kind: u64, descriptor: [u64; 2]) -> ! {
    panic!("{instruction} of type {kind} with {descriptor:x?} failed: translations would stay")
}
