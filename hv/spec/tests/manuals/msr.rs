//! MSR numbers against the `x86` crate's, and the bitmaps that select MSRs.

use spec::msr::{Efer, Msr};
use spec::svm::vmcb::{MSRPM_SIZE, msrpm_bit};

macro_rules! same {
    ($($ours:ident = $theirs:ident,)*) => {
        [$((Msr::$ours, x86::msr::$theirs)),*]
    };
}

#[test]
fn numbers_are_those_of_the_x86_crate() {
    let rows = same! {
        IA32_P5_MC_ADDR = IA32_P5_MC_ADDR,
        IA32_P5_MC_TYPE = IA32_P5_MC_TYPE,
        IA32_MONITOR_FILTER_LINE_SIZE = IA32_MONITOR_FILTER_LINE_SIZE,
        IA32_TIME_STAMP_COUNTER = IA32_TIME_STAMP_COUNTER,
        IA32_PLATFORM_ID = IA32_PLATFORM_ID,
        IA32_APIC_BASE = IA32_APIC_BASE,
        IA32_FEATURE_CONTROL = IA32_FEATURE_CONTROL,
        IA32_TSC_ADJUST = IA32_TSC_ADJUST,
        IA32_BIOS_UPDT_TRIG = IA32_BIOS_UPDT_TRIG,
        IA32_BIOS_SIGN_ID = IA32_BIOS_SIGN_ID,
        IA32_SMM_MONITOR_CTL = IA32_SMM_MONITOR_CTL,
        IA32_SMBASE = IA32_SMBASE,
        IA32_PMC0 = IA32_PMC0,
        MSR_PLATFORM_INFO = MSR_PLATFORM_INFO,
        IA32_MPERF = IA32_MPERF,
        IA32_APERF = IA32_APERF,
        IA32_MTRRCAP = IA32_MTRRCAP,
        IA32_TSX_CTRL = MSR_IA32_TSX_CTRL,
        IA32_SYSENTER_CS = IA32_SYSENTER_CS,
        IA32_SYSENTER_ESP = IA32_SYSENTER_ESP,
        IA32_SYSENTER_EIP = IA32_SYSENTER_EIP,
        IA32_MCG_CAP = IA32_MCG_CAP,
        IA32_MCG_STATUS = IA32_MCG_STATUS,
        IA32_MCG_CTL = IA32_MCG_CTL,
        IA32_PERFEVTSEL0 = IA32_PERFEVTSEL0,
        IA32_PERF_STATUS = IA32_PERF_STATUS,
        IA32_PERF_CTL = IA32_PERF_CTL,
        IA32_CLOCK_MODULATION = IA32_CLOCK_MODULATION,
        IA32_THERM_INTERRUPT = IA32_THERM_INTERRUPT,
        IA32_THERM_STATUS = IA32_THERM_STATUS,
        IA32_MISC_ENABLE = IA32_MISC_ENABLE,
        MSR_TEMPERATURE_TARGET = MSR_TEMPERATURE_TARGET,
        IA32_ENERGY_PERF_BIAS = IA32_ENERGY_PERF_BIAS,
        IA32_PACKAGE_THERM_STATUS = IA32_PACKAGE_THERM_STATUS,
        IA32_PACKAGE_THERM_INTERRUPT = IA32_PACKAGE_THERM_INTERRUPT,
        IA32_DEBUGCTL = IA32_DEBUGCTL,
        MSR_LASTBRANCHFROMIP = LASTBRANCHFROMIP,
        MSR_LASTBRANCHTOIP = LASTBRANCHTOIP,
        MSR_LASTINTFROMIP = LASTINTFROMIP,
        MSR_LASTINTTOIP = LASTINTTOIP,
        IA32_MTRR_PHYSBASE0 = IA32_MTRR_PHYSBASE0,
        IA32_MTRR_PHYSMASK0 = IA32_MTRR_PHYSMASK0,
        IA32_MTRR_FIX64K_00000 = IA32_MTRR_FIX64K_00000,
        IA32_MTRR_FIX16K_80000 = IA32_MTRR_FIX16K_80000,
        IA32_MTRR_FIX16K_A0000 = IA32_MTRR_FIX16K_A0000,
        IA32_MTRR_FIX4K_C0000 = IA32_MTRR_FIX4K_C0000,
        IA32_MTRR_FIX4K_C8000 = IA32_MTRR_FIX4K_C8000,
        IA32_MTRR_FIX4K_D0000 = IA32_MTRR_FIX4K_D0000,
        IA32_MTRR_FIX4K_D8000 = IA32_MTRR_FIX4K_D8000,
        IA32_MTRR_FIX4K_E0000 = IA32_MTRR_FIX4K_E0000,
        IA32_MTRR_FIX4K_E8000 = IA32_MTRR_FIX4K_E8000,
        IA32_MTRR_FIX4K_F0000 = IA32_MTRR_FIX4K_F0000,
        IA32_MTRR_FIX4K_F8000 = IA32_MTRR_FIX4K_F8000,
        IA32_PAT = IA32_PAT,
        IA32_MTRR_DEF_TYPE = IA32_MTRR_DEF_TYPE,
        IA32_FIXED_CTR0 = IA32_FIXED_CTR0,
        IA32_PERF_CAPABILITIES = IA32_PERF_CAPABILITIES,
        IA32_FIXED_CTR_CTRL = IA32_FIXED_CTR_CTRL,
        IA32_PERF_GLOBAL_STATUS = IA32_PERF_GLOBAL_STAUS,
        IA32_PERF_GLOBAL_CTRL = IA32_PERF_GLOBAL_CTRL,
        IA32_PERF_GLOBAL_OVF_CTRL = IA32_PERF_GLOBAL_OVF_CTRL,
        IA32_PEBS_ENABLE = IA32_PEBS_ENABLE,
        IA32_MC0_CTL = IA32_MC0_CTL,
        IA32_MC0_STATUS = IA32_MC0_STATUS,
        IA32_MC0_ADDR = IA32_MC0_ADDR,
        IA32_MC0_MISC = IA32_MC0_MISC,
        IA32_VMX_BASIC = IA32_VMX_BASIC,
        IA32_VMX_PINBASED_CTLS = IA32_VMX_PINBASED_CTLS,
        IA32_VMX_PROCBASED_CTLS = IA32_VMX_PROCBASED_CTLS,
        IA32_VMX_EXIT_CTLS = IA32_VMX_EXIT_CTLS,
        IA32_VMX_ENTRY_CTLS = IA32_VMX_ENTRY_CTLS,
        IA32_VMX_MISC = IA32_VMX_MISC,
        IA32_VMX_CR0_FIXED0 = IA32_VMX_CR0_FIXED0,
        IA32_VMX_CR0_FIXED1 = IA32_VMX_CR0_FIXED1,
        IA32_VMX_CR4_FIXED0 = IA32_VMX_CR4_FIXED0,
        IA32_VMX_CR4_FIXED1 = IA32_VMX_CR4_FIXED1,
        IA32_VMX_VMCS_ENUM = IA32_VMX_VMCS_ENUM,
        IA32_VMX_PROCBASED_CTLS2 = IA32_VMX_PROCBASED_CTLS2,
        IA32_VMX_EPT_VPID_CAP = IA32_VMX_EPT_VPID_CAP,
        IA32_VMX_TRUE_PINBASED_CTLS = IA32_VMX_TRUE_PINBASED_CTLS,
        IA32_VMX_TRUE_PROCBASED_CTLS = IA32_VMX_TRUE_PROCBASED_CTLS,
        IA32_VMX_TRUE_EXIT_CTLS = IA32_VMX_TRUE_EXIT_CTLS,
        IA32_VMX_TRUE_ENTRY_CTLS = IA32_VMX_TRUE_ENTRY_CTLS,
        IA32_VMX_VMFUNC = IA32_VMX_VMFUNC,
        IA32_DS_AREA = IA32_DS_AREA,
        IA32_TSC_DEADLINE = IA32_TSC_DEADLINE,
        IA32_EFER = IA32_EFER,
        IA32_STAR = IA32_STAR,
        IA32_LSTAR = IA32_LSTAR,
        IA32_CSTAR = IA32_CSTAR,
        IA32_FMASK = IA32_FMASK,
        IA32_FS_BASE = IA32_FS_BASE,
        IA32_GS_BASE = IA32_GS_BASE,
        IA32_KERNEL_GS_BASE = IA32_KERNEL_GSBASE,
        IA32_TSC_AUX = IA32_TSC_AUX,
    };
    for (ours, theirs) in rows {
        assert_eq!(ours.0, theirs, "{ours}");
    }
}

/// Those that the `x86` crate lacks: APM vol 2 "MSR Cross-Reference", SDM 4 "Architectural MSRs".
#[test]
fn numbers_that_the_x86_crate_lacks() {
    assert_eq!(Msr::AMD_VM_CR.0, 0xc001_0114);
    assert_eq!(Msr::AMD_VM_HSAVE_PA.0, 0xc001_0117);
    assert_eq!(Msr::AMD_HWCR.0, 0xc001_0015);
    assert_eq!(Msr::AMD_DE_CFG.0, 0xc001_1029);
    assert_eq!(Msr::IA32_SPEC_CTRL.0, 0x48);
    assert_eq!(Msr::IA32_XSS.0, 0xda0);
}

#[test]
fn a_number_has_its_name_or_none() {
    assert_eq!(Msr(0xc000_0080).name(), Some("IA32_EFER"));
    assert_eq!(
        format!("{} {}", Msr(0x10), Msr(0x1234)),
        "IA32_TIME_STAMP_COUNTER Msr 0x1234"
    );
    assert_eq!(Msr(0x1234).name(), None);
    for &(msr, name) in Msr::ALL {
        assert_eq!(msr.name(), Some(name));
    }
}

#[test]
fn efer_is_what_the_manual_draws() {
    assert_eq!(
        (Efer::SCE | Efer::LME | Efer::LMA | Efer::NXE | Efer::SVME).bits(),
        0x1d01
    );
    assert_eq!(Efer::RESERVED & 0x1d01, 0);
    assert_ne!(Efer::RESERVED & (1 << 9), 0);
}

/// SDM 3C "MSR-Bitmap Address": read bitmaps for low and high MSRs, 1 KiB each.
#[test]
fn vmx_bitmap_edges() {
    let rows = [
        (0, Some(0)),
        (0x1fff, Some(0x1fff)),
        (0x2000, None),
        (0xbfff_ffff, None),
        (0xc000_0000, Some(8192)),
        (0xc000_1fff, Some(16383)),
        (0xc000_2000, None),
        (0xc001_0000, None),
    ];
    for (msr, bit) in rows {
        assert_eq!(Msr(msr).vmx_bitmap_bit(), bit, "{msr:#x}");
    }
}

/// APM vol 2 "MSR Intercepts": byte offsets 000H, 800H and 1000H, two bits an MSR.
#[test]
fn svm_permission_map_edges() {
    let rows = [
        (0, Some(0)),
        (0x1fff, Some(0x7fe * 8 + 14)),
        (0x2000, None),
        (0xc000_0000, Some(0x800 * 8)),
        (0xc000_0080, Some(0x820 * 8)),
        (0xc000_1fff, Some(0xffe * 8 + 14)),
        (0xc000_2000, None),
        (0xc001_0000, Some(0x1000 * 8)),
        (0xc001_0114, Some(0x1045 * 8)),
        (0xc001_1fff, Some(0x17fe * 8 + 14)),
        (0xc001_2000, None),
        (0xffff_ffff, None),
    ];
    for (msr, bit) in rows {
        assert_eq!(msrpm_bit(msr), bit, "{msr:#x}");
        assert!(msrpm_bit(msr).is_none_or(|bit| bit + 1 < MSRPM_SIZE * 8));
    }
}
