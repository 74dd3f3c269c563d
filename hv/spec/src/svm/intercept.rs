//! Intercept words and the other bit fields of the VMCB's control area: APM vol 2 "VMCB Layout, Control Area".

use bitflags::bitflags;

use crate::exception::Vector;
use crate::number::{layout, numbers};

macro_rules! words {
    ($($(#[$doc:meta])* $type:ident: $int:ty { $($name:ident = $bit:literal, $text:literal;)* })*) => {$(
        bitflags! {
            $(#[$doc])*
            #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
            #[repr(transparent)]
            pub struct $type: $int {
                $(#[doc = $text] const $name = 1 << $bit;)*
                const _ = !0;
            }
        }
    )*};
}

words! {
    /// The intercept word at offset 00CH. Bit N gives exit code 60H + N.
    Intercept1: u32 {
        INTR = 0, "Physical maskable interrupt.";
        NMI = 1, "Physical NMI.";
        SMI = 2, "Physical SMI.";
        INIT = 3, "Physical INIT.";
        VINTR = 4, "Virtual maskable interrupt: the interrupt window.";
        CR0_SEL_WRITE = 5, "CR0 writes that change other bits than TS and MP.";
        IDTR_READ = 6, "Reads of IDTR.";
        GDTR_READ = 7, "Reads of GDTR.";
        LDTR_READ = 8, "Reads of LDTR.";
        TR_READ = 9, "Reads of TR.";
        IDTR_WRITE = 10, "Writes of IDTR.";
        GDTR_WRITE = 11, "Writes of GDTR.";
        LDTR_WRITE = 12, "Writes of LDTR.";
        TR_WRITE = 13, "Writes of TR.";
        RDTSC = 14, "RDTSC.";
        RDPMC = 15, "RDPMC.";
        PUSHF = 16, "PUSHF.";
        POPF = 17, "POPF.";
        CPUID = 18, "CPUID.";
        RSM = 19, "RSM.";
        IRET = 20, "IRET.";
        SWINT = 21, "INT n.";
        INVD = 22, "INVD.";
        PAUSE = 23, "PAUSE.";
        HLT = 24, "HLT.";
        INVLPG = 25, "INVLPG.";
        INVLPGA = 26, "INVLPGA.";
        IOIO_PROT = 27, "Port accesses selected by the I/O permission map.";
        MSR_PROT = 28, "MSR accesses selected by the MSR permission map.";
        TASK_SWITCH = 29, "Task switches.";
        FERR_FREEZE = 30, "FERR_FREEZE: legacy x87 error freezing.";
        SHUTDOWN = 31, "Shutdown (triple fault).";
    }
    /// The intercept word at offset 010H. Bit N gives exit code 80H + N.
    Intercept2: u32 {
        VMRUN = 0, "VMRUN: must be 1.";
        VMMCALL = 1, "VMMCALL.";
        VMLOAD = 2, "VMLOAD.";
        VMSAVE = 3, "VMSAVE.";
        STGI = 4, "STGI.";
        CLGI = 5, "CLGI.";
        SKINIT = 6, "SKINIT.";
        RDTSCP = 7, "RDTSCP.";
        ICEBP = 8, "ICEBP (INT1).";
        WBINVD = 9, "WBINVD and WBNOINVD.";
        MONITOR = 10, "MONITOR and MONITORX.";
        MWAIT = 11, "MWAIT and MWAITX, unconditionally.";
        MWAIT_ARMED = 12, "MWAIT and MWAITX, if monitor hardware is armed.";
        XSETBV = 13, "XSETBV.";
        RDPRU = 14, "RDPRU.";
        EFER_WRITE = 15, "Writes of EFER, after the guest instruction finished.";
        CR0_WRITE_AFTER = 16, "Writes of CR0, after the guest instruction finished. Bits 17..31 are those of CR1 to CR15.";
    }
    /// The intercept word at offset 014H. Bit N gives exit code A0H + N.
    Intercept3: u32 {
        INVLPGB = 0, "INVLPGB.";
        INVLPGB_ILLEGAL = 1, "Illegal INVLPGB.";
        INVPCID = 2, "INVPCID.";
        MCOMMIT = 3, "MCOMMIT.";
        TLBSYNC = 4, "TLBSYNC.";
        BUS_LOCK = 5, "Bus locks.";
        IDLE_HLT = 6, "HLT, if no virtual interrupt is pending.";
    }
    /// VMCB clean bits, offset 0C0H: a 1 lets the processor keep what it cached since the last VMRUN of this VMCB.
    Clean: u32 {
        INTERCEPTS = 0, "Intercept words, TSC offset, pause filter.";
        IOPM = 1, "IOPM_BASE_PA and MSRPM_BASE_PA.";
        ASID = 2, "The ASID.";
        TPR = 3, "V_TPR, V_IRQ, V_INTR_PRIO, V_IGN_TPR, V_INTR_MASKING, V_INTR_VECTOR.";
        NP = 4, "Nested paging: N_CR3, G_PAT.";
        CRX = 5, "CR0, CR3, CR4, EFER.";
        DRX = 6, "DR6, DR7.";
        DT = 7, "GDTR and IDTR.";
        SEG = 8, "CS, DS, SS, ES and CPL.";
        CR2 = 9, "CR2.";
        LBR = 10, "DbgCtl and the last-branch registers.";
        AVIC = 11, "AVIC addresses.";
        CET = 12, "S_CET, SSP, ISST_ADDR.";
    }
    /// The quadword at offset 090H.
    NestedControl: u64 {
        NP_ENABLE = 0, "Nested paging.";
        SEV = 1, "Secure encrypted virtualization.";
        SEV_ES = 2, "Encrypted state for SEV.";
        GMET = 3, "Guest mode execute trap.";
        SSS_CHECK = 4, "Supervisor shadow stack check.";
        VTE = 5, "Virtual transparent encryption.";
        RO_GPT = 6, "Read-only guest page tables.";
        INVLPGB_TLBSYNC = 7, "INVLPGB and TLBSYNC are enabled in the guest.";
    }
    /// The quadword at offset 0B8H.
    VirtualExtensions: u64 {
        LBR = 0, "Last-branch-record virtualization.";
        VMLOAD_VMSAVE = 1, "VMLOAD and VMSAVE virtualization.";
        IBS = 2, "IBS virtualization.";
        PMC = 3, "Performance-counter virtualization.";
    }
    /// The quadword at offset 060H, but for its fields [`V_TPR`], [`V_INTR_PRIORITY`] and [`V_INTR_VECTOR`].
    VirtualInterrupt: u64 {
        V_IRQ = 8, "A virtual interrupt is pending.";
        V_GIF = 9, "The virtual GIF.";
        V_NMI = 11, "A virtual NMI is pending.";
        V_NMI_MASK = 12, "Virtual NMIs are masked.";
        V_IGN_TPR = 20, "The virtual interrupt ignores the virtual TPR.";
        V_INTR_MASKING = 24, "RFLAGS.IF and TPR of the guest are virtual; physical interrupts obey the host's IF.";
        V_GIF_ENABLE = 25, "Virtual GIF.";
        V_NMI_ENABLE = 26, "Virtual NMI.";
        X2AVIC_ENABLE = 30, "x2APIC AVIC.";
        AVIC_ENABLE = 31, "AVIC.";
    }
    /// The quadword at offset 068H.
    InterruptShadow: u64 {
        INTERRUPT_SHADOW = 0, "The guest is in an interrupt shadow (after STI or MOV SS).";
        GUEST_INTERRUPT_MASK = 1, "The value of RFLAGS.IF, for guests with encrypted state.";
    }
}

/// The bits of V_TPR in [`VirtualInterrupt`]: the priority class, CR8.
pub const V_TPR: u64 = 0xff;
/// The bits of V_INTR_PRIO in [`VirtualInterrupt`].
pub const V_INTR_PRIORITY: u64 = 0xf << 16;
/// The bits of V_INTR_VECTOR in [`VirtualInterrupt`].
pub const V_INTR_VECTOR: u64 = 0xff << 32;

impl VirtualInterrupt {
    /// The same quadword with `vector` and its priority class (vector / 16) pending.
    #[inline]
    #[must_use]
    pub const fn with_pending(self, vector: u8) -> Self {
        let fields = ((vector as u64) << 32) | ((vector as u64 >> 4) << 16);
        Self::from_bits_retain(
            (self.bits() & !(V_INTR_PRIORITY | V_INTR_VECTOR)) | fields | Self::V_IRQ.bits(),
        )
    }

    /// V_TPR: the guest's CR8 in bits 3:0.
    #[inline]
    #[must_use]
    pub const fn tpr(self) -> u8 {
        self.bits() as u8
    }
}

numbers! {
    /// TLB_CONTROL, offset 05CH (8 bits).
    TlbControl(u8);
    DO_NOTHING = 0, "Do nothing.";
    FLUSH_ALL = 1, "Flush the whole TLB, every ASID, host and guests.";
    FLUSH_ASID = 3, "Flush this guest's TLB entries (with FlushByAsid).";
    FLUSH_ASID_NON_GLOBAL = 7, "Flush this guest's non-global TLB entries (with FlushByAsid).";
}

numbers! {
    /// Bits 10:8 of EVENTINJ and EXITINTINFO.
    EventType(u8);
    INTR = 0, "External or virtual interrupt.";
    NMI = 2, "NMI.";
    EXCEPTION = 3, "Exception (fault or trap).";
    SOFTWARE_INTERRUPT = 4, "Software interrupt (INT n).";
}

layout! {
    /// EVENTINJ (offset 0A8H) and EXITINTINFO (offset 088H): APM vol 2 "Event Injection".
    Event(u64);
    raw_vector: from 0 + 8 as u8, "Bits 7:0: the vector.";
    raw_type: from 8 + 3 as u8, "Bits 10:8: the type, see [`Self::event_type`].";
    error_code_valid: bit 11, "Bit 11, EV: the error code is pushed.";
    valid: bit 31, "Bit 31, V: the field holds an event.";
    error_code: from 32 + 32 as u32, "Bits 63:32: the error code.";
}

impl Event {
    /// An event to inject.
    #[inline]
    #[must_use]
    pub const fn new(vector: Vector, kind: EventType, error_code: Option<u32>) -> Self {
        let base = vector.0 as u64 | ((kind.0 as u64 & 7) << 8) | (1 << 31);
        match error_code {
            Some(code) => Self(base | (1 << 11) | ((code as u64) << 32)),
            None => Self(base),
        }
    }

    /// The vector.
    #[inline]
    #[must_use]
    pub const fn vector(self) -> Vector {
        Vector(self.raw_vector())
    }

    /// The type of the event.
    #[inline]
    #[must_use]
    pub const fn event_type(self) -> EventType {
        EventType(self.raw_type())
    }
}
