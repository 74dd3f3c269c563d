//! What this processor can do.

use raw_cpuid::{CpuId, CpuIdReaderNative};

/// The features that the hypervisor itself asks about.
#[derive(Clone, Copy, Debug, Default)]
pub struct Features {
    /// Execute-disable pages (and EFER.NXE).
    pub nx: bool,
    /// 1 GiB pages.
    pub gib_pages: bool,
    /// A local APIC.
    pub apic: bool,
    /// The x2APIC mode of the local APIC.
    pub x2apic: bool,
    /// The TSC-deadline mode of the local APIC's timer.
    pub tsc_deadline: bool,
    /// XSAVE, XGETBV, XSETBV.
    pub xsave: bool,
    /// RDGSBASE and its like.
    pub fsgsbase: bool,
    /// Supervisor-mode execution prevention.
    pub smep: bool,
    /// Intel VT-x.
    pub vmx: bool,
    /// AMD-V.
    pub svm: bool,
}

/// Asks CPUID; each CPUID instruction is slow, so ask once.
#[must_use]
pub fn features() -> Features {
    let cpuid = reader();
    let mut found = Features::default();
    if let Some(basic) = cpuid.get_feature_info() {
        found.apic = basic.has_apic();
        found.x2apic = basic.has_x2apic();
        found.tsc_deadline = basic.has_tsc_deadline();
        found.xsave = basic.has_xsave();
        found.vmx = basic.has_vmx();
    }
    if let Some(structured) = cpuid.get_extended_feature_info() {
        found.fsgsbase = structured.has_fsgsbase();
        found.smep = structured.has_smep();
    }
    if let Some(extended) = cpuid.get_extended_processor_and_feature_identifiers() {
        found.nx = extended.has_execute_disable();
        found.gib_pages = extended.has_1gib_pages();
        found.svm = extended.has_svm();
    }
    found
}

/// The CPUID instruction behind typed leaves.
#[must_use]
pub fn reader() -> CpuId<CpuIdReaderNative> {
    CpuId::new()
}

/// The processor's base frequency in whole MHz, at which the TSC runs or nearly so.
///
/// SDM 2A "CPUID", "Processor Frequency Information Leaf".
#[must_use]
pub fn base_hz() -> Option<u64> {
    let mhz = reader()
        .get_processor_frequency_info()?
        .processor_base_frequency();
    (mhz != 0).then_some(u64::from(mhz) * 1_000_000)
}

/// The TSC frequency that CPUID leaf 0x15 states, if it does.
///
/// SDM 2A "CPUID", "Time Stamp Counter and Nominal Core Crystal Clock Information Leaf".
#[must_use]
pub fn tsc_hz() -> Option<u64> {
    reader()
        .get_tsc_info()?
        .tsc_frequency()
        .filter(|&hz| hz != 0)
}
