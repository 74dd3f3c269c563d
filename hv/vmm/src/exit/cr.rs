//! Control registers.

use super::Exit;
use super::simple;
use super::table::Verdict;
use crate::vcpu::Vcpu;

/// An access to a control register.
pub(super) fn access(x: &Exit, v: &mut Vcpu) -> Verdict {
    simple::stop(v, x, "control-register access")
}
