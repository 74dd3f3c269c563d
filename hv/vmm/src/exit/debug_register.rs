//! MOV to and from debug registers, with what the architecture checks: the VM exit comes before
//! those checks (SDM 3C "Instructions That Cause VM Exits Conditionally").

use super::table::Verdict;
use super::{Detail, Exit, exception, simple};
use crate::emulate::{fetch, operand::mask};
use crate::machine::{Event, Gpr, Reg};
use crate::vcpu::Vcpu;
use spec::control_registers::{Cr4, Dr6, Dr7};

/// An access to a debug register.
pub(super) fn access(x: &Exit, v: &mut Vcpu) -> Verdict {
    let Detail::Dr { number, write, gpr } = x.detail else {
        return simple::unsupported(x, v);
    };
    match move_register(v, number, write, gpr) {
        Ok(()) => Verdict::Next,
        Err(event) => Verdict::Inject(event),
    }
}

fn move_register(v: &mut Vcpu, number: u8, write: bool, gpr: Option<u8>) -> Result<(), Event> {
    const GP: Event = Event::exception(13, Some(0));
    const UD: Event = Event::exception(6, None);
    let register = register(v, number).ok_or(UD)?;
    if v.engine.cpl() != 0 {
        return Err(GP);
    }
    if v.engine.reg(Reg::Dr7) & Dr7::GD.bits() != 0 {
        return Err(exception::debug(&mut *v.engine, Dr6::BD.bits()));
    }
    let gpr = match gpr {
        Some(gpr) => Gpr::from_number(gpr),
        None => decoded(v, write)?,
    };
    let wide = fetch::code_size(v) == 64;
    if !write {
        let value = v.engine.reg(register);
        v.set_gpr(gpr, value);
        return Ok(());
    }
    let value = v.gpr(gpr) & if wide { u64::MAX } else { mask(4) };
    let value = checked(register, value).ok_or(GP)?;
    v.engine.set_reg(register, value);
    Ok(())
}

/// DR4 and DR5 are DR6 and DR7, unless CR4.DE says that they are not there.
fn register(v: &Vcpu, number: u8) -> Option<Reg> {
    let extensions = v.engine.reg(Reg::Cr4) & Cr4::DE.bits() != 0;
    match number {
        0 => Some(Reg::Dr0),
        1 => Some(Reg::Dr1),
        2 => Some(Reg::Dr2),
        3 => Some(Reg::Dr3),
        4 if !extensions => Some(Reg::Dr6),
        5 if !extensions => Some(Reg::Dr7),
        6 => Some(Reg::Dr6),
        7 => Some(Reg::Dr7),
        _ => None,
    }
}

/// What the register holds after a write of this value, unless the write raises #GP.
fn checked(register: Reg, value: u64) -> Option<u64> {
    let (fixed_1, fixed_0) = match register {
        Reg::Dr6 => (Dr6::FIXED1, Dr6::FIXED0),
        Reg::Dr7 => (Dr7::ONE.bits(), Dr7::FIXED0),
        _ => return Some(value),
    };
    (value <= mask(4)).then_some((value | fixed_1) & !fixed_0)
}

/// The general-purpose register, from the instruction itself.
fn decoded(v: &mut Vcpu, write: bool) -> Result<Gpr, Event> {
    let instruction = fetch::instruction(v)?;
    let register = if write {
        instruction.op1_register()
    } else {
        instruction.op0_register()
    };
    Ok(Gpr::from_number(register.number() as u8))
}

#[cfg(test)]
mod tests;
