//! VM exits: reasons, and which exit-information fields each of them defines.
//! SDM 3D "VMX Basic Exit Reasons", SDM 3C "Recording VM-Exit Information and Updating VM-Entry Control Fields".

use bitflags::bitflags;

pub use super::interruption::{InterruptionInformation, InterruptionType};
pub use super::qualification::{
    ApicAccess, ApicAccessType, CrAccess, CrAccessType, DrAccess, EptViolation,
    InstructionInformation, IoQualification, TaskSwitch, TaskSwitchSource,
};

crate::number::layout! {
    /// The exit-reason field (32 bits).
    FullReason(u32);
    raw_basic: from 0 + 16 as u16, "Bits 15:0: the basic exit reason, see [`Self::basic`].";
    prematurely_busy_shadow_stack: bit 25, "Bit 25: event delivery left a supervisor shadow stack prematurely busy.";
    bus_lock: bit 26, "Bit 26: a bus lock was asserted.";
    enclave: bit 27, "Bit 27: the exit came from enclave mode.";
    pending_mtf: bit 28, "Bit 28: an MTF VM exit was pending.";
    from_root: bit 29, "Bit 29: the exit came from VMX root operation.";
    entry_failure: bit 31, "Bit 31: a VM-entry failure; otherwise a true VM exit.";
}

impl FullReason {
    /// The basic exit reason.
    #[inline]
    #[must_use]
    pub const fn basic(self) -> ExitReason {
        ExitReason(self.raw_basic())
    }
}

bitflags! {
    /// The exit-information fields that a reason may define. The others are undefined, or cleared by the processor.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    #[repr(transparent)]
    pub struct Valid: u16 {
        /// Exit qualification.
        const QUALIFICATION = 1 << 0;
        /// VM-exit instruction length. For reason 0 only with a software exception, for a task switch only from an instruction.
        const INSTRUCTION_LENGTH = 1 << 1;
        /// VM-exit instruction information.
        const INSTRUCTION_INFORMATION = 1 << 2;
        /// VM-exit interruption information, and its error code where that says so.
        const INTERRUPTION_INFORMATION = 1 << 3;
        /// Guest-linear address. For an EPT violation only with bit 7 of the qualification; for I/O only with INS and OUTS;
        /// for a control-register access only with LMSW from memory.
        const GUEST_LINEAR = 1 << 4;
        /// Guest-physical address.
        const GUEST_PHYSICAL = 1 << 5;
        /// IDT-vectoring information (its valid bit tells whether), its error code, and, if it names a software interrupt or
        /// exception, the instruction length.
        const IDT_VECTORING = 1 << 6;
    }
}

// Short names for the table.
const Q: Valid = Valid::QUALIFICATION;
const L: Valid = Valid::INSTRUCTION_LENGTH;
const I: Valid = Valid::INSTRUCTION_INFORMATION;
const INT: Valid = Valid::INTERRUPTION_INFORMATION;
const LIN: Valid = Valid::GUEST_LINEAR;
const PHYS: Valid = Valid::GUEST_PHYSICAL;
const IDT: Valid = Valid::IDT_VECTORING;

macro_rules! reasons {
    ($($name:ident = $value:literal, [$($field:ident),*], $text:literal;)*) => {
        crate::number::numbers! {
            /// A basic exit reason.
            ExitReason(u16);
            $($name = $value, $text;)*
        }

        /// By basic exit reason: the fields that it may define. None for a number that the manual does not assign.
        pub static TABLE: [Valid; 80] = {
            let mut table = [Valid::empty(); 80];
            $(table[$value] = Valid::empty()$(.union($field))*;)*
            table
        };
    };
}

reasons! {
    EXCEPTION_OR_NMI = 0, [Q, L, INT, IDT], "Exception or nonmaskable interrupt (NMI).";
    EXTERNAL_INTERRUPT = 1, [INT], "External interrupt.";
    TRIPLE_FAULT = 2, [], "Triple fault.";
    INIT = 3, [], "INIT signal.";
    SIPI = 4, [Q], "Startup IPI: the qualification's bits 7:0 are the vector.";
    IO_SMI = 5, [Q, LIN], "I/O system-management interrupt.";
    OTHER_SMI = 6, [], "Other SMI.";
    INTERRUPT_WINDOW = 7, [], "Interrupt window.";
    NMI_WINDOW = 8, [], "NMI window.";
    TASK_SWITCH = 9, [Q, L, IDT], "Task switch.";
    CPUID = 10, [L], "CPUID.";
    GETSEC = 11, [L], "GETSEC.";
    HLT = 12, [L], "HLT.";
    INVD = 13, [L], "INVD.";
    INVLPG = 14, [Q, L], "INVLPG: the qualification is the linear address.";
    RDPMC = 15, [L], "RDPMC.";
    RDTSC = 16, [L], "RDTSC.";
    RSM = 17, [L], "RSM in SMM.";
    VMCALL = 18, [L], "VMCALL.";
    VMCLEAR = 19, [Q, L, I], "VMCLEAR: the qualification is the operand's displacement.";
    VMLAUNCH = 20, [L], "VMLAUNCH.";
    VMPTRLD = 21, [Q, L, I], "VMPTRLD.";
    VMPTRST = 22, [Q, L, I], "VMPTRST.";
    VMREAD = 23, [Q, L, I], "VMREAD.";
    VMRESUME = 24, [L], "VMRESUME.";
    VMWRITE = 25, [Q, L, I], "VMWRITE.";
    VMXOFF = 26, [L], "VMXOFF.";
    VMXON = 27, [Q, L, I], "VMXON.";
    CR_ACCESS = 28, [Q, L, LIN], "Control-register access.";
    MOV_DR = 29, [Q, L], "MOV DR.";
    IO_INSTRUCTION = 30, [Q, L, I, LIN], "I/O instruction.";
    RDMSR = 31, [L], "RDMSR.";
    WRMSR = 32, [L], "WRMSR or WRMSRNS.";
    ENTRY_INVALID_GUEST_STATE = 33, [Q], "VM-entry failure due to invalid guest state: the qualification names some of the checks.";
    ENTRY_MSR_LOADING = 34, [Q], "VM-entry failure due to MSR loading: the qualification is the entry's number, from 1.";
    MWAIT = 36, [Q, L], "MWAIT: the qualification's bit 0 says that address-range monitoring is armed.";
    MONITOR_TRAP_FLAG = 37, [], "Monitor trap flag.";
    MONITOR = 39, [L], "MONITOR.";
    PAUSE = 40, [L], "PAUSE.";
    ENTRY_MACHINE_CHECK = 41, [], "VM-entry failure due to a machine-check event.";
    TPR_BELOW_THRESHOLD = 43, [], "TPR below threshold.";
    APIC_ACCESS = 44, [Q, IDT], "APIC access.";
    VIRTUALIZED_EOI = 45, [Q], "Virtualized EOI: the qualification's bits 7:0 are the vector.";
    GDTR_IDTR_ACCESS = 46, [Q, L, I], "LGDT, LIDT, SGDT or SIDT.";
    LDTR_TR_ACCESS = 47, [Q, L, I], "LLDT, LTR, SLDT or STR.";
    EPT_VIOLATION = 48, [Q, LIN, PHYS, IDT], "EPT violation.";
    EPT_MISCONFIGURATION = 49, [PHYS, IDT], "EPT misconfiguration.";
    INVEPT = 50, [Q, L, I], "INVEPT.";
    RDTSCP = 51, [L], "RDTSCP.";
    PREEMPTION_TIMER = 52, [], "VMX-preemption timer expired.";
    INVVPID = 53, [Q, L, I], "INVVPID.";
    WBINVD = 54, [L], "WBINVD or WBNOINVD.";
    XSETBV = 55, [L], "XSETBV.";
    APIC_WRITE = 56, [Q], "APIC write: the qualification is the offset in the virtual-APIC page.";
    RDRAND = 57, [L, I], "RDRAND.";
    INVPCID = 58, [Q, L, I], "INVPCID.";
    VMFUNC = 59, [L], "VMFUNC.";
    ENCLS = 60, [L], "ENCLS.";
    RDSEED = 61, [L, I], "RDSEED.";
    PAGE_MODIFICATION_LOG_FULL = 62, [Q, IDT], "Page-modification log full.";
    XSAVES = 63, [Q, L, I], "XSAVES.";
    XRSTORS = 64, [Q, L, I], "XRSTORS.";
    PCONFIG = 65, [L], "PCONFIG.";
    SPP_RELATED_EVENT = 66, [Q, LIN, PHYS, IDT], "SPP-related event: a miss or misconfiguration of the sub-page permission table.";
    UMWAIT = 67, [L, I], "UMWAIT.";
    TPAUSE = 68, [L, I], "TPAUSE.";
    LOADIWKEY = 69, [L, I], "LOADIWKEY.";
    ENCLV = 70, [L], "ENCLV.";
    ENQCMD_PASID = 72, [L, I], "ENQCMD PASID translation failure.";
    ENQCMDS_PASID = 73, [L, I], "ENQCMDS PASID translation failure.";
    BUS_LOCK = 74, [IDT], "Bus lock.";
    INSTRUCTION_TIMEOUT = 75, [Q, IDT], "Instruction timeout: the qualification's bit 0 says that the VM context is invalid.";
    SEAMCALL = 76, [L], "SEAMCALL.";
    TDCALL = 77, [L], "TDCALL.";
    RDMSRLIST = 78, [Q, L], "RDMSRLIST.";
    WRMSRLIST = 79, [Q, L], "WRMSRLIST.";
}

/// The exit-information fields that `reason` may define; none for an unknown reason.
#[inline]
#[must_use]
pub fn fields_of(reason: ExitReason) -> Valid {
    TABLE
        .get(usize::from(reason.0))
        .copied()
        .unwrap_or_default()
}
