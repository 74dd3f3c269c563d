//! Exceptions that the guest's kind intercepts.

use super::table::Verdict;
use super::{Detail, Exit, simple};
use crate::vcpu::Vcpu;

/// An intercepted exception goes to the guest.
pub(super) fn exception(x: &Exit, v: &mut Vcpu) -> Verdict {
    match x.detail {
        Detail::Exception { event, .. } => Verdict::Inject(event),
        _ => simple::unsupported(x, v),
    }
}
