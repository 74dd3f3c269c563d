//! Control bits against the `x86` crate's, and the capability arithmetic against tables.

use spec::vmx::controls::{
    self, Basic, EptVpidCap, Eptp, Miscellaneous, Missing, Primary, Secondary, adjust, apply_fixed,
};
use x86::vmx::vmcs::control;

macro_rules! same {
    ($ours:ty, $theirs:ty: $($name:ident = $their_name:ident,)*) => {
        $(assert_eq!(<$ours>::$name.bits(), <$theirs>::$their_name.bits(), stringify!($ours::$name));)*
    };
}

#[test]
fn control_bits_are_those_of_the_x86_crate() {
    same!(controls::Pinbased, control::PinbasedControls:
        EXTERNAL_INTERRUPT_EXITING = EXTERNAL_INTERRUPT_EXITING,
        NMI_EXITING = NMI_EXITING,
        VIRTUAL_NMIS = VIRTUAL_NMIS,
        ACTIVATE_PREEMPTION_TIMER = VMX_PREEMPTION_TIMER,
        PROCESS_POSTED_INTERRUPTS = POSTED_INTERRUPTS,
    );
    same!(controls::Primary, control::PrimaryControls:
        INTERRUPT_WINDOW_EXITING = INTERRUPT_WINDOW_EXITING,
        USE_TSC_OFFSETTING = USE_TSC_OFFSETTING,
        HLT_EXITING = HLT_EXITING,
        INVLPG_EXITING = INVLPG_EXITING,
        MWAIT_EXITING = MWAIT_EXITING,
        RDPMC_EXITING = RDPMC_EXITING,
        RDTSC_EXITING = RDTSC_EXITING,
        CR3_LOAD_EXITING = CR3_LOAD_EXITING,
        CR3_STORE_EXITING = CR3_STORE_EXITING,
        CR8_LOAD_EXITING = CR8_LOAD_EXITING,
        CR8_STORE_EXITING = CR8_STORE_EXITING,
        USE_TPR_SHADOW = USE_TPR_SHADOW,
        NMI_WINDOW_EXITING = NMI_WINDOW_EXITING,
        MOV_DR_EXITING = MOV_DR_EXITING,
        UNCONDITIONAL_IO_EXITING = UNCOND_IO_EXITING,
        USE_IO_BITMAPS = USE_IO_BITMAPS,
        MONITOR_TRAP_FLAG = MONITOR_TRAP_FLAG,
        USE_MSR_BITMAPS = USE_MSR_BITMAPS,
        MONITOR_EXITING = MONITOR_EXITING,
        PAUSE_EXITING = PAUSE_EXITING,
        ACTIVATE_SECONDARY_CONTROLS = SECONDARY_CONTROLS,
    );
    same!(controls::Secondary, control::SecondaryControls:
        VIRTUALIZE_APIC_ACCESSES = VIRTUALIZE_APIC,
        ENABLE_EPT = ENABLE_EPT,
        DESCRIPTOR_TABLE_EXITING = DTABLE_EXITING,
        ENABLE_RDTSCP = ENABLE_RDTSCP,
        VIRTUALIZE_X2APIC_MODE = VIRTUALIZE_X2APIC,
        ENABLE_VPID = ENABLE_VPID,
        WBINVD_EXITING = WBINVD_EXITING,
        UNRESTRICTED_GUEST = UNRESTRICTED_GUEST,
        APIC_REGISTER_VIRTUALIZATION = VIRTUALIZE_APIC_REGISTER,
        VIRTUAL_INTERRUPT_DELIVERY = VIRTUAL_INTERRUPT_DELIVERY,
        PAUSE_LOOP_EXITING = PAUSE_LOOP_EXITING,
        RDRAND_EXITING = RDRAND_EXITING,
        ENABLE_INVPCID = ENABLE_INVPCID,
        ENABLE_VM_FUNCTIONS = ENABLE_VM_FUNCTIONS,
        VMCS_SHADOWING = VMCS_SHADOWING,
        ENABLE_ENCLS_EXITING = ENCLS_EXITING,
        RDSEED_EXITING = RDSEED_EXITING,
        ENABLE_PML = ENABLE_PML,
        EPT_VIOLATION_VE = EPT_VIOLATION_VE,
        CONCEAL_VMX_FROM_PT = CONCEAL_VMX_FROM_PT,
        ENABLE_XSAVES_XRSTORS = ENABLE_XSAVES_XRSTORS,
        MODE_BASED_EXECUTE_CONTROL = MODE_BASED_EPT,
        SUB_PAGE_WRITE_PERMISSIONS = SUB_PAGE_EPT,
        PT_USES_GUEST_PHYSICAL = INTEL_PT_GUEST_PHYSICAL,
        USE_TSC_SCALING = USE_TSC_SCALING,
        ENABLE_USER_WAIT_PAUSE = ENABLE_USER_WAIT_PAUSE,
        ENABLE_ENCLV_EXITING = ENCLV_EXITING,
    );
    same!(controls::Exit, control::ExitControls:
        SAVE_DEBUG_CONTROLS = SAVE_DEBUG_CONTROLS,
        HOST_ADDRESS_SPACE_SIZE = HOST_ADDRESS_SPACE_SIZE,
        LOAD_IA32_PERF_GLOBAL_CTRL = LOAD_IA32_PERF_GLOBAL_CTRL,
        ACKNOWLEDGE_INTERRUPT_ON_EXIT = ACK_INTERRUPT_ON_EXIT,
        SAVE_IA32_PAT = SAVE_IA32_PAT,
        LOAD_IA32_PAT = LOAD_IA32_PAT,
        SAVE_IA32_EFER = SAVE_IA32_EFER,
        LOAD_IA32_EFER = LOAD_IA32_EFER,
        SAVE_PREEMPTION_TIMER = SAVE_VMX_PREEMPTION_TIMER,
        CLEAR_IA32_BNDCFGS = CLEAR_IA32_BNDCFGS,
        CONCEAL_VMX_FROM_PT = CONCEAL_VMX_FROM_PT,
        CLEAR_IA32_RTIT_CTL = CLEAR_IA32_RTIT_CTL,
    );
    same!(controls::Entry, control::EntryControls:
        LOAD_DEBUG_CONTROLS = LOAD_DEBUG_CONTROLS,
        IA32E_MODE_GUEST = IA32E_MODE_GUEST,
        ENTRY_TO_SMM = ENTRY_TO_SMM,
        DEACTIVATE_DUAL_MONITOR = DEACTIVATE_DUAL_MONITOR,
        LOAD_IA32_PERF_GLOBAL_CTRL = LOAD_IA32_PERF_GLOBAL_CTRL,
        LOAD_IA32_PAT = LOAD_IA32_PAT,
        LOAD_IA32_EFER = LOAD_IA32_EFER,
        LOAD_IA32_BNDCFGS = LOAD_IA32_BNDCFGS,
        CONCEAL_VMX_FROM_PT = CONCEAL_VMX_FROM_PT,
        LOAD_IA32_RTIT_CTL = LOAD_IA32_RTIT_CTL,
    );
}

const fn capability(allowed_0: u32, allowed_1: u32) -> u64 {
    (allowed_1 as u64) << 32 | allowed_0 as u64
}

#[test]
fn adjust_takes_what_is_required_wanted_and_forced() {
    let hlt = Primary::HLT_EXITING;
    let mwait = Primary::MWAIT_EXITING;
    let all = u32::MAX;
    // required, wanted, allowed-0, allowed-1, result
    let rows = [
        (hlt, Primary::empty(), 0, all, hlt.bits()),
        (hlt, mwait, 0, all, (hlt | mwait).bits()),
        (hlt, mwait, 0, hlt.bits(), hlt.bits()),
        (
            hlt,
            mwait,
            0x0401_e172,
            0xfff9_fffe,
            0x0401_e172 | (hlt | mwait).bits(),
        ),
        (
            Primary::empty(),
            Primary::empty(),
            0x0401_e172,
            0xfff9_fffe,
            0x0401_e172,
        ),
        (Primary::empty(), Primary::all(), 0, 0, 0),
    ];
    for (required, wanted, allowed_0, allowed_1, result) in rows {
        let capability = capability(allowed_0, allowed_1);
        let value = adjust(required, wanted, capability)
            .expect("nothing is missing")
            .bits();
        assert_eq!(value, result, "{required:?} {wanted:?} {capability:#x}");
    }
}

#[test]
fn adjust_names_what_is_missing() {
    let required = Secondary::ENABLE_EPT | Secondary::UNRESTRICTED_GUEST | Secondary::ENABLE_VPID;
    let result = adjust(
        required,
        Secondary::empty(),
        capability(0, Secondary::ENABLE_VPID.bits()),
    );
    let missing = Secondary::ENABLE_EPT | Secondary::UNRESTRICTED_GUEST;
    assert_eq!(result, Err(Missing(missing)));
    assert_eq!(
        Missing(missing).to_string(),
        "ENABLE_EPT, UNRESTRICTED_GUEST"
    );
}

/// The values of fixed0 and fixed1 are what Bochs and real processors show.
#[test]
fn fixed_bits() {
    let (cr0_0, cr0_1) = (0x8000_0021, 0xffff_ffff);
    let (cr4_0, cr4_1) = (0x2000, 0x0017_27ff);
    let rows = [
        (0x6000_0010, cr0_0, cr0_1, 0xe000_0031),
        (0x8001_0033, cr0_0, cr0_1, 0x8001_0033),
        (0x1_0000_0021, cr0_0, cr0_1, 0x8000_0021),
        (0x20, cr4_0, cr4_1, 0x2020),
        (0x80_2020, cr4_0, cr4_1, 0x2020),
    ];
    for (value, fixed0, fixed1, result) in rows {
        assert_eq!(apply_fixed(value, fixed0, fixed1), result, "{value:#x}");
    }
}

#[test]
fn basic_and_miscellaneous_come_apart() {
    // A Skylake's IA32_VMX_BASIC and IA32_VMX_MISC.
    let basic = Basic(0x00da_0400_0000_0004);
    assert_eq!(
        (basic.revision(), basic.region_size(), basic.memory_type()),
        (4, 1024, 6)
    );
    assert!(basic.true_controls() && basic.ins_outs_information() && basic.dual_monitor());
    assert!(!basic.addresses_32_bit() && !basic.any_error_code());
    let miscellaneous = Miscellaneous(0x7004_c1e7);
    assert_eq!(
        (miscellaneous.timer_shift(), miscellaneous.cr3_targets()),
        (7, 4)
    );
    assert_eq!(miscellaneous.msr_list_limit(), 512);
    assert!(
        miscellaneous.stores_lma()
            && miscellaneous.activity_hlt()
            && miscellaneous.activity_wait_for_sipi()
    );
    assert!(miscellaneous.vmwrite_any() && miscellaneous.inject_length_0());
}

#[test]
fn ept_vpid_capability_of_a_skylake() {
    let capability = EptVpidCap::from_bits_retain(0x0f01_0633_4141);
    assert!(capability.contains(
        EptVpidCap::EXECUTE_ONLY
            | EptVpidCap::WALK_LENGTH_4
            | EptVpidCap::MEMORY_TYPE_UC
            | EptVpidCap::MEMORY_TYPE_WB
            | EptVpidCap::PAGE_2M
            | EptVpidCap::PAGE_1G
            | EptVpidCap::INVEPT
            | EptVpidCap::ACCESSED_DIRTY
            | EptVpidCap::INVEPT_SINGLE_CONTEXT
            | EptVpidCap::INVEPT_ALL_CONTEXT
            | EptVpidCap::INVVPID
            | EptVpidCap::INVVPID_INDIVIDUAL_ADDRESS
            | EptVpidCap::INVVPID_RETAINING_GLOBALS
    ));
    assert!(!capability.intersects(EptVpidCap::WALK_LENGTH_5 | EptVpidCap::ADVANCED_INFORMATION));
}

#[test]
fn eptp_layout() {
    let eptp = Eptp::new(0x1234_5000, true);
    assert_eq!(eptp.0, 0x1234_505e);
    assert_eq!(
        (eptp.memory_type(), eptp.walk_length_minus_1(), eptp.root()),
        (6, 3, 0x1234_5000)
    );
    assert!(eptp.accessed_dirty());
    assert_eq!(Eptp::new(0x1000, false).0, 0x101e);
}
