//! Control, flags and debug registers against the `x86` crate's bits.

use spec::control_registers::{Cr0, Cr4, Dr6, Dr7, Rflags, Xcr0};

macro_rules! same {
    ($ours:ty, $theirs:ty: $($name:ident = $their_name:ident,)*) => {
        $(assert_eq!(<$ours>::$name.bits(), <$theirs>::$their_name.bits() as u64, stringify!($ours::$name));)*
    };
}

#[test]
fn bits_are_those_of_the_x86_crate() {
    same!(Cr0, x86::controlregs::Cr0:
        PG = CR0_ENABLE_PAGING, CD = CR0_CACHE_DISABLE, NW = CR0_NOT_WRITE_THROUGH, AM = CR0_ALIGNMENT_MASK,
        WP = CR0_WRITE_PROTECT, NE = CR0_NUMERIC_ERROR, ET = CR0_EXTENSION_TYPE, TS = CR0_TASK_SWITCHED,
        EM = CR0_EMULATE_COPROCESSOR, MP = CR0_MONITOR_COPROCESSOR, PE = CR0_PROTECTED_MODE,
    );
    same!(Cr4, x86::controlregs::Cr4:
        PKE = CR4_ENABLE_PROTECTION_KEY, SMAP = CR4_ENABLE_SMAP, SMEP = CR4_ENABLE_SMEP, OSXSAVE = CR4_ENABLE_OS_XSAVE,
        PCIDE = CR4_ENABLE_PCID, FSGSBASE = CR4_ENABLE_FSGSBASE, SMXE = CR4_ENABLE_SMX, VMXE = CR4_ENABLE_VMX,
        LA57 = CR4_ENABLE_LA57, UMIP = CR4_ENABLE_UMIP, OSXMMEXCPT = CR4_UNMASKED_SSE, OSFXSR = CR4_ENABLE_SSE,
        PCE = CR4_ENABLE_PPMC, PGE = CR4_ENABLE_GLOBAL_PAGES, MCE = CR4_ENABLE_MACHINE_CHECK, PAE = CR4_ENABLE_PAE,
        PSE = CR4_ENABLE_PSE, DE = CR4_DEBUGGING_EXTENSIONS, TSD = CR4_TIME_STAMP_DISABLE, PVI = CR4_VIRTUAL_INTERRUPTS,
        VME = CR4_ENABLE_VME,
    );
    same!(Xcr0, x86::controlregs::Xcr0:
        PKRU = XCR0_PKRU_STATE, HI16_ZMM = XCR0_HI16_ZMM_STATE, ZMM_HI256 = XCR0_ZMM_HI256_STATE,
        OPMASK = XCR0_OPMASK_STATE, BNDCSR = XCR0_BNDCSR_STATE, BNDREGS = XCR0_BNDREG_STATE, AVX = XCR0_AVX_STATE,
        SSE = XCR0_SSE_STATE, X87 = XCR0_FPU_MMX_STATE,
    );
    same!(Rflags, x86::bits64::rflags::RFlags:
        ID = FLAGS_ID, VIP = FLAGS_VIP, VIF = FLAGS_VIF, AC = FLAGS_AC, VM = FLAGS_VM, RF = FLAGS_RF, NT = FLAGS_NT,
        IOPL = FLAGS_IOPL3, IOPL_LOW = FLAGS_IOPL1, OF = FLAGS_OF, DF = FLAGS_DF, IF = FLAGS_IF, TF = FLAGS_TF,
        SF = FLAGS_SF, ZF = FLAGS_ZF, AF = FLAGS_AF, PF = FLAGS_PF, ONE = FLAGS_A1, CF = FLAGS_CF,
    );
}

#[test]
fn reset_values() {
    assert_eq!(Cr0::RESET.bits(), 0x6000_0010);
    assert_eq!(Rflags::RESET.bits(), 2);
    assert_eq!(Dr6::RESET.bits(), 0xffff_0ff0);
    assert_eq!(Dr7::RESET.bits(), 0x400);
}

#[test]
fn reserved_masks() {
    assert_eq!(Cr0::RESERVED, !0xe005_003f);
    assert_eq!(Rflags::RESERVED, !0x003f_7fd7);
    assert_eq!(
        Cr4::RESERVED & 0xffff_ffff,
        (1 << 15) | (1 << 26) | (7 << 29)
    );
    assert_eq!(Dr6::FIXED0 & Dr6::FIXED1, 0);
}

#[test]
fn cr0_combinations() {
    let rows = [
        (Cr0::RESET, false),
        (Cr0::PE, false),
        (Cr0::PE | Cr0::PG, false),
        (Cr0::PG, true),
        (Cr0::NW, true),
        (Cr0::from_bits_retain(1 << 32), true),
        (Cr0::from_bits_retain(1 << 6), false),
    ];
    for (value, invalid) in rows {
        assert_eq!(value.is_invalid(), invalid, "{value:?}");
    }
}

/// SDM 2C "XSETBV": the causes of #GP.
#[test]
fn xcr0_combinations() {
    let supported = Xcr0::X87 | Xcr0::SSE | Xcr0::AVX | Xcr0::MPX | Xcr0::AVX512 | Xcr0::PKRU;
    let rows = [
        (Xcr0::empty(), false),
        (Xcr0::X87, true),
        (Xcr0::SSE, false),
        (Xcr0::X87 | Xcr0::SSE, true),
        (Xcr0::X87 | Xcr0::AVX, false),
        (Xcr0::X87 | Xcr0::SSE | Xcr0::AVX, true),
        (Xcr0::X87 | Xcr0::SSE | Xcr0::AVX512, false),
        (Xcr0::X87 | Xcr0::SSE | Xcr0::AVX | Xcr0::OPMASK, false),
        (Xcr0::X87 | Xcr0::SSE | Xcr0::AVX | Xcr0::AVX512, true),
        (Xcr0::X87 | Xcr0::BNDREGS, false),
        (Xcr0::X87 | Xcr0::MPX, true),
        (Xcr0::X87 | Xcr0::PKRU, true),
        (Xcr0::X87 | Xcr0::AMX, false),
        (Xcr0::X87.union(Xcr0::from_bits_retain(1 << 63)), false),
    ];
    for (value, valid) in rows {
        assert_eq!(value.is_valid(supported), valid, "{value:?}");
    }
}
