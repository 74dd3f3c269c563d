//! Loads and stores of devices' registers that were carried out before.
//!
//! Drivers reach a device by few instructions, and nearly all of these are a plain MOV of a general-purpose register or
//! an immediate. So what such an instruction does is remembered together with all that it came from. When it exits
//! again, at an address that the processor has translated and checked, it is neither fetched nor decoded, and
//! no paging structure is walked.

use super::memory;
use super::origin::Origin;
use crate::machine::{Engine, Gpr, Reg};
use crate::vcpu::Vcpu;
use alloc::boxed::Box;
use iced_x86::{Instruction, Mnemonic, OpKind, Register};
use spec::addr::{L1Gpa, PAGE_SIZE};
use spec::control_registers::{Cr0, Cr4};
use spec::msr::Efer;

/// How many instructions are remembered.
const LINES: usize = 32;

/// The loads and stores that a virtual CPU made last.
pub struct Accesses(Box<[Line; LINES]>);

impl Default for Accesses {
    fn default() -> Self {
        let nothing = Line {
            origin: Origin::NOWHERE,
            mode: 0,
            form: Form::NONE,
        };
        Self(Box::new([nothing; LINES]))
    }
}

/// One instruction, and all that it came from.
#[derive(Clone, Copy)]
struct Line {
    origin: Origin,
    mode: u64,
    form: Form,
}

/// What the instruction does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Form {
    operand: Operand,
    /// How many bytes of memory.
    size: u8,
    /// Its own length; 0 where nothing is known.
    length: u8,
    address: Address,
}

impl Form {
    const NONE: Self = Self {
        operand: Operand::Immediate(0),
        size: 1,
        length: 0,
        address: Address::Unknown,
    };
}

/// What is beside the memory operand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operand {
    /// A load, whose value the register has all of: zeros are above it.
    Load(Gpr),
    /// A store of a register.
    Store(Gpr),
    /// A store of an immediate.
    Immediate(i32),
}

/// Where the memory operand is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Address {
    /// These make its linear address.
    Sum {
        base: Option<Gpr>,
        index: Option<Gpr>,
        scale: u8,
        displacement: u32,
    },
    /// It depends on more.
    Unknown,
}

/// What the exit says of an access.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Access {
    /// Where it is, or where that part of it is which lies on the second of two pages.
    pub(crate) at: L1Gpa,
    pub(crate) write: bool,
}

/// What decides, besides the code's state, where and how instructions are fetched.
fn mode(engine: &dyn Engine) -> u64 {
    const CR0: u64 = Cr0::PE.union(Cr0::PG).bits();
    const CR4: u64 = Cr4::PAE.union(Cr4::PSE).bits();
    const EFER: u64 = Efer::LMA.bits();
    engine.reg(Reg::Cr0) & CR0 | engine.reg(Reg::Cr4) & CR4 | engine.reg(Reg::Efer) & EFER
}

impl Accesses {
    #[inline]
    fn slot(rip: u64) -> usize {
        (rip ^ rip >> 5) as usize % LINES
    }

    #[inline]
    fn find(&self, engine: &dyn Engine) -> Option<&Form> {
        let state = engine.code_state();
        let line = &self.0[Self::slot(state.rip)];
        let known = line.form.length != 0
            && line.origin.is_at(&state)
            && line.mode == mode(engine)
            && line.origin.is_unchanged();
        known.then_some(&line.form)
    }
}

/// Carries out the instruction at RIP if it is known, and returns its length. It is known to have no fault: the
/// processor has translated its address, and what is left is aligned, so that it lies on one page.
#[inline]
pub(crate) fn again(v: &mut Vcpu, access: Access) -> Option<u8> {
    let form = *v.accesses.find(&*v.engine)?;
    let at = access.at;
    let is_store = !matches!(form.operand, Operand::Load(_));
    let is_whole = at.0.is_multiple_of(form.size.into())
        && (at.offset_in(PAGE_SIZE) != 0 || form.address.starts_a_page(v));
    if is_store != access.write || !is_whole || at.0 < v.guest.ram.size() {
        return None;
    }
    match form.operand {
        Operand::Load(gpr) => {
            let value = memory::read_physical(v, at, form.size);
            v.set_gpr(gpr, value);
        }
        Operand::Store(gpr) => memory::write_physical(v, at, form.size, v.gpr(gpr)),
        Operand::Immediate(value) => {
            memory::write_physical(v, at, form.size, i64::from(value) as u64);
        }
    }
    Some(form.length)
}

/// What the instruction at RIP comes from, to be asked before it is fetched.
pub(crate) struct Candidate(Option<(Origin, u64)>);

impl Candidate {
    pub(crate) fn of(v: &Vcpu) -> Self {
        Self(Origin::of(v))
    }

    /// Remembers the instruction that came from there, if it is one of those that are. What was changed meanwhile is
    /// not remembered.
    pub(crate) fn remember(self, v: &mut Vcpu, i: &Instruction) {
        if let Some((origin, code)) = self.0
            && let Some(form) = Form::of(i)
            && u64::from(form.length) <= code
            && origin.is_unchanged()
        {
            let mode = mode(&*v.engine);
            v.accesses.0[Accesses::slot(origin.state.rip)] = Line { origin, mode, form };
        }
    }
}

impl Form {
    fn of(i: &Instruction) -> Option<Self> {
        let operand = match (i.mnemonic(), i.op0_kind(), i.op1_kind()) {
            (Mnemonic::Mov | Mnemonic::Movzx, OpKind::Register, OpKind::Memory) => {
                Operand::Load(whole(i.op0_register()).filter(|_| i.op0_register().size() >= 4)?)
            }
            (Mnemonic::Mov, OpKind::Memory, OpKind::Register) => {
                Operand::Store(whole(i.op1_register())?)
            }
            (Mnemonic::Mov, OpKind::Memory, _) => {
                Operand::Immediate(i.try_immediate(1).ok()? as i32)
            }
            _ => return None,
        };
        Some(Self {
            operand,
            size: i.memory_size().size().clamp(1, 8) as u8,
            length: i.len() as u8,
            address: Address::of(i),
        })
    }
}

/// The general-purpose register that this is the low part of.
fn whole(register: Register) -> Option<Gpr> {
    let is_low = register.is_gpr() && !super::operand::is_high_byte(register);
    is_low.then(|| super::operand::gpr(register))
}

impl Address {
    fn of(i: &Instruction) -> Self {
        let flat = !matches!(i.memory_segment(), Register::FS | Register::GS);
        if i.code_size() != iced_x86::CodeSize::Code64 || !flat {
            return Self::Unknown;
        }
        Self::Sum {
            base: whole(i.memory_base()),
            index: whole(i.memory_index()),
            scale: i.memory_index_scale() as u8,
            displacement: i.memory_displacement64() as u32,
        }
    }

    /// The operand starts at the start of a page: it is not one that began on the page before.
    #[cold]
    fn starts_a_page(self, v: &Vcpu) -> bool {
        let Self::Sum {
            base,
            index,
            scale,
            displacement,
        } = self
        else {
            return false;
        };
        let value = |gpr: Option<Gpr>| gpr.map_or(0, |gpr| v.gpr(gpr));
        value(base)
            .wrapping_add(value(index).wrapping_mul(scale.into()))
            .wrapping_add(displacement.into())
            .is_multiple_of(PAGE_SIZE)
    }
}

#[cfg(test)]
mod tests;
