//! Exceptions that the guest's kind intercepts.

use super::table::Verdict;
use super::{Detail, Exit, Kind, simple};
use crate::emulate::fetch;
use crate::machine::{Engine, Event, EventType, Reg};
use crate::vcpu::Vcpu;
use iced_x86::Mnemonic;
use spec::control_registers::{Dr6, Dr7};
use spec::exception::Vector;

/// Every machine guest's exceptions that exit, bit n for vector n.
///
/// #UD: the hypercall instruction of the other vendor is not one that the processor knows. #DB and #AC: a
/// guest can make their delivery raise them again, for ever, and without an exit nothing interrupts
/// that (CVE-2015-8104, CVE-2015-5307).
pub(crate) const INTERCEPTED: u32 = 1 << Vector::UD.0 | 1 << Vector::DB.0 | 1 << Vector::AC.0;

/// An intercepted exception goes to the guest, unless it is a hypercall.
pub(super) fn exception(x: &Exit, v: &mut Vcpu) -> Verdict {
    let Detail::Exception {
        event,
        qualification,
    } = x.detail
    else {
        return simple::unsupported(x, v);
    };
    let hardware = event.kind == EventType::HardwareException;
    match Vector(event.vector) {
        Vector::UD if hardware && is_hypercall(v) => hypercall(x, v),
        Vector::PF if hardware => {
            v.engine.set_reg(Reg::Cr2, qualification);
            Verdict::Inject(event)
        }
        Vector::DB => {
            // INT1 has no conditions. Bochs names BS all the same where RFLAGS.TF is set.
            if hardware && qualification != 0 {
                debug(&mut *v.engine, qualification);
            } else {
                allow_debug_registers(&mut *v.engine);
            }
            Verdict::Inject(event)
        }
        _ => Verdict::Inject(event),
    }
}

fn is_hypercall(v: &mut Vcpu) -> bool {
    let instruction = fetch::instruction(v);
    instruction.is_ok_and(|i| matches!(i.mnemonic(), Mnemonic::Vmcall | Mnemonic::Vmmcall))
}

/// What the guest's kind does about a hypercall. The exit says nothing of the instruction's length,
/// which is 3 bytes without prefixes.
fn hypercall(x: &Exit, v: &mut Vcpu) -> Verdict {
    let length = fetch::instruction(v).map_or(3, |i| i.len() as u8);
    let call = Exit {
        kind: Kind::Hypercall,
        length,
        detail: Detail::None,
        ..*x
    };
    match (v.guest.kind.exits.handler(Kind::Hypercall))(&call, v) {
        Verdict::Next => Verdict::NextBy(length),
        other => other,
    }
}

/// The #DB of these conditions (DR6 layout): DR6 says them (SDM 3B "Debug Exception (#DB)").
pub(crate) fn debug(engine: &mut dyn Engine, conditions: u64) -> Event {
    const TRAPS: u64 = Dr6::B0
        .union(Dr6::B1)
        .union(Dr6::B2)
        .union(Dr6::B3)
        .union(Dr6::BD)
        .union(Dr6::BS)
        .union(Dr6::BT)
        .bits();
    const BREAKPOINTS: u64 = 0b1111;
    let kept = engine.reg(Reg::Dr6) & !BREAKPOINTS;
    let dr6 = kept | conditions & TRAPS | Dr6::FIXED1;
    engine.set_reg(Reg::Dr6, dr6);
    allow_debug_registers(engine);
    Event::exception(Vector::DB.0, None)
}

/// DR7.GD is cleared at a #DB, so that its handler may use the debug registers.
fn allow_debug_registers(engine: &mut dyn Engine) {
    let dr7 = engine.reg(Reg::Dr7);
    if dr7 & Dr7::GD.bits() != 0 {
        engine.set_reg(Reg::Dr7, dr7 & !Dr7::GD.bits());
    }
}

#[cfg(test)]
mod tests;
