//! VM-execution, VM-exit and VM-entry controls, the capability MSRs, and the arithmetic between them.
//! SDM 3C "VM-Execution Control Fields"; SDM 3D "VMX Capability Reporting Facility".

use core::fmt;

use bitflags::{Flags, bitflags};

macro_rules! controls {
    ($($(#[$doc:meta])* $type:ident { $($name:ident = $bit:literal, $text:literal;)* })*) => {$(
        bitflags! {
            $(#[$doc])*
            #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
            #[repr(transparent)]
            pub struct $type: u32 {
                $(#[doc = $text] const $name = 1 << $bit;)*
            }
        }
    )*};
}

controls! {
    /// Pin-based VM-execution controls.
    Pinbased {
        EXTERNAL_INTERRUPT_EXITING = 0, "External-interrupt exiting.";
        NMI_EXITING = 3, "NMI exiting.";
        VIRTUAL_NMIS = 5, "Virtual NMIs.";
        ACTIVATE_PREEMPTION_TIMER = 6, "Activate VMX-preemption timer.";
        PROCESS_POSTED_INTERRUPTS = 7, "Process posted interrupts.";
    }
    /// Primary processor-based VM-execution controls.
    Primary {
        INTERRUPT_WINDOW_EXITING = 2, "Interrupt-window exiting.";
        USE_TSC_OFFSETTING = 3, "Use TSC offsetting.";
        HLT_EXITING = 7, "HLT exiting.";
        INVLPG_EXITING = 9, "INVLPG exiting.";
        MWAIT_EXITING = 10, "MWAIT exiting.";
        RDPMC_EXITING = 11, "RDPMC exiting.";
        RDTSC_EXITING = 12, "RDTSC exiting.";
        CR3_LOAD_EXITING = 15, "CR3-load exiting.";
        CR3_STORE_EXITING = 16, "CR3-store exiting.";
        ACTIVATE_TERTIARY_CONTROLS = 17, "Activate tertiary controls.";
        CR8_LOAD_EXITING = 19, "CR8-load exiting.";
        CR8_STORE_EXITING = 20, "CR8-store exiting.";
        USE_TPR_SHADOW = 21, "Use TPR shadow.";
        NMI_WINDOW_EXITING = 22, "NMI-window exiting.";
        MOV_DR_EXITING = 23, "MOV-DR exiting.";
        UNCONDITIONAL_IO_EXITING = 24, "Unconditional I/O exiting.";
        USE_IO_BITMAPS = 25, "Use I/O bitmaps.";
        MONITOR_TRAP_FLAG = 27, "Monitor trap flag.";
        USE_MSR_BITMAPS = 28, "Use MSR bitmaps.";
        MONITOR_EXITING = 29, "MONITOR exiting.";
        PAUSE_EXITING = 30, "PAUSE exiting.";
        ACTIVATE_SECONDARY_CONTROLS = 31, "Activate secondary controls.";
    }
    /// Secondary processor-based VM-execution controls.
    Secondary {
        VIRTUALIZE_APIC_ACCESSES = 0, "Virtualize APIC accesses.";
        ENABLE_EPT = 1, "Enable EPT.";
        DESCRIPTOR_TABLE_EXITING = 2, "Descriptor-table exiting.";
        ENABLE_RDTSCP = 3, "Enable RDTSCP.";
        VIRTUALIZE_X2APIC_MODE = 4, "Virtualize x2APIC mode.";
        ENABLE_VPID = 5, "Enable VPID.";
        WBINVD_EXITING = 6, "WBINVD exiting.";
        UNRESTRICTED_GUEST = 7, "Unrestricted guest.";
        APIC_REGISTER_VIRTUALIZATION = 8, "APIC-register virtualization.";
        VIRTUAL_INTERRUPT_DELIVERY = 9, "Virtual-interrupt delivery.";
        PAUSE_LOOP_EXITING = 10, "PAUSE-loop exiting.";
        RDRAND_EXITING = 11, "RDRAND exiting.";
        ENABLE_INVPCID = 12, "Enable INVPCID.";
        ENABLE_VM_FUNCTIONS = 13, "Enable VM functions.";
        VMCS_SHADOWING = 14, "VMCS shadowing.";
        ENABLE_ENCLS_EXITING = 15, "Enable ENCLS exiting.";
        RDSEED_EXITING = 16, "RDSEED exiting.";
        ENABLE_PML = 17, "Enable PML.";
        EPT_VIOLATION_VE = 18, "EPT-violation #VE.";
        CONCEAL_VMX_FROM_PT = 19, "Conceal VMX from PT.";
        ENABLE_XSAVES_XRSTORS = 20, "Enable XSAVES/XRSTORS.";
        PASID_TRANSLATION = 21, "PASID translation.";
        MODE_BASED_EXECUTE_CONTROL = 22, "Mode-based execute control for EPT.";
        SUB_PAGE_WRITE_PERMISSIONS = 23, "Sub-page write permissions for EPT.";
        PT_USES_GUEST_PHYSICAL = 24, "Intel PT uses guest physical addresses.";
        USE_TSC_SCALING = 25, "Use TSC scaling.";
        ENABLE_USER_WAIT_PAUSE = 26, "Enable user wait and pause.";
        ENABLE_PCONFIG = 27, "Enable PCONFIG.";
        ENABLE_ENCLV_EXITING = 28, "Enable ENCLV exiting.";
        VMM_BUS_LOCK_DETECTION = 30, "VMM bus-lock detection.";
        INSTRUCTION_TIMEOUT = 31, "Instruction timeout.";
    }
    /// Primary VM-exit controls.
    Exit {
        SAVE_DEBUG_CONTROLS = 2, "Save debug controls.";
        HOST_ADDRESS_SPACE_SIZE = 9, "Host address-space size.";
        LOAD_IA32_PERF_GLOBAL_CTRL = 12, "Load IA32_PERF_GLOBAL_CTRL.";
        ACKNOWLEDGE_INTERRUPT_ON_EXIT = 15, "Acknowledge interrupt on exit.";
        SAVE_IA32_PAT = 18, "Save IA32_PAT.";
        LOAD_IA32_PAT = 19, "Load IA32_PAT.";
        SAVE_IA32_EFER = 20, "Save IA32_EFER.";
        LOAD_IA32_EFER = 21, "Load IA32_EFER.";
        SAVE_PREEMPTION_TIMER = 22, "Save VMX-preemption timer value.";
        CLEAR_IA32_BNDCFGS = 23, "Clear IA32_BNDCFGS.";
        CONCEAL_VMX_FROM_PT = 24, "Conceal VMX from PT.";
        CLEAR_IA32_RTIT_CTL = 25, "Clear IA32_RTIT_CTL.";
        CLEAR_IA32_LBR_CTL = 26, "Clear IA32_LBR_CTL.";
        CLEAR_UINV = 27, "Clear UINV.";
        LOAD_CET_STATE = 28, "Load CET state.";
        LOAD_PKRS = 29, "Load PKRS.";
        SAVE_IA32_PERF_GLOBAL_CTRL = 30, "Save IA32_PERF_GLOBAL_CTRL.";
        ACTIVATE_SECONDARY_CONTROLS = 31, "Activate secondary controls.";
    }
    /// VM-entry controls.
    Entry {
        LOAD_DEBUG_CONTROLS = 2, "Load debug controls.";
        IA32E_MODE_GUEST = 9, "IA-32e mode guest.";
        ENTRY_TO_SMM = 10, "Entry to SMM.";
        DEACTIVATE_DUAL_MONITOR = 11, "Deactivate dual-monitor treatment.";
        LOAD_IA32_PERF_GLOBAL_CTRL = 13, "Load IA32_PERF_GLOBAL_CTRL.";
        LOAD_IA32_PAT = 14, "Load IA32_PAT.";
        LOAD_IA32_EFER = 15, "Load IA32_EFER.";
        LOAD_IA32_BNDCFGS = 16, "Load IA32_BNDCFGS.";
        CONCEAL_VMX_FROM_PT = 17, "Conceal VMX from PT.";
        LOAD_IA32_RTIT_CTL = 18, "Load IA32_RTIT_CTL.";
        LOAD_UINV = 19, "Load UINV.";
        LOAD_CET_STATE = 20, "Load CET state.";
        LOAD_GUEST_IA32_LBR_CTL = 21, "Load guest IA32_LBR_CTL.";
        LOAD_PKRS = 22, "Load PKRS.";
    }
}

/// Controls that are required and that the processor cannot set to 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Missing<C>(pub C);

impl<C: Flags<Bits = u32>> fmt::Display for Missing<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, (name, _)) in self.0.iter_names().enumerate() {
            write!(f, "{}{name}", if at == 0 { "" } else { ", " })?;
        }
        Ok(())
    }
}

/// The value for a control field: all of `required`, as much of `wanted` as may be 1, and what must be 1.
/// Bits 31:0 of the capability MSR are the allowed 0-settings (a 1: the control must be 1), bits 63:32 the allowed 1-settings.
///
/// # Errors
/// The required controls that may not be 1.
pub fn adjust<C: Flags<Bits = u32> + Copy>(
    required: C,
    wanted: C,
    capability: u64,
) -> Result<C, Missing<C>> {
    let must = capability as u32;
    let may = (capability >> 32) as u32;
    let missing = required.bits() & !may;
    if missing != 0 {
        return Err(Missing(C::from_bits_retain(missing)));
    }
    Ok(C::from_bits_retain(
        ((required.bits() | wanted.bits()) & may) | must,
    ))
}

/// CR0 or CR4 as VMX operation demands it: the bits of `fixed0` set, those outside `fixed1` cleared.
/// With unrestricted guest, the guest's CR0 is free of PE and PG: leave them out of `fixed0`.
#[inline]
#[must_use]
pub const fn apply_fixed(value: u64, fixed0: u64, fixed1: u64) -> u64 {
    (value | fixed0) & fixed1
}

crate::number::layout! {
    /// IA32_VMX_BASIC.
    Basic(u64);
    revision: from 0 + 31 as u32, "Bits 30:0: the VMCS revision identifier.";
    region_size: from 32 + 13 as u32, "Bits 44:32: the size of the VMXON region and of a VMCS region, in bytes, at most 4096.";
    addresses_32_bit: bit 48, "Bit 48: the addresses of VMX structures are limited to 32 bits.";
    dual_monitor: bit 49, "Bit 49: dual-monitor treatment is supported.";
    memory_type: from 50 + 4 as u8, "Bits 53:50: the memory type for VMX structures (6 WB, 0 UC).";
    ins_outs_information: bit 54, "Bit 54: exits of INS and OUTS report instruction information.";
    true_controls: bit 55, "Bit 55: the IA32_VMX_TRUE_* MSRs exist.";
    any_error_code: bit 56, "Bit 56: a hardware exception may be injected with or without an error code, whatever its vector.";
}

crate::number::layout! {
    /// IA32_VMX_MISC.
    Miscellaneous(u64);
    timer_shift: from 0 + 5 as u8, "Bits 4:0: the VMX-preemption timer counts down when this bit of the TSC changes.";
    stores_lma: bit 5, "Bit 5: VM exits store EFER.LMA in the \"IA-32e mode guest\" control (1 with unrestricted guest).";
    activity_hlt: bit 6, "Bit 6: activity state HLT is supported.";
    activity_shutdown: bit 7, "Bit 7: activity state shutdown is supported.";
    activity_wait_for_sipi: bit 8, "Bit 8: activity state wait-for-SIPI is supported.";
    pt_in_vmx: bit 14, "Bit 14: Intel PT can be used in VMX operation.";
    smbase_in_smm: bit 15, "Bit 15: RDMSR reads IA32_SMBASE in SMM.";
    cr3_targets: from 16 + 9 as u16, "Bits 24:16: the number of CR3-target values.";
    raw_msr_list: from 25 + 3 as u8, "Bits 27:25: N, see [`Self::msr_list_limit`].";
    smm_monitor_bit2: bit 28, "Bit 28: bit 2 of IA32_SMM_MONITOR_CTL can be set.";
    vmwrite_any: bit 29, "Bit 29: VMWRITE can write VM-exit information fields.";
    inject_length_0: bit 30, "Bit 30: a software event can be injected with instruction length 0.";
    mseg_revision: from 32 + 32 as u32, "Bits 63:32: the MSEG revision identifier.";
}

impl Miscellaneous {
    /// The recommended maximum number of entries of an MSR-load or MSR-store area.
    #[must_use]
    pub const fn msr_list_limit(self) -> u32 {
        512 * (self.raw_msr_list() as u32 + 1)
    }
}

bitflags! {
    /// IA32_VMX_EPT_VPID_CAP.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    #[repr(transparent)]
    pub struct EptVpidCap: u64 {
        /// Execute-only translations.
        const EXECUTE_ONLY = 1 << 0;
        /// A page-walk length of 4.
        const WALK_LENGTH_4 = 1 << 6;
        /// A page-walk length of 5.
        const WALK_LENGTH_5 = 1 << 7;
        /// Uncacheable EPT paging structures.
        const MEMORY_TYPE_UC = 1 << 8;
        /// Write-back EPT paging structures.
        const MEMORY_TYPE_WB = 1 << 14;
        /// 2 MiB pages.
        const PAGE_2M = 1 << 16;
        /// 1 GiB pages.
        const PAGE_1G = 1 << 17;
        /// INVEPT.
        const INVEPT = 1 << 20;
        /// Accessed and dirty flags.
        const ACCESSED_DIRTY = 1 << 21;
        /// Advanced VM-exit information for EPT violations.
        const ADVANCED_INFORMATION = 1 << 22;
        /// Supervisor shadow-stack control.
        const SUPERVISOR_SHADOW_STACK = 1 << 23;
        /// INVEPT type 1: single-context.
        const INVEPT_SINGLE_CONTEXT = 1 << 25;
        /// INVEPT type 2: all-context.
        const INVEPT_ALL_CONTEXT = 1 << 26;
        /// INVVPID.
        const INVVPID = 1 << 32;
        /// INVVPID type 0: individual-address.
        const INVVPID_INDIVIDUAL_ADDRESS = 1 << 40;
        /// INVVPID type 1: single-context.
        const INVVPID_SINGLE_CONTEXT = 1 << 41;
        /// INVVPID type 2: all-context.
        const INVVPID_ALL_CONTEXT = 1 << 42;
        /// INVVPID type 3: single-context-retaining-globals.
        const INVVPID_RETAINING_GLOBALS = 1 << 43;
        const _ = !0;
    }
}

crate::number::layout! {
    /// The EPT pointer (EPTP): SDM 3C "Extended-Page-Table Pointer (EPTP)".
    Eptp(u64);
    memory_type: from 0 + 3 as u8, "Bits 2:0: the memory type of the EPT paging structures (0 UC, 6 WB).";
    walk_length_minus_1: from 3 + 3 as u8, "Bits 5:3: the page-walk length less one.";
    accessed_dirty: bit 6, "Bit 6: accessed and dirty flags are enabled.";
    supervisor_shadow_stack: bit 7, "Bit 7: supervisor shadow-stack access rights are enforced.";
}

impl Eptp {
    /// Write-back, 4 levels, the root table at physical `root` (4 KiB aligned).
    #[inline]
    #[must_use]
    pub const fn new(root: u64, accessed_dirty: bool) -> Self {
        Self((root & crate::paging::ADDRESS_MASK) | ((accessed_dirty as u64) << 6) | (3 << 3) | 6)
    }

    /// Bits 51:12: the physical address of the root table.
    #[inline]
    #[must_use]
    pub const fn root(self) -> u64 {
        self.0 & crate::paging::ADDRESS_MASK
    }
}
