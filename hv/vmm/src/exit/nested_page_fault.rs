//! Accesses that the nested paging structures do not allow: RAM not mapped yet, devices, nothing.

use super::table::{Stop, Verdict};
use super::{Detail, Exit, NestedFault, simple};
use crate::emulate::access::{self, Access, Candidate};
use crate::emulate::execute::{Progress, execute};
use crate::emulate::fetch::{self, FetchError};
use crate::vcpu::{Translated, Vcpu};
use alloc::format;
use spec::addr::PAGE_SIZE;

/// EPT violation or #NPF.
pub(super) fn nested_page_fault(x: &Exit, v: &mut Vcpu) -> Verdict {
    let Detail::Nested(fault) = x.detail else {
        return simple::unsupported(x, v);
    };
    let access = Access {
        at: fault.gpa,
        write: fault.write,
    };
    if fault.translated
        && !fault.fetch
        && x.vectoring.is_none()
        && !v.breakpoints.is_on()
        && let Some(length) = access::again(v, access)
    {
        return Verdict::NextBy(length);
    }
    first_time(x, v, fault)
}

#[inline(never)]
fn first_time(x: &Exit, v: &mut Vcpu, fault: NestedFault) -> Verdict {
    let populated = v.guest.space.lock().populate(fault.gpa, fault.write);
    match populated {
        Ok(true) => Verdict::Resume,
        Ok(false) => outside_ram(x, v, fault),
        Err(_) => Verdict::Stop(Stop::Unsupported(
            "no memory is left for its nested paging structures".into(),
        )),
    }
}

/// The access is one of the instruction at RIP, or was made on its behalf: a walk of the guest's
/// own paging structures gives the same #PF when we make it.
fn outside_ram(x: &Exit, v: &mut Vcpu, fault: NestedFault) -> Verdict {
    if let Some(event) = x.vectoring {
        let (vector, gpa) = (event.vector, fault.gpa);
        return simple::stop(
            v,
            x,
            &format!(
                "delivery of vector {vector} through guest-physical memory that is not there ({gpa})"
            ),
        );
    }
    match emulate(v, fault) {
        Ok((length, Progress::Done)) => Verdict::NextBy(length),
        Ok((_, Progress::Partly)) => Verdict::NextBy(0),
        Ok((_, Progress::Unknown)) => {
            let what = format!(
                "access to {} by an instruction that is not emulated",
                fault.gpa
            );
            simple::stop(v, x, &what)
        }
        Err(FetchError::Fault(event)) => Verdict::Inject(event),
        Err(FetchError::Nowhere) => {
            let what = "instruction fetch from guest-physical memory that is not there";
            simple::stop(v, x, what)
        }
    }
}

/// Carries out the instruction at RIP; its length, and how far it came.
fn emulate(v: &mut Vcpu, fault: NestedFault) -> Result<(u8, Progress), FetchError> {
    v.translated = fault.gva.map(|gva| Translated {
        from: gva.align_down(PAGE_SIZE),
        to: fault.gpa.align_down(PAGE_SIZE),
        write: fault.write,
    });
    let candidate = Candidate::of(v);
    let done = fetch::instruction(v).and_then(|i| {
        let progress = execute(v, &i).map_err(FetchError::Fault)?;
        if progress == Progress::Done {
            candidate.remember(v, &i);
        }
        Ok((i.len() as u8, progress))
    });
    v.translated = None;
    done
}

#[cfg(test)]
mod tests;
