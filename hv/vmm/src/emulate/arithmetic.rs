//! Multiplication, division, bit scans and double shifts (SDM 2A "DIV", "IMUL", "BSF"; SDM 2B "MUL", "SHLD").

use super::execute::{Place, set_flags, size};
use super::flags;
use super::operand::{self, mask};
use crate::machine::{Event, Gpr};
use crate::vcpu::Vcpu;
use iced_x86::{Instruction, Mnemonic};
use spec::exception::Vector;

const DE: Event = Event::exception(Vector::DE.0, None);

/// Carries it out, if it is one of them. Its operands are plain ones.
pub(super) fn execute(v: &mut Vcpu, i: &Instruction) -> Option<Result<(), Event>> {
    Some(match i.mnemonic() {
        Mnemonic::Mul => multiply(v, i, false),
        Mnemonic::Imul if i.op_count() == 1 => multiply(v, i, true),
        Mnemonic::Imul => multiply_into(v, i),
        Mnemonic::Div => divide(v, i, false),
        Mnemonic::Idiv => divide(v, i, true),
        Mnemonic::Bsf | Mnemonic::Bsr => scan(v, i),
        Mnemonic::Tzcnt | Mnemonic::Lzcnt | Mnemonic::Popcnt => count(v, i),
        Mnemonic::Shld | Mnemonic::Shrd => double_shift(v, i),
        _ => return None,
    })
}

fn load(v: &mut Vcpu, i: &Instruction, n: u32) -> Result<u64, Event> {
    let size = size(i, n);
    Place::of(v, i, n, size, false)?.load(v, size)
}

/// A value of `size` bytes, with its sign or without.
fn extend(value: u64, size: u8, signed: bool) -> i128 {
    let unused = 64 - 8 * u32::from(size);
    if signed {
        ((value << unused) as i64 >> unused).into()
    } else {
        (value & mask(size)).into()
    }
}

/// The accumulator's two halves: AH:AL, DX:AX, EDX:EAX, RDX:RAX.
fn halves(v: &Vcpu, size: u8) -> (u64, u64) {
    let rax = v.gpr(Gpr::Rax);
    let high = if size == 1 { rax >> 8 } else { v.gpr(Gpr::Rdx) };
    (high & mask(size), rax & mask(size))
}

fn set_halves(v: &mut Vcpu, size: u8, high: u64, low: u64) {
    let merged = |old: u64, new: u64| match size {
        4 => new & mask(4),
        _ => old & !mask(size) | new & mask(size),
    };
    let rax = v.gpr(Gpr::Rax);
    if size == 1 {
        v.set_gpr(Gpr::Rax, rax & !0xffff | (high & 0xff) << 8 | low & 0xff);
        return;
    }
    let rdx = v.gpr(Gpr::Rdx);
    v.set_gpr(Gpr::Rax, merged(rax, low));
    v.set_gpr(Gpr::Rdx, merged(rdx, high));
}

fn multiply(v: &mut Vcpu, i: &Instruction, signed: bool) -> Result<(), Event> {
    let size = size(i, 0);
    let b = load(v, i, 0)?;
    let (_, a) = halves(v, size);
    let product = extend(a, size, signed).wrapping_mul(extend(b, size, signed));
    let low = product as u64 & mask(size);
    let fits = product == extend(low, size, signed);
    set_halves(v, size, (product >> (8 * size)) as u64, low);
    set_flags(v, flags::product(low, size, fits));
    Ok(())
}

/// IMUL with two or three operands: the upper half of the product is lost.
fn multiply_into(v: &mut Vcpu, i: &Instruction) -> Result<(), Event> {
    let bytes = size(i, 0);
    let last = i.op_count() - 1;
    let (a, b) = (load(v, i, last - 1)?, load(v, i, last)?);
    let product = extend(a, bytes, true).wrapping_mul(extend(b, bytes, true));
    let low = product as u64 & mask(bytes);
    operand::set_register(v, i.op0_register(), low);
    set_flags(
        v,
        flags::product(low, bytes, product == extend(low, bytes, true)),
    );
    Ok(())
}

/// The dividend has twice the operand's size. What divides by 0, or has a quotient too large, is a #DE.
fn divide(v: &mut Vcpu, i: &Instruction, signed: bool) -> Result<(), Event> {
    let size = size(i, 0);
    let b = load(v, i, 0)?;
    let (high, low) = halves(v, size);
    let unsigned = u128::from(high) << (8 * size) | u128::from(low);
    let (quotient, remainder) = if signed {
        let unused = 128 - 16 * u32::from(size);
        let a = (unsigned << unused) as i128 >> unused;
        let b = extend(b, size, true);
        let quotient = a.checked_div(b).ok_or(DE)?;
        if quotient != extend(quotient as u64, size, true) {
            return Err(DE);
        }
        (quotient as u64, a.wrapping_rem(b) as u64)
    } else {
        let b = u128::from(b);
        let quotient = unsigned.checked_div(b).ok_or(DE)?;
        if quotient > mask(size).into() {
            return Err(DE);
        }
        (quotient as u64, (unsigned % b) as u64)
    };
    set_halves(v, size, remainder, quotient);
    Ok(())
}

/// BSF and BSR leave the register as it was if no bit is set.
fn scan(v: &mut Vcpu, i: &Instruction) -> Result<(), Event> {
    let value = load(v, i, 1)?;
    if value != 0 {
        let place = match i.mnemonic() {
            Mnemonic::Bsf => value.trailing_zeros(),
            _ => value.ilog2(),
        };
        operand::set_register(v, i.op0_register(), place.into());
    }
    set_flags(v, flags::zero(value == 0));
    Ok(())
}

fn count(v: &mut Vcpu, i: &Instruction) -> Result<(), Event> {
    let bits = 8 * u32::from(size(i, 0));
    let value = load(v, i, 1)?;
    let result = match i.mnemonic() {
        Mnemonic::Tzcnt => value.trailing_zeros().min(bits),
        Mnemonic::Lzcnt => value.leading_zeros() + bits - 64,
        _ => value.count_ones(),
    };
    operand::set_register(v, i.op0_register(), result.into());
    let outcome = if i.mnemonic() == Mnemonic::Popcnt {
        flags::counted(value == 0, false)
    } else {
        flags::counted(result == 0, value == 0)
    };
    set_flags(v, outcome);
    Ok(())
}

/// SHLD and SHRD. A count beyond 16 of a 16-bit operand is undefined; here the bits of the second one come again.
fn double_shift(v: &mut Vcpu, i: &Instruction) -> Result<(), Event> {
    let size = size(i, 0);
    let bits = 8 * u32::from(size);
    let target = Place::of(v, i, 0, size, true)?;
    let filler = load(v, i, 1)?;
    let count = Place::of(v, i, 2, 1, false)?.load(v, 1)? as u32 & if size == 8 { 63 } else { 31 };
    let value = target.load_to_change(v, size)?;
    if count == 0 {
        return target.store(v, size, value);
    }
    let (a, b) = (u128::from(value), u128::from(filler));
    let (result, carry) = if i.mnemonic() == Mnemonic::Shld {
        let wide = (a << bits | b) << (count % bits);
        ((wide >> bits) as u64, bit(value, bits.wrapping_sub(count)))
    } else {
        let wide = (b << bits | a) >> (count % bits);
        (wide as u64, bit(value, count - 1))
    };
    let outcome = flags::shifted(value, result, size, carry);
    target.store(v, size, outcome.value)?;
    set_flags(v, outcome);
    Ok(())
}

fn bit(value: u64, n: u32) -> bool {
    value.checked_shr(n).unwrap_or(0) & 1 != 0
}

#[cfg(test)]
mod tests;
