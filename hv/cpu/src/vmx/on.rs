//! Switching VMX operation on. SDM 3C "Enabling and Entering VMX Operation".

use super::{Capability, Error, region};
use crate::msr;
use crate::percpu::{self, MAX_CPUS};
use alloc::boxed::Box;
use core::sync::atomic::{AtomicBool, Ordering};
use spec::msr::{FeatureControl, Msr};
use spec::vmx::controls::apply_fixed;
use x86::bits64::vmx::vmxon;
use x86::controlregs::{Cr0, Cr4, cr0, cr0_write, cr4, cr4_write};

/// Which CPUs are in VMX operation.
static ON: [AtomicBool; MAX_CPUS] = [const { AtomicBool::new(false) }; MAX_CPUS];

/// Brings this CPU to VMX root operation, for good.
pub(super) fn enable(capability: &Capability) -> Result<(), Error> {
    if ON[percpu::this().index()].load(Ordering::Relaxed) {
        return Ok(());
    }
    allow()?;
    let page = Box::leak(region(capability.basic.revision()));
    // SAFETY: detection found VMX, and IA32_FEATURE_CONTROL allows it. The bits that VMX demands of
    // CR0 and CR4 leave paging, long mode and what `cr::init` set on. The region is 4 KiB aligned,
    // this CPU's alone and never freed.
    unsafe {
        let (zero, one) = capability.cr0_fixed;
        let wanted = apply_fixed(cr0().bits() as u64, zero, one);
        cr0_write(Cr0::from_bits_truncate(wanted as usize));
        let (zero, one) = capability.cr4_fixed;
        let wanted = apply_fixed(cr4().bits() as u64, zero, one);
        cr4_write(Cr4::from_bits_truncate(wanted as usize) | Cr4::CR4_ENABLE_VMX);
        vmxon(page.address()).map_err(|_| Error::VmxonFailed)?;
    }
    ON[percpu::this().index()].store(true, Ordering::Relaxed);
    Ok(())
}

/// Allows VMXON outside SMX operation, if firmware has left the decision to us.
fn allow() -> Result<(), Error> {
    let value = feature_control();
    if !value.contains(FeatureControl::LOCK) {
        // SAFETY: an unlocked IA32_FEATURE_CONTROL takes the bit of every feature that there is.
        unsafe { msr::write(Msr::IA32_FEATURE_CONTROL.0, value.with_vmx().bits()) }
    }
    check_allowed()
}

/// Whether firmware has locked VMX out.
pub(super) fn check_allowed() -> Result<(), Error> {
    match feature_control().locks_vmx_out() {
        true => Err(Error::Disabled),
        false => Ok(()),
    }
}

fn feature_control() -> FeatureControl {
    FeatureControl::from_bits_retain(msr::read(Msr::IA32_FEATURE_CONTROL.0))
}
