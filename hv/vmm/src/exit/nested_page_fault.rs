//! Accesses that the nested paging structures do not allow: RAM not mapped yet, devices, nothing.

use super::table::{Stop, Verdict};
use super::{Detail, Exit, simple};
use crate::vcpu::Vcpu;

/// EPT violation or #NPF.
pub(super) fn nested_page_fault(x: &Exit, v: &mut Vcpu) -> Verdict {
    let Detail::Nested(fault) = x.detail else {
        return simple::unsupported(x, v);
    };
    let populated = v.guest.space.lock().populate(fault.gpa);
    match populated {
        Ok(true) => Verdict::Resume,
        Ok(false) => simple::stop(v, x, "access to guest-physical memory that is not there"),
        Err(_) => Verdict::Stop(Stop::Unsupported(
            "no memory is left for its nested paging structures".into(),
        )),
    }
}
