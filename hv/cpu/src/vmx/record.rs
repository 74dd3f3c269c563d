//! What a VM exit left in the VMCS, copied out: the fields that the manual defines for its reason
//! and no others, because a VMREAD costs.

use super::vmcs::Current;
use spec::vmx::exit::{
    CrAccess, CrAccessType, EptViolation, ExitReason, FullReason, InterruptionInformation,
    IoQualification, TaskSwitch, TaskSwitchSource, Valid, fields_of,
};
use spec::vmx::fields::*;
use vmm::exit::from_vmx::VmxRecord;

/// The record of an exit whose reason defines the instruction length and nothing more, or of IN and
/// OUT, which are the common cases; `None` for the others.
#[inline(always)]
pub(super) fn read_plain(vmcs: &Current) -> Option<VmxRecord> {
    let reason = vmcs.read(EXIT_REASON);
    let basic = FullReason(reason).basic();
    let mut qualification = 0;
    if fields_of(basic) != Valid::INSTRUCTION_LENGTH {
        if basic != ExitReason::IO_INSTRUCTION {
            return None;
        }
        qualification = vmcs.read(EXIT_QUALIFICATION);
        if IoQualification(qualification).string() {
            return None;
        }
    }
    Some(VmxRecord {
        reason,
        rip: vmcs.read(GUEST_RIP),
        instruction_length: vmcs.read(EXIT_INSTRUCTION_LENGTH),
        qualification,
        ..VmxRecord::default()
    })
}

/// The record of any exit.
pub(super) fn read(vmcs: &Current) -> VmxRecord {
    let (reason, rip) = (vmcs.read(EXIT_REASON), vmcs.read(GUEST_RIP));
    let mut record = VmxRecord {
        reason,
        rip,
        ..VmxRecord::default()
    };
    more(vmcs, asked_of(FullReason(reason).basic()), &mut record);
    record
}

/// An external interrupt has information only with "acknowledge interrupt on exit", which is never set.
fn asked_of(reason: ExitReason) -> Valid {
    match reason {
        ExitReason::EXTERNAL_INTERRUPT => Valid::empty(),
        _ => fields_of(reason),
    }
}

fn more(vmcs: &Current, valid: Valid, record: &mut VmxRecord) {
    if valid.contains(Valid::QUALIFICATION) {
        record.qualification = vmcs.read(EXIT_QUALIFICATION);
    }
    if valid.contains(Valid::INTERRUPTION_INFORMATION) {
        interruption(vmcs, record);
    }
    if valid.contains(Valid::IDT_VECTORING) {
        idt_vectoring(vmcs, record);
    }
    if valid.contains(Valid::INSTRUCTION_LENGTH) && has_length(record) {
        record.instruction_length = vmcs.read(EXIT_INSTRUCTION_LENGTH);
    }
    if valid.contains(Valid::GUEST_PHYSICAL) {
        record.guest_physical = vmcs.read(GUEST_PHYSICAL_ADDRESS);
    }
    if valid.intersects(Valid::GUEST_LINEAR | Valid::INSTRUCTION_INFORMATION) {
        operands(vmcs, valid, record);
    }
}

fn interruption(vmcs: &Current, record: &mut VmxRecord) {
    record.interruption_info = vmcs.read(EXIT_INTERRUPTION_INFORMATION);
    let information = InterruptionInformation(record.interruption_info);
    if information.valid() && information.error_code_valid() {
        record.interruption_error_code = vmcs.read(EXIT_INTERRUPTION_ERROR_CODE);
    }
}

fn idt_vectoring(vmcs: &Current, record: &mut VmxRecord) {
    record.idt_vectoring_info = vmcs.read(IDT_VECTORING_INFORMATION);
    let information = InterruptionInformation(record.idt_vectoring_info);
    if !information.valid() {
        return;
    }
    if information.error_code_valid() {
        record.idt_vectoring_error_code = vmcs.read(IDT_VECTORING_ERROR_CODE);
    }
    if information.interruption_type().is_software() {
        record.instruction_length = vmcs.read(EXIT_INSTRUCTION_LENGTH);
    }
}

/// An exception has a length only if an instruction raised it on purpose, a task switch unless an
/// event caused it that no instruction raised.
fn has_length(record: &VmxRecord) -> bool {
    match FullReason(record.reason).basic() {
        ExitReason::EXCEPTION_OR_NMI => InterruptionInformation(record.interruption_info)
            .interruption_type()
            .is_software(),
        ExitReason::TASK_SWITCH => {
            TaskSwitch(record.qualification).source() != TaskSwitchSource::TASK_GATE
        }
        _ => true,
    }
}

/// The linear address and the instruction information, where the qualification says that there are.
fn operands(vmcs: &Current, valid: Valid, record: &mut VmxRecord) {
    let has = match FullReason(record.reason).basic() {
        ExitReason::IO_INSTRUCTION => IoQualification(record.qualification).string(),
        ExitReason::EPT_VIOLATION => EptViolation(record.qualification).linear_valid(),
        ExitReason::CR_ACCESS => {
            let access = CrAccess(record.qualification);
            access.access_type() == CrAccessType::LMSW && access.lmsw_memory()
        }
        _ => true,
    };
    if has && valid.contains(Valid::GUEST_LINEAR) {
        record.guest_linear = vmcs.read(GUEST_LINEAR_ADDRESS);
    }
    if has && valid.contains(Valid::INSTRUCTION_INFORMATION) {
        record.instruction_info = vmcs.read(EXIT_INSTRUCTION_INFORMATION);
    }
}
