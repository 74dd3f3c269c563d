//! Carries out an instruction that reads or writes memory, as the processor would have.

use super::flags::{self, Outcome};
use super::memory;
use super::operand::{self, linear_address, mask};
use super::shift::Shift;
use super::{arithmetic, condition, stack, string, wide};
use crate::machine::{Event, Reg};
use crate::vcpu::Vcpu;
use iced_x86::{Instruction, Mnemonic, OpKind, Register};
use spec::addr::Gva;
use spec::control_registers::Rflags;

/// How far an instruction came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Progress {
    /// It is done.
    Done,
    /// It is a repeated one with more to do: registers say how far it came.
    Partly,
    /// We do not carry out this instruction. Nothing was changed.
    Unknown,
}

/// What an instruction computes from its first operand, its second one and the carry flag.
type Binary = fn(u64, u64, bool, u8) -> Outcome;
/// What it computes from its only operand.
type Unary = fn(u64, u8) -> Outcome;

/// Carries it out; the error is the exception that it raises.
pub(crate) fn execute(v: &mut Vcpu, i: &Instruction) -> Result<Progress, Event> {
    if let Some(walk) = string::Walk::of(i) {
        return string::execute(v, i, walk);
    }
    if let Some(done) = wide::execute(v, i) {
        return done.map(|()| Progress::Done);
    }
    if !has_plain_operands(i) {
        return Ok(Progress::Unknown);
    }
    match i.mnemonic() {
        Mnemonic::Mov | Mnemonic::Movnti | Mnemonic::Movzx => copy(v, i, false)?,
        Mnemonic::Movsx | Mnemonic::Movsxd => copy(v, i, true)?,
        Mnemonic::Movbe => swap_bytes(v, i)?,
        Mnemonic::Xchg => exchange(v, i)?,
        Mnemonic::Xadd => exchange_and_add(v, i)?,
        Mnemonic::Cmpxchg => compare_and_exchange(v, i)?,
        Mnemonic::Push => stack::push(v, i)?,
        Mnemonic::Pop => stack::pop(v, i)?,
        mnemonic => return compute(v, i, mnemonic),
    }
    Ok(Progress::Done)
}

fn compute(v: &mut Vcpu, i: &Instruction, mnemonic: Mnemonic) -> Result<Progress, Event> {
    if let Some((result, stores)) = binary_operation(mnemonic) {
        binary(v, i, result, stores)?;
    } else if let Some(result) = unary_operation(mnemonic) {
        unary(v, i, result)?;
    } else if let Some(kind) = Shift::of(mnemonic) {
        shift(v, i, kind)?;
    } else if let Some(holds) = condition::of(v, i) {
        conditional(v, i, holds)?;
    } else if let Some(result) = bit_operation(mnemonic) {
        bit(v, i, result, mnemonic != Mnemonic::Bt)?;
    } else {
        return arithmetic::execute(v, i)
            .map_or(Ok(Progress::Unknown), |done| done.map(|()| Progress::Done));
    }
    Ok(Progress::Done)
}

/// Its operands are general-purpose registers, immediates and at most 8 bytes of memory.
fn has_plain_operands(i: &Instruction) -> bool {
    i.memory_size().size() <= 8
        && (0..i.op_count()).all(|n| match i.op_kind(n) {
            OpKind::Register => i.op_register(n).is_gpr(),
            _ => true,
        })
}

fn binary_operation(mnemonic: Mnemonic) -> Option<(Binary, bool)> {
    Some(match mnemonic {
        Mnemonic::Add => (|a, b, _, size| flags::add(a, b, false, size), true),
        Mnemonic::Adc => (flags::add, true),
        Mnemonic::Sub => (|a, b, _, size| flags::subtract(a, b, false, size), true),
        Mnemonic::Sbb => (flags::subtract, true),
        Mnemonic::Cmp => (|a, b, _, size| flags::subtract(a, b, false, size), false),
        Mnemonic::And => (|a, b, _, size| flags::logic(a & b, size), true),
        Mnemonic::Test => (|a, b, _, size| flags::logic(a & b, size), false),
        Mnemonic::Or => (|a, b, _, size| flags::logic(a | b, size), true),
        Mnemonic::Xor => (|a, b, _, size| flags::logic(a ^ b, size), true),
        _ => return None,
    })
}

fn unary_operation(mnemonic: Mnemonic) -> Option<Unary> {
    Some(match mnemonic {
        Mnemonic::Inc => |a, size| flags::add(a, 1, false, size).keeping_carry(),
        Mnemonic::Dec => |a, size| flags::subtract(a, 1, false, size).keeping_carry(),
        Mnemonic::Neg => |a, size| flags::subtract(0, a, false, size),
        Mnemonic::Not => |a, size| flags::unchanged(!a, size),
        _ => return None,
    })
}

/// From the value and the mask of the bit.
fn bit_operation(mnemonic: Mnemonic) -> Option<fn(u64, u64) -> u64> {
    Some(match mnemonic {
        Mnemonic::Bt => |value, _| value,
        Mnemonic::Bts => |value, bit| value | bit,
        Mnemonic::Btr => |value, bit| value & !bit,
        Mnemonic::Btc => |value, bit| value ^ bit,
        _ => return None,
    })
}

/// Where an operand is.
#[derive(Clone, Copy)]
pub(super) enum Place {
    Register(Register),
    Memory(Gva),
    Immediate(u64),
}

impl Place {
    /// An operand that is read; with `write`, one that is written too, or only.
    pub(super) fn of(
        v: &Vcpu,
        i: &Instruction,
        n: u32,
        size: u8,
        write: bool,
    ) -> Result<Self, Event> {
        Ok(match i.op_kind(n) {
            OpKind::Register => Self::Register(i.op_register(n)),
            OpKind::Memory => Self::Memory(linear_address(v, i, size, write)?),
            _ => Self::Immediate(i.try_immediate(n).unwrap_or(0)),
        })
    }

    pub(super) fn load(self, v: &mut Vcpu, size: u8) -> Result<u64, Event> {
        match self {
            Self::Register(register) => Ok(operand::register(v, register)),
            Self::Memory(at) => memory::read(v, at, size),
            Self::Immediate(value) => Ok(value & mask(size)),
        }
    }

    /// The same of a place that is written afterwards: it must take the write.
    pub(super) fn load_to_change(self, v: &mut Vcpu, size: u8) -> Result<u64, Event> {
        if let Self::Memory(at) = self {
            memory::check(v, at, size, true)?;
        }
        self.load(v, size)
    }

    pub(super) fn store(self, v: &mut Vcpu, size: u8, value: u64) -> Result<(), Event> {
        match self {
            Self::Register(register) => operand::set_register(v, register, value),
            Self::Memory(at) => memory::write(v, at, size, value)?,
            Self::Immediate(_) => {}
        }
        Ok(())
    }
}

/// The size of an operand in bytes. An immediate is as large as the operand beside it.
pub(super) fn size(i: &Instruction, n: u32) -> u8 {
    let bytes = match i.op_kind(n) {
        OpKind::Register => i.op_register(n).size(),
        OpKind::Memory => i.memory_size().size(),
        _ => return if n == 0 { 8 } else { size(i, 0) },
    };
    bytes.clamp(1, 8) as u8
}

pub(super) fn set_flags(v: &mut Vcpu, outcome: Outcome) {
    let rflags = v.engine.reg(Reg::Rflags);
    v.engine.set_reg(Reg::Rflags, outcome.apply(rflags));
}

fn copy(v: &mut Vcpu, i: &Instruction, signed: bool) -> Result<(), Event> {
    let (to, from) = (size(i, 0), size(i, 1));
    let source = Place::of(v, i, 1, from, false)?;
    let target = Place::of(v, i, 0, to, true)?;
    let mut value = source.load(v, from)?;
    if signed {
        let unused = 64 - 8 * u32::from(from);
        value = ((value << unused) as i64 >> unused) as u64;
    }
    target.store(v, to, value & mask(to))
}

/// MOVBE.
fn swap_bytes(v: &mut Vcpu, i: &Instruction) -> Result<(), Event> {
    let size = size(i, 0);
    let source = Place::of(v, i, 1, size, false)?;
    let target = Place::of(v, i, 0, size, true)?;
    let value = source.load(v, size)?.swap_bytes() >> (64 - 8 * u32::from(size));
    target.store(v, size, value)
}

/// The count is a byte; a count of 0 changes no flag.
fn shift(v: &mut Vcpu, i: &Instruction, kind: Shift) -> Result<(), Event> {
    let size = size(i, 0);
    let target = Place::of(v, i, 0, size, true)?;
    let count = Place::of(v, i, 1, 1, false)?.load(v, 1)?;
    let value = target.load_to_change(v, size)?;
    let carry = v.engine.reg(Reg::Rflags) & Rflags::CF.bits() != 0;
    let outcome = kind.apply(value, count, carry, size);
    target.store(v, size, outcome.value)?;
    set_flags(v, outcome);
    Ok(())
}

/// SETcc, and CMOVcc, which reads its source and writes a 32-bit register whether or not the condition holds.
fn conditional(v: &mut Vcpu, i: &Instruction, holds: bool) -> Result<(), Event> {
    let size = size(i, 0);
    let target = Place::of(v, i, 0, size, true)?;
    if i.op_count() == 1 {
        return target.store(v, size, holds.into());
    }
    let new = Place::of(v, i, 1, size, false)?.load(v, size)?;
    let old = target.load(v, size)?;
    target.store(v, size, if holds { new } else { old })
}

fn binary(v: &mut Vcpu, i: &Instruction, result: Binary, stores: bool) -> Result<(), Event> {
    let size = size(i, 0);
    let target = Place::of(v, i, 0, size, stores)?;
    let b = Place::of(v, i, 1, size, false)?.load(v, size)?;
    let a = if stores {
        target.load_to_change(v, size)?
    } else {
        target.load(v, size)?
    };
    let carry = v.engine.reg(Reg::Rflags) & Rflags::CF.bits() != 0;
    let outcome = result(a, b, carry, size);
    if stores {
        target.store(v, size, outcome.value)?;
    }
    set_flags(v, outcome);
    Ok(())
}

fn unary(v: &mut Vcpu, i: &Instruction, result: Unary) -> Result<(), Event> {
    let size = size(i, 0);
    let target = Place::of(v, i, 0, size, true)?;
    let outcome = result(target.load_to_change(v, size)?, size);
    target.store(v, size, outcome.value)?;
    set_flags(v, outcome);
    Ok(())
}

/// BT and its siblings: a bit offset in a register reaches any bit around a memory operand, one in
/// an immediate only those within (SDM 2A "BT").
fn bit(
    v: &mut Vcpu,
    i: &Instruction,
    result: fn(u64, u64) -> u64,
    stores: bool,
) -> Result<(), Event> {
    let size = size(i, 0);
    let bits = 8 * i64::from(size);
    let wanted = Place::of(v, i, 1, size, false)?.load(v, size)?;
    let target = match (i.op_kind(0), i.op_kind(1)) {
        (OpKind::Memory, OpKind::Register) => {
            let unused = 64 - bits;
            let signed = (wanted << unused) as i64 >> unused;
            let beyond = signed.div_euclid(bits) * i64::from(size);
            Place::Memory(operand::linear_address_beyond(v, i, beyond, size, stores)?)
        }
        _ => Place::of(v, i, 0, size, stores)?,
    };
    let place = wanted & (bits as u64 - 1);
    let value = if stores {
        target.load_to_change(v, size)?
    } else {
        target.load(v, size)?
    };
    if stores {
        target.store(v, size, result(value, 1 << place))?;
    }
    set_flags(v, flags::bit(value, value >> place & 1 != 0));
    Ok(())
}

fn exchange(v: &mut Vcpu, i: &Instruction) -> Result<(), Event> {
    let size = size(i, 0);
    let (first, second) = (
        Place::of(v, i, 0, size, true)?,
        Place::of(v, i, 1, size, true)?,
    );
    let (a, b) = (
        first.load_to_change(v, size)?,
        second.load_to_change(v, size)?,
    );
    first.store(v, size, b)?;
    second.store(v, size, a)
}

fn exchange_and_add(v: &mut Vcpu, i: &Instruction) -> Result<(), Event> {
    let size = size(i, 0);
    let (target, source) = (
        Place::of(v, i, 0, size, true)?,
        Place::of(v, i, 1, size, true)?,
    );
    let (a, b) = (target.load_to_change(v, size)?, source.load(v, size)?);
    let outcome = flags::add(a, b, false, size);
    source.store(v, size, a)?;
    target.store(v, size, outcome.value)?;
    set_flags(v, outcome);
    Ok(())
}

/// The processor writes the destination whether or not it was equal.
fn compare_and_exchange(v: &mut Vcpu, i: &Instruction) -> Result<(), Event> {
    let size = size(i, 0);
    let accumulator = match size {
        1 => Register::AL,
        2 => Register::AX,
        4 => Register::EAX,
        _ => Register::RAX,
    };
    let (target, source) = (
        Place::of(v, i, 0, size, true)?,
        Place::of(v, i, 1, size, false)?,
    );
    let (old, new) = (target.load_to_change(v, size)?, source.load(v, size)?);
    let expected = operand::register(v, accumulator);
    let outcome = flags::subtract(expected, old, false, size);
    if outcome.value == 0 {
        target.store(v, size, new)?;
    } else {
        target.store(v, size, old)?;
        operand::set_register(v, accumulator, old);
    }
    set_flags(v, outcome);
    Ok(())
}

#[cfg(test)]
mod tests;
