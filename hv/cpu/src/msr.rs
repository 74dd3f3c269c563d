//! Model-specific registers.

/// Reads an MSR. One that the processor lacks raises #GP, which ends in the exception report.
#[inline]
#[must_use]
pub fn read(msr: u32) -> u64 {
    // SAFETY: RDMSR at CPL 0 changes nothing; on an unknown MSR it raises #GP, which is reported.
    unsafe { x86::msr::rdmsr(msr) }
}

/// Writes an MSR.
///
/// # Safety
/// The new value must keep what the compiler and this crate rely on: long mode, the address of
/// the per-CPU data, the local APIC where it is.
#[inline]
pub unsafe fn write(msr: u32, value: u64) {
    // SAFETY: the caller answers for the value.
    unsafe { x86::msr::wrmsr(msr, value) }
}
