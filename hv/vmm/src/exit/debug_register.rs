//! MOV to and from debug registers.

use super::Exit;
use super::table::Verdict;
use crate::vcpu::Vcpu;

/// The first access: the guest makes it, and those that follow, itself. So the processor checks what there is to check,
/// which may be before the VM exit or after it (SDM 3C "Relative Priority of Faults and VM Exits"; APM vol 2
/// "Instruction Intercepts").
pub(super) fn access(_: &Exit, v: &mut Vcpu) -> Verdict {
    v.watch_breakpoints(true);
    Verdict::Resume
}
