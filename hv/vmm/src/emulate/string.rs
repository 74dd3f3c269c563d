//! String instructions: MOVS, STOS, LODS, CMPS and SCAS here, and what INS and OUTS share with them.

use super::execute::Progress;
use super::operand::{self, linear, mask};
use super::{flags, memory};
use crate::machine::{Event, Gpr, Reg, SegmentRegister};
use crate::vcpu::Vcpu;
use iced_x86::{Instruction, Mnemonic, OpKind, Register};
use spec::addr::Gva;
use spec::control_registers::Rflags;

/// How many repetitions are made before the guest may take an interrupt.
const BATCH: usize = 256;

/// How a string instruction goes through memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Walk {
    /// The size of an element, in bytes.
    pub(crate) size: u8,
    /// The size of addresses, in bytes: how much of RSI, RDI and RCX is used.
    pub(crate) address_size: u8,
    /// The segment that RSI is an offset in. RDI's is always ES.
    pub(crate) source: SegmentRegister,
}

impl Walk {
    /// Of this instruction, if it is a string instruction.
    pub(crate) fn of(i: &Instruction) -> Option<Self> {
        let address_size = (0..i.op_count()).find_map(|n| match i.op_kind(n) {
            OpKind::MemorySegSI | OpKind::MemoryESDI => Some(2),
            OpKind::MemorySegESI | OpKind::MemoryESEDI => Some(4),
            OpKind::MemorySegRSI | OpKind::MemoryESRDI => Some(8),
            _ => None,
        })?;
        Some(Self {
            size: i.memory_size().size().clamp(1, 8) as u8,
            address_size,
            source: operand::segment_register(i.memory_segment()),
        })
    }

    /// The linear address of the source element.
    pub(crate) fn source(self, v: &Vcpu) -> Result<Gva, Event> {
        linear(v, self.source, self.get(v, Gpr::Rsi), self.size, false)
    }

    /// The linear address of the destination element.
    pub(crate) fn destination(self, v: &Vcpu, write: bool) -> Result<Gva, Event> {
        let offset = self.get(v, Gpr::Rdi);
        linear(v, SegmentRegister::Es, offset, self.size, write)
    }

    /// Moves RSI or RDI to the next element.
    pub(crate) fn step(self, v: &mut Vcpu, register: Gpr) {
        let down = v.engine.reg(Reg::Rflags) & Rflags::DF.bits() != 0;
        let size = u64::from(self.size);
        let step = if down { size.wrapping_neg() } else { size };
        let next = self.get(v, register).wrapping_add(step);
        self.set(v, register, next);
    }

    fn get(self, v: &Vcpu, register: Gpr) -> u64 {
        v.gpr(register) & mask(self.address_size)
    }

    /// Writes as an operation of the address size does: 32 bits clear the upper half, 16 leave it.
    fn set(self, v: &mut Vcpu, register: Gpr, value: u64) {
        let kept = if self.address_size == 2 {
            v.gpr(register) & !mask(2)
        } else {
            0
        };
        v.set_gpr(register, kept | value & mask(self.address_size));
    }

    /// Repeats while RCX is not zero and `once` says to go on, at most [`BATCH`] times, only
    /// once under single-step, and until a breakpoint is met. What was done before an exception stays done.
    pub(crate) fn repeat(
        self,
        v: &mut Vcpu,
        mut once: impl FnMut(&mut Vcpu) -> Result<bool, Event>,
    ) -> Result<Progress, Event> {
        let single_step = v.engine.reg(Reg::Rflags) & Rflags::TF.bits() != 0;
        for _ in 0..if single_step { 1 } else { BATCH } {
            let count = self.get(v, Gpr::Rcx);
            if count == 0 {
                return Ok(Progress::Done);
            }
            let goes_on = once(v)?;
            self.set(v, Gpr::Rcx, count - 1);
            if count == 1 || !goes_on {
                return Ok(Progress::Done);
            }
            if v.breakpoints.is_met() {
                break;
            }
        }
        Ok(Progress::Partly)
    }
}

type Element = fn(&mut Vcpu, Walk) -> Result<(), Event>;

/// Carries out a string instruction that is not port I/O.
pub(super) fn execute(v: &mut Vcpu, i: &Instruction, walk: Walk) -> Result<Progress, Event> {
    let (element, compares): (Element, bool) = match i.mnemonic() {
        Mnemonic::Movsb | Mnemonic::Movsw | Mnemonic::Movsd | Mnemonic::Movsq => (copy, false),
        Mnemonic::Stosb | Mnemonic::Stosw | Mnemonic::Stosd | Mnemonic::Stosq => (store, false),
        Mnemonic::Lodsb | Mnemonic::Lodsw | Mnemonic::Lodsd | Mnemonic::Lodsq => (load, false),
        Mnemonic::Cmpsb | Mnemonic::Cmpsw | Mnemonic::Cmpsd | Mnemonic::Cmpsq => (compare, true),
        Mnemonic::Scasb | Mnemonic::Scasw | Mnemonic::Scasd | Mnemonic::Scasq => (scan, true),
        _ => return Ok(Progress::Unknown),
    };
    if !i.has_rep_prefix() && !i.has_repne_prefix() {
        element(v, walk)?;
        return Ok(Progress::Done);
    }
    let while_equal = i.has_rep_prefix();
    let before = v.engine.reg(Reg::Rflags);
    let progress = walk.repeat(v, |v| {
        element(v, walk)?;
        let equal = v.engine.reg(Reg::Rflags) & Rflags::ZF.bits() != 0;
        Ok(!compares || equal == while_equal)
    });
    // A fault shows the flags as they were before the instruction (SDM 2B "REP/REPE/REPZ/REPNE/REPNZ").
    if compares && progress.is_err() {
        v.engine.set_reg(Reg::Rflags, before);
    }
    progress
}

fn accumulator(walk: Walk) -> Register {
    match walk.size {
        1 => Register::AL,
        2 => Register::AX,
        4 => Register::EAX,
        _ => Register::RAX,
    }
}

fn copy(v: &mut Vcpu, walk: Walk) -> Result<(), Event> {
    let (from, to) = (walk.source(v)?, walk.destination(v, true)?);
    memory::check(v, from, walk.size, false)?;
    memory::check(v, to, walk.size, true)?;
    let value = memory::read(v, from, walk.size)?;
    memory::write(v, to, walk.size, value)?;
    walk.step(v, Gpr::Rsi);
    walk.step(v, Gpr::Rdi);
    Ok(())
}

fn store(v: &mut Vcpu, walk: Walk) -> Result<(), Event> {
    let to = walk.destination(v, true)?;
    let value = operand::register(v, accumulator(walk));
    memory::write(v, to, walk.size, value)?;
    walk.step(v, Gpr::Rdi);
    Ok(())
}

fn load(v: &mut Vcpu, walk: Walk) -> Result<(), Event> {
    let from = walk.source(v)?;
    let value = memory::read(v, from, walk.size)?;
    operand::set_register(v, accumulator(walk), value);
    walk.step(v, Gpr::Rsi);
    Ok(())
}

fn compare(v: &mut Vcpu, walk: Walk) -> Result<(), Event> {
    let (from, to) = (walk.source(v)?, walk.destination(v, false)?);
    let a = memory::read(v, from, walk.size)?;
    let b = memory::read(v, to, walk.size)?;
    set_flags(v, a, b, walk);
    walk.step(v, Gpr::Rsi);
    walk.step(v, Gpr::Rdi);
    Ok(())
}

fn scan(v: &mut Vcpu, walk: Walk) -> Result<(), Event> {
    let to = walk.destination(v, false)?;
    let b = memory::read(v, to, walk.size)?;
    let a = operand::register(v, accumulator(walk));
    set_flags(v, a, b, walk);
    walk.step(v, Gpr::Rdi);
    Ok(())
}

fn set_flags(v: &mut Vcpu, a: u64, b: u64, walk: Walk) {
    let outcome = flags::subtract(a, b, false, walk.size);
    let rflags = outcome.apply(v.engine.reg(Reg::Rflags));
    v.engine.set_reg(Reg::Rflags, rflags);
}
