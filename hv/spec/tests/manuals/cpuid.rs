//! CPUID bits against the `raw-cpuid` crate's: it is shown a processor with a single feature and must recognize it.

use raw_cpuid::{CpuId, CpuIdResult};
use spec::cpuid::{ExtendedEcx, ExtendedEdx, Leaf1Ecx, Leaf1Edx, Leaf7Ebx, Leaf7Ecx, SvmEdx, leaf};

/// What one leaf of the processor shown holds, in EBX, ECX, EDX.
type Features = [u32; 3];

fn processor(at: u32, [ebx, ecx, edx]: Features) -> CpuId<impl raw_cpuid::CpuIdReader> {
    CpuId::with_cpuid_fn(move |leaf, subleaf| match (leaf, subleaf) {
        (leaf::VENDOR, _) => CpuIdResult {
            eax: 0x20,
            ebx: 0x6874_7541,
            ecx: 0x444d_4163,
            edx: 0x6974_6e65,
        },
        (leaf::EXTENDED, _) => CpuIdResult {
            eax: 0x8000_0021,
            ebx: 0,
            ecx: 0,
            edx: 0,
        },
        (leaf, 0) if leaf == at => CpuIdResult {
            eax: 0,
            ebx,
            ecx,
            edx,
        },
        (leaf::EXTENDED_FEATURES_AMD, _) => CpuIdResult {
            eax: 0,
            ebx: 0,
            ecx: ExtendedEcx::SVM.bits(),
            edx: 0,
        },
        _ => CpuIdResult {
            eax: 0,
            ebx: 0,
            ecx: 0,
            edx: 0,
        },
    })
}

macro_rules! recognized {
    ($leaf:expr, $get:ident, $type:ident, $shown:expr; $($name:ident = $has:ident,)*) => {
        $(
            let show: fn(u32) -> Features = $shown;
            let seen = processor($leaf, show($type::$name.bits())).$get().expect("the leaf exists");
            assert!(seen.$has(), stringify!($type::$name));
            let absent = processor($leaf, show(!$type::$name.bits())).$get().expect("the leaf exists");
            assert!(!absent.$has(), stringify!($type::$name));
        )*
    };
}

#[test]
fn leaf_1() {
    recognized! { leaf::FEATURES, get_feature_info, Leaf1Ecx, |bits| [0, bits, 0];
        SSE3 = has_sse3, PCLMULQDQ = has_pclmulqdq, DTES64 = has_ds_area, MONITOR = has_monitor_mwait, DS_CPL = has_cpl,
        VMX = has_vmx, SMX = has_smx, EIST = has_eist, TM2 = has_tm2, SSSE3 = has_ssse3, CNXT_ID = has_cnxtid,
        FMA = has_fma, CMPXCHG16B = has_cmpxchg16b, PDCM = has_pdcm, PCID = has_pcid, DCA = has_dca,
        SSE4_1 = has_sse41, SSE4_2 = has_sse42, X2APIC = has_x2apic, MOVBE = has_movbe, POPCNT = has_popcnt,
        TSC_DEADLINE = has_tsc_deadline, AES = has_aesni, XSAVE = has_xsave, OSXSAVE = has_oxsave, AVX = has_avx,
        F16C = has_f16c, RDRAND = has_rdrand, HYPERVISOR = has_hypervisor,
    }
    recognized! { leaf::FEATURES, get_feature_info, Leaf1Edx, |bits| [0, 0, bits];
        FPU = has_fpu, VME = has_vme, DE = has_de, PSE = has_pse, TSC = has_tsc, MSR = has_msr, PAE = has_pae,
        MCE = has_mce, CX8 = has_cmpxchg8b, APIC = has_apic, SEP = has_sysenter_sysexit, MTRR = has_mtrr,
        PGE = has_pge, MCA = has_mca, CMOV = has_cmov, PAT = has_pat, PSE36 = has_pse36, PSN = has_psn,
        CLFSH = has_clflush, DS = has_ds, ACPI = has_acpi, MMX = has_mmx, FXSR = has_fxsave_fxstor, SSE = has_sse,
        SSE2 = has_sse2, SS = has_ss, HTT = has_htt, TM = has_tm, PBE = has_pbe,
    }
}

#[test]
fn leaf_7() {
    recognized! { leaf::EXTENDED_FEATURES, get_extended_feature_info, Leaf7Ebx, |bits| [bits, 0, 0];
        FSGSBASE = has_fsgsbase, TSC_ADJUST = has_tsc_adjust_msr, SGX = has_sgx, BMI1 = has_bmi1, HLE = has_hle,
        AVX2 = has_avx2, SMEP = has_smep, BMI2 = has_bmi2, ERMS = has_rep_movsb_stosb, INVPCID = has_invpcid,
        RTM = has_rtm, RDT_M = has_rdtm, MPX = has_mpx, RDT_A = has_rdta, AVX512F = has_avx512f,
        AVX512DQ = has_avx512dq, RDSEED = has_rdseed, ADX = has_adx, SMAP = has_smap, AVX512_IFMA = has_avx512_ifma,
        CLFLUSHOPT = has_clflushopt, CLWB = has_clwb, PROCESSOR_TRACE = has_processor_trace, AVX512CD = has_avx512cd,
        SHA = has_sha, AVX512BW = has_avx512bw, AVX512VL = has_avx512vl,
    }
    recognized! { leaf::EXTENDED_FEATURES, get_extended_feature_info, Leaf7Ecx, |bits| [0, bits, 0];
        PREFETCHWT1 = has_prefetchwt1, AVX512_VBMI = has_avx512vbmi, UMIP = has_umip, PKU = has_pku,
        OSPKE = has_ospke, WAITPKG = has_waitpkg, AVX512_VBMI2 = has_avx512vbmi2, CET_SS = has_cet_ss,
        GFNI = has_gfni, VAES = has_vaes, VPCLMULQDQ = has_vpclmulqdq, AVX512_VNNI = has_avx512vnni,
        AVX512_BITALG = has_avx512bitalg, TME = has_tme_en, AVX512_VPOPCNTDQ = has_avx512vpopcntdq,
        LA57 = has_la57, RDPID = has_rdpid, SGX_LC = has_sgx_lc,
    }
}

#[test]
fn leaf_80000001() {
    recognized! { leaf::EXTENDED_FEATURES_AMD, get_extended_processor_and_feature_identifiers, ExtendedEcx,
        |bits| [0, bits, 0];
        LAHF_SAHF = has_lahf_sahf, CMP_LEGACY = has_cmp_legacy, SVM = has_svm, EXT_APIC_SPACE = has_ext_apic_space,
        ALT_MOV_CR8 = has_alt_mov_cr8, ABM = has_lzcnt, SSE4A = has_sse4a, MISALIGN_SSE = has_misaligned_sse_mode,
        PREFETCHW = has_prefetchw, OSVW = has_osvw, IBS = has_ibs, XOP = has_xop, SKINIT = has_skinit, WDT = has_wdt,
        LWP = has_lwp, FMA4 = has_fma4, TBM = has_tbm, TOPOLOGY = has_topology_extensions,
        PERF_CTR_CORE = has_perf_cntr_extensions, PERF_CTR_NB = has_nb_perf_cntr_extensions,
        DATA_BREAKPOINT = has_data_access_bkpt_extension, PERF_TSC = has_perf_tsc,
        PERF_CTR_LLC = has_perf_cntr_llc_extensions, MONITORX = has_monitorx_mwaitx,
        ADDR_MASK_EXT = has_addr_mask_extension,
    }
    recognized! { leaf::EXTENDED_FEATURES_AMD, get_extended_processor_and_feature_identifiers, ExtendedEdx,
        |bits| [0, 0, bits];
        SYSCALL = has_syscall_sysret, NX = has_execute_disable, MMX_EXT = has_mmx_extensions,
        FFXSR = has_fast_fxsave_fxstor, PAGE_1G = has_1gib_pages, RDTSCP = has_rdtscp, LM = has_64bit_mode,
        X3DNOW_EXT = has_amd_3dnow_extensions, X3DNOW = has_3dnow,
    }
}

#[test]
fn leaf_8000000a() {
    recognized! { leaf::SVM, get_svm_info, SvmEdx, |bits| [0, 0, bits];
        NP = has_nested_paging, LBR_VIRT = has_lbr_virtualization, SVM_LOCK = has_svm_lock, NRIPS = has_nrip,
        TSC_RATE_MSR = has_tsc_rate_msr, VMCB_CLEAN = has_vmcb_clean_bits, FLUSH_BY_ASID = has_flush_by_asid,
        DECODE_ASSISTS = has_decode_assists, PAUSE_FILTER = has_pause_filter,
        PAUSE_FILTER_THRESHOLD = has_pause_filter_threshold, AVIC = has_avic, VMSAVE_VIRT = has_vmsave_virtualization,
        VGIF = has_gif, GMET = has_gmet, SSS_CHECK = has_sss_check, SPEC_CTRL_VIRT = has_spec_ctrl,
        HOST_MCE_OVERRIDE = has_host_mce_override, TLBI_CTL = has_tlb_ctrl,
    }
}
