//! VM exits: from the raw record of either vendor to one neutral [`Exit`], and the table of
//! handlers that decide what to do.

use crate::machine::Event;
use from_svm::SvmRecord;
use from_vmx::VmxRecord;
use spec::addr::{Gva, L1Gpa};

pub(crate) mod cpuid;
mod cr;
mod debug_register;
pub(crate) mod exception;
pub mod from_svm;
pub mod from_vmx;
mod hypercall;
pub mod interrupt;
mod io;
pub mod msr;
mod nested_page_fault;
pub mod rows;
pub(crate) mod simple;
pub mod table;
mod task_switch;

/// What the hardware said about one VM exit, copied out as plain data.
#[derive(Clone, Copy, Debug)]
pub enum Record {
    /// From a VMCS.
    Vmx(VmxRecord),
    /// From a VMCB.
    Svm(SvmRecord),
}

impl Default for Record {
    fn default() -> Self {
        Self::Svm(SvmRecord::default())
    }
}

impl Record {
    /// The record as SVM's, to write over it.
    #[inline]
    pub fn as_svm(&mut self) -> &mut SvmRecord {
        if let Self::Vmx(_) = self {
            *self = Self::default();
        }
        match self {
            Self::Svm(record) => record,
            Self::Vmx(_) => unreachable!("it was made SVM's"),
        }
    }

    /// The exit in neutral words.
    #[inline]
    #[must_use]
    pub fn decode(&self) -> Exit {
        match self {
            Self::Vmx(record) => from_vmx::decode(record),
            Self::Svm(record) => from_svm::decode(record),
        }
    }
}

macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident => $text:literal,)*) => {
        /// What kind of VM exit, in neither vendor's numbers: the index of [`ExitTable`].
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        #[repr(u8)]
        pub enum Kind { $($(#[$doc])* $name,)* }

        impl Kind {
            /// Every kind, in table order.
            pub const ALL: &[Kind] = &[$(Kind::$name),*];
            /// How many kinds there are.
            pub const COUNT: usize = Self::ALL.len();

            /// Its name in traces and tables.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Kind::$name => $text,)* }
            }
        }
    };
}

kinds! {
    /// CPUID.
    Cpuid => "cpuid",
    /// RDMSR.
    Rdmsr => "rdmsr",
    /// WRMSR.
    Wrmsr => "wrmsr",
    /// IN, OUT, INS, OUTS.
    Io => "io",
    /// An access to CR0, CR3, CR4 or CR8.
    CrAccess => "cr_access",
    /// An access to a debug register.
    DrAccess => "dr_access",
    /// HLT.
    Hlt => "hlt",
    /// VMCALL or VMMCALL.
    Hypercall => "hypercall",
    /// An exception or a software INT3/INTO that is intercepted.
    Exception => "exception",
    /// A physical interrupt.
    ExternalInterrupt => "external_interrupt",
    /// A physical NMI.
    Nmi => "nmi",
    /// The guest can take an interrupt.
    InterruptWindow => "interrupt_window",
    /// The guest can take an NMI.
    NmiWindow => "nmi_window",
    /// EPT violation or #NPF.
    NestedPageFault => "nested_page_fault",
    /// EPT misconfiguration: our paging structures are wrong.
    NestedMisconfiguration => "nested_misconfiguration",
    /// XSETBV.
    Xsetbv => "xsetbv",
    /// INVD.
    Invd => "invd",
    /// WBINVD.
    Wbinvd => "wbinvd",
    /// MONITOR.
    Monitor => "monitor",
    /// MWAIT.
    Mwait => "mwait",
    /// PAUSE.
    Pause => "pause",
    /// RDPMC.
    Rdpmc => "rdpmc",
    /// An instruction that the processor has and CPUID hides: INVPCID, RDPRU and the like.
    Hidden => "hidden",
    /// A task switch.
    TaskSwitch => "task_switch",
    /// A triple fault (VMX) or shutdown (SVM).
    TripleFault => "triple_fault",
    /// VM entry refused the guest state (VMX reason 33 or 34, SVM VMEXIT_INVALID).
    InvalidGuestState => "invalid_guest_state",
    /// The VMX-preemption timer ran out.
    PreemptionTimer => "preemption_timer",
    /// An instruction of VMX (SMX and TDX included) or SVM itself, other than a hypercall.
    Virtualization => "virtualization",
    /// INIT arrived.
    Init => "init",
    /// A start-up IPI arrived.
    Sipi => "sipi",
    /// Anything else.
    Other => "other",
}

/// A VM exit in neutral words.
#[derive(Clone, Copy, Debug)]
pub struct Exit {
    /// What kind.
    pub kind: Kind,
    /// Where the guest was.
    pub rip: u64,
    /// The length of the instruction in bytes; 0 where the hardware does not say.
    pub length: u8,
    /// What depends on the kind.
    pub detail: Detail,
    /// The event whose delivery the exit interrupted.
    pub vectoring: Option<Event>,
}

/// What depends on the kind of the exit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Detail {
    /// Nothing more.
    None,
    /// [`Kind::Io`].
    Io(Io),
    /// [`Kind::CrAccess`].
    Cr(CrAccess),
    /// [`Kind::Exception`], [`Kind::Nmi`]: the event, and for #PF the linear address.
    Exception {
        /// The event.
        event: Event,
        /// The linear address of a #PF, or the debug conditions (DR6 layout) of a #DB.
        qualification: u64,
    },
    /// [`Kind::NestedPageFault`], [`Kind::NestedMisconfiguration`].
    Nested(NestedFault),
    /// [`Kind::TaskSwitch`].
    TaskSwitch(TaskSwitch),
    /// [`Kind::Other`], [`Kind::InvalidGuestState`], [`Kind::Virtualization`]: the raw exit reason or code, and the qualification.
    Raw {
        /// VMX exit reason or SVM EXITCODE.
        reason: u64,
        /// Exit qualification or EXITINFO1.
        qualification: u64,
    },
}

/// One port I/O instruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Io {
    /// The port.
    pub port: u16,
    /// 1, 2 or 4 bytes.
    pub size: u8,
    /// IN or INS.
    pub input: bool,
    /// INS or OUTS.
    pub string: bool,
    /// With a REP prefix.
    pub rep: bool,
    /// For string instructions: the address size in bytes (2, 4, 8) where the hardware says.
    pub address_size: Option<u8>,
    /// For OUTS: the segment register number where the hardware says.
    pub segment: Option<u8>,
}

/// One access to a control register.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CrAccess {
    /// Which control register: 0, 3, 4 or 8.
    pub number: u8,
    /// How.
    pub access: CrAccessType,
}

/// How a control register is accessed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CrAccessType {
    /// MOV to the control register from this general-purpose register.
    MovTo(u8),
    /// MOV from the control register to this general-purpose register.
    MovFrom(u8),
    /// CLTS.
    Clts,
    /// LMSW with this source operand.
    Lmsw(u16),
    /// A write of a kind that the hardware does not say (SVM without decode assists): the handler
    /// decodes the instruction.
    UnknownWrite,
    /// A read, likewise.
    UnknownRead,
}

/// An attempt at a task switch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TaskSwitch {
    /// The selector of the new TSS.
    pub selector: u16,
    /// What caused it.
    pub source: TaskSwitchSource,
    /// The error code that is pushed on the new task's stack.
    pub error_code: Option<u32>,
    /// RF is set in the flags that are saved in the old TSS, though it may not be in RFLAGS.
    pub resume_flag: bool,
}

/// What causes a task switch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TaskSwitchSource {
    /// CALL.
    Call,
    /// IRET.
    Iret,
    /// JMP.
    Jmp,
    /// A task gate in the IDT.
    TaskGate,
}

/// An access that the nested paging structures do not allow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NestedFault {
    /// The guest-physical address.
    pub gpa: L1Gpa,
    /// The guest-linear address that the guest's paging translated to it, where the hardware says.
    pub gva: Option<Gva>,
    /// It is the address of an operand or of code, not one of a paging structure.
    pub translated: bool,
    /// A read.
    pub read: bool,
    /// A write.
    pub write: bool,
    /// An instruction fetch.
    pub fetch: bool,
    /// The page was mapped, without the right.
    pub present: bool,
}
