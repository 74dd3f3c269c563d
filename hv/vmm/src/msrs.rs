//! Model-specific registers that exist only in software: what a guest stores there, it reads back.

use spec::msr::{MiscellaneousEnable, Msr};

/// How many variable-range MTRRs a guest has.
pub const VARIABLE_RANGES: usize = 8;

/// How many machine-check banks a guest has.
pub const BANKS: usize = 4;

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
    /// What the guest added to the TSC by writing IA32_TIME_STAMP_COUNTER or IA32_TSC_ADJUST.
    pub tsc_offset: u64,
    /// IA32_MCi_CTL.
    pub bank_controls: [u64; BANKS],
    /// AMD's HWCR, as far as it is written.
    pub hwcr: u64,
    /// MSR_KVM_WALL_CLOCK_NEW.
    pub wall_clock: u64,
    /// MSR_KVM_SYSTEM_TIME_NEW.
    pub system_time: u64,
}

/// IA32_MISC_ENABLE at first: fast strings.
pub const FAST_STRINGS: u64 = MiscellaneousEnable::FAST_STRINGS.bits();
/// IA32_MISC_ENABLE: what a guest may change. It is kept and no more, as on the emulators and under KVM: thermal control,
/// Enhanced SpeedStep, MONITOR, the limit of CPUID, xTPR messages, and the execute-disable bit.
pub const MISC_ENABLE_WRITABLE: u64 =
    FAST_STRINGS | 1 << 3 | 1 << 16 | 1 << 18 | 1 << 22 | 1 << 23 | 1 << 34;
/// IA32_MISC_ENABLE: what it reads whatever it wrote, as these say that there is no such thing.
pub const MISC_ENABLE_FIXED: u64 = MiscellaneousEnable::BTS_UNAVAILABLE
    .union(MiscellaneousEnable::PEBS_UNAVAILABLE)
    .bits();

impl Default for Msrs {
    fn default() -> Self {
        Self {
            variable_ranges: [0; 2 * VARIABLE_RANGES],
            fixed_ranges: [0; 11],
            mtrr_default_type: 0,
            misc_enable: MISC_ENABLE_FIXED | FAST_STRINGS,
            tsc_offset: 0,
            bank_controls: [0; BANKS],
            hwcr: 0,
            wall_clock: 0,
            system_time: 0,
        }
    }
}

impl Msrs {
    /// Sets the MTRRs as PC firmware leaves them: memory is write-back, the video memory's window and the ROMs below
    /// 1 MiB are what they are, and above 3 GiB devices are uncached.
    pub fn set_memory_types(&mut self, physical_address_bits: u8) {
        const GIB: u64 = 1 << 30;
        const ENABLED: u64 = 0b11 << 10;
        const WRITE_BACK: u64 = 6;
        const WRITE_PROTECTED: u64 = 5;
        const EACH: u64 = 0x0101_0101_0101_0101;
        let types = FIXED_RANGES.map(|range| match range {
            Msr::IA32_MTRR_FIX64K_00000 | Msr::IA32_MTRR_FIX16K_80000 => WRITE_BACK,
            Msr::IA32_MTRR_FIX16K_A0000 => 0,
            _ => WRITE_PROTECTED,
        });
        self.fixed_ranges = types.map(|kind| EACH * kind);
        self.variable_ranges[0] = 3 * GIB;
        self.variable_ranges[1] = ((1 << physical_address_bits) - GIB) | 1 << 11;
        self.mtrr_default_type = ENABLED | WRITE_BACK;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn firmware_says_what_memory_there_is() {
        let mut msrs = Msrs::default();
        msrs.set_memory_types(40);
        assert_eq!(msrs.mtrr_default_type, 0xc06);
        assert_eq!(msrs.variable_ranges[..3], [0xc000_0000, 0xff_c000_0800, 0]);
        assert_eq!(msrs.fixed_ranges[1], 0x0606_0606_0606_0606);
        assert_eq!(
            (msrs.fixed_ranges[2], msrs.fixed_ranges[3]),
            (0, 0x0505_0505_0505_0505)
        );
    }
}
