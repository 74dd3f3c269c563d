//! Control registers: the state that every CPU is brought to.

use crate::{cpuid::Features, msr};
use spec::msr::{Efer, Msr};
use x86::controlregs::{Cr0, Cr4, cr0, cr0_write, cr2, cr2_write, cr3, cr3_write, cr4, cr4_write};

/// The control registers, to be shown.
#[derive(Clone, Copy, Debug)]
pub struct Values {
    /// CR0.
    pub cr0: u64,
    /// CR2: the address of the last page fault.
    pub cr2: u64,
    /// CR3.
    pub cr3: u64,
    /// CR4.
    pub cr4: u64,
}

/// Reads CR0, CR2, CR3 and CR4.
#[must_use]
pub fn values() -> Values {
    // SAFETY: reading control registers at CPL 0 changes nothing.
    unsafe {
        Values {
            cr0: cr0().bits() as u64,
            cr2: cr2() as u64,
            cr3: cr3(),
            cr4: cr4().bits() as u64,
        }
    }
}

/// CR2.
#[must_use]
pub fn read_cr2() -> u64 {
    // SAFETY: reading CR2 changes nothing.
    unsafe { cr2() as u64 }
}

/// Writes CR2, which is a guest's while it is loaded.
pub fn write_cr2(value: u64) {
    // SAFETY: CR2 means nothing to the hypervisor until a page fault of its own overwrites it.
    unsafe { cr2_write(value) }
}

/// Brings this CPU's CR0, CR4 and EFER to the state in which the hypervisor runs: write protection,
/// native FPU errors, FPU and XSAVE usable (for the guests' state), machine checks reported.
pub fn init(features: &Features) {
    let mut c4 = Cr4::CR4_ENABLE_PAE
        | Cr4::CR4_ENABLE_GLOBAL_PAGES
        | Cr4::CR4_ENABLE_MACHINE_CHECK
        | Cr4::CR4_ENABLE_SSE
        | Cr4::CR4_UNMASKED_SSE;
    c4.set(Cr4::CR4_ENABLE_OS_XSAVE, features.xsave);
    c4.set(Cr4::CR4_ENABLE_FSGSBASE, features.fsgsbase);
    c4.set(Cr4::CR4_ENABLE_SMEP, features.smep);
    let c0 = Cr0::CR0_ENABLE_PAGING
        | Cr0::CR0_WRITE_PROTECT
        | Cr0::CR0_NUMERIC_ERROR
        | Cr0::CR0_EXTENSION_TYPE
        | Cr0::CR0_MONITOR_COPROCESSOR
        | Cr0::CR0_PROTECTED_MODE;
    // SAFETY: paging and long mode stay on, and every bit set was found in CPUID or is in every
    // 64-bit processor.
    unsafe {
        cr4_write(c4);
        cr0_write(c0);
        if features.nx {
            let efer = msr::read(Msr::IA32_EFER.0);
            msr::write(Msr::IA32_EFER.0, efer | Efer::NXE.bits());
        }
    }
}

/// Loads CR3.
///
/// # Safety
/// The tables map the running code, its stack and its data where they are.
pub unsafe fn load_page_tables(root: u64) {
    // SAFETY: the caller answers for the tables.
    unsafe { cr3_write(root) }
}
