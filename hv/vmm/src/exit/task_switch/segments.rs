//! The segment registers of the new task (SDM 3A "Exception Conditions Checked During a Task Switch", in the order of that
//! table, but for the presence of the LDT, in which the others may be).

use super::descriptor::{find, is_null, refused, rpl};
use crate::emulate::system::Failure;
use crate::machine::{Segment, SegmentRegister};
use crate::vcpu::Vcpu;
use SegmentRegister::{Cs, Ds, Es, Fs, Gs, Ldtr, Ss};
use spec::control_registers::Rflags;
use spec::exception::Vector;
use spec::segment::{AccessRights, TYPE_LDT};
use spec::task::State;

/// In the order of [`State::segments`].
pub(super) const REGISTERS: [SegmentRegister; 6] = [Es, Cs, Ss, Ds, Fs, Gs];

/// Loads the selectors first, then what they name: if that is refused, the registers are not usable.
pub(super) fn load(v: &mut Vcpu, state: &State) -> Result<(), Failure> {
    let [es, cs, ss, ds, fs, gs] = state.segments;
    let virtual_8086 = state.eflags & Rflags::VM.bits() as u32 != 0;
    for (register, selector) in REGISTERS.into_iter().zip(state.segments) {
        let segment = match register {
            _ if virtual_8086 => segment_8086(selector),
            Cs => unchecked_code(selector),
            _ => unusable(selector, rpl(cs)),
        };
        v.engine.set_segment(register, segment);
    }
    load_ldtr(v, state.ldt)?;
    if virtual_8086 {
        return Ok(());
    }
    load_code_and_stack(v, cs, ss)?;
    for (register, selector) in [(Ds, ds), (Es, es), (Fs, fs), (Gs, gs)] {
        load_data(v, register, selector, rpl(cs))?;
    }
    Ok(())
}

/// SDM 3B "Segment Registers" of virtual-8086 mode (SDM 3C "Checks on Guest Segment Registers").
fn segment_8086(selector: u16) -> Segment {
    Segment {
        selector,
        base: u64::from(selector) << 4,
        limit: 0xffff,
        access: AccessRights::REAL_DATA.with_dpl(3).bits(),
    }
}

/// SS decides the privilege level even if it is not usable.
fn unusable(selector: u16, cpl: u8) -> Segment {
    Segment {
        selector,
        base: 0,
        limit: 0,
        access: AccessRights::UNUSABLE.with_dpl(cpl).bits(),
    }
}

/// VM entry wants a CS that is usable, though an exception is delivered before anything is fetched from it.
fn unchecked_code(selector: u16) -> Segment {
    Segment {
        selector,
        base: 0,
        limit: u32::MAX,
        access: AccessRights::CODE32.with_dpl(rpl(selector)).bits(),
    }
}

/// While LDTR is not usable, a selector of an LDT names nothing.
fn load_ldtr(v: &mut Vcpu, selector: u16) -> Result<(), Failure> {
    v.engine.set_segment(Ldtr, unusable(selector, 0));
    if is_null(selector) {
        return Ok(());
    }
    let invalid = refused(Vector::TS, selector);
    let descriptor = find(v, selector)?.ok_or(invalid)?;
    let rights = descriptor.rights();
    let is_ldt = !rights.contains(AccessRights::S) && rights.segment_type() == TYPE_LDT;
    check(is_ldt && descriptor.is_present(), invalid)?;
    let segment = descriptor.segment(AccessRights::empty());
    v.engine.set_segment(Ldtr, segment);
    Ok(())
}

/// CS and SS, whose checks are interleaved.
fn load_code_and_stack(v: &mut Vcpu, cs: u16, ss: u16) -> Result<(), Failure> {
    let (no_code, no_stack) = (refused(Vector::TS, cs), refused(Vector::TS, ss));
    let cpl = rpl(cs);
    let code = find(v, cs)?.filter(|code| code.is_code());
    let fits = code.is_none_or(|code| match code.is_conforming_code() {
        true => code.rights().dpl() <= cpl,
        false => code.rights().dpl() == cpl,
    });
    check(fits, no_code)?;
    let stack = find(v, ss)?.filter(|stack| stack.is_writable_data());
    let stack = stack.ok_or(no_stack)?;
    check(stack.is_present(), refused(Vector::SS, ss))?;
    check(stack.rights().dpl() == cpl, no_stack)?;
    let code = code.ok_or(no_code)?;
    check(code.is_present(), refused(Vector::NP, cs))?;
    check(stack.rights().dpl() == rpl(ss), no_stack)?;
    stack.load(v, Ss)?;
    code.load(v, Cs)
}

#[inline(never)]
fn load_data(
    v: &mut Vcpu,
    register: SegmentRegister,
    selector: u16,
    cpl: u8,
) -> Result<(), Failure> {
    if is_null(selector) {
        return Ok(());
    }
    let invalid = refused(Vector::TS, selector);
    let data = find(v, selector)?.filter(|data| data.is_readable());
    let data = data.ok_or(invalid)?;
    check(data.is_present(), refused(Vector::NP, selector))?;
    let privileged = data.rights().dpl() >= cpl.max(rpl(selector));
    check(privileged || data.is_conforming_code(), invalid)?;
    data.load(v, register)
}

fn check(holds: bool, otherwise: Failure) -> Result<(), Failure> {
    if holds { Ok(()) } else { Err(otherwise) }
}
