//! CPUID: leaves, and the bits that a hypervisor's filtering policy decides on.
//! SDM 2A "CPUID"; APM vol 3 "Obtaining Processor Information Via the CPUID Instruction".

use bitflags::bitflags;

/// Basic leaves.
pub mod leaf {
    /// Highest basic leaf, vendor.
    pub const VENDOR: u32 = 0x0;
    /// Version, APIC ID, features.
    pub const FEATURES: u32 = 0x1;
    /// Cache and TLB descriptors.
    pub const CACHE_DESCRIPTORS: u32 = 0x2;
    /// Deterministic cache parameters, by subleaf.
    pub const CACHE_PARAMETERS: u32 = 0x4;
    /// MONITOR and MWAIT.
    pub const MONITOR: u32 = 0x5;
    /// Thermal and power management.
    pub const POWER: u32 = 0x6;
    /// Structured extended features, by subleaf.
    pub const EXTENDED_FEATURES: u32 = 0x7;
    /// Architectural performance monitoring.
    pub const PERFORMANCE: u32 = 0xa;
    /// Extended topology, by subleaf.
    pub const TOPOLOGY: u32 = 0xb;
    /// XSAVE state components, by subleaf.
    pub const XSAVE: u32 = 0xd;
    /// Resource director monitoring.
    pub const RDT_MONITORING: u32 = 0xf;
    /// Resource director allocation.
    pub const RDT_ALLOCATION: u32 = 0x10;
    /// SGX.
    pub const SGX: u32 = 0x12;
    /// Processor trace.
    pub const PROCESSOR_TRACE: u32 = 0x14;
    /// TSC and core crystal clock: EBX / EAX is the ratio, ECX the crystal in Hz.
    pub const TSC: u32 = 0x15;
    /// Processor frequencies in MHz.
    pub const FREQUENCY: u32 = 0x16;
    /// V2 extended topology.
    pub const TOPOLOGY_V2: u32 = 0x1f;
    /// Hypervisor: highest leaf and signature.
    pub const HYPERVISOR: u32 = 0x4000_0000;
    /// The end of the range kept for hypervisors.
    pub const HYPERVISOR_LAST: u32 = 0x4fff_ffff;
    /// Highest extended leaf.
    pub const EXTENDED: u32 = 0x8000_0000;
    /// Extended features.
    pub const EXTENDED_FEATURES_AMD: u32 = 0x8000_0001;
    /// The first of three leaves with the brand string.
    pub const BRAND: u32 = 0x8000_0002;
    /// L1 cache and TLB (AMD).
    pub const L1_CACHE: u32 = 0x8000_0005;
    /// L2 cache.
    pub const L2_CACHE: u32 = 0x8000_0006;
    /// Power management: invariant TSC.
    pub const INVARIANT_TSC: u32 = 0x8000_0007;
    /// Address sizes: EAX bits 7:0 physical, 15:8 linear.
    pub const ADDRESS_SIZES: u32 = 0x8000_0008;
    /// SVM: revision, ASIDs, features.
    pub const SVM: u32 = 0x8000_000a;
    /// Extended APIC ID, topology (AMD).
    pub const TOPOLOGY_AMD: u32 = 0x8000_001e;
    /// Memory encryption (AMD).
    pub const ENCRYPTION: u32 = 0x8000_001f;
}

macro_rules! registers {
    ($($(#[$doc:meta])* $type:ident { $($name:ident = $bit:literal, $text:literal;)* })*) => {$(
        bitflags! {
            $(#[$doc])*
            #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
            #[repr(transparent)]
            pub struct $type: u32 {
                $(#[doc = $text] const $name = 1 << $bit;)*
                const _ = !0;
            }
        }
    )*};
}

registers! {
    /// Leaf 1, ECX.
    Leaf1Ecx {
        SSE3 = 0, "SSE3.";
        PCLMULQDQ = 1, "PCLMULQDQ.";
        DTES64 = 2, "64-bit debug store.";
        MONITOR = 3, "MONITOR and MWAIT.";
        DS_CPL = 4, "CPL-qualified debug store.";
        VMX = 5, "VMX.";
        SMX = 6, "SMX.";
        EIST = 7, "Enhanced SpeedStep.";
        TM2 = 8, "Thermal monitor 2.";
        SSSE3 = 9, "SSSE3.";
        CNXT_ID = 10, "L1 context ID.";
        SDBG = 11, "Silicon debug.";
        FMA = 12, "FMA.";
        CMPXCHG16B = 13, "CMPXCHG16B.";
        XTPR = 14, "xTPR update control.";
        PDCM = 15, "IA32_PERF_CAPABILITIES.";
        PCID = 17, "Process-context identifiers.";
        DCA = 18, "Direct cache access.";
        SSE4_1 = 19, "SSE4.1.";
        SSE4_2 = 20, "SSE4.2.";
        X2APIC = 21, "x2APIC mode.";
        MOVBE = 22, "MOVBE.";
        POPCNT = 23, "POPCNT.";
        TSC_DEADLINE = 24, "TSC-deadline timer.";
        AES = 25, "AES instructions.";
        XSAVE = 26, "XSAVE.";
        OSXSAVE = 27, "CR4.OSXSAVE is set.";
        AVX = 28, "AVX.";
        F16C = 29, "F16C.";
        RDRAND = 30, "RDRAND.";
        HYPERVISOR = 31, "A hypervisor is present.";
    }
    /// Leaf 1, EDX.
    Leaf1Edx {
        FPU = 0, "x87 FPU.";
        VME = 1, "Virtual-8086 mode enhancements.";
        DE = 2, "Debugging extensions.";
        PSE = 3, "Page size extensions.";
        TSC = 4, "Time-stamp counter.";
        MSR = 5, "RDMSR and WRMSR.";
        PAE = 6, "Physical address extension.";
        MCE = 7, "Machine-check exception.";
        CX8 = 8, "CMPXCHG8B.";
        APIC = 9, "Local APIC, present and enabled.";
        SEP = 11, "SYSENTER and SYSEXIT.";
        MTRR = 12, "MTRRs.";
        PGE = 13, "Global pages.";
        MCA = 14, "Machine-check architecture.";
        CMOV = 15, "Conditional moves.";
        PAT = 16, "Page attribute table.";
        PSE36 = 17, "36-bit page size extension.";
        PSN = 18, "Processor serial number.";
        CLFSH = 19, "CLFLUSH.";
        DS = 21, "Debug store.";
        ACPI = 22, "Thermal monitor and clock control.";
        MMX = 23, "MMX.";
        FXSR = 24, "FXSAVE and FXRSTOR.";
        SSE = 25, "SSE.";
        SSE2 = 26, "SSE2.";
        SS = 27, "Self snoop.";
        HTT = 28, "More than one logical processor.";
        TM = 29, "Thermal monitor.";
        PBE = 31, "Pending break enable.";
    }
    /// Leaf 7, subleaf 0, EBX.
    Leaf7Ebx {
        FSGSBASE = 0, "RDFSBASE and its siblings.";
        TSC_ADJUST = 1, "IA32_TSC_ADJUST.";
        SGX = 2, "SGX.";
        BMI1 = 3, "BMI1.";
        HLE = 4, "Hardware lock elision.";
        AVX2 = 5, "AVX2.";
        SMEP = 7, "SMEP.";
        BMI2 = 8, "BMI2.";
        ERMS = 9, "Enhanced REP MOVSB and STOSB.";
        INVPCID = 10, "INVPCID.";
        RTM = 11, "Restricted transactional memory.";
        RDT_M = 12, "Resource director monitoring.";
        MPX = 14, "MPX.";
        RDT_A = 15, "Resource director allocation.";
        AVX512F = 16, "AVX-512 foundation.";
        AVX512DQ = 17, "AVX-512 doubleword and quadword.";
        RDSEED = 18, "RDSEED.";
        ADX = 19, "ADCX and ADOX.";
        SMAP = 20, "SMAP.";
        AVX512_IFMA = 21, "AVX-512 integer fused multiply-add.";
        CLFLUSHOPT = 23, "CLFLUSHOPT.";
        CLWB = 24, "CLWB.";
        PROCESSOR_TRACE = 25, "Intel processor trace.";
        AVX512CD = 28, "AVX-512 conflict detection.";
        SHA = 29, "SHA instructions.";
        AVX512BW = 30, "AVX-512 byte and word.";
        AVX512VL = 31, "AVX-512 vector length.";
    }
    /// Leaf 7, subleaf 0, ECX.
    Leaf7Ecx {
        PREFETCHWT1 = 0, "PREFETCHWT1.";
        AVX512_VBMI = 1, "AVX-512 VBMI.";
        UMIP = 2, "User-mode instruction prevention.";
        PKU = 3, "Protection keys of user-mode pages.";
        OSPKE = 4, "CR4.PKE is set.";
        WAITPKG = 5, "UMONITOR, UMWAIT, TPAUSE.";
        AVX512_VBMI2 = 6, "AVX-512 VBMI2.";
        CET_SS = 7, "CET shadow stacks.";
        GFNI = 8, "GFNI.";
        VAES = 9, "VAES.";
        VPCLMULQDQ = 10, "VPCLMULQDQ.";
        AVX512_VNNI = 11, "AVX-512 VNNI.";
        AVX512_BITALG = 12, "AVX-512 BITALG.";
        TME = 13, "Total memory encryption.";
        AVX512_VPOPCNTDQ = 14, "AVX-512 VPOPCNTDQ.";
        LA57 = 16, "57-bit linear addresses.";
        RDPID = 22, "RDPID.";
        KL = 23, "Key locker.";
        BUS_LOCK_DETECT = 24, "Bus-lock detection.";
        CLDEMOTE = 25, "CLDEMOTE.";
        MOVDIRI = 27, "MOVDIRI.";
        MOVDIR64B = 28, "MOVDIR64B.";
        ENQCMD = 29, "ENQCMD.";
        SGX_LC = 30, "SGX launch configuration.";
        PKS = 31, "Protection keys of supervisor-mode pages.";
    }
    /// Leaf 7, subleaf 0, EDX.
    Leaf7Edx {
        FSRM = 4, "Fast short REP MOVSB.";
        UINTR = 5, "User interrupts.";
        MD_CLEAR = 10, "VERW clears buffers.";
        SERIALIZE = 14, "SERIALIZE.";
        HYBRID = 15, "Hybrid processor.";
        PCONFIG = 18, "PCONFIG.";
        ARCH_LBR = 19, "Architectural LBRs.";
        CET_IBT = 20, "CET indirect branch tracking.";
        AMX_BF16 = 22, "AMX bfloat16.";
        AMX_TILE = 24, "AMX tiles.";
        AMX_INT8 = 25, "AMX 8-bit integers.";
        IBRS_IBPB = 26, "IA32_SPEC_CTRL.IBRS and IA32_PRED_CMD.";
        STIBP = 27, "IA32_SPEC_CTRL.STIBP.";
        L1D_FLUSH = 28, "IA32_FLUSH_CMD.";
        ARCH_CAPABILITIES = 29, "IA32_ARCH_CAPABILITIES.";
        CORE_CAPABILITIES = 30, "IA32_CORE_CAPABILITIES.";
        SSBD = 31, "IA32_SPEC_CTRL.SSBD.";
    }
    /// Leaf 0DH, subleaf 1, EAX. Subleaf 0 has XCR0's bits in EDX:EAX.
    LeafDEax {
        XSAVEOPT = 0, "XSAVEOPT.";
        XSAVEC = 1, "XSAVEC and compacted XRSTOR.";
        XGETBV_ECX_1 = 2, "XGETBV with ECX = 1.";
        XSAVES = 3, "XSAVES, XRSTORS and IA32_XSS.";
        XFD = 4, "Extended feature disable.";
    }
    /// Leaf 80000001H, ECX.
    ExtendedEcx {
        LAHF_SAHF = 0, "LAHF and SAHF in 64-bit mode.";
        CMP_LEGACY = 1, "Core multi-processing legacy mode.";
        SVM = 2, "SVM.";
        EXT_APIC_SPACE = 3, "Extended APIC space.";
        ALT_MOV_CR8 = 4, "LOCK MOV CR0 is MOV CR8.";
        ABM = 5, "LZCNT.";
        SSE4A = 6, "SSE4A.";
        MISALIGN_SSE = 7, "Misaligned SSE mode.";
        PREFETCHW = 8, "PREFETCHW.";
        OSVW = 9, "OS-visible workarounds.";
        IBS = 10, "Instruction-based sampling.";
        XOP = 11, "XOP.";
        SKINIT = 12, "SKINIT, STGI and DEV.";
        WDT = 13, "Watchdog timer.";
        LWP = 15, "Lightweight profiling.";
        FMA4 = 16, "FMA4.";
        TCE = 17, "Translation cache extension.";
        TBM = 21, "TBM.";
        TOPOLOGY = 22, "Topology extensions.";
        PERF_CTR_CORE = 23, "Core performance counter extensions.";
        PERF_CTR_NB = 24, "Northbridge performance counter extensions.";
        DATA_BREAKPOINT = 26, "Data breakpoint extensions.";
        PERF_TSC = 27, "Performance TSC.";
        PERF_CTR_LLC = 28, "Last-level-cache performance counter extensions.";
        MONITORX = 29, "MONITORX and MWAITX.";
        ADDR_MASK_EXT = 30, "Address masks of all breakpoints.";
    }
    /// Leaf 80000001H, EDX (but for AMD's repetition of leaf 1).
    ExtendedEdx {
        SYSCALL = 11, "SYSCALL and SYSRET.";
        NX = 20, "The execute-disable bit.";
        MMX_EXT = 22, "AMD's MMX extensions.";
        FFXSR = 25, "Fast FXSAVE and FXRSTOR.";
        PAGE_1G = 26, "1 GiB pages.";
        RDTSCP = 27, "RDTSCP and IA32_TSC_AUX.";
        LM = 29, "Long mode.";
        X3DNOW_EXT = 30, "3DNow! extensions.";
        X3DNOW = 31, "3DNow!.";
    }
    /// Leaf 80000007H, EDX.
    PowerEdx {
        INVARIANT_TSC = 8, "The TSC runs at one rate in every state.";
    }
    /// Leaf 80000008H, EBX (AMD).
    Extended8Ebx {
        CLZERO = 0, "CLZERO.";
        INVLPGB = 3, "INVLPGB and TLBSYNC.";
        RDPRU = 4, "RDPRU.";
        MCOMMIT = 8, "MCOMMIT.";
        WBNOINVD = 9, "WBNOINVD.";
        IBPB = 12, "IBPB.";
        IBRS = 14, "IBRS.";
        STIBP = 15, "STIBP.";
        SSBD = 24, "SSBD.";
    }
    /// Leaf 8000000AH, EDX: SVM features. EAX bits 7:0 are the revision, EBX the number of ASIDs.
    SvmEdx {
        NP = 0, "Nested paging.";
        LBR_VIRT = 1, "LBR virtualization.";
        SVM_LOCK = 2, "SVM lock.";
        NRIPS = 3, "nRIP is saved on exits.";
        TSC_RATE_MSR = 4, "TSC ratio.";
        VMCB_CLEAN = 5, "VMCB clean bits.";
        FLUSH_BY_ASID = 6, "TLB flush by ASID.";
        DECODE_ASSISTS = 7, "Decode assists.";
        PMC_VIRT = 8, "Performance-counter virtualization.";
        PAUSE_FILTER = 10, "PAUSE filter.";
        PAUSE_FILTER_THRESHOLD = 12, "PAUSE filter threshold.";
        AVIC = 13, "AVIC.";
        VMSAVE_VIRT = 15, "VMLOAD and VMSAVE virtualization.";
        VGIF = 16, "Virtual GIF.";
        GMET = 17, "Guest mode execute trap.";
        X2AVIC = 18, "x2APIC AVIC.";
        SSS_CHECK = 19, "Supervisor shadow stack check.";
        SPEC_CTRL_VIRT = 20, "SPEC_CTRL virtualization.";
        ROGPT = 21, "Read-only guest page tables.";
        HOST_MCE_OVERRIDE = 23, "#MC in a guest always exits to the host that enabled it.";
        TLBI_CTL = 24, "INVLPGB and TLBSYNC in guests.";
        VNMI = 25, "Virtual NMI.";
        IBS_VIRT = 26, "IBS virtualization.";
    }
}
