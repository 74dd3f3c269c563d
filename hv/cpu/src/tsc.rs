//! The time-stamp counter: the hypervisor's only clock.

use core::arch::asm;
use core::sync::atomic::{AtomicU64, Ordering};

static HZ: AtomicU64 = AtomicU64::new(0);

/// The counter of this CPU.
#[inline]
#[must_use]
pub fn now() -> u64 {
    let now;
    // SAFETY: RDTSC at CPL 0 is allowed whatever CR4.TSD says. (Of the x86 crate's `rdtsc` the two halves
    // stay apart across a VM entry, on the stack.)
    unsafe {
        asm!(
            "rdtsc",
            "shl rdx, 32",
            "or rax, rdx",
            out("rax") now,
            out("rdx") _,
            options(nomem, nostack)
        );
    }
    now
}

/// Its frequency, as calibrated; 0 before that.
#[inline]
#[must_use]
pub fn hz() -> u64 {
    HZ.load(Ordering::Relaxed)
}

/// Sets the frequency, once calibrated.
pub fn set_hz(hz: u64) {
    HZ.store(hz, Ordering::Relaxed);
}

/// Spins for `microseconds`.
pub fn delay(microseconds: u64) {
    wait_until(microseconds, || false);
}

/// Spins until `done`, or for `microseconds`; whether it was done. Before calibration, a tick is taken for 0.25 ns.
pub fn wait_until(microseconds: u64, mut done: impl FnMut() -> bool) -> bool {
    let hz = if hz() == 0 { 4_000_000_000 } else { hz() };
    let (start, most) = (now(), hz / 1_000_000 * microseconds);
    loop {
        if done() {
            return true;
        }
        if now().wrapping_sub(start) >= most {
            return false;
        }
        core::hint::spin_loop();
    }
}
