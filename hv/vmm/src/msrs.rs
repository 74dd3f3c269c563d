//! Model-specific registers that exist only in software: what a guest stores there, it reads back.

use spec::msr::Msr;

/// How many variable-range MTRRs a guest has.
pub const VARIABLE_RANGES: usize = 8;

/// The registers of one virtual CPU.
#[derive(Debug)]
pub struct Msrs {
    /// IA32_MTRR_PHYSBASEn and IA32_MTRR_PHYSMASKn in turn.
    pub variable_ranges: [u64; 2 * VARIABLE_RANGES],
    /// The eleven fixed-range MTRRs, in the order of their numbers.
    pub fixed_ranges: [u64; 11],
    /// IA32_MTRR_DEF_TYPE.
    pub mtrr_default_type: u64,
    /// IA32_MISC_ENABLE.
    pub misc_enable: u64,
    /// What the guest added to the TSC by writing IA32_TIME_STAMP_COUNTER.
    pub tsc_offset: u64,
}

impl Default for Msrs {
    fn default() -> Self {
        const FAST_STRINGS: u64 = 1;
        Self {
            variable_ranges: [0; 2 * VARIABLE_RANGES],
            fixed_ranges: [0; 11],
            mtrr_default_type: 0,
            misc_enable: FAST_STRINGS,
            tsc_offset: 0,
        }
    }
}

/// The fixed-range MTRRs, in the order of [`Msrs::fixed_ranges`].
pub const FIXED_RANGES: [Msr; 11] = [
    Msr::IA32_MTRR_FIX64K_00000,
    Msr::IA32_MTRR_FIX16K_80000,
    Msr::IA32_MTRR_FIX16K_A0000,
    Msr::IA32_MTRR_FIX4K_C0000,
    Msr::IA32_MTRR_FIX4K_C8000,
    Msr::IA32_MTRR_FIX4K_D0000,
    Msr::IA32_MTRR_FIX4K_D8000,
    Msr::IA32_MTRR_FIX4K_E0000,
    Msr::IA32_MTRR_FIX4K_E8000,
    Msr::IA32_MTRR_FIX4K_F0000,
    Msr::IA32_MTRR_FIX4K_F8000,
];
