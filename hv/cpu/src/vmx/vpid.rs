//! Virtual-processor identifiers, and forgetting cached translations.
//! SDM 3C "VMX Support for Address Translation".

use core::arch::asm;
use core::sync::atomic::{AtomicU64, Ordering};
use spec::vmx::controls::EptVpidCap;

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

    /// Forgets this CPU's translations of linear addresses under it.
    pub(super) fn flush(&self, capability: EptVpidCap) {
        let single = capability.contains(EptVpidCap::INVVPID_SINGLE_CONTEXT);
        invalidate_vpid(if single { 1 } else { 2 }, self.0);
    }
}

impl Drop for Vpid {
    fn drop(&mut self) {
        TAKEN[usize::from(self.0 / 64)].fetch_and(!(1 << (self.0 % 64)), Ordering::Relaxed);
    }
}

/// Forgets this CPU's translations that came from the EPT paging structures of `eptp`.
pub(super) fn flush_ept(eptp: u64, capability: EptVpidCap) {
    let single = capability.contains(EptVpidCap::INVEPT_SINGLE_CONTEXT);
    let kind: u64 = if single { 1 } else { 2 };
    let descriptor = [eptp, 0];
    // SAFETY: VMX operation with INVEPT of this type; forgetting translations changes no meaning.
    // Should it fail, translations would stay: the EPTP was valid at VM entry, so it does not.
    unsafe {
        asm!("invept {}, [{}]", in(reg) kind, in(reg) &descriptor, options(nostack, readonly))
    }
}

fn invalidate_vpid(kind: u64, vpid: u16) {
    let descriptor = [u64::from(vpid), 0];
    // SAFETY: as in `flush_ept`; a VPID is only made where INVVPID is.
    unsafe {
        asm!("invvpid {}, [{}]", in(reg) kind, in(reg) &descriptor, options(nostack, readonly))
    }
}
