//! What a VM exit left in the VMCB, copied out.

use super::vmcb::Vmcb;
use spec::cpuid::SvmEdx;
use vmm::emulate::length::Lengths;
use vmm::exit::from_svm::SvmRecord;

/// The record of any exit, written over the last one.
#[inline(always)]
pub(super) fn read(vmcb: &Vmcb, features: SvmEdx, lengths: &Lengths, record: &mut SvmRecord) {
    record.exit_code = vmcb.control.exit_code;
    record.exit_info_1 = vmcb.control.exit_info1;
    record.exit_info_2 = vmcb.control.exit_info2;
    record.exit_int_info = vmcb.control.exit_int_info.0;
    record.rip = vmcb.save.rip;
    record.next_rip = if features.contains(SvmEdx::NRIPS) {
        vmcb.control.next_rip
    } else {
        let length = lengths.find(&vmcb.code_state());
        vmcb.save.rip.wrapping_add(length.into())
    };
}
