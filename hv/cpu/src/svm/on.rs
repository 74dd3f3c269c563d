//! Switching SVM on, and what each physical CPU has for it.

use super::{Error, asid, switch};
use crate::msr;
use crate::page::Page;
use crate::percpu::{self, MAX_CPUS};
use alloc::boxed::Box;
use core::sync::atomic::{AtomicU64, Ordering};
use spec::msr::{Efer, Msr, VmCr};

/// Where each CPU keeps the state of its own that VMLOAD loads, or 0.
static HOST_STATES: [AtomicU64; MAX_CPUS] = [const { AtomicU64::new(0) }; MAX_CPUS];

/// Sets EFER.SVME, gives this CPU its host save area, and keeps a copy of the host's FS, GS, TR,
/// LDTR and system-call registers: they never change again, so each VM exit loads this copy.
pub(super) fn enable(asids: u32) -> Result<(), Error> {
    allow()?;
    let cpu = percpu::this().index();
    if HOST_STATES[cpu].load(Ordering::Relaxed) != 0 {
        return Ok(());
    }
    let (save_area, state) = (page(), page());
    // SAFETY: detection found SVM. Both pages are 4 KiB aligned, this CPU's alone and never freed.
    unsafe {
        msr::write(
            Msr::IA32_EFER.0,
            msr::read(Msr::IA32_EFER.0) | Efer::SVME.bits(),
        );
        msr::write(Msr::AMD_VM_HSAVE_PA.0, save_area);
        switch::save_state(state);
    }
    HOST_STATES[cpu].store(state, Ordering::Relaxed);
    asid::set_count(cpu, asids);
    Ok(())
}

/// Clears VM_CR.SVMDIS if it is set. APM vol 2 "Enabling SVM".
fn allow() -> Result<(), Error> {
    let read = || VmCr::from_bits_retain(msr::read(Msr::AMD_VM_CR.0));
    let value = read();
    if !value.contains(VmCr::SVMDIS) {
        return Ok(());
    }
    if !value.contains(VmCr::LOCK) {
        // SAFETY: without the lock the bit can be written; it changes nothing but what EFER takes.
        unsafe { msr::write(Msr::AMD_VM_CR.0, (value - VmCr::SVMDIS).bits()) }
    }
    if read().contains(VmCr::SVMDIS) {
        Err(Error::Stuck)
    } else {
        Ok(())
    }
}

/// A zeroed page for good; its virtual address is its physical one.
fn page() -> u64 {
    Box::leak(Page::filled(0)).address()
}

/// The page with the state that VMLOAD gives back to this CPU's hypervisor.
pub(super) fn host_state(cpu: usize) -> u64 {
    let state = HOST_STATES[cpu].load(Ordering::Relaxed);
    assert!(
        state != 0,
        "a virtual CPU is loaded where SVM is not enabled"
    );
    state
}
