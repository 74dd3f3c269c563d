//! Exit reasons, the fields that each defines, qualifications, interruption information.

use spec::exception::Vector;
use spec::vmx::errors::InstructionError;
use spec::vmx::exit::{
    ApicAccess, ApicAccessType, CrAccess, CrAccessType, DrAccess, EptViolation, ExitReason,
    FullReason, InstructionInformation, InterruptionInformation, InterruptionType, IoQualification,
    TABLE, TaskSwitch, TaskSwitchSource, Valid, fields_of,
};

/// SDM 3D "VMX Basic Exit Reasons", the numbers written out once more.
#[test]
fn reasons() {
    let rows = [
        (ExitReason::EXCEPTION_OR_NMI, 0),
        (ExitReason::EXTERNAL_INTERRUPT, 1),
        (ExitReason::TRIPLE_FAULT, 2),
        (ExitReason::INTERRUPT_WINDOW, 7),
        (ExitReason::NMI_WINDOW, 8),
        (ExitReason::TASK_SWITCH, 9),
        (ExitReason::CPUID, 10),
        (ExitReason::HLT, 12),
        (ExitReason::INVLPG, 14),
        (ExitReason::RDTSC, 16),
        (ExitReason::VMCALL, 18),
        (ExitReason::VMWRITE, 25),
        (ExitReason::VMXON, 27),
        (ExitReason::CR_ACCESS, 28),
        (ExitReason::MOV_DR, 29),
        (ExitReason::IO_INSTRUCTION, 30),
        (ExitReason::RDMSR, 31),
        (ExitReason::WRMSR, 32),
        (ExitReason::ENTRY_INVALID_GUEST_STATE, 33),
        (ExitReason::MWAIT, 36),
        (ExitReason::MONITOR, 39),
        (ExitReason::ENTRY_MACHINE_CHECK, 41),
        (ExitReason::APIC_ACCESS, 44),
        (ExitReason::EPT_VIOLATION, 48),
        (ExitReason::EPT_MISCONFIGURATION, 49),
        (ExitReason::INVEPT, 50),
        (ExitReason::PREEMPTION_TIMER, 52),
        (ExitReason::WBINVD, 54),
        (ExitReason::XSETBV, 55),
        (ExitReason::APIC_WRITE, 56),
        (ExitReason::INVPCID, 58),
        (ExitReason::XRSTORS, 64),
        (ExitReason::BUS_LOCK, 74),
        (ExitReason::INSTRUCTION_TIMEOUT, 75),
    ];
    for (reason, number) in rows {
        assert_eq!(reason.0, number, "{reason}");
    }
    assert_eq!(ExitReason(38).name(), None);
    assert_eq!(
        format!("{} {:?}", ExitReason(10), ExitReason(35)),
        "CPUID ExitReason(0x23)"
    );
}

#[test]
fn every_reason_is_in_the_table() {
    assert!(
        ExitReason::ALL
            .iter()
            .all(|(reason, _)| usize::from(reason.0) < TABLE.len())
    );
    for number in [35, 38, 42, 71, 80, u16::MAX] {
        assert_eq!(fields_of(ExitReason(number)), Valid::empty(), "{number}");
    }
}

#[test]
fn fields_of_the_reasons_on_the_hot_path() {
    let length = Valid::INSTRUCTION_LENGTH;
    let rows = [
        (ExitReason::CPUID, length),
        (ExitReason::HLT, length),
        (ExitReason::VMCALL, length),
        (ExitReason::RDMSR, length),
        (
            ExitReason::EXTERNAL_INTERRUPT,
            Valid::INTERRUPTION_INFORMATION,
        ),
        (ExitReason::PREEMPTION_TIMER, Valid::empty()),
        (ExitReason::INTERRUPT_WINDOW, Valid::empty()),
        (ExitReason::MOV_DR, length | Valid::QUALIFICATION),
        (
            ExitReason::IO_INSTRUCTION,
            length | Valid::QUALIFICATION | Valid::INSTRUCTION_INFORMATION | Valid::GUEST_LINEAR,
        ),
        (
            ExitReason::EPT_VIOLATION,
            Valid::QUALIFICATION
                | Valid::GUEST_LINEAR
                | Valid::GUEST_PHYSICAL
                | Valid::IDT_VECTORING,
        ),
    ];
    for (reason, fields) in rows {
        assert_eq!(fields_of(reason), fields, "{reason}");
    }
}

#[test]
fn full_reason() {
    let reason = FullReason(0x8000_0021);
    assert!(reason.entry_failure() && !reason.enclave());
    assert_eq!(reason.basic(), ExitReason::ENTRY_INVALID_GUEST_STATE);
    assert!(
        FullReason(1 << 29 | 2).from_root()
            && FullReason(1 << 27).enclave()
            && FullReason(1 << 26).bus_lock()
    );
}

#[test]
fn qualifications() {
    let io = IoQualification(0x03f8_0038);
    assert_eq!(
        (
            io.port(),
            io.size(),
            io.is_in(),
            io.string(),
            io.rep(),
            io.immediate()
        ),
        (0x3f8, 1, true, true, true, false)
    );
    assert_eq!(IoQualification(0x0080_0043).size(), 4);
    assert!(IoQualification(0x0080_0043).immediate() && !IoQualification(0x0080_0043).is_in());

    let cr = CrAccess(0x0000_0f14);
    assert_eq!(
        (cr.number(), cr.access_type(), cr.register()),
        (4, CrAccessType::MOV_FROM_CR, 15)
    );
    let lmsw = CrAccess(0xabcd_0070);
    assert_eq!(
        (lmsw.access_type(), lmsw.lmsw_memory(), lmsw.lmsw_source()),
        (CrAccessType::LMSW, true, 0xabcd)
    );

    let dr = DrAccess(0x0617);
    assert_eq!((dr.number(), dr.from_dr(), dr.register()), (7, true, 6));

    let ept = EptViolation(0x1182);
    assert!(ept.write() && ept.linear_valid() && ept.translated() && ept.nmi_unblocking());
    assert!(!ept.read() && !ept.fetch() && !ept.readable());

    let task = TaskSwitch(0xc000_0028);
    assert_eq!(
        (task.selector(), task.source()),
        (0x28, TaskSwitchSource::TASK_GATE)
    );

    let apic = ApicAccess(0x10b0);
    assert_eq!(
        (apic.offset(), apic.access_type()),
        (0xb0, ApicAccessType::LINEAR_WRITE)
    );
}

#[test]
fn instruction_information_of_outs() {
    let information = InstructionInformation(0x0001_8100);
    assert_eq!((information.address_bits(), information.segment()), (64, 3));
    assert_eq!(InstructionInformation(0).address_bits(), 16);
    assert_eq!(InstructionInformation(0x80).address_bits(), 32);
}

#[test]
fn interruption_information() {
    let fault = InterruptionInformation(0x8000_0b0e);
    assert!(fault.valid() && fault.error_code_valid());
    assert_eq!(
        (fault.vector(), fault.interruption_type()),
        (Vector::PF, InterruptionType::HARDWARE_EXCEPTION)
    );
    assert_eq!(
        InterruptionInformation::new(Vector::PF, InterruptionType::HARDWARE_EXCEPTION, true),
        fault
    );
    assert_eq!(
        InterruptionInformation::new(Vector(0x30), InterruptionType::EXTERNAL_INTERRUPT, false).0,
        0x8000_0030
    );
    assert_eq!(
        InterruptionInformation::new(Vector::NMI, InterruptionType::NMI, false).0,
        0x8000_0202
    );
    assert_eq!(fault.0 & InterruptionInformation::ENTRY_RESERVED, 0);
    assert!(
        InterruptionType::SOFTWARE_EXCEPTION.is_software() && !InterruptionType::NMI.is_software()
    );
}

#[test]
fn instruction_errors() {
    assert_eq!(
        InstructionError(7).text(),
        Some("VM entry with invalid control field(s)")
    );
    assert_eq!(InstructionError(12).name(), Some("UNSUPPORTED_COMPONENT"));
    for gap in [0, 14, 21, 27, 29] {
        assert_eq!(InstructionError(gap).text(), None);
    }
}
