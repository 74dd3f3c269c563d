//! Intel's exit information to a neutral [`Exit`].

use super::{
    CrAccess, CrAccessType, Detail, Exit, Io, Kind, NestedFault, TaskSwitch, TaskSwitchSource,
};
use crate::machine::{Event, EventType};
use spec::addr::{Gva, L1Gpa};
use spec::vmx::exit::{
    EptViolation, ExitReason, FullReason, InstructionInformation, InterruptionInformation,
    InterruptionType, IoQualification, TABLE, Valid, fields_of,
};

/// The VM-exit information fields of a VMCS (SDM 3C "VM-Exit Information Fields"); a field that
/// the manual does not define for this exit reason is zero, because nobody reads it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct VmxRecord {
    /// Exit reason, all 32 bits.
    pub reason: u32,
    /// VM-exit instruction length, in bytes.
    pub instruction_length: u32,
    /// Exit qualification.
    pub qualification: u64,
    /// Guest RIP.
    pub rip: u64,
    /// Guest-linear address.
    pub guest_linear: u64,
    /// Guest-physical address.
    pub guest_physical: u64,
    /// VM-exit interruption information.
    pub interruption_info: u32,
    /// VM-exit interruption error code.
    pub interruption_error_code: u32,
    /// IDT-vectoring information.
    pub idt_vectoring_info: u32,
    /// IDT-vectoring error code.
    pub idt_vectoring_error_code: u32,
    /// VM-exit instruction information.
    pub instruction_info: u32,
}

/// The exit in neutral words.
#[inline]
#[must_use]
pub fn decode(record: &VmxRecord) -> Exit {
    let reason = FullReason(record.reason).basic();
    if let Some(exit) = port(record, reason) {
        return exit;
    }
    let valid = fields_of(reason);
    if valid != Valid::INSTRUCTION_LENGTH {
        return with_information(record, reason, valid);
    }
    let kind = KINDS[usize::from(reason.0)];
    Exit {
        kind,
        rip: record.rip,
        length: record.instruction_length as u8,
        detail: raw_of(record, kind),
        vectoring: None,
    }
}

/// [`kind_of`] as a table, for the reasons that [`fields_of`] knows.
static KINDS: [Kind; TABLE.len()] = {
    let mut kinds = [Kind::Other; TABLE.len()];
    let mut reason = 0;
    while reason < kinds.len() {
        kinds[reason] = kind_of(ExitReason(reason as u16));
        reason += 1;
    }
    kinds
};

/// IN and OUT, the exits that guests make most: never met while an event is delivered.
#[inline]
fn port(record: &VmxRecord, reason: ExitReason) -> Option<Exit> {
    let qualification = IoQualification(record.qualification);
    if reason != ExitReason::IO_INSTRUCTION || qualification.string() {
        return None;
    }
    Some(Exit {
        kind: Kind::Io,
        rip: record.rip,
        length: record.instruction_length as u8,
        detail: Detail::Io(Io {
            port: qualification.port(),
            size: qualification.size(),
            input: qualification.is_in(),
            string: false,
            rep: false,
            address_size: None,
            segment: None,
        }),
        vectoring: None,
    })
}

#[inline(never)]
fn with_information(record: &VmxRecord, reason: ExitReason, valid: Valid) -> Exit {
    let (kind, detail) = match reason {
        ExitReason::EXCEPTION_OR_NMI => exception(record),
        ExitReason::TASK_SWITCH => (Kind::TaskSwitch, task_switch(record)),
        ExitReason::CR_ACCESS => (Kind::CrAccess, cr_access(record)),
        ExitReason::MOV_DR => (Kind::DrAccess, Detail::None),
        ExitReason::IO_INSTRUCTION => (Kind::Io, io(record)),
        ExitReason::EPT_VIOLATION => (Kind::NestedPageFault, violation(record)),
        ExitReason::EPT_MISCONFIGURATION => {
            (Kind::NestedMisconfiguration, misconfiguration(record))
        }
        _ => (kind_of(reason), raw_of(record, kind_of(reason))),
    };
    let length = match detail {
        // Only software exceptions come from an instruction that is known to be one.
        Detail::Exception { event, .. } => event.instruction_length.into(),
        _ if valid.contains(Valid::INSTRUCTION_LENGTH) => record.instruction_length,
        _ => 0,
    };
    Exit {
        kind,
        rip: record.rip,
        length: length as u8,
        detail,
        vectoring: vectoring(record),
    }
}

/// The kind of a reason that needs nothing but its number.
const fn kind_of(reason: ExitReason) -> Kind {
    match reason {
        ExitReason::EXTERNAL_INTERRUPT => Kind::ExternalInterrupt,
        ExitReason::TRIPLE_FAULT => Kind::TripleFault,
        ExitReason::INIT => Kind::Init,
        ExitReason::SIPI => Kind::Sipi,
        ExitReason::INTERRUPT_WINDOW => Kind::InterruptWindow,
        ExitReason::NMI_WINDOW => Kind::NmiWindow,
        ExitReason::CPUID => Kind::Cpuid,
        ExitReason::HLT => Kind::Hlt,
        ExitReason::INVD => Kind::Invd,
        ExitReason::VMCALL => Kind::Hypercall,
        ExitReason::RDMSR => Kind::Rdmsr,
        ExitReason::WRMSR => Kind::Wrmsr,
        ExitReason::ENTRY_INVALID_GUEST_STATE | ExitReason::ENTRY_MSR_LOADING => {
            Kind::InvalidGuestState
        }
        ExitReason::MWAIT => Kind::Mwait,
        ExitReason::MONITOR => Kind::Monitor,
        ExitReason::PAUSE => Kind::Pause,
        ExitReason::RDPMC => Kind::Rdpmc,
        ExitReason::ENCLS => Kind::Hidden,
        ExitReason::PREEMPTION_TIMER => Kind::PreemptionTimer,
        ExitReason::WBINVD => Kind::Wbinvd,
        ExitReason::XSETBV => Kind::Xsetbv,
        // GETSEC, SEAMCALL and TDCALL exit without being asked to, like the instructions of VMX.
        ExitReason::VMCLEAR
        | ExitReason::VMLAUNCH
        | ExitReason::VMPTRLD
        | ExitReason::VMPTRST
        | ExitReason::VMREAD
        | ExitReason::VMRESUME
        | ExitReason::VMWRITE
        | ExitReason::VMXOFF
        | ExitReason::VMXON
        | ExitReason::INVEPT
        | ExitReason::INVVPID
        | ExitReason::VMFUNC
        | ExitReason::GETSEC
        | ExitReason::SEAMCALL
        | ExitReason::TDCALL => Kind::Virtualization,
        _ => Kind::Other,
    }
}

/// What a kind without a detail of its own shows: the raw words, where a handler can want them.
#[inline]
const fn raw_of(record: &VmxRecord, kind: Kind) -> Detail {
    match kind {
        Kind::Other | Kind::InvalidGuestState | Kind::Virtualization => Detail::Raw {
            reason: record.reason as u64,
            qualification: record.qualification,
        },
        _ => Detail::None,
    }
}

/// An exception or an NMI (SDM 3C "Information for VM Exits Due to Vectored Events").
fn exception(record: &VmxRecord) -> (Kind, Detail) {
    let information = InterruptionInformation(record.interruption_info);
    let length = record.instruction_length;
    let Some(event) = event(information, record.interruption_error_code, length) else {
        return (Kind::Other, raw_of(record, Kind::Other));
    };
    let kind = if event.kind == EventType::Nmi {
        Kind::Nmi
    } else {
        Kind::Exception
    };
    let qualification = record.qualification;
    (
        kind,
        Detail::Exception {
            event,
            qualification,
        },
    )
}

/// The event whose delivery the exit interrupted (SDM 3C "Information for VM Exits That Occur
/// During Event Delivery").
fn vectoring(record: &VmxRecord) -> Option<Event> {
    let information = InterruptionInformation(record.idt_vectoring_info);
    event(
        information,
        record.idt_vectoring_error_code,
        record.instruction_length,
    )
}

fn event(information: InterruptionInformation, error_code: u32, length: u32) -> Option<Event> {
    if !information.valid() {
        return None;
    }
    let kind = match information.interruption_type() {
        InterruptionType::EXTERNAL_INTERRUPT => EventType::ExternalInterrupt,
        InterruptionType::NMI => EventType::Nmi,
        InterruptionType::HARDWARE_EXCEPTION => EventType::HardwareException,
        InterruptionType::SOFTWARE_INTERRUPT => EventType::SoftwareInterrupt,
        InterruptionType::PRIVILEGED_SOFTWARE_EXCEPTION => EventType::PrivilegedSoftwareException,
        InterruptionType::SOFTWARE_EXCEPTION => EventType::SoftwareException,
        _ => return None,
    };
    let software = information.interruption_type().is_software();
    Some(Event {
        kind,
        vector: information.raw_vector(),
        error_code: information.error_code_valid().then_some(error_code),
        instruction_length: if software { length as u8 } else { 0 },
    })
}

/// RFLAGS is saved with the RF that the old task is to save (SDM 3C "Saving RIP, RSP, RFLAGS, and SSP").
fn task_switch(record: &VmxRecord) -> Detail {
    let qualification = spec::vmx::exit::TaskSwitch(record.qualification);
    let source = match qualification.source() {
        spec::vmx::exit::TaskSwitchSource::CALL => TaskSwitchSource::Call,
        spec::vmx::exit::TaskSwitchSource::IRET => TaskSwitchSource::Iret,
        spec::vmx::exit::TaskSwitchSource::JMP => TaskSwitchSource::Jmp,
        _ => TaskSwitchSource::TaskGate,
    };
    let event = vectoring(record).filter(|_| source == TaskSwitchSource::TaskGate);
    Detail::TaskSwitch(TaskSwitch {
        selector: qualification.selector(),
        source,
        error_code: event.and_then(|event| event.error_code),
        resume_flag: false,
    })
}

fn cr_access(record: &VmxRecord) -> Detail {
    let qualification = spec::vmx::exit::CrAccess(record.qualification);
    let access = match qualification.access_type() {
        spec::vmx::exit::CrAccessType::MOV_TO_CR => CrAccessType::MovTo(qualification.register()),
        spec::vmx::exit::CrAccessType::MOV_FROM_CR => {
            CrAccessType::MovFrom(qualification.register())
        }
        spec::vmx::exit::CrAccessType::CLTS => CrAccessType::Clts,
        _ => CrAccessType::Lmsw(qualification.lmsw_source()),
    };
    Detail::Cr(CrAccess {
        number: qualification.number(),
        access,
    })
}

/// INS and OUTS.
fn io(record: &VmxRecord) -> Detail {
    let qualification = IoQualification(record.qualification);
    let information = InstructionInformation(record.instruction_info);
    Detail::Io(Io {
        port: qualification.port(),
        size: qualification.size(),
        input: qualification.is_in(),
        string: true,
        rep: qualification.rep(),
        address_size: Some((information.address_bits() / 8) as u8),
        segment: (!qualification.is_in()).then(|| information.segment()),
    })
}

fn violation(record: &VmxRecord) -> Detail {
    let qualification = EptViolation(record.qualification);
    let translated = qualification.linear_valid() && qualification.translated();
    Detail::Nested(NestedFault {
        gpa: L1Gpa(record.guest_physical),
        gva: translated.then_some(Gva(record.guest_linear)),
        translated,
        read: qualification.read(),
        write: qualification.write(),
        fetch: qualification.fetch(),
        present: qualification.readable() || qualification.writable() || qualification.executable(),
    })
}

/// The hardware says nothing but the address.
fn misconfiguration(record: &VmxRecord) -> Detail {
    Detail::Nested(NestedFault {
        gpa: L1Gpa(record.guest_physical),
        gva: None,
        translated: false,
        read: false,
        write: false,
        fetch: false,
        present: true,
    })
}

#[cfg(test)]
mod tests;
