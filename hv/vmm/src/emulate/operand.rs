//! Registers and effective addresses of an instruction that we carry out.

use crate::emulate::fetch;
use crate::machine::{Event, Gpr, Reg, Segment, SegmentRegister};
use crate::vcpu::Vcpu;
use iced_x86::{Instruction, OpKind, Register};
use spec::addr::Gva;
use spec::control_registers::Cr0;
use spec::exception::Vector;
use spec::paging::is_canonical;
use spec::segment::AccessRights;

/// The mask of a value of `size` bytes.
pub(crate) const fn mask(size: u8) -> u64 {
    u64::MAX >> (64 - 8 * (size as u32))
}

pub(super) fn is_high_byte(register: Register) -> bool {
    matches!(
        register,
        Register::AH | Register::CH | Register::DH | Register::BH
    )
}

pub(super) fn gpr(register: Register) -> Gpr {
    Gpr::from_number(register.full_register().number() as u8)
}

/// The value of a general-purpose register of any size.
pub(crate) fn register(v: &Vcpu, register: Register) -> u64 {
    let value = v.gpr(gpr(register));
    if is_high_byte(register) {
        value >> 8 & 0xff
    } else {
        value & mask(register.size() as u8)
    }
}

/// Writes a general-purpose register of any size: 32-bit results clear the upper half, smaller
/// ones leave the rest.
pub(crate) fn set_register(v: &mut Vcpu, register: Register, value: u64) {
    let old = v.gpr(gpr(register));
    let new = match register.size() as u8 {
        1 if is_high_byte(register) => old & !0xff00 | (value & 0xff) << 8,
        4 => value & mask(4),
        size => old & !mask(size) | value & mask(size),
    };
    v.set_gpr(gpr(register), new);
}

/// The segment register that iced names.
pub(crate) fn segment_register(register: Register) -> SegmentRegister {
    match register {
        Register::ES => SegmentRegister::Es,
        Register::CS => SegmentRegister::Cs,
        Register::SS => SegmentRegister::Ss,
        Register::FS => SegmentRegister::Fs,
        Register::GS => SegmentRegister::Gs,
        _ => SegmentRegister::Ds,
    }
}

/// The linear address of an instruction's memory operand of `size` bytes.
pub(crate) fn linear_address(
    v: &Vcpu,
    instruction: &Instruction,
    size: u8,
    write: bool,
) -> Result<Gva, Event> {
    linear_address_beyond(v, instruction, 0, size, write)
}

/// The linear address `displacement` bytes behind an instruction's memory operand: bit strings
/// reach beyond it.
pub(crate) fn linear_address_beyond(
    v: &Vcpu,
    instruction: &Instruction,
    displacement: i64,
    size: u8,
    write: bool,
) -> Result<Gva, Event> {
    let operand = (0..instruction.op_count()).find(|&n| instruction.op_kind(n) == OpKind::Memory);
    let offset = operand.and_then(|operand| {
        instruction.virtual_address(operand, 0, |name, _, _| {
            Some(if name.is_segment_register() {
                0
            } else {
                register(v, name)
            })
        })
    });
    let offset =
        offset.unwrap_or(0).wrapping_add_signed(displacement) & address_mask(v, instruction);
    let segment = segment_register(instruction.memory_segment());
    linear(v, segment, offset, size, write)
}

fn address_mask(v: &Vcpu, instruction: &Instruction) -> u64 {
    let base = instruction.memory_base();
    let index = instruction.memory_index();
    let named = [base, index]
        .into_iter()
        .find(|&r| r != Register::None && !r.is_ip());
    match named.map(Register::size) {
        Some(size) => mask(size as u8),
        None if fetch::code_size(v) == 64 => u64::MAX,
        None => mask(4),
    }
}

/// Offset in a segment to linear address, with what the processor checks (SDM 3A "Limit
/// Checking", SDM 1 "Canonical Addressing").
pub(crate) fn linear(
    v: &Vcpu,
    register: SegmentRegister,
    offset: u64,
    size: u8,
    write: bool,
) -> Result<Gva, Event> {
    let refused = match register {
        SegmentRegister::Ss => Event::exception(Vector::SS.0, Some(0)),
        _ => Event::exception(Vector::GP.0, Some(0)),
    };
    let last = offset.wrapping_add(u64::from(size) - 1);
    if fetch::code_size(v) == 64 {
        let base = match register {
            SegmentRegister::Fs | SegmentRegister::Gs => v.engine.segment(register).base,
            _ => 0,
        };
        let (first, last) = (base.wrapping_add(offset), base.wrapping_add(last));
        return if is_canonical(first) && is_canonical(last) {
            Ok(Gva(first))
        } else {
            Err(refused)
        };
    }
    let segment = v.engine.segment(register);
    let protected = v.engine.reg(Reg::Cr0) & Cr0::PE.bits() != 0;
    if !within_limit(&segment, offset, last) || protected && !allows(&segment, write) {
        return Err(refused);
    }
    Ok(Gva(segment.base.wrapping_add(offset) & mask(4)))
}

fn within_limit(segment: &Segment, first: u64, last: u64) -> bool {
    let rights = AccessRights::from_bits_retain(segment.access);
    let limit = u64::from(segment.limit);
    let expands_down =
        !rights.contains(AccessRights::CODE) && rights.contains(AccessRights::EXPAND_CONFORM);
    if expands_down {
        let top = if rights.contains(AccessRights::DB) {
            mask(4)
        } else {
            mask(2)
        };
        return first > limit && last <= top;
    }
    first <= last && last <= limit
}

fn allows(segment: &Segment, write: bool) -> bool {
    let rights = AccessRights::from_bits_retain(segment.access);
    let code = rights.contains(AccessRights::CODE);
    let read_write = rights.contains(AccessRights::READ_WRITE);
    let usable = !rights.contains(AccessRights::UNUSABLE);
    usable
        && if write {
            !code && read_write
        } else {
            !code || read_write
        }
}
