//! AMD's exit information to a neutral [`Exit`].

use super::{
    CrAccess, CrAccessType, Detail, Exit, Io, Kind, NestedFault, TaskSwitch, TaskSwitchSource,
};
use crate::machine::{Event, EventType};
use spec::addr::L1Gpa;
use spec::exception::Vector;
use spec::svm::exit::{ExitCode, IoInfo, NpfInfo, RegisterInfo, TaskSwitchInfo};
use spec::svm::vmcb;

/// The exit fields of a VMCB's control area (APM vol 2 "VMCB Layout, Control Area").
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SvmRecord {
    /// EXITCODE.
    pub exit_code: u64,
    /// EXITINFO1.
    pub exit_info_1: u64,
    /// EXITINFO2.
    pub exit_info_2: u64,
    /// EXITINTINFO.
    pub exit_int_info: u64,
    /// Guest RIP.
    pub rip: u64,
    /// nRIP, the sequential instruction pointer; RIP itself, or 0, where nobody knows it.
    pub next_rip: u64,
}

/// The longest instruction, in bytes.
const LONGEST: u64 = 15;

/// The kinds that an instruction causes, and for which nRIP is defined (APM vol 2 "State Saved on
/// Exit"): bit n for the kind numbered n.
const INSTRUCTIONS: u32 = bits(&[
    Kind::Cpuid,
    Kind::Rdmsr,
    Kind::Wrmsr,
    Kind::Io,
    Kind::CrAccess,
    Kind::DrAccess,
    Kind::Hlt,
    Kind::Hypercall,
    Kind::Xsetbv,
    Kind::Invd,
    Kind::Wbinvd,
    Kind::Monitor,
    Kind::Mwait,
    Kind::Pause,
    Kind::Rdpmc,
    Kind::Hidden,
    Kind::Virtualization,
    Kind::Other,
]);

const fn bits(kinds: &[Kind]) -> u32 {
    let (mut sum, mut i) = (0, 0);
    while i < kinds.len() {
        sum |= 1 << kinds[i] as u32;
        i += 1;
    }
    sum
}

/// The codes of instructions of which there is nothing to say but the kind.
static PLAIN: [Option<Kind>; 0x90] = {
    let mut kinds = [None; 0x90];
    kinds[ExitCode::CPUID.0 as usize] = Some(Kind::Cpuid);
    kinds[ExitCode::HLT.0 as usize] = Some(Kind::Hlt);
    kinds[ExitCode::VMMCALL.0 as usize] = Some(Kind::Hypercall);
    kinds
};

/// The neutral form of an exit.
#[inline]
#[must_use]
pub fn decode(record: &SvmRecord) -> Exit {
    match PLAIN.get(record.exit_code as usize) {
        Some(&Some(kind)) => plain(kind, record),
        _ if record.exit_code == ExitCode::INTR.0 => interrupt(record),
        _ => port(record)
            .or_else(|| msr(record))
            .unwrap_or_else(|| with_information(record)),
    }
}

/// RDMSR and WRMSR.
#[inline]
fn msr(record: &SvmRecord) -> Option<Exit> {
    let kind = match (ExitCode(record.exit_code), record.exit_info_1) {
        (ExitCode::MSR, 0) => Kind::Rdmsr,
        (ExitCode::MSR, 1) => Kind::Wrmsr,
        _ => return None,
    };
    Some(plain(kind, record))
}

/// A physical interrupt, which comes between two instructions and never while an event is delivered.
#[inline]
fn interrupt(record: &SvmRecord) -> Exit {
    Exit {
        kind: Kind::ExternalInterrupt,
        rip: record.rip,
        length: 0,
        detail: Detail::None,
        vectoring: None,
    }
}

#[inline]
fn plain(kind: Kind, record: &SvmRecord) -> Exit {
    Exit {
        kind,
        rip: record.rip,
        length: distance(record.rip, record.next_rip),
        detail: Detail::None,
        vectoring: None,
    }
}

/// IN and OUT, the exits that guests make most: never met while an event is delivered.
#[inline]
fn port(record: &SvmRecord) -> Option<Exit> {
    let info = IoInfo(record.exit_info_1);
    if ExitCode(record.exit_code) != ExitCode::IOIO || info.string() {
        return None;
    }
    Some(Exit {
        kind: Kind::Io,
        rip: record.rip,
        length: distance(record.rip, record.exit_info_2),
        detail: Detail::Io(Io {
            port: info.port(),
            size: info.size(),
            input: info.is_in(),
            string: false,
            rep: false,
            address_size: None,
            segment: None,
        }),
        vectoring: None,
    })
}

#[inline(never)]
fn with_information(record: &SvmRecord) -> Exit {
    let (kind, detail) = classify(record);
    Exit {
        kind,
        rip: record.rip,
        length: length(kind, record),
        detail,
        vectoring: vectoring(record),
    }
}

fn classify(record: &SvmRecord) -> (Kind, Detail) {
    let kind = match ExitCode(record.exit_code) {
        ExitCode::CPUID => Kind::Cpuid,
        ExitCode::IOIO => return (Kind::Io, io(IoInfo(record.exit_info_1))),
        ExitCode::MSR if record.exit_info_1 & 1 == 0 => Kind::Rdmsr,
        ExitCode::MSR => Kind::Wrmsr,
        ExitCode::HLT => Kind::Hlt,
        ExitCode::VMMCALL => Kind::Hypercall,
        ExitCode::VINTR => Kind::InterruptWindow,
        ExitCode::NPF => return nested_page_fault(record),
        ExitCode::NMI => return (Kind::Nmi, NMI),
        // The engine reports it only once the IRET is done.
        ExitCode::IRET => Kind::NmiWindow,
        ExitCode::XSETBV => Kind::Xsetbv,
        ExitCode::INVD => Kind::Invd,
        ExitCode::WBINVD => Kind::Wbinvd,
        ExitCode::MONITOR => Kind::Monitor,
        ExitCode::MWAIT | ExitCode::MWAIT_ARMED => Kind::Mwait,
        ExitCode::PAUSE => Kind::Pause,
        ExitCode::RDPMC => Kind::Rdpmc,
        code if is_hidden(code) => Kind::Hidden,
        ExitCode::TASK_SWITCH => return (Kind::TaskSwitch, task_switch(record)),
        ExitCode::SHUTDOWN => Kind::TripleFault,
        ExitCode::INIT => Kind::Init,
        ExitCode::VMRUN
        | ExitCode::VMLOAD
        | ExitCode::VMSAVE
        | ExitCode::STGI
        | ExitCode::CLGI
        | ExitCode::SKINIT
        | ExitCode::INVLPGA => Kind::Virtualization,
        code => return in_range(code, record),
    };
    (kind, Detail::None)
}

/// The instructions that CPUID hides.
fn is_hidden(code: ExitCode) -> bool {
    matches!(
        code,
        ExitCode::RDPRU
            | ExitCode::INVPCID
            | ExitCode::MCOMMIT
            | ExitCode::INVLPGB
            | ExitCode::INVLPGB_ILLEGAL
            | ExitCode::TLBSYNC
    )
}

/// The codes that come in ranges, and the rest.
fn in_range(code: ExitCode, record: &SvmRecord) -> (Kind, Detail) {
    if code.is_invalid() {
        return (Kind::InvalidGuestState, raw(record));
    }
    if let Some(vector) = code.exception() {
        return (Kind::Exception, exception(vector, record));
    }
    if code == ExitCode::CR0_SEL_WRITE {
        return (Kind::CrAccess, cr(0, true, record));
    }
    if let Some(number) = code.cr_read() {
        return (Kind::CrAccess, cr(number, false, record));
    }
    if let Some(number) = code.cr_write() {
        return (Kind::CrAccess, cr(number, true, record));
    }
    if code.dr_read().or(code.dr_write()).is_some() {
        return (Kind::DrAccess, Detail::None);
    }
    (Kind::Other, raw(record))
}

fn raw(record: &SvmRecord) -> Detail {
    Detail::Raw {
        reason: record.exit_code,
        qualification: record.exit_info_1,
    }
}

/// The length of the instruction. For port I/O every processor gives the next RIP, in EXITINFO2.
fn length(kind: Kind, record: &SvmRecord) -> u8 {
    if INSTRUCTIONS & (1 << kind as u32) == 0 {
        return 0;
    }
    let next = if kind == Kind::Io {
        record.exit_info_2
    } else {
        record.next_rip
    };
    distance(record.rip, next)
}

/// From `rip` to the next instruction, or 0 where that is no length: not saved, or wrapped around.
fn distance(rip: u64, next: u64) -> u8 {
    match next.wrapping_sub(rip) {
        length @ 1..=LONGEST => length as u8,
        _ => 0,
    }
}

/// The address size and segment are of use for string instructions only. A segment field of 0 is
/// both ES and "no decode assists", so it says nothing.
fn io(info: IoInfo) -> Detail {
    let string = info.string();
    let address_size = Some((info.address_bits() / 8) as u8).filter(|&n| string && n != 0);
    let segment = Some(info.segment()).filter(|&n| string && !info.is_in() && n != 0);
    Detail::Io(Io {
        port: info.port(),
        size: info.size(),
        input: info.is_in(),
        string,
        rep: info.rep(),
        address_size,
        segment,
    })
}

/// Without decode assists EXITINFO1 is 0, as it is for CLTS, LMSW and SMSW.
fn cr(number: u8, write: bool, record: &SvmRecord) -> Detail {
    let info = RegisterInfo(record.exit_info_1);
    let access = match (info.mov(), write) {
        (true, true) => CrAccessType::MovTo(info.register()),
        (true, false) => CrAccessType::MovFrom(info.register()),
        (false, true) => CrAccessType::UnknownWrite,
        (false, false) => CrAccessType::UnknownRead,
    };
    Detail::Cr(CrAccess { number, access })
}

/// What is neither IRET nor JMP is CALL, unless an event is being delivered.
fn task_switch(record: &SvmRecord) -> Detail {
    let info = TaskSwitchInfo(record.exit_info_2);
    let source = match (info.iret(), info.far_jump(), vectoring(record)) {
        (true, ..) => TaskSwitchSource::Iret,
        (_, true, _) => TaskSwitchSource::Jmp,
        (.., None) => TaskSwitchSource::Call,
        (.., Some(_)) => TaskSwitchSource::TaskGate,
    };
    Detail::TaskSwitch(TaskSwitch {
        selector: record.exit_info_1 as u16,
        source,
        error_code: info.has_error_code().then_some(info.error_code()),
        resume_flag: info.resume_flag(),
    })
}

const NMI: Detail = Detail::Exception {
    event: Event {
        kind: EventType::Nmi,
        vector: Vector::NMI.0,
        error_code: None,
        instruction_length: 0,
    },
    qualification: 0,
};

/// Of the instructions that raise exceptions, only INT3 and INTO are seen here: INT n and INT1 have
/// intercepts of their own. Both are one byte long. For a #DB, DR6 is up to date, unlike on Intel,
/// and so there is nothing to add to it.
fn exception(vector: Vector, record: &SvmRecord) -> Detail {
    let (kind, instruction_length) = match vector {
        Vector::BP | Vector::OF => match distance(record.rip, record.next_rip) {
            0 => (EventType::SoftwareException, 1),
            length => (EventType::SoftwareException, length),
        },
        _ => (EventType::HardwareException, 0),
    };
    let error_code = vector.has_error_code().then_some(record.exit_info_1 as u32);
    let qualification = if vector == Vector::PF {
        record.exit_info_2
    } else {
        0
    };
    Detail::Exception {
        event: Event {
            kind,
            vector: vector.0,
            error_code,
            instruction_length,
        },
        qualification,
    }
}

/// A walk of the guest's page tables shows as a write, whatever the guest did.
fn nested_page_fault(record: &SvmRecord) -> (Kind, Detail) {
    let info = NpfInfo::from_bits_retain(record.exit_info_1);
    let kind = if info.contains(NpfInfo::RSV) {
        Kind::NestedMisconfiguration
    } else {
        Kind::NestedPageFault
    };
    let (write, fetch) = (info.contains(NpfInfo::RW), info.contains(NpfInfo::ID));
    let fault = NestedFault {
        gpa: L1Gpa(record.exit_info_2),
        gva: None,
        translated: info.contains(NpfInfo::FINAL),
        read: !write && !fetch,
        write,
        fetch,
        present: info.contains(NpfInfo::P),
    };
    (kind, Detail::Nested(fault))
}

/// The event whose delivery the exit interrupted. The length of the instruction behind a software
/// event is known only if the engine knew it: 0 otherwise, and then RIP is still at the instruction,
/// which raises the event again.
fn vectoring(record: &SvmRecord) -> Option<Event> {
    let info = vmcb::Event(record.exit_int_info);
    if !info.valid() {
        return None;
    }
    let kind = match (info.event_type(), info.vector()) {
        (vmcb::EventType::INTR, _) => EventType::ExternalInterrupt,
        (vmcb::EventType::NMI, _) => EventType::Nmi,
        (vmcb::EventType::SOFTWARE_INTERRUPT, _) => EventType::SoftwareInterrupt,
        (vmcb::EventType::EXCEPTION, Vector::BP | Vector::OF) => EventType::SoftwareException,
        (vmcb::EventType::EXCEPTION, _) => EventType::HardwareException,
        _ => return None,
    };
    let instruction_length = match kind {
        EventType::SoftwareInterrupt | EventType::SoftwareException => {
            distance(record.rip, record.next_rip)
        }
        _ => 0,
    };
    Some(Event {
        kind,
        vector: info.vector().0,
        error_code: info.error_code_valid().then_some(info.error_code()),
        instruction_length,
    })
}

#[cfg(test)]
mod tests;
