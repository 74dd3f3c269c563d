//! Control, flags and debug registers: SDM 3A "Control Registers", SDM 3B "Debug Registers"; APM vol 2 "System-Control Registers".

use bitflags::bitflags;

macro_rules! register {
    ($(#[$doc:meta])* $type:ident: $int:ty { $($name:ident = $bit:literal, $text:literal;)* }) => {
        bitflags! {
            $(#[$doc])*
            #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
            #[repr(transparent)]
            pub struct $type: $int {
                $(#[doc = $text] const $name = 1 << $bit;)*
                const _ = !0;
            }
        }

        impl $type {
            /// The bits that have no name here: reserved, zero unless said otherwise.
            pub const RESERVED: $int = !(0 $(| (1 << $bit))*);
        }
    };
}

register! {
    /// CR0.
    Cr0: u64 {
        PE = 0, "Protection enable.";
        MP = 1, "Monitor coprocessor.";
        EM = 2, "Emulation.";
        TS = 3, "Task switched.";
        ET = 4, "Extension type: always 1.";
        NE = 5, "Numeric error.";
        WP = 16, "Write protect.";
        AM = 18, "Alignment mask.";
        NW = 29, "Not write-through.";
        CD = 30, "Cache disable.";
        PG = 31, "Paging.";
    }
}

impl Cr0 {
    /// The value after RESET: caches disabled, real mode.
    pub const RESET: Self = Self::CD.union(Self::NW).union(Self::ET);

    /// Whether MOV to CR0 of this value raises #GP whatever the mode: a bit of 63:32, PG without PE, or NW without CD.
    /// Other reserved bits are ignored by the processor.
    #[must_use]
    pub const fn is_invalid(self) -> bool {
        self.bits() >> 32 != 0
            || (self.contains(Self::PG) && !self.contains(Self::PE))
            || (self.contains(Self::NW) && !self.contains(Self::CD))
    }
}

register! {
    /// CR4. A reserved bit, or one whose feature the processor lacks, raises #GP when it is set.
    Cr4: u64 {
        VME = 0, "Virtual-8086 mode extensions.";
        PVI = 1, "Protected-mode virtual interrupts.";
        TSD = 2, "Time stamp disable: RDTSC is privileged.";
        DE = 3, "Debugging extensions.";
        PSE = 4, "Page size extensions.";
        PAE = 5, "Physical address extension.";
        MCE = 6, "Machine-check enable.";
        PGE = 7, "Page global enable.";
        PCE = 8, "RDPMC at any privilege level.";
        OSFXSR = 9, "FXSAVE, FXRSTOR and SSE.";
        OSXMMEXCPT = 10, "Unmasked SIMD floating-point exceptions raise #XM.";
        UMIP = 11, "User-mode instruction prevention.";
        LA57 = 12, "57-bit linear addresses (5-level paging).";
        VMXE = 13, "VMX enable.";
        SMXE = 14, "SMX enable.";
        FSGSBASE = 16, "RDFSBASE and its siblings.";
        PCIDE = 17, "Process-context identifiers.";
        OSXSAVE = 18, "XSAVE and extended states.";
        KL = 19, "Key locker.";
        SMEP = 20, "Supervisor-mode execution prevention.";
        SMAP = 21, "Supervisor-mode access prevention.";
        PKE = 22, "Protection keys of user-mode pages.";
        CET = 23, "Control-flow enforcement.";
        PKS = 24, "Protection keys of supervisor-mode pages.";
        UINTR = 25, "User interrupts.";
        LASS = 27, "Linear-address-space separation.";
        LAM_SUP = 28, "Supervisor linear-address masking.";
        FRED = 32, "Flexible return and event delivery.";
    }
}

register! {
    /// XCR0, the extended control register 0: SDM 1 "Enabling the XSAVE Feature Set and XSAVE-Enabled Features".
    Xcr0: u64 {
        X87 = 0, "x87 state: always 1.";
        SSE = 1, "MXCSR and XMM registers.";
        AVX = 2, "The upper halves of YMM registers.";
        BNDREGS = 3, "MPX bound registers.";
        BNDCSR = 4, "MPX configuration and status.";
        OPMASK = 5, "AVX-512 opmask registers.";
        ZMM_HI256 = 6, "The upper halves of ZMM0 to ZMM15.";
        HI16_ZMM = 7, "ZMM16 to ZMM31.";
        PKRU = 9, "The PKRU register.";
        TILECFG = 17, "AMX tile configuration.";
        TILEDATA = 18, "AMX tile data.";
    }
}

impl Xcr0 {
    /// The three AVX-512 components, which go together.
    pub const AVX512: Self = Self::OPMASK.union(Self::ZMM_HI256).union(Self::HI16_ZMM);
    /// The two MPX components, which go together.
    pub const MPX: Self = Self::BNDREGS.union(Self::BNDCSR);
    /// The two AMX components, which go together.
    pub const AMX: Self = Self::TILECFG.union(Self::TILEDATA);

    /// Whether XSETBV takes this value on a processor that supports `supported` (CPUID leaf 0DH, EDX:EAX); otherwise #GP.
    #[must_use]
    pub const fn is_valid(self, supported: Self) -> bool {
        supported.contains(self)
            && self.contains(Self::X87)
            && (!self.contains(Self::AVX) || self.contains(Self::SSE))
            && (!self.intersects(Self::AVX512) || self.contains(Self::AVX512.union(Self::AVX)))
            && self.all_or_none(Self::MPX)
            && self.all_or_none(Self::AMX)
    }

    const fn all_or_none(self, group: Self) -> bool {
        !self.intersects(group) || self.contains(group)
    }
}

register! {
    /// RFLAGS: SDM 1 "EFLAGS Register". Bit 1 is always 1.
    Rflags: u64 {
        CF = 0, "Carry.";
        ONE = 1, "Reserved, always 1.";
        PF = 2, "Parity.";
        AF = 4, "Auxiliary carry.";
        ZF = 6, "Zero.";
        SF = 7, "Sign.";
        TF = 8, "Single-step trap.";
        IF = 9, "Maskable interrupts are enabled.";
        DF = 10, "String instructions go down.";
        OF = 11, "Overflow.";
        IOPL_LOW = 12, "The low bit of the I/O privilege level.";
        IOPL_HIGH = 13, "The high bit of the I/O privilege level.";
        NT = 14, "Nested task.";
        RF = 16, "Resume: instruction breakpoints are not taken.";
        VM = 17, "Virtual-8086 mode.";
        AC = 18, "Alignment check, SMAP override.";
        VIF = 19, "Virtual interrupt flag.";
        VIP = 20, "Virtual interrupt pending.";
        ID = 21, "CPUID is available.";
    }
}

impl Rflags {
    /// Both bits of the I/O privilege level.
    pub const IOPL: Self = Self::IOPL_LOW.union(Self::IOPL_HIGH);
    /// The value after RESET and the least that VM entry takes.
    pub const RESET: Self = Self::ONE;
}

register! {
    /// DR6, the debug status register.
    Dr6: u64 {
        B0 = 0, "Breakpoint 0 was met.";
        B1 = 1, "Breakpoint 1 was met.";
        B2 = 2, "Breakpoint 2 was met.";
        B3 = 3, "Breakpoint 3 was met.";
        BLD = 11, "Bus lock detected: cleared by it, otherwise 1.";
        BD = 13, "Debug register access detected.";
        BS = 14, "Single step.";
        BT = 15, "Task switch.";
        RTM = 16, "Debug exception in a transactional region: cleared by it, otherwise 1.";
    }
}

impl Dr6 {
    /// The value after RESET; every 1 in it is fixed but BLD and RTM.
    pub const RESET: Self = Self::from_bits_retain(0xffff_0ff0);
    /// The bits that are always 1 on a processor with neither RTM nor bus-lock detection.
    pub const FIXED1: u64 = 0xffff_0ff0;
    /// The bits that are always 0.
    pub const FIXED0: u64 = 0xffff_ffff_0000_1000;
}

register! {
    /// DR7, the debug control register. Bits 31:16 hold R/W and LEN, 4 bits a breakpoint; bit 10 is always 1.
    Dr7: u64 {
        L0 = 0, "Breakpoint 0, local.";
        G0 = 1, "Breakpoint 0, global.";
        L1 = 2, "Breakpoint 1, local.";
        G1 = 3, "Breakpoint 1, global.";
        L2 = 4, "Breakpoint 2, local.";
        G2 = 5, "Breakpoint 2, global.";
        L3 = 6, "Breakpoint 3, local.";
        G3 = 7, "Breakpoint 3, global.";
        LE = 8, "Local exact breakpoints.";
        GE = 9, "Global exact breakpoints.";
        ONE = 10, "Reserved, always 1.";
        RTM = 11, "Debugging of transactional regions.";
        GD = 13, "General detect: MOV DR raises #DB.";
    }
}

impl Dr7 {
    /// The value after RESET.
    pub const RESET: Self = Self::ONE;
    /// The bits that are always 0.
    pub const FIXED0: u64 = 0xffff_ffff_0000_d000;
}
