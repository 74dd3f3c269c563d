//! Model-specific registers: numbers and the layouts of those that a hypervisor decides on.
//! SDM 4 "Model-Specific Registers (MSRs)"; APM vol 2 "MSR Cross-Reference".

use bitflags::bitflags;

crate::number::numbers! {
    /// The number of a model-specific register. x2APIC registers are in [`crate::apic`], those of many units below as ranges.
    Msr(u32);
    IA32_P5_MC_ADDR = 0x0, "Machine-check address of the Pentium.";
    IA32_P5_MC_TYPE = 0x1, "Machine-check type of the Pentium.";
    IA32_MONITOR_FILTER_LINE_SIZE = 0x6, "Line size of MONITOR.";
    IA32_TIME_STAMP_COUNTER = 0x10, "The time-stamp counter.";
    IA32_PLATFORM_ID = 0x17, "Platform ID.";
    IA32_APIC_BASE = 0x1b, "Local APIC base and mode.";
    IA32_FEATURE_CONTROL = 0x3a, "Feature control: VMX outside SMX, lock.";
    IA32_TSC_ADJUST = 0x3b, "Per-processor TSC adjustment.";
    IA32_SPEC_CTRL = 0x48, "Speculation control.";
    IA32_PRED_CMD = 0x49, "Prediction command.";
    IA32_BIOS_UPDT_TRIG = 0x79, "Microcode update trigger.";
    IA32_BIOS_SIGN_ID = 0x8b, "Microcode update signature; AMD: patch level.";
    IA32_SMM_MONITOR_CTL = 0x9b, "SMM monitor configuration.";
    IA32_SMBASE = 0x9e, "SMRAM base.";
    IA32_PMC0 = 0xc1, "General performance counter 0: the first of 8.";
    MSR_PLATFORM_INFO = 0xce, "Platform information.";
    IA32_CORE_CAPABILITIES = 0xcf, "Core capabilities: split-lock detection.";
    IA32_UMWAIT_CONTROL = 0xe1, "UMWAIT control.";
    IA32_MPERF = 0xe7, "Maximum performance frequency clock count.";
    IA32_APERF = 0xe8, "Actual performance frequency clock count.";
    IA32_MTRRCAP = 0xfe, "MTRR capability.";
    IA32_ARCH_CAPABILITIES = 0x10a, "Architecture capabilities.";
    IA32_FLUSH_CMD = 0x10b, "Flush command.";
    IA32_TSX_CTRL = 0x122, "TSX control.";
    MSR_MISC_FEATURES_ENABLES = 0x140, "Miscellaneous feature enables: CPUID faulting.";
    IA32_SYSENTER_CS = 0x174, "SYSENTER CS.";
    IA32_SYSENTER_ESP = 0x175, "SYSENTER ESP.";
    IA32_SYSENTER_EIP = 0x176, "SYSENTER EIP.";
    IA32_MCG_CAP = 0x179, "Machine-check capability.";
    IA32_MCG_STATUS = 0x17a, "Machine-check status.";
    IA32_MCG_CTL = 0x17b, "Machine-check control.";
    IA32_PERFEVTSEL0 = 0x186, "Performance event select 0: the first of 8.";
    IA32_PERF_STATUS = 0x198, "Current performance state.";
    IA32_PERF_CTL = 0x199, "Performance state control.";
    IA32_CLOCK_MODULATION = 0x19a, "Clock modulation.";
    IA32_THERM_INTERRUPT = 0x19b, "Thermal interrupt control.";
    IA32_THERM_STATUS = 0x19c, "Thermal status.";
    IA32_MISC_ENABLE = 0x1a0, "Miscellaneous enables.";
    MSR_TEMPERATURE_TARGET = 0x1a2, "Temperature target.";
    IA32_ENERGY_PERF_BIAS = 0x1b0, "Energy and performance bias.";
    IA32_PACKAGE_THERM_STATUS = 0x1b1, "Package thermal status.";
    IA32_PACKAGE_THERM_INTERRUPT = 0x1b2, "Package thermal interrupt control.";
    IA32_DEBUGCTL = 0x1d9, "Debug control.";
    MSR_LASTBRANCHFROMIP = 0x1db, "Last branch from.";
    MSR_LASTBRANCHTOIP = 0x1dc, "Last branch to.";
    MSR_LASTINTFROMIP = 0x1dd, "Last interrupt from.";
    MSR_LASTINTTOIP = 0x1de, "Last interrupt to.";
    IA32_MTRR_PHYSBASE0 = 0x200, "Variable range 0 base; base and mask alternate, at most 10 ranges.";
    IA32_MTRR_PHYSMASK0 = 0x201, "Variable range 0 mask.";
    IA32_MTRR_FIX64K_00000 = 0x250, "Fixed range 0 to 7FFFFH.";
    IA32_MTRR_FIX16K_80000 = 0x258, "Fixed range 80000H to 9FFFFH.";
    IA32_MTRR_FIX16K_A0000 = 0x259, "Fixed range A0000H to BFFFFH.";
    IA32_MTRR_FIX4K_C0000 = 0x268, "Fixed range C0000H to C7FFFH.";
    IA32_MTRR_FIX4K_C8000 = 0x269, "Fixed range C8000H to CFFFFH.";
    IA32_MTRR_FIX4K_D0000 = 0x26a, "Fixed range D0000H to D7FFFH.";
    IA32_MTRR_FIX4K_D8000 = 0x26b, "Fixed range D8000H to DFFFFH.";
    IA32_MTRR_FIX4K_E0000 = 0x26c, "Fixed range E0000H to E7FFFH.";
    IA32_MTRR_FIX4K_E8000 = 0x26d, "Fixed range E8000H to EFFFFH.";
    IA32_MTRR_FIX4K_F0000 = 0x26e, "Fixed range F0000H to F7FFFH.";
    IA32_MTRR_FIX4K_F8000 = 0x26f, "Fixed range F8000H to FFFFFH.";
    IA32_PAT = 0x277, "Page attribute table.";
    IA32_MTRR_DEF_TYPE = 0x2ff, "MTRR default type and enables.";
    IA32_FIXED_CTR0 = 0x309, "Fixed performance counter 0: the first of 3.";
    IA32_PERF_CAPABILITIES = 0x345, "Performance capabilities.";
    IA32_FIXED_CTR_CTRL = 0x38d, "Fixed performance counter control.";
    IA32_PERF_GLOBAL_STATUS = 0x38e, "Performance counter global status.";
    IA32_PERF_GLOBAL_CTRL = 0x38f, "Performance counter global control.";
    IA32_PERF_GLOBAL_OVF_CTRL = 0x390, "Performance counter global overflow control.";
    IA32_PEBS_ENABLE = 0x3f1, "PEBS enable.";
    IA32_MC0_CTL = 0x400, "Machine-check bank 0: control, status, address, miscellaneous, four MSRs a bank.";
    IA32_MC0_STATUS = 0x401, "Machine-check bank 0 status.";
    IA32_MC0_ADDR = 0x402, "Machine-check bank 0 address.";
    IA32_MC0_MISC = 0x403, "Machine-check bank 0 miscellaneous.";
    IA32_VMX_BASIC = 0x480, "Basic VMX information.";
    IA32_VMX_PINBASED_CTLS = 0x481, "Pin-based controls, with the default1 class.";
    IA32_VMX_PROCBASED_CTLS = 0x482, "Primary processor-based controls, with the default1 class.";
    IA32_VMX_EXIT_CTLS = 0x483, "VM-exit controls, with the default1 class.";
    IA32_VMX_ENTRY_CTLS = 0x484, "VM-entry controls, with the default1 class.";
    IA32_VMX_MISC = 0x485, "Miscellaneous VMX data.";
    IA32_VMX_CR0_FIXED0 = 0x486, "CR0 bits that must be 1.";
    IA32_VMX_CR0_FIXED1 = 0x487, "CR0 bits that may be 1.";
    IA32_VMX_CR4_FIXED0 = 0x488, "CR4 bits that must be 1.";
    IA32_VMX_CR4_FIXED1 = 0x489, "CR4 bits that may be 1.";
    IA32_VMX_VMCS_ENUM = 0x48a, "Bits 9:1: the highest index of a VMCS field.";
    IA32_VMX_PROCBASED_CTLS2 = 0x48b, "Secondary processor-based controls.";
    IA32_VMX_EPT_VPID_CAP = 0x48c, "EPT and VPID capabilities.";
    IA32_VMX_TRUE_PINBASED_CTLS = 0x48d, "Pin-based controls.";
    IA32_VMX_TRUE_PROCBASED_CTLS = 0x48e, "Primary processor-based controls.";
    IA32_VMX_TRUE_EXIT_CTLS = 0x48f, "VM-exit controls.";
    IA32_VMX_TRUE_ENTRY_CTLS = 0x490, "VM-entry controls.";
    IA32_VMX_VMFUNC = 0x491, "VM functions.";
    IA32_VMX_PROCBASED_CTLS3 = 0x492, "Tertiary processor-based controls: 64 allowed-1 bits.";
    IA32_VMX_EXIT_CTLS2 = 0x493, "Secondary VM-exit controls: 64 allowed-1 bits.";
    IA32_DS_AREA = 0x600, "Debug store area.";
    IA32_U_CET = 0x6a0, "User-mode CET.";
    IA32_S_CET = 0x6a2, "Supervisor-mode CET.";
    IA32_PL0_SSP = 0x6a4, "Shadow-stack pointer of privilege level 0.";
    IA32_PL3_SSP = 0x6a7, "Shadow-stack pointer of privilege level 3.";
    IA32_INTERRUPT_SSP_TABLE_ADDR = 0x6a8, "Interrupt shadow-stack table.";
    IA32_TSC_DEADLINE = 0x6e0, "TSC-deadline of the APIC timer.";
    IA32_PKRS = 0x6e1, "Protection keys of supervisor-mode pages.";
    IA32_PM_ENABLE = 0x770, "Hardware-controlled performance states.";
    IA32_BNDCFGS = 0xd90, "Supervisor-mode MPX configuration.";
    IA32_XSS = 0xda0, "Extended supervisor states.";
    IA32_EFER = 0xc000_0080, "Extended features.";
    IA32_STAR = 0xc000_0081, "SYSCALL and SYSRET selectors.";
    IA32_LSTAR = 0xc000_0082, "SYSCALL RIP.";
    IA32_CSTAR = 0xc000_0083, "SYSCALL RIP in compatibility mode.";
    IA32_FMASK = 0xc000_0084, "RFLAGS bits that SYSCALL clears.";
    IA32_FS_BASE = 0xc000_0100, "FS base.";
    IA32_GS_BASE = 0xc000_0101, "GS base.";
    IA32_KERNEL_GS_BASE = 0xc000_0102, "What SWAPGS exchanges with the GS base.";
    IA32_TSC_AUX = 0xc000_0103, "What RDTSCP and RDPID give.";
    AMD_TSC_RATIO = 0xc000_0104, "TSC ratio of guests.";
    AMD_SYSCFG = 0xc001_0010, "System configuration.";
    KVM_WALL_CLOCK = 0x4b56_4d00, "KVM's guests: where the time of day at boot is to be written.";
    KVM_SYSTEM_TIME = 0x4b56_4d01, "KVM's guests: the page of the paravirtual clock.";
    AMD_HWCR = 0xc001_0015, "Hardware configuration.";
    AMD_IORR_BASE0 = 0xc001_0016, "I/O range 0 base.";
    AMD_TOP_MEM = 0xc001_001a, "Top of memory below 4 GiB.";
    AMD_TOP_MEM2 = 0xc001_001d, "Top of memory above 4 GiB.";
    AMD_NB_CFG = 0xc001_001f, "Northbridge configuration.";
    AMD_PATCH_LOADER = 0xc001_0020, "Microcode patch loader.";
    AMD_INTERRUPT_PENDING = 0xc001_0055, "Message on a pending interrupt.";
    AMD_PSTATE_STATUS = 0xc001_0063, "Current P-state.";
    AMD_VM_CR = 0xc001_0114, "SVM disable and lock.";
    AMD_IGNNE = 0xc001_0115, "IGNNE.";
    AMD_SMM_CTL = 0xc001_0116, "SMM control.";
    AMD_VM_HSAVE_PA = 0xc001_0117, "Physical address of the host save area.";
    AMD_SVM_KEY = 0xc001_0118, "Key that unlocks VM_CR.SVMDIS.";
    AMD_LS_CFG = 0xc001_1020, "Load-store configuration.";
    AMD_DC_CFG = 0xc001_1022, "Data cache configuration.";
    AMD_DE_CFG = 0xc001_1029, "Decode configuration: LFENCE serializes.";
    AMD_BU_CFG2 = 0xc001_102a, "Bus unit configuration 2.";
    AMD_OSVW_ID_LENGTH = 0xc001_0140, "Length of the OS-visible workaround status.";
    AMD_OSVW_STATUS = 0xc001_0141, "OS-visible workaround status.";
}

macro_rules! register {
    ($($(#[$doc:meta])* $type:ident { $($name:ident = $bit:literal, $text:literal;)* })*) => {$(
        bitflags! {
            $(#[$doc])*
            #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
            #[repr(transparent)]
            pub struct $type: u64 {
                $(#[doc = $text] const $name = 1 << $bit;)*
                const _ = !0;
            }
        }

        impl $type {
            /// The bits that have no name here.
            pub const RESERVED: u64 = !(0 $(| (1 << $bit))*);
        }
    )*};
}

register! {
    /// IA32_EFER: SDM 3A "IA32_EFER MSR"; APM vol 2 "Extended Feature Enable Register (EFER)".
    Efer {
        SCE = 0, "SYSCALL and SYSRET.";
        LME = 8, "Long mode is enabled with paging.";
        LMA = 10, "Long mode is active (read-only).";
        NXE = 11, "The execute-disable bit is enabled.";
        SVME = 12, "SVM (AMD).";
        LMSLE = 13, "Long-mode segment limits (AMD).";
        FFXSR = 14, "Fast FXSAVE and FXRSTOR (AMD).";
        TCE = 15, "Translation cache extension (AMD).";
        MCOMMIT = 17, "MCOMMIT (AMD).";
        INTWB = 18, "Interruptible WBINVD (AMD).";
        UAIE = 20, "Upper address ignore (AMD).";
        AIBRSE = 21, "Automatic IBRS (AMD).";
    }
    /// IA32_FEATURE_CONTROL: SDM 3C "Enabling and Entering VMX Operation".
    FeatureControl {
        LOCK = 0, "Locked until the next reset; VMXON demands it.";
        VMX_IN_SMX = 1, "VMX in SMX operation.";
        VMX_OUTSIDE_SMX = 2, "VMX outside SMX operation.";
        SGX_LAUNCH = 17, "SGX launch control.";
        SGX = 18, "SGX.";
        LMCE = 20, "Local machine checks.";
    }
    /// AMD's VM_CR: APM vol 2 "VM_CR MSR (C001_0114h)".
    VmCr {
        DPD = 0, "Debug port disable.";
        R_INIT = 1, "INIT is redirected to #SX.";
        DIS_A20M = 2, "A20 masking is disabled.";
        LOCK = 3, "LOCK and SVMDIS are read-only.";
        SVMDIS = 4, "EFER.SVME cannot be set.";
    }
    /// IA32_APIC_BASE: SDM 3A "Local APIC Status and Location". Bits MAXPHYADDR-1:12 are the address.
    ApicBase {
        BSP = 8, "The bootstrap processor (read-only).";
        EXTD = 10, "x2APIC mode.";
        EN = 11, "The local APIC is enabled globally.";
    }
    /// IA32_MISC_ENABLE, its architectural bits.
    MiscellaneousEnable {
        FAST_STRINGS = 0, "Fast strings.";
        THERMAL_CONTROL = 3, "Automatic thermal control.";
        PERFORMANCE_MONITORING = 7, "Performance monitoring is available (read-only).";
        BTS_UNAVAILABLE = 11, "Branch trace storage is not available (read-only).";
        PEBS_UNAVAILABLE = 12, "PEBS is not available (read-only).";
        ENHANCED_SPEEDSTEP = 16, "Enhanced SpeedStep.";
        MONITOR = 18, "MONITOR and MWAIT.";
        LIMIT_CPUID = 22, "CPUID's highest basic leaf is 2 (older processors).";
        XTPR_DISABLE = 23, "xTPR messages are disabled.";
    }
    /// IA32_DEBUGCTL.
    DebugCtl {
        LBR = 0, "Last-branch recording.";
        BTF = 1, "Single step on branches.";
        BLD = 2, "Bus-lock detection.";
        TR = 6, "Branch trace messages.";
        BTS = 7, "Branch trace store.";
        BTINT = 8, "Branch trace interrupt.";
        BTS_OFF_OS = 9, "No BTS at privilege level 0.";
        BTS_OFF_USR = 10, "No BTS above privilege level 0.";
        FREEZE_LBRS_ON_PMI = 11, "LBRs freeze on a PMI.";
        FREEZE_PERFMON_ON_PMI = 12, "Counters freeze on a PMI.";
        FREEZE_WHILE_SMM = 14, "Counters freeze in SMM.";
        RTM = 15, "Debugging of transactional regions.";
    }
}

impl FeatureControl {
    /// Firmware has locked VMX outside SMX operation out, until the next reset.
    #[must_use]
    pub const fn locks_vmx_out(self) -> bool {
        self.contains(Self::LOCK) && !self.contains(Self::VMX_OUTSIDE_SMX)
    }

    /// What lets VMXON in, for a register that is not locked.
    #[must_use]
    pub const fn with_vmx(self) -> Self {
        self.union(Self::LOCK).union(Self::VMX_OUTSIDE_SMX)
    }
}

impl VmCr {
    /// Firmware has disabled SVM, and only it, or SVM's key, can enable it again.
    #[must_use]
    pub const fn locks_svm_out(self) -> bool {
        self.contains(Self::SVMDIS) && self.contains(Self::LOCK)
    }
}

impl ApicBase {
    /// The bits of the physical address.
    pub const ADDRESS: u64 = 0x000f_ffff_ffff_f000;
}

/// The value of IA32_PAT after RESET: WB, WT, UC-, UC, twice.
pub const PAT_RESET: u64 = 0x0007_0406_0007_0406;

/// The first MSR of the high range of VMX's MSR bitmaps and of SVM's second range.
pub const HIGH_RANGE: u32 = 0xc000_0000;

impl Msr {
    /// Bit index in a VMX MSR-bitmap page for reads (writes: plus 16384), unless the bitmaps do not cover the MSR,
    /// which then always exits. SDM 3C "MSR-Bitmap Address".
    #[must_use]
    pub const fn vmx_bitmap_bit(self) -> Option<usize> {
        match self.0 {
            0..=0x1fff => Some(self.0 as usize),
            0xc000_0000..=0xc000_1fff => Some(8192 + (self.0 & 0x1fff) as usize),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Values as firmware leaves them: nothing, VMX off, VMX in SMX only, VMX on.
    #[test]
    fn vmx_is_locked_out_by_the_lock_without_its_bit() {
        for (value, out) in [
            (0, false),
            (1, true),
            (3, true),
            (4, false),
            (5, false),
            (7, false),
        ] {
            let register = FeatureControl::from_bits_retain(value);
            assert_eq!(register.locks_vmx_out(), out, "{value:#x}");
            assert_eq!(register.with_vmx().bits(), value | 5);
        }
    }

    #[test]
    fn svm_is_locked_out_by_both_bits() {
        for (value, out) in [
            (0, false),
            (8, false),
            (0x10, false),
            (0x18, true),
            (0x1f, true),
        ] {
            let register = VmCr::from_bits_retain(value);
            assert_eq!(register.locks_svm_out(), out, "{value:#x}");
        }
    }
}
