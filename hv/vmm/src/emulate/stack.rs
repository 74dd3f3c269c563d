//! PUSH and POP.

use super::execute::Place;
use super::operand::{self, mask};
use super::{fetch, memory};
use crate::machine::{Event, SegmentRegister};
use crate::vcpu::Vcpu;
use iced_x86::{Instruction, Register};
use spec::addr::Gva;
use spec::segment::AccessRights;

/// The stack pointer, as wide as the stack segment says (SDM 1 "Stack Behavior in 64-Bit Mode",
/// "Address-Size Attributes for Stack Accesses").
fn pointer(v: &Vcpu) -> Register {
    let rights = v.engine.segment(SegmentRegister::Ss).access;
    if fetch::code_size(v) == 64 {
        Register::RSP
    } else if rights & AccessRights::DB.bits() != 0 {
        Register::ESP
    } else {
        Register::SP
    }
}

/// How many bytes it pushes or pops.
fn operand_size(i: &Instruction) -> u8 {
    i.stack_pointer_increment().unsigned_abs().clamp(1, 8) as u8
}

fn top(v: &Vcpu, offset: u64, size: u8, write: bool) -> Result<Gva, Event> {
    operand::linear(v, SegmentRegister::Ss, offset, size, write)
}

pub(super) fn push(v: &mut Vcpu, i: &Instruction) -> Result<(), Event> {
    let size = operand_size(i);
    let value = Place::of(v, i, 0, size, false)?.load(v, size)?;
    push_value(v, size, value)
}

/// Pushes `size` bytes.
pub(crate) fn push_value(v: &mut Vcpu, size: u8, value: u64) -> Result<(), Event> {
    let pointer = pointer(v);
    let lower = operand::register(v, pointer).wrapping_sub(size.into());
    let lower = lower & mask(pointer.size() as u8);
    let at = top(v, lower, size, true)?;
    memory::write(v, at, size, value)?;
    operand::set_register(v, pointer, lower);
    Ok(())
}

/// An address that is based on the stack pointer sees it after the increment (SDM 2B "POP").
pub(super) fn pop(v: &mut Vcpu, i: &Instruction) -> Result<(), Event> {
    let (size, pointer) = (operand_size(i), pointer(v));
    let old = operand::register(v, pointer);
    let at = top(v, old, size, false)?;
    let value = memory::read(v, at, size)?;
    operand::set_register(v, pointer, old.wrapping_add(size.into()));
    let stored = Place::of(v, i, 0, size, true).and_then(|target| target.store(v, size, value));
    if stored.is_err() {
        operand::set_register(v, pointer, old);
    }
    stored
}
